//! Transactions that cannot enter are dropped with their reason, and the block goes on.

use crate::kit::{Account, CHAIN_ID, Chain, GWEI, genesis, transaction};
use alloy_consensus::{TxEip1559, TxEip4844, TxLegacy};
use alloy_primitives::{Address, B256, U256};
use bxp_execution::{DropReason, TRANSACTION_GAS_MAX};
use bxp_types::{Amount, RecoveredTransaction};

const BOB: Address = Address::repeat_byte(0xb0);

fn plain(nonce: u64) -> TxEip1559 {
    transaction(nonce, BOB.into(), 1, [])
}

#[test]
fn every_reason_is_given_and_the_block_goes_on() {
    let (alice, poor) = (Account::new(1), Account::new(9));
    let chain = Chain::new(genesis(&[alice]));
    let base = bxp_execution::next_base_fee(&chain.head);
    let blobs = TxEip4844 {
        chain_id: CHAIN_ID,
        nonce: 1,
        gas_limit: 21_000,
        max_fee_per_gas: 10 * GWEI,
        to: BOB,
        blob_versioned_hashes: vec![B256::with_last_byte(1)],
        ..TxEip4844::default()
    };
    let unprotected = TxLegacy {
        chain_id: None,
        nonce: 1,
        gas_price: 10 * GWEI,
        gas_limit: 21_000,
        to: BOB.into(),
        ..TxLegacy::default()
    };
    let cost = U256::from(300_000 * 10 * GWEI + 1);
    let cases: Vec<(RecoveredTransaction, DropReason)> = vec![
        (alice.sign(plain(0)), DropReason::NonceTooLow { next: 1, got: 0 }),
        (alice.sign(plain(3)), DropReason::NonceTooHigh { next: 1, got: 3 }),
        (poor.sign(plain(0)), DropReason::InsufficientFunds { balance: U256::ZERO, cost }),
        (
            alice.sign(TxEip1559 { gas_limit: 20_999, ..plain(1) }),
            DropReason::IntrinsicGas { have: 20_999, want: 21_000 },
        ),
        (
            alice.sign(TxEip1559 { max_fee_per_gas: 1, max_priority_fee_per_gas: 0, ..plain(1) }),
            DropReason::Underpriced { cap: 1, base },
        ),
        (
            alice.sign(TxEip1559 { chain_id: 1, ..plain(1) }),
            DropReason::WrongChain { have: 1, want: CHAIN_ID },
        ),
        (alice.sign(unprotected), DropReason::WrongChain { have: 0, want: CHAIN_ID }),
        (alice.sign(blobs), DropReason::UnsupportedType),
        (
            alice.sign(TxEip1559 { max_priority_fee_per_gas: 11 * GWEI, ..plain(1) }),
            DropReason::Rule("max priority fee per gas higher than max fee per gas".to_owned()),
        ),
        (
            alice.sign(TxEip1559 { gas_limit: TRANSACTION_GAS_MAX + 1, ..plain(1) }),
            DropReason::Rule(
                "transaction gas limit (16777217) is greater than the cap (16777216)".to_owned(),
            ),
        ),
        (
            alice.sign(TxEip1559 { value: U256::MAX, ..plain(1) }),
            DropReason::Rule("overflow payment in transaction".to_owned()),
        ),
    ];
    let mut transactions = vec![alice.sign(plain(0))];
    transactions.extend(cases.iter().map(|(transaction, _)| transaction.clone()));
    transactions.push(alice.sign(plain(1)));
    let executed = chain.execute(transactions);
    let expected: Vec<_> =
        cases.into_iter().map(|(transaction, reason)| (*transaction.tx_hash(), reason)).collect();
    assert_eq!(executed.dropped, expected);
    assert_eq!(executed.receipts.len(), 2);
    let without = chain.execute(vec![alice.sign(plain(0)), alice.sign(plain(1))]);
    assert_eq!(executed.block, without.block, "what is dropped leaves no trace");
    assert_eq!(executed.changes, without.changes);
}

#[test]
fn of_two_with_one_nonce_exactly_one_wins() {
    let alice = Account::new(1);
    let mut chain = Chain::new(genesis(&[alice]));
    let other = Address::repeat_byte(0xc0);
    let half = Amount::from_bxm(600).0;
    let to = |address: Address, nonce| {
        alice.sign(TxEip1559 { value: half, ..transaction(nonce, address.into(), 0, []) })
    };
    let executed = chain.execute(vec![to(BOB, 0), to(other, 0), to(other, 1)]);
    chain.commit(&executed);
    assert!(matches!(executed.dropped[0].1, DropReason::NonceTooLow { next: 1, got: 0 }));
    assert!(matches!(executed.dropped[1].1, DropReason::InsufficientFunds { .. }), "the money is spent once");
    assert_eq!((chain.balance(BOB), chain.balance(other)), (half, U256::ZERO));
}

#[test]
fn a_block_takes_no_more_gas_than_its_limit() {
    let (alice, carol) = (Account::new(1), Account::new(2));
    let mut document = genesis(&[alice, carol]);
    document.gas_limit = 350_000;
    let chain = Chain::new(document);
    // 300 000 fit; after 21 000 are used, 300 000 fit again, and then no more; a smaller one does.
    let small = carol.sign(TxEip1559 { gas_limit: 21_000, ..plain(0) });
    let executed = chain.execute((0..4).map(|nonce| alice.sign(plain(nonce))).chain([small]).collect());
    assert_eq!(executed.receipts.len(), 4);
    assert_eq!(executed.dropped[0].1, DropReason::BlockGas { left: 350_000 - 63_000, want: 300_000 });
}
