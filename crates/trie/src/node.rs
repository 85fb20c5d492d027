//! Nodes as they are encoded, and the rules for where each kind can stand.

use alloy_primitives::B256;
use alloy_rlp::Decodable;
use alloy_trie::nodes::RlpNode;

pub(crate) use alloy_trie::nodes::TrieNode;

/// Nibbles of a hashed key.
pub(crate) const KEY_NIBBLES: usize = 64;

/// The first byte of the RLP of a 32-byte string.
const HASH_PREFIX: u8 = 0xa0;

/// The first byte of the RLP of the shortest list.
const LIST_PREFIX: u8 = 0xc0;

/// What a parent says of a child.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Reference<'a> {
    /// The child has an entry of its own, with this hash.
    Hash(B256),
    /// The child's RLP is inside the parent's.
    Inline(&'a [u8]),
}

/// Reads a parent's reference to a child.
pub(crate) fn reference(child: &RlpNode) -> Result<Reference<'_>, &'static str> {
    match child.as_slice() {
        [HASH_PREFIX, hash @ ..] if hash.len() == B256::len_bytes() => {
            Ok(Reference::Hash(B256::from_slice(hash)))
        }
        [first, ..] if *first >= LIST_PREFIX && child.len() < B256::len_bytes() => {
            Ok(Reference::Inline(child.as_slice()))
        }
        _ => Err("a child is neither a hash nor a node of less than 32 bytes"),
    }
}

/// Decodes the node that begins at `depth` nibbles and checks that a node of its kind can stand there, so that
/// whoever walks on can neither leave the key's length nor stand still.
pub(crate) fn decode(depth: usize, rlp: &[u8]) -> Result<TrieNode, &'static str> {
    let mut rest = rlp;
    let node = TrieNode::decode(&mut rest).map_err(|_| "it is not the RLP of a trie node")?;
    if !rest.is_empty() {
        return Err("bytes follow the node");
    }
    let left = KEY_NIBBLES.checked_sub(depth).ok_or("it lies deeper than a key is long")?;
    match &node {
        TrieNode::EmptyRoot if depth != 0 => Err("an empty trie stands below the root"),
        TrieNode::Branch(_) if left == 0 => Err("a branch stands where the key ends"),
        TrieNode::Branch(branch) if branch.stack.len() < 2 => Err("a branch has less than two children"),
        TrieNode::Extension(extension) if extension.key.is_empty() => Err("an extension has no key"),
        TrieNode::Extension(extension) if extension.key.len() >= left => {
            Err("an extension's key is too long")
        }
        TrieNode::Leaf(leaf) if leaf.key.len() != left => Err("a leaf's key does not end where keys end"),
        TrieNode::Leaf(leaf) if leaf.value.is_empty() => Err("a leaf has no value"),
        _ => Ok(node),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_trie::nodes::{
        BranchNode, BranchNodeRef, ExtensionNode, ExtensionNodeRef, LeafNode, LeafNodeRef,
    };
    use alloy_trie::{Nibbles, TrieMask};

    /// The RLP of `node` and what its parent says of it.
    fn encode(node: &TrieNode) -> (Vec<u8>, RlpNode) {
        let mut rlp = Vec::new();
        let reference = match node {
            TrieNode::EmptyRoot => node.rlp(&mut rlp),
            TrieNode::Branch(branch) => BranchNodeRef::new(&branch.stack, branch.state_mask).rlp(&mut rlp),
            TrieNode::Extension(extension) => {
                ExtensionNodeRef::new(&extension.key, &extension.child).rlp(&mut rlp)
            }
            TrieNode::Leaf(leaf) => LeafNodeRef::new(&leaf.key, &leaf.value).rlp(&mut rlp),
        };
        (rlp, reference)
    }

    /// A leaf.
    fn leaf(key: Nibbles, value: &[u8]) -> TrieNode {
        TrieNode::Leaf(LeafNode::new(key, value.to_vec()))
    }

    /// An extension.
    fn extension(key: Nibbles, child: RlpNode) -> TrieNode {
        TrieNode::Extension(ExtensionNode::new(key, child))
    }

    /// A branch of the children that are there, each with its nibble.
    fn branch(children: impl IntoIterator<Item = (u8, RlpNode)>) -> TrieNode {
        let mut mask = TrieMask::default();
        let mut stack = Vec::with_capacity(16);
        for (nibble, child) in children {
            mask.set_bit(nibble);
            stack.push(child);
        }
        TrieNode::Branch(BranchNode::new(stack, mask))
    }

    #[test]
    fn what_cannot_stand_at_a_depth_is_refused() {
        let child = RlpNode::word_rlp(&B256::repeat_byte(7));
        let nibbles = |count: usize| Nibbles::from_nibbles(vec![3; count]);
        let check = |depth: usize, node: &TrieNode, allowed: bool| {
            assert_eq!(decode(depth, &encode(node).0).is_ok(), allowed, "{node:?} at {depth}");
        };
        check(0, &TrieNode::EmptyRoot, true);
        check(1, &TrieNode::EmptyRoot, false);
        check(60, &leaf(nibbles(4), b"v"), true);
        check(60, &leaf(nibbles(3), b"v"), false);
        check(60, &leaf(nibbles(4), b""), false);
        check(64, &leaf(nibbles(0), b"v"), true);
        check(60, &extension(nibbles(3), child.clone()), true);
        check(60, &extension(nibbles(4), child.clone()), false);
        check(0, &extension(nibbles(0), child.clone()), false);
        check(63, &branch([(1, child.clone()), (2, child.clone())]), true);
        check(64, &branch([(1, child.clone()), (2, child.clone())]), false);
        check(3, &branch([(1, child)]), false);
    }

    #[test]
    fn a_reference_is_a_hash_or_a_short_list() {
        let hash = RlpNode::word_rlp(&B256::repeat_byte(5));
        assert_eq!(reference(&hash), Ok(Reference::Hash(B256::repeat_byte(5))));
        let short = RlpNode::from_raw(&[0xc2, 0x20, 0x01]).unwrap();
        assert_eq!(reference(&short), Ok(Reference::Inline(&[0xc2, 0x20, 0x01])));
        let mut list = [0u8; 33];
        list[0] = 0xe0;
        assert!(reference(&RlpNode::from_raw(&list).unwrap()).is_err());
        assert!(reference(&RlpNode::from_raw(&list[..32]).unwrap()).is_err());
        assert!(reference(&RlpNode::from_raw(&[0x05]).unwrap()).is_err());
    }
}
