//! Hashes that must never change: a change of one is a fork of every network that runs.

use crate::kit::{Account, CONTRACT, Chain, deploying, genesis, transaction};
use alloy_primitives::{Address, TxKind};

#[test]
fn the_hashes_of_a_small_chain_are_pinned() {
    let alice = Account::new(1);
    let mut chain = Chain::new(genesis(&[alice]));
    let zero = chain.state.genesis_block().hash.to_string();
    assert_eq!(zero, "0x1dfd88018e9469725810cbd5ae719469406edcf084e36ba6075bf63acdab669c");
    let executed = chain.add(vec![
        alice.sign(transaction(0, TxKind::Create, 0, deploying(&CONTRACT))),
        alice.sign(transaction(1, alice.address.create(0).into(), 0, [])),
        alice.sign(transaction(2, Address::repeat_byte(0xb0).into(), 1, [])),
    ]);
    assert_eq!(
        executed.block.hash.to_string(),
        "0x3be2fcf0caf0c0b83b751fa09d7eb040e74d654cf2eb58aa8fe1ce8a0fc397f6"
    );
}
