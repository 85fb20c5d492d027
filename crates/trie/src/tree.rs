//! Nodes in memory: decoded, each with what its parent says of it, changed in place.
//!
//! A leaf knows its whole key, so that it can move up and down without being changed. A branch has room for the children
//! that it has. Where a node is not in memory, its parent still knows its hash.
//!
//! Going down a large trie is waiting for memory, place after place. So a node takes no place but that of what it holds: a
//! branch's children lie in one piece, a line of the processor's cache for each, and a leaf's key and value in another.

mod rlp;

use crate::node::{self, KEY_NIBBLES, Reference, TrieNode};
use alloy_primitives::B256;
use alloy_trie::{Nibbles, nodes::RlpNode};

/// What an allocation costs beside its bytes, nearly.
const ALLOCATION_BYTES: usize = 16;

/// A place in the trie with what stands there.
#[derive(Clone, Debug, Default)]
pub(crate) struct Child {
    pub(crate) link: Link,
    /// The update that read, made or last met the node.
    pub(crate) used: u32,
    pub(crate) node: Node,
}

/// What the parent says of a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Link {
    /// Nothing yet: the node is being changed.
    #[default]
    Open,
    /// The node is encoded, and its hash will be that of this row ([`crate::settle`]).
    Encoded(u32),
    Hash(B256),
    /// All of the node, where its RLP is shorter than a hash.
    Short(Short),
}

/// The RLP of a node of less than 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Short {
    length: u8,
    bytes: [u8; B256::len_bytes() - 1],
}

/// A node.
#[derive(Clone, Debug, Default)]
pub(crate) enum Node {
    /// Not in memory; what it is stands in the link or in the store.
    #[default]
    Unread,
    /// Nothing: an empty trie, or a child that an update has deleted and its parent not yet let go.
    Empty,
    Leaf(Leaf),
    Extension(Box<Extension>),
    Branch(Branch),
}

/// The key, and behind it the value.
#[derive(Clone, Debug)]
pub(crate) struct Leaf(Box<[u8]>);

#[derive(Clone, Debug)]
pub(crate) struct Extension {
    pub(crate) key: Nibbles,
    pub(crate) child: Child,
}

/// The children that are there, in the order of their nibbles, whose bits are set in the mask.
#[derive(Clone, Debug, Default)]
pub(crate) struct Branch {
    pub(crate) mask: u16,
    /// Always false. What else a byte could be is how the compiler tells kinds of nodes apart without another word.
    _room: bool,
    pub(crate) children: Box<[Child]>,
}

/// Where an encoded node refers to one whose hash is not known yet: the row of that one, and where its hash goes.
pub(crate) type Hole = (u32, usize);

const _: () = assert!(size_of::<Child>() == 64, "a child takes a line of the cache");
const _: () = assert!(KEY_NIBBLES == 2 * B256::len_bytes());

impl Child {
    /// A node that no parent knows yet.
    pub(crate) fn new(node: Node, used: u32) -> Self {
        Self { link: Link::Open, used, node }
    }

    /// Whether the node has an entry of its own in the store.
    pub(crate) const fn is_stored(&self) -> bool {
        matches!(self.link, Link::Hash(_))
    }

    /// Whether the link says what the node is.
    pub(crate) const fn is_settled(&self) -> bool {
        matches!(self.link, Link::Hash(_) | Link::Short(_))
    }
}

impl Link {
    /// What a stored parent says, if it is a hash or a short node.
    fn decoded(link: &RlpNode) -> Result<Self, &'static str> {
        Ok(match node::reference(link)? {
            Reference::Hash(hash) => Self::Hash(hash),
            Reference::Inline(rlp) => Self::short(rlp).unwrap_or_default(),
        })
    }

    /// The link to a node with this RLP, if it is short.
    pub(crate) fn short(rlp: &[u8]) -> Option<Self> {
        let mut short = Short { length: u8::try_from(rlp.len()).ok()?, bytes: Default::default() };
        short.bytes.get_mut(..rlp.len())?.copy_from_slice(rlp);
        Some(Self::Short(short))
    }

    pub(crate) const fn hash(&self) -> Option<B256> {
        match self {
            Self::Hash(hash) => Some(*hash),
            _ => None,
        }
    }
}

