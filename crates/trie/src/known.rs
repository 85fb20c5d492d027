//! Nodes that stay in memory between updates.
//!
//! They are changed in place, and each knows which update used it last. The trie as it was before the last update can be
//! gone back to, since every value that the update replaced is kept until the next one.

use crate::{
    EMPTY_ROOT, NodeReader, TrieError, TrieUpdate,
    batch::{Replaced, Update},
    changes::{difference, together},
    settle::settle_root,
    tree::{Child, Node},
    walk::Walk,
};
use alloy_primitives::B256;
use alloy_trie::Nibbles;

/// How many updates ago a node was last used, at first, for it to be let go when there are too many.
const AGE_AT_FIRST: u32 = 64;

/// What is known of one trie: the nodes of the paths that updates went, and of no others.
#[derive(Debug, Default)]
pub struct KnownTrie {
    root: Child,
    /// Counts updates.
    generation: u32,
    /// Memory that the nodes take, or more where some have been deleted.
    bytes: usize,
    /// The root before the last update, with each key's value before it.
    last: Option<(B256, Vec<Replaced>)>,
}

impl KnownTrie {
    /// The root hash, if anything is known.
    #[must_use]
    pub fn root(&self) -> Option<B256> {
        match self.root.node {
            Node::Empty => Some(EMPTY_ROOT),
            _ => self.root.link.hash(),
        }
    }

    /// The root hash before the last update, where [`KnownTrie::take_back`] leads.
    #[must_use]
    pub fn root_before(&self) -> Option<B256> {
        self.last.as_ref().map(|(root, _)| *root)
    }

    /// The memory that the nodes take, nearly, or more.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Goes back to what was before the last update. `reader` has the trie as it was then.
    ///
    /// # Errors
    /// [`TrieError`]; nothing is known then.
    pub fn take_back(&mut self, reader: &impl NodeReader) -> Result<(), TrieError> {
        let Some((root, replaced)) = self.last.take() else { return Ok(()) };
        let mut updates: Vec<Update> = replaced.iter().flat_map(Replaced::updates).collect();
        updates.sort_unstable_by_key(|update| update.key);
        let back = self.update(reader, &mut updates);
        self.last = None;
        if !back.as_ref().is_ok_and(|back| back.root == root) {
            *self = Self::default();
        }
        back.map(|_| ())
    }

    /// Applies sorted updates.
    pub(crate) fn update(
        &mut self,
        reader: &impl NodeReader,
        updates: &mut [Update],
    ) -> Result<TrieUpdate, TrieError> {
        let before = self.root();
        self.generation = self.generation.saturating_add(1);
        let count = updates.len();
        let mut walk = Walk::new(reader, self.generation, count);
        walk.open_root(&mut self.root)?;
        walk.ask_ahead(&self.root, updates);
        walk.apply(&Nibbles::new(), &mut self.root, updates)?;
        let walked = walk.finish();
        let settled = settle_root(&mut self.root, count);
        self.bytes = self.bytes.saturating_add(walked.bytes);
        self.last = before.map(|root| (root, walked.before));
        let root = self.root().unwrap_or(EMPTY_ROOT);
        let nodes = together(difference(walked.opened, settled), walked.settled);
        Ok(TrieUpdate { root, nodes })
    }

    /// Where the nodes take more than `bytes_max`, lets those go that were used longest ago, so that at most three
    /// quarters of it are taken. The way back is forgotten with them.
    pub fn trim(&mut self, bytes_max: usize) {
        if self.bytes <= bytes_max {
            return;
        }
        self.bytes = forget(&mut self.root, 0);
        let mut age = AGE_AT_FIRST;
        while self.bytes > bytes_max / 4 * 3 {
            self.last = None;
            if age == 0 {
                *self = Self { generation: self.generation, ..Self::default() };
                return;
            }
            self.bytes = forget(&mut self.root, self.generation.saturating_sub(age));
            age /= 2;
        }
    }
}

/// Lets nodes below `child` go that have not been used since the update `oldest`, and returns the memory of those that
/// stay, with `child`'s.
fn forget(child: &mut Child, oldest: u32) -> usize {
    let go = |child: &mut Child| {
        if child.used < oldest {
            child.node = Node::Unread;
            return 0;
        }
        forget(child, oldest)
    };
    let below = match &mut child.node {
        Node::Unread | Node::Empty | Node::Leaf(_) => 0,
        Node::Extension(extension) => go(&mut extension.child),
        Node::Branch(branch) => branch.children.iter_mut().map(go).sum(),
    };
    below + child.node.bytes()
}
