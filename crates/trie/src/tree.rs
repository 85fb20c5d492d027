//! Nodes in memory: decoded, each with what its parent says of it, changed in place.
//!
//! A leaf knows its whole key, so that it can move up and down without being changed. A branch has room for the children
//! that it has. Where a node is not in memory, its parent still knows its hash.
//!
//! Going down a large trie is waiting for memory, place after place. So a node takes no place but that of what it holds: a
//! branch's children lie in one piece, a line of the processor's cache for each, and a leaf's key and value in another.

use crate::{
    batch::nibble,
    node::{self, KEY_NIBBLES, Reference, TrieNode},
};
use alloy_primitives::B256;
use alloy_rlp::Header;
use alloy_trie::{Nibbles, nodes::RlpNode};

/// The RLP of the empty string: an absent child, and a branch's absent value.
const EMPTY_STRING: u8 = 0x80;

/// The first byte of the RLP of a hash.
const HASH_PREFIX: u8 = 0xa0;

/// The RLP of a hash.
const HASH_LINK_BYTES: usize = 1 + B256::len_bytes();

/// The header of the RLP of a branch, which has less than 65,536 bytes.
const LIST_HEADER_BYTES_MAX: usize = 3;

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

    const fn encoded_bytes(&self) -> usize {
        match self {
            Self::Short(short) => short.length as usize,
            _ => HASH_LINK_BYTES,
        }
    }

    /// Appends what the parent's RLP says.
    fn encode(&self, rlp: &mut Vec<u8>, holes: &mut Vec<Hole>) {
        match self {
            Self::Hash(hash) => {
                let mut link = [HASH_PREFIX; HASH_LINK_BYTES];
                link[1..].copy_from_slice(hash.as_slice());
                rlp.extend_from_slice(&link);
            }
            Self::Short(short) => rlp.extend_from_slice(short.rlp()),
            Self::Encoded(row) => {
                holes.push((*row, rlp.len() + 1));
                let mut link = [0; HASH_LINK_BYTES];
                link[0] = HASH_PREFIX;
                rlp.extend_from_slice(&link);
            }
            Self::Open => debug_assert!(false, "children are encoded before their parents"),
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

    /// Appends the RLP of this node, which begins at `depth` nibbles, and whose children are settled or encoded. Nothing for
    /// a node that is not in memory.
    pub(crate) fn encode(&self, depth: usize, rlp: &mut Vec<u8>, holes: &mut Vec<Hole>) {
        match self {
            Self::Unread => {}
            Self::Empty => rlp.push(EMPTY_STRING),
            Self::Leaf(leaf) => leaf.encode(depth, rlp),
            Self::Extension(extension) => extension.encode(rlp, holes),
            Self::Branch(branch) => branch.encode(rlp, holes),
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

    fn encode(&self, depth: usize, rlp: &mut Vec<u8>) {
        let (key, value) = (self.key(), self.value());
        let odd = depth % 2 == 1;
        let rest = key.get(depth.div_ceil(2)..).unwrap_or_default();
        let first = if odd { 0x30 | nibble(&key, depth) } else { 0x20 };
        let key_length = if rest.is_empty() { 1 } else { rest.len() + 2 };
        list_header(key_length + string_bytes(value), rlp);
        if !rest.is_empty() {
            // At most 33 bytes.
            string_header(rest.len() + 1, rlp);
        }
        rlp.push(first);
        rlp.extend_from_slice(rest);
        if !stands_for_itself(value) {
            string_header(value.len(), rlp);
        }
        rlp.extend_from_slice(value);
    }
}

/// Whether the RLP of a string has no header: it is one byte, which is no header.
const fn stands_for_itself(string: &[u8]) -> bool {
    matches!(string, [byte] if *byte < EMPTY_STRING)
}

/// The length of the RLP of a string.
fn string_bytes(string: &[u8]) -> usize {
    if stands_for_itself(string) {
        return 1;
    }
    Header { list: false, payload_length: string.len() }.length_with_payload()
}

/// The header of the RLP of a string. Nearly all are short.
fn string_header(length: usize, rlp: &mut Vec<u8>) {
    match u8::try_from(length) {
        Ok(short @ ..56) => rlp.push(EMPTY_STRING + short),
        Ok(long) => rlp.extend_from_slice(&[0xb8, long]),
        Err(_) => Header { list: false, payload_length: length }.encode(rlp),
    }
}

/// The header of the RLP of a list.
fn list_header(length: usize, rlp: &mut Vec<u8>) {
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..56), _) => rlp.push(0xc0 + short),
        (Ok(long), _) => rlp.extend_from_slice(&[0xf8, long]),
        (_, Ok(long)) => {
            let [high, low] = long.to_be_bytes();
            rlp.extend_from_slice(&[0xf9, high, low]);
        }
        _ => Header { list: true, payload_length: length }.encode(rlp),
    }
}