impl Short {
    pub(crate) fn rlp(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

impl Node {
    /// A decoded node that stands at `path`.
    pub(crate) fn decoded(path: &Nibbles, node: TrieNode) -> Result<Self, &'static str> {
        let unread = |link: &RlpNode| {
            Ok::<_, &'static str>(Child { link: Link::decoded(link)?, used: 0, node: Self::Unread })
        };
        Ok(match node {
            TrieNode::EmptyRoot => Self::Empty,
            TrieNode::Leaf(leaf) => {
                let mut key = B256::ZERO;
                path.join(&leaf.key).pack_to(key.as_mut_slice());
                Self::Leaf(Leaf::new(&key, &leaf.value))
            }
            TrieNode::Extension(extension) => {
                let child = unread(&extension.child)?;
                Self::Extension(Box::new(Extension { key: extension.key, child }))
            }
            TrieNode::Branch(branch) => {
                let children = branch.stack.iter().map(unread).collect::<Result<_, _>>()?;
                Self::Branch(Branch::new(branch.state_mask.get(), children))
            }
        })
    }

    /// Memory of this node alone, nearly.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Unread | Self::Empty => 0,
            Self::Leaf(leaf) => leaf.0.len() + ALLOCATION_BYTES,
            Self::Extension(_) => size_of::<Extension>() + ALLOCATION_BYTES,
            Self::Branch(branch) => branch.children.len() * size_of::<Child>() + ALLOCATION_BYTES,
        }
    }
}

impl Leaf {
    pub(crate) fn new(key: &B256, value: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(key.len() + value.len());
        bytes.extend_from_slice(key.as_slice());
        bytes.extend_from_slice(value);
        Self(bytes.into_boxed_slice())
    }

    pub(crate) fn key(&self) -> B256 {
        self.0.first_chunk().copied().map(B256::new).unwrap_or_default()
    }

    pub(crate) fn value(&self) -> &[u8] {
        self.0.get(B256::len_bytes()..).unwrap_or_default()
    }

    /// All that is held.
    pub(crate) const fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Changes the value.
    pub(crate) fn set(&mut self, value: &[u8]) {
        match self.0.get_mut(B256::len_bytes()..) {
            Some(old) if old.len() == value.len() => old.copy_from_slice(value),
            _ => *self = Self::new(&self.key(), value),
        }
    }
}

impl Branch {
    /// A branch of children in the order of their nibbles.
    pub(crate) fn new(mask: u16, children: Vec<Child>) -> Self {
        Self { mask, _room: false, children: children.into_boxed_slice() }
    }

    /// Where the child at `nibble` is, or where it would be.
    pub(crate) fn place(&self, nibble: u8) -> Result<usize, usize> {
        let bit = 1u16 << nibble;
        let at = (self.mask & (bit - 1)).count_ones() as usize;
        if self.mask & bit == 0 { Err(at) } else { Ok(at) }
    }

    /// Puts a child where none is.
    pub(crate) fn insert(&mut self, nibble: u8, child: Child) {
        if let Err(at) = self.place(nibble) {
            let mut children = std::mem::take(&mut self.children).into_vec();
            children.reserve_exact(1);
            children.insert(at, child);
            self.children = children.into_boxed_slice();
            self.mask |= 1 << nibble;
        }
    }

    /// Lets deleted children go.
    pub(crate) fn retain_present(&mut self) {
        let is_empty = |child: &Child| matches!(child.node, Node::Empty);
        if !self.children.iter().any(is_empty) {
            return;
        }
        let empty = self.nibbles().zip(&self.children).filter(|(_, child)| is_empty(child));
        let gone = empty.fold(0, |mask, (nibble, _)| mask | 1 << nibble);
        let mut children = std::mem::take(&mut self.children).into_vec();
        children.retain(|child| !is_empty(child));
        self.children = children.into_boxed_slice();
        self.mask &= !gone;
    }

    /// The nibbles of the children, in their order.
    pub(crate) fn nibbles(&self) -> impl Iterator<Item = u8> + use<> {
        let mask = self.mask;
        (0..16).filter(move |nibble| mask & 1 << nibble != 0)
    }
}

/// Decodes a short node that begins at `path`.
pub(crate) fn inline(path: &Nibbles, short: &Short) -> Result<Node, &'static str> {
    Node::decoded(path, node::decode(path.len(), short.rlp())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::keccak256;

    #[test]
    fn a_value_is_changed_to_one_of_any_length() {
        let key = keccak256("key");
        let mut leaf = Leaf::new(&key, &[1; 40]);
        for value in [vec![2; 40], vec![3; 2], vec![4; 90]] {
            leaf.set(&value);
            assert_eq!((leaf.key(), leaf.value()), (key, value.as_slice()));
        }
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
