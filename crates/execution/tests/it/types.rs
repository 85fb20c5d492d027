//! Every type of transaction that this chain knows.

use crate::kit::{Account, CHAIN_ID, CONTRACT, Chain, GWEI, deploying, genesis, transaction};
use alloy_consensus::{TxEip2930, TxEip7702, TxLegacy, TxType};
use alloy_eips::{
    eip2930::{AccessList, AccessListItem},
    eip7702::Authorization,
};
use alloy_primitives::{Address, B256, TxKind, U256};

#[test]
fn types_0_1_2_and_4_enter_with_receipts_of_their_type() {
    let (alice, bob) = (Account::new(1), Account::new(2));
    let mut chain = Chain::new(genesis(&[alice, bob]));
    let to = Address::repeat_byte(0xd0);
    let contract = alice.address.create(0);
    let authorization = Authorization { chain_id: U256::from(CHAIN_ID), address: contract, nonce: 0 };
    let signed = authorization.clone().into_signed(bob.sign_hash(authorization.signature_hash()));
    let access_list = AccessList(vec![AccessListItem { address: to, storage_keys: vec![B256::ZERO] }]);
    let executed = chain.add(vec![
        alice.sign(transaction(0, TxKind::Create, 0, deploying(&CONTRACT))),
        alice.sign(TxLegacy {
            chain_id: Some(CHAIN_ID),
            nonce: 1,
            gas_price: 5 * GWEI,
            gas_limit: 21_000,
            to: to.into(),
            value: U256::ONE,
            ..TxLegacy::default()
        }),
        alice.sign(TxEip2930 {
            chain_id: CHAIN_ID,
            nonce: 2,
            gas_price: 5 * GWEI,
            gas_limit: 50_000,
            to: to.into(),
            value: U256::ONE,
            access_list,
            ..TxEip2930::default()
        }),
        alice.sign(TxEip7702 {
            chain_id: CHAIN_ID,
            nonce: 3,
            gas_limit: 300_000,
            max_fee_per_gas: 10 * GWEI,
            max_priority_fee_per_gas: GWEI,
            to: bob.address,
            authorization_list: vec![signed],
            ..TxEip7702::default()
        }),
    ]);
    let types: Vec<_> = executed.receipts.iter().map(|receipt| receipt.receipt.tx_type()).collect();
    assert_eq!(types, [TxType::Eip1559, TxType::Legacy, TxType::Eip2930, TxType::Eip7702]);
    assert!(executed.receipts.iter().all(|receipt| receipt.receipt.status()));
    assert_eq!(executed.receipts[1].effective_gas_price, 5 * GWEI);
    assert_eq!(executed.receipts[2].gas_used, 21_000 + 2_400 + 1_900);
    // Bob's account runs the contract's code (EIP-7702), on its own storage.
    assert_eq!(chain.state.storage_slot(bob.address, U256::ZERO).unwrap(), U256::ONE);
    assert_eq!(chain.state.code(bob.address).unwrap()[..3], [0xef, 0x01, 0x00]);
    let mut chain = chain.reopen();
    chain.add(vec![alice.sign(transaction(4, bob.address.into(), 0, []))]);
    assert_eq!(chain.state.storage_slot(bob.address, U256::ZERO).unwrap(), U256::from(2));
}
