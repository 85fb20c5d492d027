//! The state's tables and their keys.
//!
//! | table | key | value |
//! |---|---|---|
//! | `state.accounts` | address | RLP of (nonce, balance, storage root, code hash), as in the trie's leaf |
//! | `state.slots` | address, slot (32 bytes BE) | value, big-endian without leading zeros; zero has no entry |
//! | `state.code` | keccak256 of the code | code |
//! | `state.account_nodes` | path | RLP of the trie node |
//! | `state.storage_nodes` | keccak256 of the address, path | RLP of the trie node |
//! | `state.block_hashes` | height (8 bytes BE) | block hash |
//! | `state.head` | `head`, `genesis` | height (8 bytes BE), block hash, state root |
//!
//! What these were at past blocks is in the tables of [`crate::history`].
//!
//! A path is its number of nibbles (one byte) and the nibbles, two to a byte, the last byte filled up with zero.

use crate::{
    StateChanges,
    history::History,
    ready::{joined, rows_of},
    state::Head,
};
use alloy_primitives::{Address, B256, U256};
use bxp_storage::{Batch, StorageError, Store, Table};
use bxp_trie::Nibbles;
use bxp_types::Height;

pub(crate) const HEAD_KEY: &[u8] = b"head";
pub(crate) const GENESIS_KEY: &[u8] = b"genesis";

/// Rows that one task makes, so that a task is worth handing out.
const ROWS_A_TASK: usize = 1024;

/// Handles of the state's tables.
pub(crate) struct Tables {
    pub(crate) accounts: Table,
    pub(crate) slots: Table,
    pub(crate) code: Table,
    pub(crate) account_nodes: Table,
    pub(crate) storage_nodes: Table,
    pub(crate) block_hashes: Table,
    pub(crate) head: Table,
    pub(crate) history: History,
}

impl Tables {
    pub(crate) fn open(store: &Store) -> Result<Self, StorageError> {
        Ok(Self {
            accounts: store.table("state.accounts")?,
            slots: store.table("state.slots")?,
            code: store.table("state.code")?,
            account_nodes: store.table("state.account_nodes")?,
            storage_nodes: store.table("state.storage_nodes")?,
            block_hashes: store.table("state.block_hashes")?,
            head: store.table("state.head")?,
            history: History::open(store)?,
        })
    }

    /// All tables that a chain of blocks gives alike on every node, with their names.
    pub(crate) fn named(&self) -> [(&'static str, &Table); 10] {
        let [entries, keys, packs, pack_keys] = self.history.named();
        [
            ("state.accounts", &self.accounts),
            ("state.slots", &self.slots),
            ("state.code", &self.code),
            ("state.account_nodes", &self.account_nodes),
            ("state.storage_nodes", &self.storage_nodes),
            ("state.block_hashes", &self.block_hashes),
            entries,
            keys,
            packs,
            pack_keys,
        ]
    }

    /// The rows of `changes`, made on all cores.
    pub(crate) fn rows(&self, store: &Store, changes: &StateChanges) -> Batch {
        let accounts = rows_of(store, &changes.accounts, ROWS_A_TASK, |batch, (address, change)| {
            put_or_remove(batch, &self.accounts, address, change.after.map(alloy_rlp::encode));
        });
        let slots = rows_of(store, &changes.slots, ROWS_A_TASK, |batch, ((address, slot), change)| {
            let value = change.after.map(|value| U256::to_be_bytes_trimmed_vec(&value));
            put_or_remove(batch, &self.slots, slot_key(*address, *slot), value);
        });
        let nodes = rows_of(store, &changes.account_nodes, ROWS_A_TASK, |batch, (path, change)| {
            put_or_remove(batch, &self.account_nodes, path_key(&[], path), change.after.as_ref());
        });
        let storage_nodes =
            rows_of(store, &changes.storage_nodes, ROWS_A_TASK, |batch, ((account, path), change)| {
                let key = path_key(account.as_slice(), path);
                put_or_remove(batch, &self.storage_nodes, key, change.after.as_ref());
            });
        let mut rows = joined(store, [accounts, slots, nodes, storage_nodes]);
        for (hash, code) in &changes.code {
            rows.put(&self.code, hash, code);
        }
        rows
    }

    /// Adds the new head to `batch`.
    pub(crate) fn write_head(&self, batch: &mut Batch, head: &Head) {
        batch.put(&self.block_hashes, head.height.0.to_be_bytes(), head.hash);
        batch.put(&self.head, HEAD_KEY, encode_head(head));
    }

    /// Adds the genesis state to `batch`.
    pub(crate) fn write_genesis(
        &self,
        store: &Store,
        batch: &mut Batch,
        changes: &StateChanges,
        genesis: &Head,
    ) {
        batch.append(self.rows(store, changes));
        self.write_head(batch, genesis);
        self.history.begin(batch, genesis.height);
        batch.put(&self.head, GENESIS_KEY, encode_head(genesis));
    }
}

fn put_or_remove(batch: &mut Batch, table: &Table, key: impl AsRef<[u8]>, value: Option<impl AsRef<[u8]>>) {
    match value {
        Some(value) => batch.put(table, key, value),
        None => batch.remove(table, key),
    }
}

pub(crate) fn slot_key(address: Address, slot: U256) -> Vec<u8> {
    [address.as_slice(), &slot.to_be_bytes::<32>()].concat()
}

pub(crate) fn path_key(prefix: &[u8], path: &Nibbles) -> Vec<u8> {
    let mut key = Vec::with_capacity(prefix.len() + 1 + path.len().div_ceil(2));
    key.extend_from_slice(prefix);
    // A path has at most 64 nibbles.
    key.push(u8::try_from(path.len()).unwrap_or(u8::MAX));
    key.extend_from_slice(&path.pack());
    key
}

fn encode_head(head: &Head) -> Vec<u8> {
    [head.height.0.to_be_bytes().as_slice(), head.hash.as_slice(), head.state_root.as_slice()].concat()
}

pub(crate) fn decode_head(bytes: &[u8]) -> Option<Head> {
    let (height, rest) = bytes.split_first_chunk::<8>()?;
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    let state_root = <[u8; 32]>::try_from(rest).ok()?;
    Some(Head {
        height: Height(u64::from_be_bytes(*height)),
        hash: B256::from(*hash),
        state_root: B256::from(state_root),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;

    #[test]
    fn keys_and_values_are_pinned() {
        let path = Nibbles::from_nibbles([0xa, 0xb, 0xc]);
        assert_eq!(hex::encode(path_key(&[], &Nibbles::new())), "00");
        assert_eq!(hex::encode(path_key(&[0xff], &path)), "ff03abc0");
        let key = slot_key(Address::repeat_byte(0x11), U256::from(0x22));
        assert_eq!(hex::encode(key), ["11".repeat(20), "00".repeat(31), "22".to_owned()].concat());
        let head = Head { height: Height(258), hash: B256::repeat_byte(3), state_root: B256::repeat_byte(4) };
        let bytes = encode_head(&head);
        assert_eq!(hex::encode(&bytes), ["0000000000000102", &"03".repeat(32), &"04".repeat(32)].concat());
        assert_eq!(decode_head(&bytes), Some(head));
        assert_eq!(decode_head(&bytes[1..]), None);
    }
}
