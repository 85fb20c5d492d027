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
//! A path is its number of nibbles (one byte) and the nibbles, two to a byte, the last byte filled up with zero.

use crate::{ExecutionError, StateChanges, state::Head};
use alloy_consensus::TrieAccount;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rlp::Decodable;
use bxp_storage::{Batch, Snapshot, StorageError, Store, Table};
use bxp_trie::{Nibbles, NodeReadError, NodeReader};
use bxp_types::Height;

const HEAD_KEY: &[u8] = b"head";
const GENESIS_KEY: &[u8] = b"genesis";

/// Handles of the state's tables.
pub(crate) struct Tables {
    accounts: Table,
    slots: Table,
    code: Table,
    account_nodes: Table,
    storage_nodes: Table,
    block_hashes: Table,
    head: Table,
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
        })
    }

    /// Adds `changes` and the new head to `batch`.
    pub(crate) fn write(&self, batch: &mut Batch, changes: &StateChanges, head: &Head) {
        for (address, account) in &changes.accounts {
            put_or_remove(batch, &self.accounts, address, account.as_ref().map(alloy_rlp::encode));
        }
        for ((address, slot), value) in &changes.slots {
            let value = (!value.is_zero()).then(|| value.to_be_bytes_trimmed_vec());
            put_or_remove(batch, &self.slots, slot_key(*address, *slot), value);
        }
        for (hash, code) in &changes.code {
            batch.put(&self.code, hash, code);
        }
        for (path, node) in &changes.account_nodes {
            put_or_remove(batch, &self.account_nodes, path_key(&[], path), node.as_ref());
        }
        for ((account, path), node) in &changes.storage_nodes {
            put_or_remove(batch, &self.storage_nodes, path_key(account.as_slice(), path), node.as_ref());
        }
        batch.put(&self.block_hashes, head.height.0.to_be_bytes(), head.hash);
        batch.put(&self.head, HEAD_KEY, encode_head(head));
    }

    /// Adds the genesis state to `batch`.
    pub(crate) fn write_genesis(&self, batch: &mut Batch, changes: &StateChanges, genesis: &Head) {
        self.write(batch, changes, genesis);
        batch.put(&self.head, GENESIS_KEY, encode_head(genesis));
    }
}

fn put_or_remove(batch: &mut Batch, table: &Table, key: impl AsRef<[u8]>, value: Option<impl AsRef<[u8]>>) {
    match value {
        Some(value) => batch.put(table, key, value),
        None => batch.remove(table, key),
    }
}

fn slot_key(address: Address, slot: U256) -> Vec<u8> {
    [address.as_slice(), &slot.to_be_bytes::<32>()].concat()
}

fn path_key(prefix: &[u8], path: &Nibbles) -> Vec<u8> {
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

fn decode_head(bytes: &[u8]) -> Option<Head> {
    let (height, rest) = bytes.split_first_chunk::<8>()?;
    let (hash, rest) = rest.split_first_chunk::<32>()?;
    let state_root = <[u8; 32]>::try_from(rest).ok()?;
    Some(Head {
        height: Height(u64::from_be_bytes(*height)),
        hash: B256::from(*hash),
        state_root: B256::from(state_root),
    })
}

/// The tables at one moment.
pub(crate) struct View<'a> {
    tables: &'a Tables,
    snapshot: Snapshot,
}

impl<'a> View<'a> {
    pub(crate) const fn new(tables: &'a Tables, snapshot: Snapshot) -> Self {
        Self { tables, snapshot }
    }

    /// The newest block.
    pub(crate) fn head(&self) -> Result<Head, ExecutionError> {
        self.read_head(HEAD_KEY)?.ok_or(ExecutionError::Malformed { table: "state.head" })
    }

    /// Block 0; none in a folder whose genesis has not been built.
    pub(crate) fn genesis(&self) -> Result<Option<Head>, ExecutionError> {
        self.read_head(GENESIS_KEY)
    }

    fn read_head(&self, key: &[u8]) -> Result<Option<Head>, ExecutionError> {
        let Some(bytes) = self.snapshot.get(&self.tables.head, key)? else { return Ok(None) };
        decode_head(&bytes).map(Some).ok_or(ExecutionError::Malformed { table: "state.head" })
    }

    pub(crate) fn account(&self, address: Address) -> Result<Option<TrieAccount>, ExecutionError> {
        let Some(bytes) = self.snapshot.get(&self.tables.accounts, address)? else { return Ok(None) };
        let account = TrieAccount::decode(&mut bytes.as_ref());
        account.map(Some).map_err(|_| ExecutionError::Malformed { table: "state.accounts" })
    }

    pub(crate) fn slot(&self, address: Address, slot: U256) -> Result<U256, ExecutionError> {
        let value = self.snapshot.get(&self.tables.slots, slot_key(address, slot))?.unwrap_or_default();
        U256::try_from_be_slice(&value).ok_or(ExecutionError::Malformed { table: "state.slots" })
    }

    pub(crate) fn code(&self, hash: B256) -> Result<Bytes, ExecutionError> {
        let code = self.snapshot.get(&self.tables.code, hash)?;
        code.map(Bytes::from).ok_or(ExecutionError::MissingCode(hash))
    }

    pub(crate) fn block_hash(&self, height: Height) -> Result<Option<B256>, ExecutionError> {
        let hash = self.snapshot.get(&self.tables.block_hashes, height.0.to_be_bytes())?;
        let hash = hash.map(|bytes| B256::try_from(bytes.as_ref())).transpose();
        hash.map_err(|_| ExecutionError::Malformed { table: "state.block_hashes" })
    }

    pub(crate) const fn account_trie(&self) -> AccountTrie<'_> {
        AccountTrie(self)
    }

    pub(crate) const fn storage_trie(&self, hashed_address: B256) -> StorageTrie<'_> {
        StorageTrie { view: self, hashed_address }
    }

    fn node(&self, table: &Table, key: &[u8]) -> Result<Option<Bytes>, NodeReadError> {
        let node = self.snapshot.get(table, key).map_err(NodeReadError::new)?;
        Ok(node.map(Bytes::from))
    }
}

/// The nodes of the account trie.
pub(crate) struct AccountTrie<'a>(&'a View<'a>);

impl NodeReader for AccountTrie<'_> {
    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, NodeReadError> {
        self.0.node(&self.0.tables.account_nodes, &path_key(&[], path))
    }
}

/// The nodes of one account's storage trie.
pub(crate) struct StorageTrie<'a> {
    view: &'a View<'a>,
    hashed_address: B256,
}

impl NodeReader for StorageTrie<'_> {
    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, NodeReadError> {
        let key = path_key(self.hashed_address.as_slice(), path);
        self.view.node(&self.view.tables.storage_nodes, &key)
    }
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
