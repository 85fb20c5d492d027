//! A block that was made elsewhere is accepted exactly as it was made.

use crate::kit::{Account, CONTRACT, Chain, deploying, genesis, transaction};
use alloy_primitives::{Address, B256, Bloom, Bytes, TxKind};
use bxp_execution::VerifyError;
use bxp_types::StoredBlock;

fn block(chain: &Chain, alice: Account) -> StoredBlock {
    let create = alice.sign(transaction(0, TxKind::Create, 0, deploying(&CONTRACT)));
    let call = alice.sign(transaction(1, alice.address.create(0).into(), 0, []));
    let dropped = alice.sign(transaction(9, Address::ZERO.into(), 0, []));
    chain.execute(vec![create, dropped, call]).block
}

#[test]
fn an_honest_block_is_accepted_and_gives_the_same_state() {
    let alice = Account::new(1);
    let (mut maker, mut checker) = (Chain::new(genesis(&[alice])), Chain::new(genesis(&[alice])));
    let block = block(&maker, alice);
    let verified = checker.state.verify_and_execute(&checker.head, &block).unwrap();
    assert_eq!(verified.block, block);
    checker.commit(&verified);
    let made = maker.state.verify_and_execute(&maker.head, &block).unwrap();
    assert_eq!(made, verified, "the same block twice gives the same");
    maker.commit(&made);
    assert_eq!(maker.state.head().unwrap(), checker.state.head().unwrap());
}

#[test]
fn every_changed_field_is_named() {
    let alice = Account::new(1);
    let chain = Chain::new(genesis(&[alice]));
    let honest = block(&chain, alice);
    type Change = fn(&mut StoredBlock);
    let changes: [(&str, Change); 13] = [
        ("parentHash", |block| block.header.parent_hash = B256::ZERO),
        ("timestamp", |block| block.header.timestamp += 1),
        ("timestamp", |block| (block.header.timestamp, block.time_ms) = (1, 1000)),
        ("miner", |block| block.header.beneficiary = Address::ZERO),
        ("gasLimit", |block| block.header.gas_limit += 1),
        ("baseFeePerGas", |block| block.header.base_fee_per_gas = Some(1)),
        ("gasUsed", |block| block.header.gas_used += 1),
        ("transactionsRoot", |block| block.header.transactions_root = B256::ZERO),
        ("receiptsRoot", |block| block.header.receipts_root = B256::ZERO),
        ("stateRoot", |block| block.header.state_root = B256::ZERO),
        ("logsBloom", |block| block.header.logs_bloom = Bloom::ZERO),
        ("hash", |block| block.header.extra_data = Bytes::from_static(b"note")),
        ("gasUsed", |block| drop(block.transactions.pop())),
    ];
    for (named, change) in changes {
        let mut block = honest.clone();
        change(&mut block);
        block.hash = block.header.hash_slow();
        let error = chain.state.verify_and_execute(&chain.head, &block).unwrap_err();
        assert!(matches!(&error, VerifyError::Mismatch { field, .. } if *field == named), "{named}: {error}");
    }
    let mut block = honest.clone();
    block.hash = B256::ZERO;
    let error = chain.state.verify_and_execute(&chain.head, &block).unwrap_err();
    assert!(matches!(error, VerifyError::Mismatch { field: "hash", .. }), "{error}");
    let mut block = honest;
    block.transactions.swap(0, 1);
    let error = chain.state.verify_and_execute(&chain.head, &block).unwrap_err();
    assert!(matches!(error, VerifyError::Included { .. }), "{error}");
}
