//! Nodes in memory: decoded, each with what its parent says of it, changed in place.
//!
//! A leaf knows its whole key, so that it can move up and down without being changed. A branch has room for the children
//! that it has. Where a node is not in memory, its parent still knows its hash.

use crate::{
    batch::nibble,
    node::{self, KEY_NIBBLES, TrieNode},
};
use alloy_primitives::B256;
use alloy_rlp::{Encodable as _, Header};
use alloy_trie::{Nibbles, nodes::RlpNode};

/// The RLP of the empty string: an absent child, and a branch's absent value.
const EMPTY_STRING: u8 = 0x80;

/// The header of the RLP of a branch, which has less than 65,536 bytes.
const LIST_HEADER_BYTES_MAX: usize = 3;

/// What an allocation costs beside its bytes, nearly.
const ALLOCATION_BYTES: usize = 16;

/// A place in the trie with what stands there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Child {
    /// What the parent says of the node: its hash, or all of it where it is short. Empty while the node is being changed.
    pub(crate) link: RlpNode,
    /// The update that read, made or last met the node.
    pub(crate) used: u32,
    pub(crate) node: Node,
}

/// A node.
#[derive(Clone, Debug, Default)]
pub(crate) enum Node {
    /// Not in memory; what it is stands in the link or in the store.
    #[default]
    Unread,
    /// Nothing: an empty trie, or a child that an update has deleted and its parent not yet let go.
    Empty,
    Leaf(Box<Leaf>),
    Extension(Box<Extension>),
    Branch(Box<Branch>),
}

#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub(crate) key: B256,
    pub(crate) value: Box<[u8]>,
}

#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub(crate) key: Nibbles,
    pub(crate) child: Child,
}

/// The children that are there, in the order of their nibbles, whose bits are set in the mask.
#[derive(Clone, Debug, Default)]
pub(crate) struct Branch {
    pub(crate) mask: u16,
    pub(crate) children: Vec<Child>,
}

impl Child {
    /// A node that no parent knows yet.
    pub(crate) fn new(node: Node, used: u32) -> Self {
        Self { link: RlpNode::default(), used, node }
    }

    /// Whether the link says what the node is.
    pub(crate) fn is_settled(&self) -> bool {
        !self.link.is_empty()
    }

    /// Whether the node has an entry of its own in the store.
    pub(crate) fn is_stored(&self) -> bool {
        self.link.len() > B256::len_bytes()
    }
}

impl Node {
    /// A decoded node that stands at `path`.
    pub(crate) fn decoded(path: &Nibbles, node: TrieNode) -> Self {
        let unread = |link| Child { link, used: 0, node: Self::Unread };
        match node {
            TrieNode::EmptyRoot => Self::Empty,
            TrieNode::Leaf(leaf) => {
                let mut key = B256::ZERO;
                path.join(&leaf.key).pack_to(key.as_mut_slice());
                Self::Leaf(Box::new(Leaf { key, value: leaf.value.into_boxed_slice() }))
            }
            TrieNode::Extension(extension) => {
                Self::Extension(Box::new(Extension { key: extension.key, child: unread(extension.child) }))
            }
            TrieNode::Branch(branch) => {
                let mask = branch.state_mask.get();
                let children = branch.stack.into_iter().map(unread).collect();
                Self::Branch(Box::new(Branch { mask, children }))
            }
        }
    }

    /// Memory of this node alone, nearly.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Unread | Self::Empty => 0,
            Self::Leaf(leaf) => size_of::<Leaf>() + leaf.value.len() + 2 * ALLOCATION_BYTES,
            Self::Extension(_) => size_of::<Extension>() + ALLOCATION_BYTES,
            Self::Branch(branch) => {
                size_of::<Branch>() + branch.children.capacity() * size_of::<Child>() + 2 * ALLOCATION_BYTES
            }
        }
    }

    /// Appends the RLP of this node, which begins at `depth` nibbles, and whose children are settled. Nothing for a node
    /// that is not in memory.
    pub(crate) fn encode(&self, depth: usize, rlp: &mut Vec<u8>) {
        match self {
            Self::Unread => {}
            Self::Empty => rlp.push(EMPTY_STRING),
            Self::Leaf(leaf) => leaf.encode(depth, rlp),
            Self::Extension(extension) => extension.encode(rlp),
            Self::Branch(branch) => branch.encode(rlp),
        }
    }
}

impl Leaf {
    fn encode(&self, depth: usize, rlp: &mut Vec<u8>) {
        let odd = depth % 2 == 1;
        let rest = self.key.get(depth.div_ceil(2)..).unwrap_or_default();
        let first = if odd { 0x30 | nibble(&self.key, depth) } else { 0x20 };
        let value: &[u8] = &self.value;
        let key_length = if rest.is_empty() { 1 } else { rest.len() + 2 };
        Header { list: true, payload_length: key_length + value.length() }.encode(rlp);
        if !rest.is_empty() {
            Header { list: false, payload_length: rest.len() + 1 }.encode(rlp);
        }
        rlp.push(first);
        rlp.extend_from_slice(rest);
        value.encode(rlp);
    }
}

impl Extension {
    fn encode(&self, rlp: &mut Vec<u8>) {
        let nibbles = self.key.len();
        let odd = nibbles % 2;
        let rest = nibbles / 2;
        let key_length = if rest == 0 { 1 } else { rest + 2 };
        Header { list: true, payload_length: key_length + self.child.link.len() }.encode(rlp);
        if rest > 0 {
            Header { list: false, payload_length: rest + 1 }.encode(rlp);
        }
        rlp.push(if odd == 1 { 0x10 | self.key.get_unchecked(0) } else { 0 });
        rlp.extend((odd..nibbles).step_by(2).map(|at| self.key.get_byte_unchecked(at)));
        rlp.extend_from_slice(&self.child.link);
    }
}

