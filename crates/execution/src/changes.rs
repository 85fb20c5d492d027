//! What a block does to the state, ready to be written.

use alloy_consensus::TrieAccount;
use alloy_primitives::{Address, B256, Bytes, U256};
use bxp_trie::{Change, Nibbles};
use std::collections::BTreeMap;

/// The difference between two states, in tables' terms, with what was before: the newest state is written forward and
/// the history backward from it. Equal blocks on equal states give equal changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateChanges {
    /// Accounts, in the order of their addresses.
    pub(crate) accounts: Vec<(Address, Change<TrieAccount>)>,
    /// Storage slots by account and slot, in this order; none is zero.
    pub(crate) slots: Vec<((Address, U256), Change<U256>)>,
    /// New code by its hash.
    pub(crate) code: BTreeMap<B256, Bytes>,
    /// Nodes of the account trie by path, in this order.
    pub(crate) account_nodes: Vec<(Nibbles, Change<Bytes>)>,
    /// Nodes of storage tries by hashed address and path, in the order of the addresses.
    pub(crate) storage_nodes: Vec<((B256, Nibbles), Change<Bytes>)>,
}

impl StateChanges {
    /// The addresses of the accounts that change, in order.
    pub fn changed_accounts(&self) -> impl Iterator<Item = Address> {
        self.accounts.iter().map(|(address, _)| *address)
    }

    /// The changes that take these back. Code stays: it is named by its hash, and costs its place only.
    pub(crate) fn reversed(&self) -> Self {
        Self {
            accounts: reversed(&self.accounts),
            slots: reversed(&self.slots),
            code: BTreeMap::new(),
            account_nodes: reversed(&self.account_nodes),
            storage_nodes: reversed(&self.storage_nodes),
        }
    }
}

fn reversed<K: Clone, V: Clone>(changes: &[(K, Change<V>)]) -> Vec<(K, Change<V>)> {
    let reverse = |(key, change): &(K, Change<V>)| {
        (key.clone(), Change { before: change.after.clone(), after: change.before.clone() })
    };
    changes.iter().map(reverse).collect()
}
