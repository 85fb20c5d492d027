//! Goal: the state root is that of the whole state, computed anew by other code, after any blocks. Random blocks of
//! transfers, deployments, writes, reverts and rubbish; after each one the tables are read in full and hashed with
//! alloy-trie, balances are added up, and a second node that only verifies blocks must agree.

use crate::kit::{Account, CONTRACT, Chain, deploying, genesis, store, transaction};
use alloy_consensus::{TrieAccount, TxEip1559};
use alloy_primitives::{Address, B256, TxKind, U256, hex, keccak256};
use alloy_rlp::Decodable;
use alloy_trie::{HashBuilder, Nibbles};
use bxp_types::RecoveredTransaction;
use proptest::prelude::*;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(crate) enum Action {
    Transfer { to: u8, value: u64 },
    Deploy,
    Write { contract: u8, slot: u8, value: u8 },
    Count { contract: u8 },
    Revert { contract: u8 },
    Destroy { value: u64 },
    Overdraw,
    SkipNonce,
}

pub(crate) fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        4 => (any::<u8>(), any::<u64>()).prop_map(|(to, value)| Action::Transfer { to, value }),
        2 => Just(Action::Deploy),
        6 => (any::<u8>(), 0_u8..6, 0_u8..3).prop_map(|(contract, slot, value)| Action::Write { contract, slot, value }),
        2 => any::<u8>().prop_map(|contract| Action::Count { contract }),
        1 => any::<u8>().prop_map(|contract| Action::Revert { contract }),
        1 => any::<u64>().prop_map(|value| Action::Destroy { value }),
        1 => Just(Action::Overdraw),
        1 => Just(Action::SkipNonce),
    ]
}

pub(crate) fn transactions(
    chain: &Chain,
    actions: &[(u8, Action)],
    contracts: &mut Vec<Address>,
) -> Vec<RecoveredTransaction> {
    let mut nonces = BTreeMap::new();
    let mut made = Vec::new();
    for (sender, action) in actions {
        let sender = Account::new(1 + sender % 3);
        let stored = || chain.state.account(sender.address).unwrap().nonce;
        let nonce = nonces.entry(sender.address).or_insert_with(stored);
        let contract = |index: u8| {
            contracts
                .get(usize::from(index) % contracts.len().max(1))
                .copied()
                .unwrap_or(Address::repeat_byte(0xdd))
        };
        let transaction = match *action {
            Action::Transfer { to, value } => {
                transaction(*nonce, Address::repeat_byte(to).into(), value.into(), [])
            }
            Action::Deploy => transaction(*nonce, TxKind::Create, 0, deploying(&CONTRACT)),
            Action::Write { contract: to, slot, value } => {
                transaction(*nonce, contract(to).into(), 0, store(slot.into(), value.into()))
            }
            Action::Count { contract: to } => transaction(*nonce, contract(to).into(), 0, []),
            Action::Revert { contract: to } => transaction(*nonce, contract(to).into(), 0, [1]),
            Action::Destroy { value } => {
                transaction(*nonce, TxKind::Create, value.into(), hex!("6001600155 3373ff"))
            }
            Action::Overdraw => {
                TxEip1559 { value: U256::MAX >> 8, ..transaction(*nonce, Address::ZERO.into(), 0, []) }
            }
            Action::SkipNonce => transaction(*nonce + 5, Address::ZERO.into(), 0, []),
        };
        if matches!(action, Action::Deploy) {
            contracts.push(sender.address.create(*nonce));
        }
        if !matches!(action, Action::Overdraw | Action::SkipNonce) {
            *nonce += 1;
        }
        made.push(sender.sign(transaction));
    }
    made
}

fn root(leaves: BTreeMap<B256, Vec<u8>>) -> B256 {
    let mut builder = HashBuilder::default();
    for (key, value) in leaves {
        builder.add_leaf(Nibbles::unpack(key), &value);
    }
    builder.root()
}

/// The root of everything in the tables, and the sum of the balances.
fn oracle(chain: &Chain) -> (B256, U256) {
    let entries = |table| chain.store.table(table).unwrap().iter().map(Result::unwrap);
    let mut storage: BTreeMap<Address, BTreeMap<B256, Vec<u8>>> = BTreeMap::new();
    for (key, value) in entries("state.slots") {
        let (address, slot) = key.split_at(20);
        let value = U256::from_be_slice(&value);
        assert!(!value.is_zero(), "a zero has no entry");
        storage
            .entry(Address::from_slice(address))
            .or_default()
            .insert(keccak256(slot), alloy_rlp::encode(value));
    }
    let mut supply = U256::ZERO;
    let mut leaves = BTreeMap::new();
    for (address, account) in entries("state.accounts") {
        let account = TrieAccount::decode(&mut account.as_ref()).unwrap();
        supply += account.balance;
        let storage_root = root(storage.remove(&Address::from_slice(&address)).unwrap_or_default());
        assert_eq!(account.storage_root, storage_root);
        leaves.insert(keccak256(&address), alloy_rlp::encode(account));
    }
    assert!(storage.is_empty(), "storage without an account");
    (root(leaves), supply)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_root_is_that_of_the_whole_state(
        blocks in prop::collection::vec((any::<bool>(), prop::collection::vec((any::<u8>(), action()), 0..12)), 1..6)
    ) {
        let funded = [1, 2, 3].map(Account::new);
        let mut chain = Chain::new(genesis(&funded));
        let mut second = Chain::new(genesis(&funded));
        let (genesis_root, supply) = oracle(&chain);
        prop_assert_eq!(genesis_root, chain.head.state_root);
        let mut contracts = Vec::new();
        for (restart, actions) in blocks {
            if restart {
                chain = chain.reopen();
            }
            let transactions = transactions(&chain, &actions, &mut contracts);
            let executed = chain.execute(transactions.clone());
            prop_assert_eq!(&chain.execute(transactions), &executed, "the same block twice");
            chain.commit(&executed);
            let useless = |(_, action): &&(u8, Action)| matches!(action, Action::Overdraw | Action::SkipNonce);
            prop_assert_eq!(executed.dropped.len(), actions.iter().filter(useless).count());
            prop_assert_eq!(oracle(&chain), (executed.block.header.state_root, supply));
            let verified = second.state.verify_and_execute(&second.head, &executed.block).unwrap();
            prop_assert_eq!(&verified.changes, &executed.changes);
            second.commit(&verified);
        }
        prop_assert_eq!(chain.state.head().unwrap(), second.state.head().unwrap());
    }
}
