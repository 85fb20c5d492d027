//! Nodes while they are worked on: decoded, with links to what is below them.

use crate::{
    known::Link,
    node::{self, TrieNode},
};
use alloy_primitives::Bytes;
use alloy_trie::{
    Nibbles,
    nodes::{ExtensionNodeRef, LeafNodeRef, RlpNode},
};

/// The RLP of the empty string: an absent child, and a branch's absent value.
const EMPTY_STRING: u8 = 0x80;

/// A node.
#[derive(Clone, Debug)]
pub(crate) enum Tree {
    Empty,
    Leaf { key: Nibbles, value: Bytes },
    Extension { key: Nibbles, child: Link },
    Branch(Box<Children>),
}

/// A branch's child at each nibble.
pub(crate) type Children = [Option<Link>; 16];

impl From<TrieNode> for Tree {
    fn from(node: TrieNode) -> Self {
        match node {
            TrieNode::EmptyRoot => Self::Empty,
            TrieNode::Leaf(leaf) => Self::Leaf { key: leaf.key, value: leaf.value.into() },
            TrieNode::Extension(extension) => {
                Self::Extension { key: extension.key, child: Link::unknown(extension.child) }
            }
            TrieNode::Branch(branch) => {
                Self::Branch(Box::new(node::children(branch).map(|child| child.map(Link::unknown))))
            }
        }
    }
}

impl Tree {
    /// The RLP, and what a parent says of it.
    pub(crate) fn encode(&self) -> (Vec<u8>, RlpNode) {
        let mut rlp = Vec::new();
        let reference = match self {
            Self::Empty => TrieNode::EmptyRoot.rlp(&mut rlp),
            Self::Leaf { key, value } => LeafNodeRef::new(key, value).rlp(&mut rlp),
            Self::Extension { key, child } => ExtensionNodeRef::new(key, &child.reference).rlp(&mut rlp),
            Self::Branch(children) => {
                encode_branch(children, &mut rlp);
                RlpNode::from_rlp(&rlp)
            }
        };
        (rlp, reference)
    }

    /// The links to the children.
    pub(crate) fn links(&self) -> impl Iterator<Item = &Link> {
        let (one, many) = match self {
            Self::Empty | Self::Leaf { .. } => (None, None),
            Self::Extension { child, .. } => (Some(child), None),
            Self::Branch(children) => (None, Some(children.iter().flatten())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }

    /// The same node with other links.
    pub(crate) fn map_links(self, mut change: impl FnMut(Link) -> Link) -> Self {
        match self {
            Self::Empty | Self::Leaf { .. } => self,
            Self::Extension { key, child } => Self::Extension { key, child: change(child) },
            Self::Branch(children) => Self::Branch(Box::new(children.map(|child| child.map(&mut change)))),
        }
    }

    /// Memory outside of the value itself.
    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::Empty | Self::Extension { .. } => 0,
            Self::Leaf { value, .. } => value.len(),
            Self::Branch(_) => size_of::<Children>(),
        }
    }
}

/// A branch without a value: keys all have one length, so none ends at a branch.
fn encode_branch(children: &Children, rlp: &mut Vec<u8>) {
    let payload_length =
        1 + children.iter().map(|child| child.as_ref().map_or(1, |link| link.reference.len())).sum::<usize>();
    rlp.reserve_exact(payload_length + 3);
    alloy_rlp::Header { list: true, payload_length }.encode(rlp);
    for child in children {
        match child {
            Some(link) => rlp.extend_from_slice(&link.reference),
            None => rlp.push(EMPTY_STRING),
        }
    }
    rlp.push(EMPTY_STRING);
}
