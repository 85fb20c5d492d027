//! Nodes that stay decoded in memory between updates.
//!
//! A known node holds what it is stored as, what that says, and the nodes below it as far as they are known. Nothing is
//! changed in place: an update makes new nodes along the changed paths, which share all others with the old ones, so
//! that the trie before and the trie after can be used side by side.

use crate::tree::Tree;
use alloy_primitives::Bytes;
use alloy_trie::nodes::RlpNode;
use std::sync::Arc;

/// How many updates ago a node was last used, at first, for it to be let go when there are too many.
const AGE_AT_FIRST: u32 = 64;

/// The nodes of one trie that are known: those of the paths that updates went, and of no others.
#[derive(Clone, Debug, Default)]
pub struct KnownTrie {
    pub(crate) root: Option<KnownNode>,
    /// Counts updates.
    pub(crate) generation: u32,
}

impl KnownTrie {
    /// The memory that the nodes take, nearly.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.root.as_ref().map_or(0, |root| root.bytes() as usize)
    }

    /// This where it takes at most `bytes_max`; else without the nodes that were used longest ago, so that it takes at
    /// most half.
    #[must_use]
    pub fn trimmed(self, bytes_max: usize) -> Self {
        let mut kept = self;
        let mut age = AGE_AT_FIRST;
        if kept.bytes() <= bytes_max {
            return kept;
        }
        while kept.bytes() > bytes_max / 2 {
            let oldest = kept.generation.saturating_sub(age);
            kept.root = kept.root.filter(|_| age > 0).map(|root| root.since(oldest));
            age /= 2;
        }
        kept
    }
}

/// A known node. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct KnownNode(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    rlp: Bytes,
    tree: Tree,
    /// The update that made or last met it.
    generation: u32,
    /// Memory of this node and all known ones below.
    bytes: u32,
}

impl KnownNode {
    pub(crate) fn new(rlp: Bytes, tree: Tree, generation: u32) -> Self {
        let own = size_of::<Inner>() + tree.heap_bytes() + rlp.len();
        let below = tree.links().fold(0u32, |sum, link| sum.saturating_add(link.known_bytes));
        let bytes = below.saturating_add(u32::try_from(own).unwrap_or(u32::MAX));
        Self(Arc::new(Inner { rlp, tree, generation, bytes }))
    }

    pub(crate) fn rlp(&self) -> &Bytes {
        &self.0.rlp
    }

    pub(crate) fn tree(&self) -> &Tree {
        &self.0.tree
    }

    fn bytes(&self) -> u32 {
        self.0.bytes
    }

    /// This node without what lies below it and has not been met since the update `oldest`.
    fn since(&self, oldest: u32) -> Self {
        let tree = self.0.tree.clone().map_links(|link| match link.known {
            Some(known) if known.0.generation >= oldest => Link::known(link.reference, known.since(oldest)),
            _ => Link::unknown(link.reference),
        });
        Self::new(self.0.rlp.clone(), tree, self.0.generation)
    }
}

/// What a node says of a child, with the child where it is known.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) reference: RlpNode,
    known_bytes: u32,
    pub(crate) known: Option<KnownNode>,
}

impl Link {
    pub(crate) const fn unknown(reference: RlpNode) -> Self {
        Self { reference, known_bytes: 0, known: None }
    }

    pub(crate) fn known(reference: RlpNode, known: KnownNode) -> Self {
        Self { reference, known_bytes: known.bytes(), known: Some(known) }
    }
}