impl Extension {
    fn encode(&self, rlp: &mut Vec<u8>, holes: &mut Vec<Hole>) {
        let nibbles = self.key.len();
        let odd = nibbles % 2;
        let rest = nibbles / 2;
        let key_length = if rest == 0 { 1 } else { rest + 2 };
        list_header(key_length + self.child.link.encoded_bytes(), rlp);
        if rest > 0 {
            string_header(rest + 1, rlp);
        }
        rlp.push(if odd == 1 { 0x10 | self.key.get_unchecked(0) } else { 0 });
        rlp.extend((odd..nibbles).step_by(2).map(|at| self.key.get_byte_unchecked(at)));
        self.child.link.encode(rlp, holes);
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

    /// A branch without a value: keys all have one length, so none ends at a branch.
    fn encode(&self, rlp: &mut Vec<u8>, holes: &mut Vec<Hole>) {
        let links: usize = self.children.iter().map(|child| child.link.encoded_bytes()).sum();
        let payload_length = links + 17 - self.children.len();
        rlp.reserve(payload_length + LIST_HEADER_BYTES_MAX);
        list_header(payload_length, rlp);
        let (mut children, mut mask) = (self.children.iter(), self.mask);
        for _ in 0..16 {
            match if mask & 1 == 1 { children.next() } else { None } {
                Some(child) => child.link.encode(rlp, holes),
                None => rlp.push(EMPTY_STRING),
            }
            mask >>= 1;
        }
        rlp.push(EMPTY_STRING);
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

    fn encoded(depth: usize, node: &Node) -> Vec<u8> {
        let (mut rlp, mut holes) = (Vec::new(), Vec::new());
        node.encode(depth, &mut rlp, &mut holes);
        assert_eq!(holes, []);
        rlp
    }

    /// Decodes what `node` is encoded as at `path`, and encodes that.
    fn again(path: &Nibbles, node: &Node) -> (Vec<u8>, Vec<u8>) {
        let first = encoded(path.len(), node);
        let decoded = node::decode(path.len(), &first).unwrap();
        let second = encoded(path.len(), &Node::decoded(path, decoded).unwrap());
        (first, second)
    }

    fn unread(length: usize) -> Child {
        let link = if length == 32 {
            Link::Hash(B256::repeat_byte(9))
        } else {
            Link::short(&[0xc2, 0x20, 0x01]).unwrap()
        };
        Child { link, used: 0, node: Node::Unread }
    }

    #[test]
    fn nodes_come_back_from_what_they_are_encoded_as() {
        let key = keccak256("key");
        for depth in [0, 1, 2, 31, 62, 63, 64] {
            for value in [vec![1], vec![0x80], vec![7; 40], vec![7; 70], vec![7; 300], vec![7; 70_000]] {
                let leaf = Node::Leaf(Leaf::new(&key, &value));
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
                let (first, second) = again(&Nibbles::new(), &Node::Branch(branch.clone()));
                assert_eq!(first, second, "a branch with {:?}", branch.nibbles().collect::<Vec<_>>());
            }
        }
        assert_eq!(branch.nibbles().collect::<Vec<_>>(), [0, 7, 15]);
    }

    #[test]
    fn a_hole_is_where_the_hash_goes() {
        let (mut whole, mut rest) = (Branch::default(), Branch::default());
        for nibble in [0, 3, 9] {
            whole.insert(nibble, unread(32));
            rest.insert(nibble, unread(32));
        }
        rest.children[1].link = Link::Encoded(77);
        let (mut rlp, mut holes) = (vec![1, 2, 3], Vec::new());
        Node::Branch(rest).encode(0, &mut rlp, &mut holes);
        let [(77, at)] = holes[..] else { panic!("{holes:?}") };
        rlp[at..at + 32].copy_from_slice(&[9; 32]);
        assert_eq!(rlp[3..], encoded(0, &Node::Branch(whole)));
    }

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
