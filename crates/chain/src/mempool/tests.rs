//! What the pool takes, refuses and proposes.

use super::*;
use crate::proposal::tests::{CHAIN_ID, sign, transfer};
use alloy_consensus::TxEip1559;
use alloy_primitives::TxKind;
use bxp_execution::TRANSACTION_GAS_MAX;
use bxp_types::Height;
use std::collections::BTreeMap;

mod eviction;

const BASE_FEE: u64 = 1_000_000_000;

fn conditions(nonce: u64) -> Conditions {
    let balance = U256::from(10).pow(U256::from(18));
    Conditions {
        account: AccountState { nonce, balance, code_hash: None },
        base_fee: BASE_FEE,
        gas_limit: 30_000_000,
    }
}

fn pool_with(transactions: &[RecoveredTransaction]) -> Mempool {
    let mut pool = Mempool::new(PoolLimits::default());
    for transaction in transactions {
        pool.insert(transaction.clone(), &conditions(0)).unwrap();
    }
    pool
}

fn taken(pool: &Mempool) -> Vec<(Address, u64)> {
    let list = pool.take(1 << 20, 30_000_000, BASE_FEE, &UnderWay::default());
    list.iter().map(|transaction| (transaction.signer(), transaction.nonce())).collect()
}

#[test]
fn a_proposal_is_gapless_and_best_tip_first() {
    let (a, b) = (transfer(1, 0, 0).signer(), transfer(2, 0, 0).signer());
    let pool = pool_with(&[transfer(1, 0, 1), transfer(1, 1, 9), transfer(1, 3, 9), transfer(2, 0, 5)]);
    assert_eq!(taken(&pool), [(b, 0), (a, 0), (a, 1)]);
    assert_eq!(pool.next_nonce(a), Some(2), "the gap at 2 holds 3 back");
    assert_eq!(pool.take(1 << 20, 42_000, BASE_FEE, &UnderWay::default()).len(), 2, "gas bound");
    assert_eq!(pool.take(290, 30_000_000, BASE_FEE, &UnderWay::default()).len(), 2, "byte bound");
    assert!(
        pool.take(1 << 20, 30_000_000, BASE_FEE + 100, &UnderWay::default()).is_empty(),
        "fee caps below the base fee wait"
    );
}

#[test]
fn a_block_moves_the_account_on() {
    let mut pool = pool_with(&[transfer(1, 0, 1), transfer(1, 1, 1), transfer(1, 2, 1)]);
    let sender = transfer(1, 0, 1).signer();
    let spent = pool.account_moved(sender, 2);
    assert_eq!(spent, [*transfer(1, 0, 1).tx_hash(), *transfer(1, 1, 1).tx_hash()]);
    assert_eq!((taken(&pool), pool.len()), (vec![(sender, 2)], 1));
    pool.remove(*transfer(1, 2, 1).tx_hash());
    assert!(pool.is_empty() && pool.senders.is_empty());
}

#[test]
fn a_replacement_pays_a_tenth_more() {
    let mut pool = pool_with(&[transfer(1, 0, 100_000_000)]);
    let refused = pool.insert(transfer(1, 0, 105_000_000), &conditions(0)).unwrap_err();
    assert_eq!(refused, SubmitError::ReplacementUnderpriced);
    let old = pool.insert(transfer(1, 0, 300_000_000), &conditions(0)).unwrap();
    assert_eq!(old, [*transfer(1, 0, 100_000_000).tx_hash()]);
    assert_eq!(pool.len(), 1);
}

