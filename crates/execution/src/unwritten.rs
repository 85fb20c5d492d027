//! A block that was executed and may not be written yet, for the one that is executed above it meanwhile.

use crate::{ExecutedBlock, StateChanges, state::Head};
use alloy_consensus::{Header, TrieAccount};
use alloy_primitives::{Address, B256, Bytes, U256, map::B256Map};
use bxp_trie::{Change, Nibbles};
use bxp_types::Height;
use std::{ops::Range, sync::Arc};

/// What the next block has to know of an executed one: its header, and what it changes.
#[derive(Debug)]
pub struct Unwritten {
    header: Header,
    hash: B256,
    time_ms: u64,
    changes: Arc<StateChanges>,
    /// Where in the changes each account's storage nodes are.
    storage_nodes: B256Map<Range<usize>>,
}

impl From<&ExecutedBlock> for Unwritten {
    fn from(executed: &ExecutedBlock) -> Self {
        let ExecutedBlock { block, changes, .. } = executed;
        let mut storage_nodes = B256Map::default();
        let mut begin = 0;
        for nodes in changes.storage_nodes.chunk_by(|((one, _), _), ((next, _), _)| one == next) {
            let end = begin + nodes.len();
            storage_nodes.extend(nodes.first().map(|((account, _), _)| (*account, begin..end)));
            begin = end;
        }
        let changes = Arc::clone(changes);
        Self {
            header: block.header.clone(),
            hash: block.hash,
            time_ms: block.time_ms,
            changes,
            storage_nodes,
        }
    }
}

impl Unwritten {
    /// The block's header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The block's hash.
    #[must_use]
    pub const fn hash(&self) -> B256 {
        self.hash
    }

    /// The block's number.
    #[must_use]
    pub const fn height(&self) -> Height {
        Height(self.header.number)
    }

    /// The block's time in milliseconds since the epoch.
    #[must_use]
    pub const fn time_ms(&self) -> u64 {
        self.time_ms
    }

    pub(crate) const fn head(&self) -> Head {
        Head { height: self.height(), hash: self.hash, state_root: self.header.state_root }
    }

    /// What it does to the account at `address`, if anything.
    pub(crate) fn account(&self, address: Address) -> Option<&Change<TrieAccount>> {
        found(&self.changes.accounts, &address)
    }

    /// What it does to a slot, if anything.
    pub(crate) fn slot(&self, address: Address, slot: U256) -> Option<&Change<U256>> {
        found(&self.changes.slots, &(address, slot))
    }

    /// The slots of `address` that it changes.
    pub(crate) fn slots(&self, address: Address) -> impl Iterator<Item = U256> {
        let slots = &self.changes.slots;
        let begin = slots.partition_point(|((account, _), _)| *account < address);
        let from_there = slots.get(begin..).unwrap_or_default();
        from_there.iter().take_while(move |((account, _), _)| *account == address).map(|((_, slot), _)| *slot)
    }

    /// New code with this hash.
    pub(crate) fn code(&self, hash: B256) -> Option<&Bytes> {
        self.changes.code.get(&hash)
    }

    /// What it does to the node of the account trie at `path`, if anything.
    pub(crate) fn account_node(&self, path: &Nibbles) -> Option<&Change<Bytes>> {
        found(&self.changes.account_nodes, path)
    }

    /// What it does to the node at `path` of this account's storage trie, if anything.
    pub(crate) fn storage_node(&self, hashed_address: B256, path: &Nibbles) -> Option<&Change<Bytes>> {
        let nodes = self.changes.storage_nodes.get(self.storage_nodes.get(&hashed_address)?.clone())?;
        let place = nodes.binary_search_by(|((_, at), _)| at.cmp(path)).ok()?;
        nodes.get(place).map(|(_, change)| change)
    }
}

/// The change of `key` among changes in the order of their keys.
fn found<'a, K: Ord, V>(changes: &'a [(K, Change<V>)], key: &K) -> Option<&'a Change<V>> {
    let place = changes.binary_search_by(|(at, _)| at.cmp(key)).ok()?;
    changes.get(place).map(|(_, change)| change)
}
