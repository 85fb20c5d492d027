//! Nodes as their parents and the root's hash see them: RLP (yellow paper, appendix D).

use super::{Branch, Extension, Hole, Leaf, Link, Node};
use crate::batch::nibble;
use alloy_primitives::B256;
use alloy_rlp::Header;

/// The RLP of the empty string: an absent child, and a branch's absent value.
const EMPTY_STRING: u8 = 0x80;

/// The first byte of the RLP of a hash.
const HASH_PREFIX: u8 = 0xa0;

/// The RLP of a hash.
const HASH_LINK_BYTES: usize = 1 + B256::len_bytes();

/// The header of the RLP of a branch, which has less than 65,536 bytes.
const LIST_HEADER_BYTES_MAX: usize = 3;

impl Link {
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

impl Node {
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

#[cfg(test)]
mod tests {
    use super::{super::Child, *};
    use crate::node;
    use alloy_primitives::keccak256;
    use alloy_trie::Nibbles;

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
}