/// Goal: as in geth, both prices have to rise, by a tenth of what they are; a tip of nothing does not stay nothing.
#[test]
fn fee_cap_and_tip_both_rise_for_a_replacement() {
    let with = |fee_cap: u64, tip: u128| {
        let transaction = TxEip1559 {
            chain_id: CHAIN_ID,
            gas_limit: 21_000,
            max_fee_per_gas: u128::from(fee_cap),
            max_priority_fee_per_gas: tip,
            to: TxKind::Call(Address::ZERO),
            ..Default::default()
        };
        sign(1, transaction)
    };
    let replaces = |old: RecoveredTransaction, new: RecoveredTransaction| {
        let mut pool = pool_with(&[old]);
        match pool.insert(new, &conditions(0)) {
            Ok(gone) => gone.len() == 1,
            Err(refused) => {
                assert_eq!(refused, SubmitError::ReplacementUnderpriced);
                false
            }
        }
    };
    assert!(!replaces(with(BASE_FEE, 0), with(2 * BASE_FEE, 0)), "nothing is not more than nothing");
    assert!(!replaces(with(BASE_FEE, 1), with(2 * BASE_FEE, 1)));
    assert!(!replaces(with(BASE_FEE, 1), with(BASE_FEE, 2)));
    assert!(replaces(with(BASE_FEE, 0), with(2 * BASE_FEE, 1)));
    assert!(replaces(with(BASE_FEE, 1), with(2 * BASE_FEE, 2)));
    // A tenth of 15 are 1.5 wei, of which geth asks one.
    assert!(replaces(with(BASE_FEE, 15), with(BASE_FEE + BASE_FEE / 10, 16)));
    assert!(!replaces(with(BASE_FEE, 20), with(BASE_FEE + BASE_FEE / 10, 21)));
    assert!(!replaces(with(BASE_FEE, 15), with(BASE_FEE + BASE_FEE / 10 - 1, 16)));
}

#[test]
fn what_is_refused_is_refused_in_geths_words() {
    let mut pool =
        Mempool::new(PoolLimits { transactions_max: 2, per_sender_max: 2, ..PoolLimits::default() });
    let mut refuse = |transaction: RecoveredTransaction, conditions: Conditions| {
        pool.insert(transaction, &conditions).unwrap_err().to_string()
    };
    assert_eq!(refuse(transfer(1, 4, 1), conditions(5)), "nonce too low: next nonce 5, tx nonce 4");
    assert_eq!(refuse(transfer(1, 2, 1), conditions(0)), "nonce too high: next nonce 0, tx nonce 2");
    let poor = Conditions { account: AccountState::default(), ..conditions(0) };
    assert!(
        refuse(transfer(1, 0, 1), poor).starts_with("insufficient funds for gas * price + value: balance 0")
    );
    let base = TxEip1559 {
        chain_id: CHAIN_ID,
        gas_limit: 21_000,
        max_fee_per_gas: 2_000_000_000,
        to: TxKind::Call(Address::ZERO),
        ..Default::default()
    };
    let low_gas = sign(1, TxEip1559 { gas_limit: 20_999, ..base.clone() });
    assert_eq!(refuse(low_gas, conditions(0)), "intrinsic gas too low: have 20999, want 21000");
    let create = sign(1, TxEip1559 { to: TxKind::Create, input: vec![1, 0].into(), ..base.clone() });
    assert_eq!(refuse(create, conditions(0)), "intrinsic gas too low: have 21000, want 53022");
    let big = sign(1, TxEip1559 { gas_limit: 30_000_001, ..base.clone() });
    assert_eq!(refuse(big, conditions(0)), "exceeds block gas limit");
    let above_cap = sign(1, TxEip1559 { gas_limit: TRANSACTION_GAS_MAX + 1, ..base.clone() });
    let refused = refuse(above_cap, conditions(0));
    assert_eq!(refused, "transaction gas limit too high (cap: 16777216, tx: 16777217)");
    let tip = sign(1, TxEip1559 { max_priority_fee_per_gas: 2_000_000_001, ..base.clone() });
    assert_eq!(refuse(tip, conditions(0)), "max priority fee per gas higher than max fee per gas");
    let cheap = sign(1, TxEip1559 { max_fee_per_gas: 7, ..base });
    assert!(refuse(cheap, conditions(0)).starts_with("max fee per gas less than block base fee"));
}

