//! What subtrees look like: built of pairs, grown by a prefix, put together with it.

use crate::{
    batch::{Update, nibble, run, shared_by_keys},
    tree::{Branch, Child, Extension, Leaf, Node},
    walk::is_parallel,
};
use alloy_trie::Nibbles;
use rayon::prelude::*;

/// The subtree at `depth` of pairs in key order, and the memory that it takes.
pub(crate) fn built(generation: u32, depth: usize, pairs: &[Update]) -> (Node, usize) {
    let (Some(first), Some(last)) = (pairs.first(), pairs.last()) else { return (Node::Empty, 0) };
    if pairs.len() == 1 {
        let node = Node::Leaf(Leaf::new(&first.key, first.value.as_deref().unwrap_or_default()));
        let bytes = node.bytes();
        return (node, bytes);
    }
    let (key, fork) = (first.key, shared_by_keys(&first.key, &last.key));
    let mut parts = Vec::with_capacity(16);
    let (is_parallel, mut rest) = (is_parallel(fork, pairs.len()), pairs);
    while let Some(first) = rest.first() {
        let nibble = nibble(&first.key, fork);
        let length = run(fork, nibble, rest);
        let (part, others) = rest.split_at(length);
        rest = others;
        parts.push((nibble, part));
    }
    let child = |(nibble, part): (u8, &[Update])| {
        let (node, bytes) = built(generation, fork + 1, part);
        (nibble, Child::new(node, generation), bytes)
    };
    let children: Vec<_> = if is_parallel {
        parts.into_par_iter().map(child).collect()
    } else {
        parts.into_iter().map(child).collect()
    };
    let (mut mask, mut bytes, mut list) = (0, 0, Vec::with_capacity(children.len()));
    for (nibble, child, below) in children {
        mask |= 1 << nibble;
        list.push(child);
        bytes += below;
    }
    let node = Node::Branch(Branch::new(mask, list));
    bytes += node.bytes();
    if fork == depth {
        return (node, bytes);
    }
    let child = Child::new(node, generation);
    let node = Node::Extension(Box::new(Extension { key: Nibbles::unpack(key).slice(depth..fork), child }));
    bytes += node.bytes();
    (node, bytes)
}

/// What leads by `key` to `below`.
pub(crate) fn grown(key: Nibbles, below: Child) -> Node {
    match below.node {
        Node::Empty => Node::Empty,
        Node::Leaf(leaf) => Node::Leaf(leaf),
        Node::Extension(mut extension) => {
            extension.key = key.join(&extension.key);
            Node::Extension(extension)
        }
        Node::Branch(_) | Node::Unread => Node::Extension(Box::new(Extension { key, child: below })),
    }
}

/// Puts an extension together with what has become of the node below it.
pub(crate) fn prefix(child: &mut Child) {
    let Node::Extension(extension) = &mut child.node else { return };
    if matches!(extension.child.node, Node::Branch(_) | Node::Unread) {
        return;
    }
    let (key, below) = (extension.key, std::mem::take(&mut extension.child));
    child.node = grown(key, below);
}
