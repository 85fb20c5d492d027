//! A state in memory: for tests of the rules that need no disk, and for measuring without one.

use crate::{
    ExecutionError, StateChanges,
    read::{StateRead, TrieRead},
};
use alloy_consensus::TrieAccount;
use alloy_primitives::{Address, B256, Bytes, U256};
use bxp_trie::{Change, Nibbles};
use bxp_types::Height;
use std::{
    collections::{BTreeMap, HashMap},
    hash::Hash,
};

/// Accounts, slots, code and trie nodes in maps. It begins empty; block hashes are those that were given to it.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryState {
    accounts: HashMap<Address, TrieAccount>,
    slots: HashMap<Address, BTreeMap<U256, U256>>,
    code: HashMap<B256, Bytes>,
    account_nodes: HashMap<Nibbles, Bytes>,
    storage_nodes: HashMap<(B256, Nibbles), Bytes>,
    pub(crate) block_hashes: HashMap<Height, B256>,
}

impl MemoryState {
    /// Makes the state that `changes` lead to from this one.
    pub(crate) fn apply(&mut self, changes: StateChanges) {
        apply(&mut self.accounts, changes.accounts);
        for ((address, slot), change) in changes.slots {
            let slots = self.slots.entry(address).or_default();
            match change.after {
                Some(value) => slots.insert(slot, value),
                None => slots.remove(&slot),
            };
        }
        self.code.extend(changes.code);
        apply(&mut self.account_nodes, changes.account_nodes);
        apply(&mut self.storage_nodes, changes.storage_nodes);
    }
}

fn apply<K: Eq + Hash, V>(entries: &mut HashMap<K, V>, changes: Vec<(K, Change<V>)>) {
    for (key, change) in changes {
        match change.after {
            Some(value) => entries.insert(key, value),
            None => entries.remove(&key),
        };
    }
}

impl StateRead for MemoryState {
    fn account(&self, address: Address) -> Result<Option<TrieAccount>, ExecutionError> {
        Ok(self.accounts.get(&address).copied())
    }

    fn slot(&self, address: Address, slot: U256) -> Result<U256, ExecutionError> {
        Ok(self.slots.get(&address).and_then(|slots| slots.get(&slot)).copied().unwrap_or_default())
    }

    fn code(&self, hash: B256) -> Result<Bytes, ExecutionError> {
        self.code.get(&hash).cloned().ok_or(ExecutionError::MissingCode(hash))
    }

    fn block_hash(&self, height: Height) -> Result<Option<B256>, ExecutionError> {
        Ok(self.block_hashes.get(&height).copied())
    }
}

impl TrieRead for MemoryState {
    fn slots(&self, address: Address) -> Result<Vec<U256>, ExecutionError> {
        Ok(self.slots.get(&address).map(|slots| slots.keys().copied().collect()).unwrap_or_default())
    }

    fn account_node(&self, path: &Nibbles) -> Result<Option<Bytes>, ExecutionError> {
        Ok(self.account_nodes.get(path).cloned())
    }

    fn storage_node(&self, hashed_address: B256, path: &Nibbles) -> Result<Option<Bytes>, ExecutionError> {
        Ok(self.storage_nodes.get(&(hashed_address, *path)).cloned())
    }
}