#[test]
fn the_pool_is_bounded_and_knows_what_it_has() {
    let mut pool =
        Mempool::new(PoolLimits { transactions_max: 2, per_sender_max: 2, ..PoolLimits::default() });
    pool.insert(transfer(1, 0, 1), &conditions(0)).unwrap();
    assert_eq!(pool.insert(transfer(1, 0, 1), &conditions(0)), Err(SubmitError::AlreadyKnown));
    pool.insert(transfer(1, 1, 1), &conditions(0)).unwrap();
    assert_eq!(pool.insert(transfer(2, 0, 1), &conditions(0)), Err(SubmitError::PoolUnderpriced));
    assert!(pool.get(*transfer(1, 1, 1).tx_hash()).is_some());
}

#[test]
fn a_sender_has_a_share_of_the_pool_and_may_still_replace_when_it_is_full() {
    // The account has moved on, and what is spent has not been forgotten yet.
    let mut pool =
        Mempool::new(PoolLimits { transactions_max: 3, per_sender_max: 2, ..PoolLimits::default() });
    pool.insert(transfer(1, 0, 1), &conditions(0)).unwrap();
    pool.insert(transfer(1, 1, 1), &conditions(0)).unwrap();
    let refused = pool.insert(transfer(1, 2, 1), &conditions(1)).unwrap_err();
    assert_eq!(
        (&refused, refused.to_string().as_str()),
        (&SubmitError::AccountLimit, "account limit exceeded")
    );
    pool.insert(transfer(2, 0, 1), &conditions(0)).unwrap();
    let refused = pool.insert(transfer(3, 0, 1), &conditions(0)).unwrap_err();
    assert_eq!(refused.to_string(), "transaction underpriced");
    let replaced = pool.insert(transfer(1, 1, 300_000_000), &conditions(0)).unwrap();
    assert_eq!((replaced, pool.len()), (vec![*transfer(1, 1, 1).tx_hash()], 3));
    pool.account_moved(transfer(1, 0, 1).signer(), 1);
    pool.insert(transfer(3, 0, 1), &conditions(0)).unwrap();
}

#[test]
fn waiting_transactions_count_against_the_balance() {
    let mut pool = Mempool::new(PoolLimits::default());
    let one = cost(&transfer(1, 0, 1));
    let account = AccountState { nonce: 0, balance: one + one / U256::from(2), code_hash: None };
    let conditions = Conditions { account, ..conditions(0) };
    pool.insert(transfer(1, 0, 1), &conditions).unwrap();
    assert!(matches!(
        pool.insert(transfer(1, 1, 1), &conditions),
        Err(SubmitError::InsufficientFunds { .. })
    ));
}

#[test]
fn what_is_under_way_is_not_proposed_again_and_the_next_nonces_are() {
    let pool = pool_with(&[0, 1, 2, 3].map(|nonce| transfer(1, nonce, 1)));
    let mut under_way = UnderWay::default();
    under_way.insert(Height(1), &pool.take(290, 30_000_000, BASE_FEE, &UnderWay::default()));
    let taken = under_way.len() as u64;
    assert!((1..4).contains(&taken));
    let rest = pool.take(1 << 20, 30_000_000, BASE_FEE, &under_way);
    assert_eq!(rest.iter().map(|rest| rest.nonce()).collect::<Vec<_>>(), (taken..4).collect::<Vec<_>>());
    under_way.insert(Height(2), &rest);
    assert!(!pool.has_candidate(BASE_FEE, &under_way));
    under_way.forget_up_to(Height(2));
    assert!(pool.has_candidate(BASE_FEE, &under_way), "left out of its superblock, so it comes again");
}

#[test]
fn a_sender_has_a_share_of_those_behind_a_gap() {
    let mut pool = Mempool::new(PoolLimits { gapped_per_sender_max: 2, ..PoolLimits::default() });
    pool.insert(transfer(1, 1, 1), &conditions(0)).unwrap();
    pool.insert(transfer(1, 2, 1), &conditions(0)).unwrap();
    assert_eq!(pool.insert(transfer(1, 3, 1), &conditions(0)), Err(SubmitError::AccountLimit));
    pool.insert(transfer(1, 0, 1), &conditions(0)).unwrap();
    pool.insert(transfer(1, 3, 1), &conditions(0)).unwrap();
    assert_eq!(pool.size(), (4, 0));
}

