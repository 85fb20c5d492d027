//! The tables at one moment, read as they are or as they were at a past block.

use crate::{
    ExecutionError, Unwritten,
    history::Kind,
    hot::{HotState, HotView},
    known_tries::KnownTries,
    overlay_accounts::OverlayAccounts,
    read::{StateRead, TrieRead},
    state::Head,
    tables::{self, GENESIS_KEY, HEAD_KEY, Tables},
};
use alloy_consensus::TrieAccount;
use alloy_primitives::{Address, B256, Bytes, U256, bytes};
use alloy_rlp::Decodable;
use bxp_storage::{Snapshot, Table};
use bxp_trie::Nibbles;
use bxp_types::Height;
use std::{collections::BTreeSet, sync::Arc};

/// A state: that of the newest block when the view was made, of the one that follows it, or of a retained block below.
#[derive(Clone)]
pub(crate) struct View {
    tables: Arc<Tables>,
    snapshot: Snapshot,
    /// The newest block in the tables, where it has been read.
    stored: Option<Head>,
    /// The past block whose state is read; none for the newest.
    past: Option<Height>,
    /// What is in memory of the state that is read; none for a past one.
    hot: Option<HotView>,
    /// The block after the newest one, where its state is read before it is in the tables.
    above: Option<Above>,
}

#[derive(Clone)]
struct Above {
    block: Arc<Unwritten>,
    /// What is in memory of the newest state in the tables.
    hot: Option<HotView>,
}

impl View {
    /// The newest state.
    pub(crate) const fn new(tables: Arc<Tables>, snapshot: Snapshot) -> Self {
        Self { tables, snapshot, stored: None, past: None, hot: None, above: None }
    }

    /// The newest state, read from memory where it is there.
    pub(crate) fn warm(mut self, hot: &Arc<HotState>) -> Self {
        // Where the head cannot be read, whoever needs it says so.
        self.stored = self.head().ok();
        self.hot = self.stored.map(|head| HotView::new(Arc::clone(hot), head.state_root));
        self
    }

    /// The state after `block`, which follows the newest one.
    pub(crate) fn above(mut self, block: &Arc<Unwritten>) -> Self {
        let of_block = self.hot.as_ref().map(|hot| hot.of(block.head().state_root));
        let hot = std::mem::replace(&mut self.hot, of_block);
        self.above = Some(Above { block: Arc::clone(block), hot });
        self
    }

    /// The same state, read from the database only.
    pub(crate) fn cold(mut self) -> Self {
        self.hot = None;
        self
    }

    /// The state after the block at `height`; that of the newest one costs nothing.
    pub(crate) fn at(mut self, height: Height) -> Result<Self, ExecutionError> {
        let newest = self.head()?.height;
        if height == newest {
            return Ok(Self { past: None, ..self });
        }
        let oldest = self.tables.history.oldest(&self.snapshot, newest)?;
        if height < oldest || height > newest {
            return Err(ExecutionError::NotRetained { height, oldest, newest });
        }
        self.past = Some(height);
        self.hot = None;
        Ok(self)
    }

    /// The moment that is read.
    pub(crate) const fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// No accounts of a block yet, in memory of the block before where there is any.
    pub(crate) fn overlay_accounts(&self) -> OverlayAccounts {
        self.hot.as_ref().map(HotView::overlay_accounts).unwrap_or_default()
    }

    /// The newest block.
    pub(crate) fn head(&self) -> Result<Head, ExecutionError> {
        if let Some(above) = &self.above {
            return Ok(above.block.head());
        }
        if let Some(stored) = self.stored {
            return Ok(stored);
        }
        self.read_head(HEAD_KEY)?.ok_or(ExecutionError::Malformed { table: "state.head" })
    }

    /// Block 0; none in a folder whose genesis has not been built.
    pub(crate) fn genesis(&self) -> Result<Option<Head>, ExecutionError> {
        self.read_head(GENESIS_KEY)
    }

    fn read_head(&self, key: &[u8]) -> Result<Option<Head>, ExecutionError> {
        let Some(bytes) = self.snapshot.get(&self.tables.head, key)? else { return Ok(None) };
        tables::decode_head(&bytes).map(Some).ok_or(ExecutionError::Malformed { table: "state.head" })
    }

    /// The entry of `table` at `key`, as it is or as it was.
    fn entry(&self, kind: Kind, table: &Table, key: &[u8]) -> Result<Option<bytes::Bytes>, ExecutionError> {
        if let Some(height) = self.past
            && let Some(value) = self.tables.history.value_at(&self.snapshot, kind, key, height)?
        {
            return Ok(value);
        }
        Ok(self.snapshot.get(table, key)?)
    }

    /// The account, where nothing is in memory of the state that is read.
    fn read_account(&self, address: Address) -> Result<Option<TrieAccount>, ExecutionError> {
        let Some(above) = &self.above else { return self.stored_account(address) };
        match (above.block.account(address), &above.hot) {
            (Some(change), _) => Ok(change.after),
            (None, Some(hot)) => hot.account(address, || self.stored_account(address)),
            (None, None) => self.stored_account(address),
        }
    }

