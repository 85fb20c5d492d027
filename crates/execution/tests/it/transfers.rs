//! Plain transfers: balances, fees, gas, the header.

use crate::kit::{Account, Chain, GWEI, TREASURY, genesis, transaction};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, constants::EMPTY_WITHDRAWALS, proofs};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B256, U256};
use bxp_types::Amount;

#[test]
fn a_transfer_moves_its_value_and_pays_the_treasury() {
    let (alice, bob) = (Account::new(1), Address::repeat_byte(0xb0));
    let mut chain = Chain::new(genesis(&[alice]));
    let base_fee = u128::from(bxp_execution::next_base_fee(&chain.head));
    let executed = chain.add(vec![
        alice.sign(transaction(0, bob.into(), 5, [])),
        alice.sign(transaction(1, bob.into(), 7, [])),
    ]);

    let price = base_fee + GWEI;
    let fees = U256::from(2 * 21_000 * price);
    assert_eq!(chain.balance(bob), U256::from(12));
    assert_eq!(chain.balance(TREASURY), fees, "base fee and tip, nothing is burnt");
    assert_eq!(chain.balance(alice.address), Amount::from_bxm(1000).0 - fees - U256::from(12));
    assert_eq!(chain.state.account(alice.address).unwrap().nonce, 2);
    for (receipt, cumulative) in executed.receipts.iter().zip([21_000, 42_000]) {
        assert!(receipt.receipt.status());
        assert_eq!((receipt.gas_used, receipt.receipt.cumulative_gas_used()), (21_000, cumulative));
        assert_eq!((receipt.effective_gas_price, receipt.contract_address), (price, None));
    }
}

#[test]
fn the_header_is_a_plain_ethereum_header() {
    let alice = Account::new(1);
    let mut chain = Chain::new(genesis(&[alice]));
    let parent = chain.head.clone();
    let executed = chain.add(vec![alice.sign(transaction(0, Address::ZERO.into(), 1, []))]);
    let header = &executed.block.header;
    let envelopes: Vec<_> = executed.receipts.iter().map(|receipt| &receipt.receipt).collect();
    assert_eq!(executed.block.hash, header.hash_slow());
    assert_eq!((header.parent_hash, header.number), (parent.hash_slow(), 1));
    assert_eq!((header.timestamp, executed.block.time_ms), (1_700_000_001, 1_700_000_001_500));
    assert_eq!((header.mix_hash, header.beneficiary), (B256::repeat_byte(0xaa), TREASURY));
    assert_eq!(header.parent_beacon_block_root, Some(B256::repeat_byte(0xbb)));
    assert_eq!(
        (header.gas_used, header.gas_limit, header.base_fee_per_gas),
        (21_000, 30_000_000, Some(875_000_000))
    );
    assert_eq!((header.difficulty, header.ommers_hash), (U256::ZERO, EMPTY_OMMER_ROOT_HASH));
    assert_eq!(
        (header.withdrawals_root, header.requests_hash),
        (Some(EMPTY_WITHDRAWALS), Some(EMPTY_REQUESTS_HASH))
    );
    assert_eq!((header.blob_gas_used, header.excess_blob_gas), (Some(0), Some(0)));
    assert_eq!(header.transactions_root, proofs::calculate_transaction_root(&executed.block.transactions));
    assert_eq!(header.receipts_root, proofs::calculate_receipt_root(&envelopes));
    assert_ne!(header.state_root, parent.state_root);
}

#[test]
fn an_empty_block_changes_nothing_but_the_head() {
    let mut chain = Chain::new(genesis(&[Account::new(1)]));
    let parent = chain.head.clone();
    let executed = chain.add(Vec::new());
    assert_eq!(executed.block.header.state_root, parent.state_root);
    assert_eq!(executed.changes.changed_accounts().count(), 0);
    let head = chain.state.head().unwrap();
    assert_eq!((head.height.0, head.hash, head.state_root), (1, executed.block.hash, parent.state_root));
    assert_eq!(chain.state.block_hash(bxp_types::Height(0)).unwrap(), Some(parent.hash_slow()));
}

#[test]
fn a_transfer_of_nothing_to_nobody_makes_no_account() {
    let alice = Account::new(1);
    let mut chain = Chain::new(genesis(&[alice]));
    let nobody = Address::repeat_byte(0x99);
    chain.add(vec![alice.sign(transaction(0, nobody.into(), 0, []))]);
    assert_eq!(chain.state.account(nobody).unwrap().code_hash, None, "EIP-161");
}