/// Goal: transactions that cannot run, which cost nothing, never keep out one that can. Way: accounts leave out their first
/// nonce until no more of that is taken; honest accounts pay, and the gap of one is filled.
#[test]
fn transactions_behind_a_gap_leave_room_for_those_that_can_run() {
    let limits = PoolLimits { transactions_max: 8, gapped_max: 4, ..PoolLimits::default() };
    let mut pool = Mempool::new(limits);
    for seed in [1, 2] {
        pool.insert(transfer(seed, 1, 1), &conditions(0)).unwrap();
        pool.insert(transfer(seed, 2, 1), &conditions(0)).unwrap();
    }
    let refused = pool.insert(transfer(1, 3, 1), &conditions(0)).unwrap_err();
    assert_eq!((&refused, refused.to_string().as_str()), (&SubmitError::PoolFull, "txpool is full"));
    for seed in [3, 1, 4, 5] {
        assert_eq!(pool.insert(transfer(seed, 0, 1), &conditions(0)), Ok(Vec::new()));
    }
    assert_eq!(pool.size(), (6, 2), "the gap of the first account is filled");
    for (seed, nonce) in [(6, 2), (7, 1)] {
        let gone = pool.insert(transfer(seed, 0, 1), &conditions(0)).unwrap();
        assert_eq!(gone, [*transfer(2, nonce, 1).tx_hash()]);
    }
    assert_eq!(pool.size(), (8, 0));
    assert_eq!(pool.insert(transfer(8, 0, 1), &conditions(0)), Err(SubmitError::PoolUnderpriced));
}

#[test]
fn what_a_block_has_spent_does_not_wait_behind_a_gap() {
    let mut pool = pool_with(&[transfer(1, 0, 1), transfer(1, 1, 1)]);
    pool.insert(transfer(1, 2, 1), &conditions(2)).unwrap();
    assert_eq!((pool.size(), pool.next_nonce(transfer(1, 2, 1).signer())), ((3, 0), Some(3)));
    assert_eq!(pool.account_moved(transfer(1, 2, 1).signer(), 2).len(), 2);
    let late = pool.insert(transfer(1, 1, 1), &conditions(1));
    assert_eq!(late, Err(SubmitError::NonceTooLow { next: 2, got: 1 }), "the pool has heard of the block");
    assert_eq!(pool.size(), (1, 0));
}

#[test]
fn how_far_ahead_a_nonce_may_lie_is_counted_from_where_the_pool_knows_the_account() {
    let limits = PoolLimits { per_sender_max: 4, ..PoolLimits::default() };
    let mut pool = Mempool::new(limits);
    for nonce in 0..3 {
        pool.insert(transfer(1, nonce, 1), &conditions(0)).unwrap();
    }
    pool.account_moved(transfer(1, 0, 1).signer(), 2);
    let far = pool.insert(transfer(1, 6, 1), &conditions(0));
    assert_eq!(far, Err(SubmitError::NonceTooHigh { next: 2, got: 6 }));
    pool.insert(transfer(1, 5, 1), &conditions(0)).unwrap();
    assert_eq!(pool.size(), (1, 1));
}

#[test]
fn the_pool_has_a_bound_in_bytes_and_gives_them_back() {
    let bytes = transfer(1, 0, 1).encode_2718_len();
    let mut pool = Mempool::new(PoolLimits { bytes_max: 2 * bytes, ..PoolLimits::default() });
    let (first, second) = (transfer(1, 0, 1), transfer(2, 0, 1));
    for one in [&first, &second] {
        pool.insert(one.clone(), &conditions(0)).unwrap();
    }
    assert_eq!(pool.insert(transfer(3, 0, 1), &conditions(0)), Err(SubmitError::PoolUnderpriced));
    pool.remove(*first.tx_hash());
    pool.insert(transfer(3, 0, 1), &conditions(0)).unwrap();
    pool.account_moved(second.signer(), 1);
    assert_eq!(pool.bytes, bytes);
}

/// All that a pool is: of each sender the account's nonce, how many are spent and ready, since when there is a gap, and the
/// hashes.
type Picture = BTreeMap<Address, (u64, usize, usize, Duration, Vec<B256>)>;

