//! What is known of the tries of the newest state, so that blocks on it need not read and decode them again.
//!
//! A trie is known by its root, which says everything that is in it: what is here cannot be wrong for whoever asks by the
//! root of the state that he works on, whatever becomes of the blocks that it was learnt from. Who asks gets the trie for
//! himself, and gives it back with his block in it; another who asks meanwhile reads the database. Where the block is
//! executed again, or another one in its place, the trie goes back by that block.

use alloy_primitives::{B256, map::B256Map};
use bxp_trie::{EMPTY_ROOT, KnownTrie, NodeReader, TrieError};
use parking_lot::Mutex;

/// Memory for the account trie's nodes: some two million accounts whose nodes are all known.
const ACCOUNT_BYTES_MAX: usize = 512 << 20;

/// Memory for the nodes of all storage tries. One token that everybody has may take all of it.
const STORAGE_BYTES_MAX: usize = 512 << 20;

/// Known tries.
#[derive(Default)]
pub(crate) struct KnownTries {
    accounts: Mutex<KnownTrie>,
    storages: Mutex<Storages>,
}

#[derive(Default)]
struct Storages {
    tries: B256Map<Storage>,
    bytes: usize,
    /// Counts what was kept.
    clock: u64,
}

struct Storage {
    trie: KnownTrie,
    /// When it was kept.
    kept: u64,
}

impl KnownTries {
    /// What is known of the account trie with this root, which `reader` reads.
    pub(crate) fn accounts(&self, reader: &impl NodeReader, root: B256) -> Result<KnownTrie, TrieError> {
        let trie = std::mem::take(&mut *self.accounts.lock());
        at(trie, reader, root)
    }

    /// Keeps what is known of the account trie.
    pub(crate) fn keep_accounts(&self, mut trie: KnownTrie) {
        trie.trim(ACCOUNT_BYTES_MAX);
        *self.accounts.lock() = trie;
    }

    /// What is known of the storage trie with this root, which `reader` reads, of the account whose address hashes to
    /// `hashed_address`.
    pub(crate) fn storage(
        &self,
        reader: &impl NodeReader,
        hashed_address: B256,
        root: B256,
    ) -> Result<KnownTrie, TrieError> {
        let trie = self.storages.lock().take(hashed_address).unwrap_or_default();
        at(trie, reader, root)
    }

    /// Keeps what is known of that trie.
    pub(crate) fn keep_storage(&self, hashed_address: B256, mut trie: KnownTrie) {
        if trie.root().is_none_or(|root| root == EMPTY_ROOT) {
            return;
        }
        trie.trim(STORAGE_BYTES_MAX / 2);
        self.storages.lock().keep(hashed_address, trie, STORAGE_BYTES_MAX);
    }
}

/// The trie where it has this root, or had it before its last update; else nothing.
fn at(mut trie: KnownTrie, reader: &impl NodeReader, root: B256) -> Result<KnownTrie, TrieError> {
    if trie.root() == Some(root) {
        return Ok(trie);
    }
    if trie.root_before() != Some(root) {
        return Ok(KnownTrie::default());
    }
    trie.take_back(reader)?;
    Ok(trie)
}

impl Storages {
    fn take(&mut self, hashed_address: B256) -> Option<KnownTrie> {
        let storage = self.tries.remove(&hashed_address)?;
        self.bytes = self.bytes.saturating_sub(storage.trie.bytes());
        Some(storage.trie)
    }

    /// Keeps a trie. Where all together take more than `bytes_max`, those that were kept longest ago go, until three
    /// quarters of it are taken.
    fn keep(&mut self, hashed_address: B256, trie: KnownTrie, bytes_max: usize) {
        self.take(hashed_address);
        self.clock += 1;
        self.bytes += trie.bytes();
        self.tries.insert(hashed_address, Storage { trie, kept: self.clock });
        if self.bytes <= bytes_max {
            return;
        }
        let mut by_age: Vec<(u64, B256)> =
            self.tries.iter().map(|(address, storage)| (storage.kept, *address)).collect();
        by_age.sort_unstable();
        for (_, address) in by_age {
            if self.bytes <= bytes_max / 4 * 3 {
                break;
            }
            self.take(address);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_trie::Nibbles;
    use std::collections::BTreeMap;

    /// What is known of a trie with one entry.
    fn trie(number: u8) -> KnownTrie {
        let mut trie = KnownTrie::default();
        let nodes: BTreeMap<Nibbles, alloy_primitives::Bytes> = BTreeMap::new();
        let entry = (B256::repeat_byte(number), Some(vec![number; 100]));
        bxp_trie::update_known(&nodes, &mut trie, vec![entry]).unwrap();
        trie
    }

    #[test]
    fn tries_kept_longest_ago_go_first_and_a_few_at_a_time() {
        let mut storages = Storages::default();
        let bytes_max = 20 * trie(1).bytes();
        for number in 0..100 {
            storages.keep(B256::with_last_byte(number), trie(number), bytes_max);
            // What is in use stays.
            let first = storages.take(B256::ZERO).unwrap();
            storages.keep(B256::ZERO, first, bytes_max);
            assert!(storages.bytes <= bytes_max);
            assert!(storages.tries.len() > 14 || number < 15, "too much is gone after {number}");
            assert_eq!(storages.bytes, storages.tries.values().map(|kept| kept.trie.bytes()).sum::<usize>());
        }
        assert!(storages.tries.contains_key(&B256::with_last_byte(99)));
        assert!(!storages.tries.contains_key(&B256::with_last_byte(70)));
    }

    #[test]
    fn a_trie_is_given_to_those_who_ask_by_its_root_or_the_one_before() {
        let nodes: BTreeMap<Nibbles, alloy_primitives::Bytes> = BTreeMap::new();
        let tries = KnownTries::default();
        let mut known = trie(1);
        let before = known.root().unwrap();
        bxp_trie::update_known(&nodes, &mut known, vec![(B256::repeat_byte(2), Some(vec![1]))]).unwrap();
        let after = known.root().unwrap();
        tries.keep_accounts(known);
        let known = tries.accounts(&nodes, after).unwrap();
        assert_eq!(known.root(), Some(after));
        assert_eq!(tries.accounts(&nodes, after).unwrap().root(), None, "it is in use");
        tries.keep_accounts(known);
        assert_eq!(tries.accounts(&nodes, before).unwrap().root(), Some(before));
        tries.keep_accounts(trie(3));
        assert_eq!(tries.accounts(&nodes, before).unwrap().root(), None);
    }
}
