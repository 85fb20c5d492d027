//! What is known of the tries of the newest states, so that blocks on them need not read and decode them again.
//!
//! A trie is known by its root, which says everything that is in it: what is here cannot be wrong for whoever asks by the
//! root of the state that he works on, whatever becomes of the blocks that it was learnt from.

use alloy_primitives::{B256, map::B256Map};
use bxp_trie::{EMPTY_ROOT, KnownTrie};
use parking_lot::Mutex;
use std::collections::VecDeque;

/// Memory for the account trie's nodes.
const ACCOUNT_BYTES_MAX: usize = 96 << 20;

/// Memory for the nodes of one account's storage trie.
const STORAGE_BYTES_MAX: usize = 32 << 20;

/// Memory for the nodes of all storage tries; past it, all are forgotten.
const STORAGES_BYTES_MAX: usize = 96 << 20;

/// States of a trie that are known at once: the newest, and those of a few blocks proposed on it. They share most nodes.
const ROOTS_MAX: usize = 4;

/// Known tries by their roots, the newest last.
#[derive(Default)]
struct ByRoot(VecDeque<(B256, KnownTrie)>);

impl ByRoot {
    fn get(&self, root: B256) -> KnownTrie {
        let found = self.0.iter().rev().find(|(known, _)| *known == root);
        found.map(|(_, trie)| trie.clone()).unwrap_or_default()
    }

    fn keep(&mut self, root: B256, trie: KnownTrie) {
        self.0.retain(|(known, _)| *known != root);
        if self.0.len() >= ROOTS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((root, trie));
    }

    /// The memory of the newest, which nearly is that of all.
    fn bytes(&self) -> usize {
        self.0.back().map_or(0, |(_, trie)| trie.bytes())
    }
}

/// Known tries.
#[derive(Default)]
pub(crate) struct KnownTries {
    accounts: Mutex<ByRoot>,
    storages: Mutex<Storages>,
}

#[derive(Default)]
struct Storages {
    tries: B256Map<ByRoot>,
    bytes: usize,
}

impl KnownTries {
    /// What is known of the account trie with this root.
    pub(crate) fn accounts(&self, root: B256) -> KnownTrie {
        self.accounts.lock().get(root)
    }

    /// Keeps what is known of the account trie with this root.
    pub(crate) fn keep_accounts(&self, root: B256, trie: KnownTrie) {
        let trie = trie.trimmed(ACCOUNT_BYTES_MAX);
        self.accounts.lock().keep(root, trie);
    }

    /// What is known of the storage trie with this root, of the account whose address hashes to `hashed_address`.
    pub(crate) fn storage(&self, hashed_address: B256, root: B256) -> KnownTrie {
        self.storages.lock().tries.get(&hashed_address).map(|tries| tries.get(root)).unwrap_or_default()
    }

    /// Keeps what is known of that trie.
    pub(crate) fn keep_storage(&self, hashed_address: B256, root: B256, trie: KnownTrie) {
        let trie = trie.trimmed(STORAGE_BYTES_MAX);
        let storages = &mut *self.storages.lock();
        if root == EMPTY_ROOT {
            return;
        }
        if storages.bytes.saturating_add(trie.bytes()) > STORAGES_BYTES_MAX {
            *storages = Storages::default();
        }
        let tries = storages.tries.entry(hashed_address).or_default();
        let before = tries.bytes();
        tries.keep(root, trie);
        storages.bytes = storages.bytes.saturating_sub(before).saturating_add(tries.bytes());
    }
}
