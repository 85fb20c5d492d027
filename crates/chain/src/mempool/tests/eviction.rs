//! Who leaves a full pool, and what leaves it for its age.

use super::*;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn hash(seed: u8, nonce: u64, tip: u128) -> B256 {
    *transfer(seed, nonce, tip).tx_hash()
}

fn full_pool(limits: PoolLimits, transactions: &[RecoveredTransaction]) -> Mempool {
    let mut pool = Mempool::new(limits);
    for transaction in transactions {
        assert_eq!(pool.insert(transaction.clone(), &conditions(0)), Ok(Vec::new()), "there is room");
    }
    pool
}

/// Inserts, and gives what went for it.
fn push(pool: &mut Mempool, seed: u8, nonce: u64, tip: u128) -> Result<Vec<B256>, SubmitError> {
    pool.insert(transfer(seed, nonce, tip), &conditions(0))
}

#[test]
fn whoever_has_most_behind_gaps_makes_room_for_another_of_these() {
    let limits = PoolLimits { gapped_max: 3, ..PoolLimits::default() };
    let mut pool = full_pool(limits, &[transfer(1, 1, 1), transfer(1, 2, 1), transfer(2, 1, 1)]);
    assert_eq!(push(&mut pool, 1, 3, 900), Err(SubmitError::PoolFull), "it has most itself");
    assert_eq!(push(&mut pool, 3, 5, 1), Ok(vec![hash(1, 2, 1)]));
    assert_eq!(push(&mut pool, 1, 2, 900), Err(SubmitError::PoolFull), "all have one");
    let greatest = [1, 2, 3].map(|seed| transfer(seed, 1, 1).signer()).into_iter().max().unwrap();
    push(&mut pool, 4, 1, 1).unwrap();
    assert!(!pool.senders.contains_key(&greatest), "among equals the greatest address goes");
    assert_eq!(pool.size(), (0, 3));
}

#[test]
fn what_cannot_run_takes_no_place_of_what_can() {
    let limits = PoolLimits { transactions_max: 2, ..PoolLimits::default() };
    let mut pool = full_pool(limits, &[transfer(1, 0, 1), transfer(2, 0, 1)]);
    assert_eq!(push(&mut pool, 3, 1, 900), Err(SubmitError::PoolFull));
    assert_eq!(pool.size(), (2, 0));
}

#[test]
fn the_last_of_whoever_pays_least_goes_for_a_tenth_more() {
    let limits = PoolLimits { transactions_max: 3, ..PoolLimits::default() };
    let mut pool = full_pool(limits, &[transfer(1, 0, 100), transfer(2, 0, 50), transfer(2, 1, 10)]);
    let refused = push(&mut pool, 3, 0, 10).unwrap_err();
    assert_eq!(refused.to_string(), "transaction underpriced");
    assert_eq!(push(&mut pool, 3, 0, 11), Ok(vec![hash(2, 1, 10)]));
    assert_eq!(pool.next_nonce(transfer(2, 0, 50).signer()), Some(1), "the queue has no hole");
    assert_eq!(push(&mut pool, 4, 0, 40), Ok(vec![hash(3, 0, 11)]));
    assert_eq!(push(&mut pool, 5, 0, 43), Err(SubmitError::PoolUnderpriced));
    assert_eq!(push(&mut pool, 5, 0, 60), Ok(vec![hash(4, 0, 40)]));
    assert_eq!(push(&mut pool, 6, 0, 55), Ok(vec![hash(2, 0, 50)]), "its last one is the first one now");
}

#[test]
fn nobody_pushes_out_what_pays_nothing_by_paying_nothing() {
    let limits = PoolLimits { transactions_max: 1, ..PoolLimits::default() };
    let mut pool = full_pool(limits, &[transfer(1, 0, 0)]);
    assert_eq!(push(&mut pool, 2, 0, 0), Err(SubmitError::PoolUnderpriced));
    assert_eq!(push(&mut pool, 2, 0, 1), Ok(vec![hash(1, 0, 0)]));
}

#[test]
fn a_tip_that_the_fee_cap_leaves_no_room_for_pushes_nobody_out() {
    let limits = PoolLimits { transactions_max: 1, ..PoolLimits::default() };
    let mut pool = full_pool(limits, &[transfer(1, 0, 1)]);
    let boast = TxEip1559 {
        chain_id: CHAIN_ID,
        gas_limit: 21_000,
        max_fee_per_gas: u128::from(BASE_FEE),
        max_priority_fee_per_gas: u128::from(BASE_FEE),
        to: TxKind::Call(Address::ZERO),
        ..Default::default()
    };
    assert_eq!(pool.insert(sign(2, boast), &conditions(0)), Err(SubmitError::PoolUnderpriced));
}

#[test]
fn no_sender_pushes_out_what_lies_before_its_own_newcomer() {
    let own = [transfer(1, 0, 1), transfer(1, 1, 5)];
    let limits = PoolLimits { transactions_max: 2, ..PoolLimits::default() };
    let mut pool = full_pool(limits, &own);
    assert_eq!(push(&mut pool, 1, 2, 900), Err(SubmitError::PoolFull));
    let mut pool = Mempool::new(PoolLimits { transactions_max: 3, ..limits });
    for transaction in own.iter().chain(&[transfer(2, 0, 7)]) {
        pool.insert(transaction.clone(), &conditions(0)).unwrap();
    }
    assert_eq!(push(&mut pool, 1, 2, 900), Ok(vec![hash(2, 0, 7)]), "the next one that pays least");
    assert_eq!(pool.size(), (3, 0));
}

