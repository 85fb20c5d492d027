//! The second half of an update: open nodes are encoded and hashed, those below first.
//!
//! A part of the trie is encoded at once, children before their parents, which leave holes for the hashes of those. Nodes that
//! have equally many levels of open nodes below them do not depend on each other: they are hashed together ([`crate::lanes`]),
//! and their hashes put into the holes, from the lowest level up. In the end the nodes in memory get their links.

use crate::{
    changes::Rows,
    lanes::keccak256_all,
    tree::{Child, Hole, Link, Node},
    walk::{child_path, is_parallel},
};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::Nibbles;
use rayon::prelude::*;

/// A part of the trie that is being settled.
#[derive(Default)]
struct Part {
    /// What is to be stored, in the order of paths.
    rows: Rows,
    /// By row: where its hash goes in its parent's node.
    holes: Vec<Option<usize>>,
    /// By row.
    hashes: Vec<B256>,
    /// Rows by the number of levels of open nodes below.
    levels: Vec<Vec<u32>>,
    /// Holes of the node that is being encoded.
    new_holes: Vec<Hole>,
}

/// Settles the root, which has an entry whatever its size; `updates` were made below it. What is to be stored of what was
/// open.
pub(crate) fn settle_root(root: &mut Child, updates: usize) -> Vec<(Nibbles, Bytes)> {
    if root.is_settled() {
        return Vec::new();
    }
    let path = Nibbles::new();
    let below =
        if is_parallel(0, updates) { settle_below(path, &mut root.node, updates) } else { Vec::new() };
    let mut part = Part::default();
    part.encode(path, root);
    part.hash();
    part.link(root);
    if let Link::Short(short) = &root.link {
        root.link = Link::Hash(keccak256(short.rlp()));
        if !matches!(root.node, Node::Empty) {
            part.rows.push(path, |bytes| root.node.encode(0, bytes, &mut Vec::new()));
        }
    }
    part.rows.nodes().chain(below).collect()
}

/// Settles the branch or other node at `path`, below which `updates` were made. What is to be stored of what was open.
pub(crate) fn settle_part(path: Nibbles, child: &mut Child, updates: usize) -> Rows {
    let mut part = Part { rows: Rows::with_room_for(updates), ..Part::default() };
    part.encode(path, child);
    part.hash();
    part.link(child);
    part.rows
}

/// Settles the node at `path`, on many threads where more updates concern it than one should do.
fn settle(path: Nibbles, child: &mut Child, updates: usize) -> Vec<(Nibbles, Bytes)> {
    let below = if is_parallel(path.len(), updates) {
        settle_below(path, &mut child.node, updates)
    } else {
        Vec::new()
    };
    settle_part(path, child, 0).nodes().chain(below).collect()
}

/// Settles the open children of the node at `path`.
fn settle_below(path: Nibbles, node: &mut Node, updates: usize) -> Vec<(Nibbles, Bytes)> {
    match node {
        Node::Unread | Node::Empty | Node::Leaf(_) => Vec::new(),
        Node::Extension(extension) if extension.child.is_settled() => Vec::new(),
        Node::Extension(extension) => settle(path.join(&extension.key), &mut extension.child, updates),
        Node::Branch(branch) => {
            // Nearly all keys are spread evenly.
            let updates = updates / branch.children.len().max(1);
            let open = branch.nibbles().zip(&mut branch.children).filter(|(_, child)| !child.is_settled());
            let work: Vec<(u8, &mut Child)> = open.collect();
            let parts: Vec<Vec<(Nibbles, Bytes)>> = work
                .into_par_iter()
                .map(|(nibble, child)| settle(child_path(path, nibble), child, updates))
                .collect();
            parts.into_iter().flatten().collect()
        }
    }
}

impl Part {
    /// Encodes the open node at `path` and all open ones below it; the number of levels of those.
    fn encode(&mut self, path: Nibbles, child: &mut Child) -> usize {
        let row = self.rows.begin(path);
        self.holes.push(None);
        let mut level = 0;
        match &mut child.node {
            Node::Unread | Node::Empty | Node::Leaf(_) => {}
            Node::Extension(extension) => {
                if !extension.child.is_settled() {
                    level = self.encode(path.join(&extension.key), &mut extension.child) + 1;
                }
            }
            Node::Branch(branch) => {
                for (nibble, below) in branch.nibbles().zip(&mut branch.children) {
                    if !below.is_settled() {
                        level = level.max(self.encode(child_path(path, nibble), below) + 1);
                    }
                }
            }
        }
        let begins = self.rows.bytes.len();
        child.node.encode(path.len(), &mut self.rows.bytes, &mut self.new_holes);
        for (below, at) in self.new_holes.drain(..) {
            if let Some(hole) = self.holes.get_mut(below as usize) {
                *hole = Some(at);
            }
        }
        if let Some(short) = self.rows.bytes.get(begins..).and_then(Link::short) {
            // It stands in its parent, and has no entry.
            child.link = short;
            self.rows.bytes.truncate(begins);
            return level;
        }
        self.rows.end(row, begins);
        // So many nodes are not in memory.
        let row = u32::try_from(row).unwrap_or(u32::MAX);
        child.link = Link::Encoded(row);
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        if let Some(level) = self.levels.get_mut(level) {
            level.push(row);
        }
        level
    }

    /// Hashes what was encoded, and fills the holes.
    fn hash(&mut self) {
        self.hashes.resize(self.rows.len(), B256::ZERO);
        for level in &self.levels {
            let nodes: Vec<&[u8]> = level.iter().map(|row| self.rows.get(*row as usize)).collect();
            let hashes = keccak256_all(&nodes);
            for (row, hash) in level.iter().zip(hashes) {
                let row = *row as usize;
                if let Some(Some(at)) = self.holes.get(row)
                    && let Some(hole) = self.rows.bytes.get_mut(*at..at + B256::len_bytes())
                {
                    hole.copy_from_slice(hash.as_slice());
                }
                if let Some(place) = self.hashes.get_mut(row) {
                    *place = hash;
                }
            }
        }
    }

    /// Gives the nodes that were encoded their links.
    fn link(&self, child: &mut Child) {
        let Link::Encoded(row) = child.link else { return };
        child.link = Link::Hash(self.hashes.get(row as usize).copied().unwrap_or_default());
        match &mut child.node {
            Node::Unread | Node::Empty | Node::Leaf(_) => {}
            Node::Extension(extension) => self.link(&mut extension.child),
            Node::Branch(branch) => branch.children.iter_mut().for_each(|child| self.link(child)),
        }
    }
}