fn picture(pool: &Mempool) -> Picture {
    let of = |queue: &Queue| {
        let hashes: Vec<B256> = queue.by_nonce.values().map(|pooled| *pooled.transaction.tx_hash()).collect();
        let gap_since = if queue.gapped() > 0 { queue.gap_since } else { Duration::ZERO };
        (queue.account_nonce, queue.spent, queue.ready, gap_since, hashes)
    };
    pool.senders.iter().map(|(sender, queue)| (*sender, of(queue))).collect()
}

/// What is counted on the way is what counting all of it gives.
fn check_counts(pool: &Mempool) -> Result<(), proptest::test_runner::TestCaseError> {
    let (mut bytes, mut gapped, mut count) = (0, 0, 0);
    for queue in pool.senders.values() {
        bytes += queue.by_nonce.values().map(|pooled| pooled.transaction.encode_2718_len()).sum::<usize>();
        let ready = (queue.account_nonce..).take_while(|nonce| queue.by_nonce.contains_key(nonce)).count();
        let spent = queue.by_nonce.range(..queue.account_nonce).count();
        proptest::prop_assert_eq!((queue.ready, queue.spent), (ready, spent));
        gapped += queue.by_nonce.len() - ready - spent;
        count += queue.by_nonce.len();
    }
    proptest::prop_assert_eq!((pool.bytes, pool.gapped, pool.by_hash.len()), (bytes, gapped, count));
    proptest::prop_assert!(count <= pool.limits.transactions_max && bytes <= pool.limits.bytes_max);
    proptest::prop_assert!(pool.index.agrees_with(&pool.senders));
    Ok(())
}

proptest::proptest! {
    /// Whatever happens to a small pool, its counts and orders stay right, a refusal changes nothing, and only last nonces go.
    #[test]
    fn counts_and_orders_stay_right(
        steps in proptest::collection::vec((0_u8..8, 1_u8..6, 0_u64..7, 0_u128..40), 1..60),
    ) {
        let bytes_max = 9 * transfer(1, 0, 1).encode_2718_len();
        let limits =
            PoolLimits { transactions_max: 10, bytes_max, gapped_max: 4, ..PoolLimits::default() };
        let mut pool = Mempool::new(limits);
        let (mut nonces, mut elapsed) = ([0_u64; 6], Duration::ZERO);
        for (kind, seed, nonce, tip) in steps {
            let transaction = transfer(seed, nonce, tip);
            let (hash, sender) = (*transaction.tx_hash(), transaction.signer());
            let account = &mut nonces[usize::from(seed)];
            match kind {
                0..=4 => {
                    // Now and then a block has moved the account, and the pool has not heard of it.
                    *account += u64::from(kind == 4);
                    let (before, slots) = (picture(&pool), pool.by_hash.clone());
                    match pool.insert(transaction, &conditions(*account)) {
                        Err(_) => proptest::prop_assert_eq!(picture(&pool), before),
                        Ok(gone) => {
                            proptest::prop_assert_eq!(pool.len() + gone.len(), slots.len() + 1);
                            proptest::prop_assert!(pool.get(hash).is_some());
                            for (whose, which) in gone.iter().map(|gone| slots[gone]) {
                                let queue = pool.senders.get(&whose);
                                let last = queue.and_then(|queue| queue.by_nonce.keys().next_back());
                                let is_last = last.is_none_or(|last| *last < which);
                                // Or it is replaced, or spent by the block of which the pool hears with this one.
                                let own = whose == sender && (which == nonce || which < *account);
                                proptest::prop_assert!(is_last || own);
                            }
                        }
                    }
                }
                5 => pool.remove(hash),
                6 => {
                    elapsed += GAPPED_LIFETIME / 2;
                    for expired in pool.expire(elapsed) {
                        proptest::prop_assert!(pool.get(expired).is_none());
                    }
                }
                _ => {
                    *account = (*account).max(nonce);
                    pool.account_moved(sender, *account);
                }
            }
            check_counts(&pool)?;
        }
    }
}
