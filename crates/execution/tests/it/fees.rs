//! Goal: the base fee floats with load unless genesis chose zero, all fees reach the treasury, and no wei is lost.

use crate::kit::{Account, Chain, GWEI, TREASURY, genesis, transaction};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, U256};
use bxp_execution::{DropReason, ExecutedBlock};
use bxp_types::{Amount, Genesis, RecoveredTransaction};

const BOB: Address = Address::repeat_byte(0xb0);
/// Blocks of four transfers: two are the target.
const GAS_LIMIT: u64 = 84_000;

fn small(base_fee_wei: u64) -> Genesis {
    Genesis { gas_limit: GAS_LIMIT, base_fee_wei, ..genesis(&[Account::new(1)]) }
}

/// `count` transfers of one wei from `nonce` on, which offer `cap` and `tip` wei for a unit of gas.
fn transfers(nonce: u64, count: u64, cap: u128, tip: u128) -> Vec<RecoveredTransaction> {
    let transfer = |nonce| TxEip1559 {
        gas_limit: 21_000,
        max_fee_per_gas: cap,
        max_priority_fee_per_gas: tip,
        ..transaction(nonce, BOB.into(), 1, [])
    };
    (nonce..nonce + count).map(|nonce| Account::new(1).sign(transfer(nonce))).collect()
}

fn base_fee(executed: &ExecutedBlock) -> u64 {
    executed.block.header.base_fee_per_gas.unwrap()
}

fn paid(executed: &ExecutedBlock) -> U256 {
    let fee = |gas: u64, price: u128| U256::from(gas) * U256::from(price);
    executed
        .receipts
        .iter()
        .map(|receipt| fee(receipt.gas_used, receipt.effective_gas_price))
        .fold(U256::ZERO, |sum, fee| sum + fee)
}

#[test]
fn the_base_fee_rises_in_full_blocks_and_falls_in_empty_ones() {
    let mut chain = Chain::new(small(1_000_000_000));
    let (mut nonce, mut fees, mut floated) = (0, U256::ZERO, Vec::new());
    for count in [4, 4, 4, 2, 0, 0] {
        let executed = chain.add(transfers(nonce, count, 10 * GWEI, GWEI));
        let base_fee = base_fee(&executed);
        let price = u128::from(base_fee) + GWEI;
        assert!(executed.receipts.iter().all(|receipt| receipt.effective_gas_price == price));
        nonce += count;
        fees += paid(&executed);
        floated.push(base_fee);
        assert_eq!(chain.balance(TREASURY), fees, "base fee and tips, and nothing is burnt");
    }
    // Genesis is empty; a full block is an eighth up, one at the target leaves it, an empty one is an eighth down.
    assert_eq!(
        floated,
        [875_000_000, 984_375_000, 1_107_421_875, 1_245_849_609, 1_245_849_609, 1_090_118_408]
    );
    let whole = chain.balance(TREASURY) + chain.balance(BOB) + chain.balance(Account::new(1).address);
    assert_eq!(whole, Amount::from_bxm(1000).0, "no wei appears or disappears");
}

#[test]
fn a_cap_below_the_risen_base_fee_waits_and_does_not_fail_the_block() {
    let mut chain = Chain::new(small(1_000_000_000));
    for block in 0..3 {
        chain.add(transfers(block * 4, 4, 10 * GWEI, 0));
    }
    let next = bxp_execution::next_base_fee(&chain.head);
    assert!(next > 1_200_000_000);
    let executed = chain.execute(transfers(12, 1, u128::from(next) - 1, 0));
    assert!(executed.block.transactions.is_empty());
    assert!(matches!(executed.dropped[..], [(_, DropReason::Underpriced { .. })]), "{:?}", executed.dropped);
    assert_eq!(chain.add(transfers(12, 1, u128::from(next), 0)).receipts.len(), 1);
}

#[test]
fn with_a_base_fee_of_zero_gas_costs_nothing_under_any_load() {
    let mut chain = Chain::new(small(0));
    for block in 0..5 {
        let executed = chain.add(transfers(block * 4, 4, 0, 0));
        assert_eq!((base_fee(&executed), executed.receipts.len()), (0, 4));
        assert!(
            executed
                .receipts
                .iter()
                .all(|receipt| receipt.receipt.status() && receipt.effective_gas_price == 0)
        );
    }
    assert_eq!(chain.balance(TREASURY), U256::ZERO);
    assert_eq!(chain.balance(Account::new(1).address), Amount::from_bxm(1000).0 - U256::from(20));
    // Who offers a tip pays it.
    let executed = chain.add(transfers(20, 2, 5, 3));
    assert_eq!(chain.balance(TREASURY), U256::from(2 * 21_000 * 3));
    assert_eq!(base_fee(&executed), 0);
}