impl Branch {
    /// Where the child at `nibble` is, or where it would be.
    pub(crate) fn place(&self, nibble: u8) -> Result<usize, usize> {
        let bit = 1u16 << nibble;
        let at = (self.mask & (bit - 1)).count_ones() as usize;
        if self.mask & bit == 0 { Err(at) } else { Ok(at) }
    }

    /// Puts a child where none is.
    pub(crate) fn insert(&mut self, nibble: u8, child: Child) {
        if let Err(at) = self.place(nibble) {
            self.children.insert(at, child);
            self.mask |= 1 << nibble;
        }
    }

    /// Lets deleted children go.
    pub(crate) fn retain_present(&mut self) {
        let is_empty = |child: &Child| matches!(child.node, Node::Empty);
        if !self.children.iter().any(is_empty) {
            return;
        }
        for nibble in 0..16 {
            if let Ok(at) = self.place(nibble)
                && self.children.get(at).is_some_and(is_empty)
            {
                self.children.remove(at);
                self.mask &= !(1 << nibble);
            }
        }
    }

    /// The nibbles of the children, in their order.
    pub(crate) fn nibbles(&self) -> impl Iterator<Item = u8> + use<> {
        let mask = self.mask;
        (0..16).filter(move |nibble| mask & 1 << nibble != 0)
    }

    /// A branch without a value: keys all have one length, so none ends at a branch.
    fn encode(&self, rlp: &mut Vec<u8>) {
        let links: usize = self.children.iter().map(|child| child.link.len()).sum();
        let payload_length = links + 17 - self.children.len();
        rlp.reserve(payload_length + LIST_HEADER_BYTES_MAX);
        Header { list: true, payload_length }.encode(rlp);
        let (mut children, mut mask) = (self.children.iter(), self.mask);
        for _ in 0..16 {
            match if mask & 1 == 1 { children.next() } else { None } {
                // Nearly all are hashes; a copy whose length is known is a few instructions.
                Some(child) => match child.link.first_chunk::<33>() {
                    Some(hash) => rlp.extend_from_slice(hash),
                    None => rlp.extend_from_slice(&child.link),
                },
                None => rlp.push(EMPTY_STRING),
            }
            mask >>= 1;
        }
        rlp.push(EMPTY_STRING);
    }
}

/// Decodes what a short node's parent says of it; `path` is where the node begins.
pub(crate) fn inline(path: &Nibbles, link: &RlpNode) -> Result<Node, &'static str> {
    match node::reference(link)? {
        node::Reference::Inline(rlp) => Ok(Node::decoded(path, node::decode(path.len(), rlp)?)),
        node::Reference::Hash(_) => Ok(Node::Unread),
    }
}

const _: () = assert!(KEY_NIBBLES == 2 * B256::len_bytes());

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    /// Decodes what `node` is encoded as at `path`, and encodes that.
    fn again(path: &Nibbles, node: &Node) -> (Vec<u8>, Vec<u8>) {
        let (mut first, mut second) = (Vec::new(), Vec::new());
        node.encode(path.len(), &mut first);
        let decoded = node::decode(path.len(), &first).unwrap();
        Node::decoded(path, decoded).encode(path.len(), &mut second);
        (first, second)
    }

    #[test]
    fn nodes_come_back_from_what_they_are_encoded_as() {
        let key = keccak256("key");
        let unread = |length: usize| {
            let child = if length == 32 {
                RlpNode::word_rlp(&B256::repeat_byte(9))
            } else {
                RlpNode::from_raw(&[0xc2, 0x20, 0x01]).unwrap()
            };
            Child { link: child, used: 0, node: Node::Unread }
        };
        for depth in [0, 1, 2, 31, 62, 63, 64] {
            for value in [vec![1], vec![0x80], vec![7; 40], vec![7; 70]] {
                let leaf = Node::Leaf(Box::new(Leaf { key, value: value.into() }));
                let (first, second) = again(&Nibbles::unpack(key).slice(..depth), &leaf);
                assert_eq!(first, second, "a leaf at {depth}");
            }
        }
        for nibbles in 1..63 {
            let extension = Extension { key: Nibbles::unpack(key).slice(..nibbles), child: unread(32) };
            let (first, second) = again(&Nibbles::new(), &Node::Extension(Box::new(extension)));
            assert_eq!(first, second, "an extension of {nibbles} nibbles");
        }
        let mut branch = Branch::default();
        for (nibble, length) in [(15, 32), (0, 3), (7, 32)] {
            branch.insert(nibble, unread(length));
            if branch.children.len() > 1 {
                let (first, second) = again(&Nibbles::new(), &Node::Branch(Box::new(branch.clone())));
                assert_eq!(first, second, "a branch with {:?}", branch.nibbles().collect::<Vec<_>>());
            }
        }
        assert_eq!(branch.nibbles().collect::<Vec<_>>(), [0, 7, 15]);
    }

    #[test]
    fn deleted_children_are_let_go() {
        let mut branch = Branch::default();
        for nibble in [1, 4, 9] {
            let node = if nibble == 4 { Node::Unread } else { Node::Empty };
            branch.insert(nibble, Child::new(node, 0));
        }
        branch.retain_present();
        assert_eq!((branch.nibbles().collect::<Vec<_>>(), branch.children.len()), (vec![4], 1));
        assert_eq!((branch.place(4), branch.place(5)), (Ok(0), Err(1)));
    }
}