#[test]
fn who_fills_a_gap_may_push_out_what_waits_behind_it() {
    let limits = PoolLimits { transactions_max: 2, ..PoolLimits::default() };
    let mut pool = full_pool(limits, &[transfer(1, 1, 1), transfer(1, 2, 1)]);
    assert_eq!(push(&mut pool, 1, 0, 1), Ok(vec![hash(1, 2, 1)]));
    assert_eq!(pool.size(), (2, 0));
}

/// Goal: a newcomer that needs the bytes of several gets them all or pushes out none.
#[test]
fn a_large_newcomer_outbids_all_whose_bytes_it_takes() {
    let small = [transfer(1, 0, 1), transfer(2, 0, 2), transfer(3, 0, 300)];
    let bytes_max: usize = small.iter().map(Encodable2718::encode_2718_len).sum();
    let mut pool = full_pool(PoolLimits { bytes_max, ..PoolLimits::default() }, &small);
    let before = picture(&pool);
    let large = |tip: u128| {
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            gas_limit: 100_000,
            max_fee_per_gas: u128::from(BASE_FEE) + tip,
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(Address::ZERO),
            input: vec![0; bytes_max * 2 / 5].into(),
            ..Default::default()
        };
        sign(4, transaction)
    };
    let refused = pool.insert(large(100), &conditions(0));
    assert_eq!((refused, picture(&pool)), (Err(SubmitError::PoolUnderpriced), before));
    let gone = pool.insert(large(1_000), &conditions(0)).unwrap();
    assert_eq!(gone, small.map(|transaction| *transaction.tx_hash()));
    assert_eq!(pool.len(), 1);
}

/// Goal: what is pushed out while it is under way does no harm: its block moves the account on, and the next nonce follows.
#[test]
fn what_is_under_way_may_go() {
    let limits = PoolLimits { transactions_max: 1, ..PoolLimits::default() };
    let mut pool = full_pool(limits, &[transfer(1, 0, 1)]);
    let mut under_way = UnderWay::default();
    under_way.insert(Height(1), &pool.take(1 << 20, 30_000_000, BASE_FEE, &UnderWay::default()));
    assert_eq!(push(&mut pool, 2, 0, 10), Ok(vec![hash(1, 0, 1)]));
    let sender = transfer(1, 0, 1).signer();
    assert!(pool.account_moved(sender, 1).is_empty());
    under_way.forget_up_to(Height(1));
    assert_eq!(pool.insert(transfer(1, 1, 20), &conditions(1)), Ok(vec![hash(2, 0, 10)]));
    assert!(pool.has_candidate(BASE_FEE, &under_way));
}

#[test]
fn the_orders_are_kept_only_while_the_pool_is_almost_full() {
    let transactions: Vec<_> = (1..=8).map(|seed| transfer(seed, 0, 10)).collect();
    let limits = PoolLimits { transactions_max: 8, ..PoolLimits::default() };
    let mut pool = full_pool(limits, &transactions);
    assert!(pool.index.is_empty());
    push(&mut pool, 9, 0, 20).unwrap();
    assert!(!pool.index.is_empty());
    let waiting: Vec<B256> = pool.by_hash.keys().copied().collect();
    pool.remove(waiting[0]);
    assert!(!pool.index.is_empty(), "an eighth is to be free");
    pool.remove(waiting[1]);
    assert!(pool.index.is_empty());
}

#[test]
fn what_waits_behind_a_gap_for_three_hours_goes_and_what_can_run_stays() {
    let mut pool = pool_with(&[transfer(1, 1, 1), transfer(1, 2, 1), transfer(2, 0, 1)]);
    assert!(pool.expire(2 * HOUR).is_empty());
    pool.insert(transfer(3, 1, 1), &conditions(0)).unwrap();
    assert_eq!(pool.expire(3 * HOUR), [hash(1, 1, 1), hash(1, 2, 1)]);
    assert_eq!(pool.size(), (1, 1), "the later one still waits");
    assert_eq!(pool.expire(5 * HOUR), [hash(3, 1, 1)]);
    assert!(pool.expire(99 * HOUR).is_empty());
    assert_eq!((pool.size(), pool.senders.len()), ((1, 0), 1));
}

#[test]
fn a_gap_that_is_filled_begins_the_time_of_the_next_one() {
    let mut pool = pool_with(&[transfer(1, 1, 1), transfer(1, 3, 1)]);
    assert!(pool.expire(2 * HOUR).is_empty());
    pool.insert(transfer(1, 0, 1), &conditions(0)).unwrap();
    assert!(pool.expire(4 * HOUR).is_empty());
    assert_eq!(pool.expire(5 * HOUR), [hash(1, 3, 1)]);
    assert_eq!(pool.size(), (2, 0));
}
