//! What a block does to the state, ready to be written.

use alloy_consensus::TrieAccount;
use alloy_primitives::{Address, B256, Bytes, U256};
use bxp_trie::{Change, Nibbles};
use std::collections::BTreeMap;

/// The difference between two states, in tables' terms, with what was before: the newest state is written forward and
/// the history backward from it. Equal blocks on equal states give equal changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateChanges {
    /// Accounts by address.
    pub(crate) accounts: BTreeMap<Address, Change<TrieAccount>>,
    /// Storage slots by account and slot; none is zero.
    pub(crate) slots: BTreeMap<(Address, U256), Change<U256>>,
    /// New code by its hash.
    pub(crate) code: BTreeMap<B256, Bytes>,
    /// Nodes of the account trie by path.
    pub(crate) account_nodes: BTreeMap<Nibbles, Change<Bytes>>,
    /// Nodes of storage tries by hashed address and path.
    pub(crate) storage_nodes: BTreeMap<(B256, Nibbles), Change<Bytes>>,
}

impl StateChanges {
    /// The addresses of the accounts that change, in order.
    pub fn changed_accounts(&self) -> impl Iterator<Item = Address> {
        self.accounts.keys().copied()
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

fn reversed<K: Clone + Ord, V: Clone>(changes: &BTreeMap<K, Change<V>>) -> BTreeMap<K, Change<V>> {
    let reverse = |(key, change): (&K, &Change<V>)| {
        (key.clone(), Change { before: change.after.clone(), after: change.before.clone() })
    };
    changes.iter().map(reverse).collect()
}
