//! The second half of an update: open nodes are encoded and hashed, those below first.

use crate::{
    changes::Rows,
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
}

impl Settling {
    /// One that has room for what about so many updates change.
    pub(crate) fn with_room_for(updates: usize) -> Self {
        Self { rows: Rows::with_room_for(updates), parts: Vec::new() }
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
        let row = self.rows.begin(path);
        self.settle_below(path, &mut root.node, updates);
        let rlp = self.rows.fill(row, |rlp| root.node.encode(0, rlp));
        root.link = RlpNode::word_rlp(&keccak256(rlp));
        if matches!(root.node, Node::Empty) {
            self.rows.clear(row);
        }
    }

    /// Settles the node at `path`, if it is open.
    pub(crate) fn settle(&mut self, path: Nibbles, child: &mut Child, updates: usize) {
        if child.is_settled() {
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

    /// Settles the children of the node at `path`.
    fn settle_below(&mut self, path: Nibbles, node: &mut Node, updates: usize) {
        match node {
            Node::Unread | Node::Empty | Node::Leaf(_) => {}
            Node::Extension(extension) => {
                self.settle(path.join(&extension.key), &mut extension.child, updates);
            }
            Node::Branch(branch) => {
                let nibbles = branch.nibbles();
                if !is_parallel(path.len(), updates) {
                    for (nibble, child) in nibbles.zip(&mut branch.children) {
                        self.settle(child_path(path, nibble), child, updates);
                    }
                    return;
                }
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
}