    /// The slot, where nothing is in memory of the state that is read.
    fn read_slot(&self, address: Address, slot: U256) -> Result<U256, ExecutionError> {
        let Some(above) = &self.above else { return self.stored_slot(address, slot) };
        match (above.block.slot(address, slot), &above.hot) {
            (Some(change), _) => Ok(change.after.unwrap_or_default()),
            (None, Some(hot)) => hot.slot(address, slot, || self.stored_slot(address, slot)),
            (None, None) => self.stored_slot(address, slot),
        }
    }

    fn stored_account(&self, address: Address) -> Result<Option<TrieAccount>, ExecutionError> {
        let bytes = self.entry(Kind::Account, &self.tables.accounts, address.as_slice())?;
        let account = bytes.map(|bytes| TrieAccount::decode(&mut bytes.as_ref())).transpose();
        account.map_err(|_| ExecutionError::Malformed { table: "state.accounts" })
    }

    fn stored_slot(&self, address: Address, slot: U256) -> Result<U256, ExecutionError> {
        let key = tables::slot_key(address, slot);
        let value = self.entry(Kind::Slot, &self.tables.slots, &key)?.unwrap_or_default();
        U256::try_from_be_slice(&value).ok_or(ExecutionError::Malformed { table: "state.slots" })
    }
}

impl StateRead for View {
    fn account(&self, address: Address) -> Result<Option<TrieAccount>, ExecutionError> {
        match &self.hot {
            Some(hot) => hot.account(address, || self.read_account(address)),
            None => self.read_account(address),
        }
    }

    fn slot(&self, address: Address, slot: U256) -> Result<U256, ExecutionError> {
        match &self.hot {
            Some(hot) => hot.slot(address, slot, || self.read_slot(address, slot)),
            None => self.read_slot(address, slot),
        }
    }

    fn code(&self, hash: B256) -> Result<Bytes, ExecutionError> {
        if let Some(code) = self.above.as_ref().and_then(|above| above.block.code(hash)) {
            return Ok(code.clone());
        }
        let code = self.snapshot.get(&self.tables.code, hash)?;
        code.map(Bytes::from).ok_or(ExecutionError::MissingCode(hash))
    }

    fn block_hash(&self, height: Height) -> Result<Option<B256>, ExecutionError> {
        if let Some(above) = self.above.as_ref().filter(|above| above.block.height() == height) {
            return Ok(Some(above.block.hash()));
        }
        let hash = self.snapshot.get(&self.tables.block_hashes, height.0.to_be_bytes())?;
        let hash = hash.map(|bytes| B256::try_from(bytes.as_ref())).transpose();
        hash.map_err(|_| ExecutionError::Malformed { table: "state.block_hashes" })
    }
}

impl TrieRead for View {
    fn slots(&self, address: Address) -> Result<Vec<U256>, ExecutionError> {
        let slot = |key: &[u8]| {
            let slot = key.get(Address::len_bytes()..).and_then(U256::try_from_be_slice);
            slot.ok_or(ExecutionError::Malformed { table: "state.slots" })
        };
        let mut slots = BTreeSet::new();
        for entry in self.snapshot.iter_prefix(&self.tables.slots, address) {
            slots.insert(slot(&entry?.0)?);
        }
        if self.past.is_some() {
            let history = &self.tables.history;
            for key in history.changed_keys(&self.snapshot, Kind::Slot, address.as_slice())? {
                slots.insert(slot(&key)?);
            }
        }
        if let Some(above) = &self.above {
            slots.extend(above.block.slots(address));
        }
        let mut present = Vec::with_capacity(slots.len());
        for slot in slots {
            if !self.slot(address, slot)?.is_zero() {
                present.push(slot);
            }
        }
        Ok(present)
    }

    fn known_tries(&self) -> Option<&KnownTries> {
        self.hot.as_ref().map(HotView::tries)
    }

    fn account_node(&self, path: &Nibbles) -> Result<Option<Bytes>, ExecutionError> {
        if let Some(change) = self.above.as_ref().and_then(|above| above.block.account_node(path)) {
            return Ok(change.after.clone());
        }
        let key = tables::path_key(&[], path);
        let node = self.entry(Kind::AccountNode, &self.tables.account_nodes, &key)?;
        Ok(node.map(Bytes::from))
    }

    fn storage_node(&self, hashed_address: B256, path: &Nibbles) -> Result<Option<Bytes>, ExecutionError> {
        let above = self.above.as_ref();
        if let Some(change) = above.and_then(|above| above.block.storage_node(hashed_address, path)) {
            return Ok(change.after.clone());
        }
        let key = tables::path_key(hashed_address.as_slice(), path);
        let node = self.entry(Kind::StorageNode, &self.tables.storage_nodes, &key)?;
        Ok(node.map(Bytes::from))
    }
}
