//! What an update does to the stored nodes.

use alloy_primitives::Bytes;
use alloy_trie::Nibbles;
use std::collections::BTreeMap;

/// What one entry was before and is after; none where there is no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// What was stored.
    pub before: Option<T>,
    /// What is to be stored; none deletes.
    pub after: Option<T>,
}

impl<T> Default for Change<T> {
    fn default() -> Self {
        Self { before: None, after: None }
    }
}

/// Each path that an update met, with the node stored there before and the one to be stored there after.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    nodes: BTreeMap<Nibbles, Change<Bytes>>,
    /// Parts of the trie that were worked on apart; their paths are disjoint from one another and from `nodes`.
    parts: Vec<BTreeMap<Nibbles, Change<Bytes>>>,
}

impl Changes {
    /// Takes the stored node at `path` out. It is deleted unless a node is put there again.
    pub(crate) fn take(&mut self, path: Nibbles, rlp: Bytes) {
        self.nodes.entry(path).or_default().before = Some(rlp);
    }

    /// Puts a node at `path`.
    pub(crate) fn put(&mut self, path: Nibbles, rlp: Vec<u8>) {
        self.nodes.entry(path).or_default().after = Some(rlp.into());
    }

    /// Adds the changes of another part of the trie.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.parts.push(other.nodes);
        self.parts.extend(other.parts);
    }

    /// The paths whose node differs from before, with both.
    pub(crate) fn into_difference(self) -> BTreeMap<Nibbles, Change<Bytes>> {
        self.parts
            .into_iter()
            .chain([self.nodes])
            .flatten()
            .filter(|(_, change)| change.before != change.after)
            .collect()
    }
}
