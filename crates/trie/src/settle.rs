//! The second half of an update: open nodes are encoded and hashed, those below first.
//!
//! Nodes that are equally far below the top of a part of the trie do not depend on each other, and are hashed together
//! ([`crate::lanes`]). A part is gone through once for each of its levels, from the lowest up: a node takes what was made of
//! its children, in their order, and is encoded.

use crate::{
    changes::{Row, Rows},
    lanes::keccak256_all,
    tree::{Child, Node},
    walk::{child_path, is_parallel},
};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::{Nibbles, nodes::RlpNode};
use rayon::prelude::*;

/// What is to be stored of a part of the trie.
#[derive(Default)]
pub(crate) struct Settling {
    /// The nodes of this thread.
    rows: Rows,
    /// Those of others.
    parts: Vec<(Nibbles, Bytes)>,
    /// The nodes of the level that is being encoded.
    level: Vec<Row>,
    /// What the parents say of the nodes of the level below.
    links: Vec<RlpNode>,
    /// How many of those links their parents have taken.
    taken: usize,
}

impl Settling {
    /// One that has room for what about so many updates change.
    pub(crate) fn with_room_for(updates: usize) -> Self {
        Self { rows: Rows::with_room_for(updates), ..Self::default() }
    }

    /// What is to be stored.
    pub(crate) fn finish(self) -> Vec<(Nibbles, Bytes)> {
        let mut nodes = Vec::new();
        // Rows of this thread are above those of others, and few where there are others.
        self.rows.into_nodes(&mut nodes);
        nodes.extend(self.parts);
        nodes
    }

    /// Settles the root, which has an entry whatever its size; `updates` were made below it.
    pub(crate) fn settle_root(&mut self, root: &mut Child, updates: usize) {
        if root.is_settled() {
            return;
        }
        let path = Nibbles::new();
        let begun = self.rows.begun();
        let parallel = is_parallel(0, updates);
        let row = self.rows.begin(path);
        if parallel {
            self.settle_below(path, &mut root.node, updates);
        } else {
            self.settle_levels(path, root, 1);
            self.take_links(&mut root.node);
        }
        let rlp = self.rows.fill(row, |rlp| root.node.encode(0, rlp));
        root.link = RlpNode::word_rlp(&keccak256(rlp));
        if matches!(root.node, Node::Empty) {
            self.rows.clear(row);
        }
        self.rows.sort_from(begun);
    }

    /// Settles the node at `path`, if it is open.
    pub(crate) fn settle(&mut self, path: Nibbles, child: &mut Child, updates: usize) {
        if child.is_settled() {
            return;
        }
        if !is_parallel(path.len(), updates) {
            let begun = self.rows.begun();
            self.settle_levels(path, child, 0);
            self.take_link(child);
            self.rows.sort_from(begun);
            return;
        }
        let row = self.rows.begin(path);
        self.settle_below(path, &mut child.node, updates);
        let rlp = self.rows.fill(row, |rlp| child.node.encode(path.len(), rlp));
        child.link = RlpNode::from_rlp(rlp);
        if rlp.len() < B256::len_bytes() {
            self.rows.clear(row);
        }
    }

    /// Settles the children of the node at `path`, which more updates concern than one thread should do.
    fn settle_below(&mut self, path: Nibbles, node: &mut Node, updates: usize) {
        match node {
            Node::Unread | Node::Empty | Node::Leaf(_) => {}
            Node::Extension(extension) => {
                self.settle(path.join(&extension.key), &mut extension.child, updates);
            }
            Node::Branch(branch) => {
                let nibbles = branch.nibbles();
                // Nearly all keys are spread evenly.
                let updates = updates / branch.children.len().max(1);
                let work: Vec<(u8, &mut Child)> = nibbles.zip(&mut branch.children).collect();
                let parts: Vec<Vec<(Nibbles, Bytes)>> = work
                    .into_par_iter()
                    .map(|(nibble, child)| {
                        let mut part = Self::default();
                        part.settle(child_path(path, nibble), child, updates);
                        part.finish()
                    })
                    .collect();
                self.parts.extend(parts.into_iter().flatten());
            }
        }
    }

    /// Encodes and hashes the open nodes that are at least `highest` steps below the one at `path`.
    fn settle_levels(&mut self, path: Nibbles, child: &mut Child, highest: usize) {
        for level in (highest..levels(child)).rev() {
            self.encode_level(path, child, level);
            self.hash_level();
        }
    }

    /// Encodes the open nodes that are `level` steps below the one at `path`; those below them are hashed.
    fn encode_level(&mut self, path: Nibbles, child: &mut Child, level: usize) {
        if child.is_settled() {
            return;
        }
        if level > 0 {
            match &mut child.node {
                Node::Unread | Node::Empty | Node::Leaf(_) => {}
                Node::Extension(extension) => {
                    self.encode_level(path.join(&extension.key), &mut extension.child, level - 1);
                }
                Node::Branch(branch) => {
                    for (nibble, child) in branch.nibbles().zip(&mut branch.children) {
                        self.encode_level(child_path(path, nibble), child, level - 1);
                    }
                }
            }
            return;
        }
        self.take_links(&mut child.node);
        let row = self.rows.begin(path);
        self.rows.fill(row, |rlp| child.node.encode(path.len(), rlp));
        self.level.push(row);
    }

    /// Gives the open children of a node their links.
    fn take_links(&mut self, node: &mut Node) {
        match node {
            Node::Unread | Node::Empty | Node::Leaf(_) => {}
            Node::Extension(extension) => self.take_link(&mut extension.child),
            Node::Branch(branch) => branch.children.iter_mut().for_each(|child| self.take_link(child)),
        }
    }

    /// Gives an open node of the level below what its parent says of it; parents come in the order of their children.
    fn take_link(&mut self, child: &mut Child) {
        if !child.is_settled()
            && let Some(link) = self.links.get_mut(self.taken)
        {
            child.link = std::mem::take(link);
            self.taken += 1;
        }
    }

    /// Hashes the level that was encoded. What is short stands in its parent, and has no row.
    fn hash_level(&mut self) {
        let nodes: Vec<&[u8]> = self.level.iter().map(|row| self.rows.get(*row)).collect();
        self.links.clear();
        self.links.extend(keccak256_all(&nodes).iter().zip(&nodes).map(|(hash, node)| {
            if node.len() < B256::len_bytes() { RlpNode::from_rlp(node) } else { RlpNode::word_rlp(hash) }
        }));
        self.taken = 0;
        for row in self.level.drain(..) {
            if self.rows.get(row).len() < B256::len_bytes() {
                self.rows.hide(row);
            }
        }
    }
}

/// The levels of open nodes from `child` down.
fn levels(child: &Child) -> usize {
    if child.is_settled() {
        return 0;
    }
    let below = match &child.node {
        Node::Unread | Node::Empty | Node::Leaf(_) => 0,
        Node::Extension(extension) => levels(&extension.child),
        Node::Branch(branch) => branch.children.iter().map(levels).max().unwrap_or_default(),
    };
    below + 1
}
