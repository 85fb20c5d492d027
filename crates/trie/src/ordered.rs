//! The root of a trie whose keys are the RLP of its values' places: of the transactions and of the receipts of a block.
//!
//! What the trie looks like is known before a value is. Nodes are encoded and hashed level by level from the lowest up, so
//! that many are hashed at once (ADR 83); nothing is kept of them but what their parents say.

use crate::{EMPTY_ROOT, lanes::keccak256_all};
use alloy_primitives::{B256, keccak256};
use alloy_rlp::Encodable as _;
use alloy_trie::{
    Nibbles, TrieMask,
    nodes::{BranchNodeRef, ExtensionNodeRef, LeafNodeRef, RlpNode},
};

/// Nodes that are encoded and hashed together: those of transactions and receipts then lie in the processor's cache.
const NODES_AT_ONCE: usize = 128;

/// The first place whose RLP does not begin below that of place 0 (0x80).
const PLACES_BELOW_ZERO_END: usize = 0x80;

/// The root of the trie in which the key of the value at each place below `count` is the RLP of the place. `encode` appends
/// the value at a place; it is asked once for each.
#[must_use]
pub fn ordered_root(count: usize, encode: impl Fn(usize, &mut Vec<u8>)) -> B256 {
    let mut tree = Tree::default();
    let places =
        (1..count.min(PLACES_BELOW_ZERO_END)).chain(0..count.min(1)).chain(PLACES_BELOW_ZERO_END..count);
    let keys: Vec<(Nibbles, usize)> =
        places.map(|place| (Nibbles::unpack(alloy_rlp::encode_fixed_size(&place)), place)).collect();
    if keys.is_empty() {
        return EMPTY_ROOT;
    }
    tree.build(&keys, 0);
    tree.hash(&encode)
}

enum Node {
    Leaf { rest: Nibbles, place: usize },
    Extension { key: Nibbles, child: usize },
    Branch { mask: TrieMask, children: Vec<usize> },
}

/// All nodes, children before their parents.
#[derive(Default)]
struct Tree {
    nodes: Vec<Node>,
    /// The nodes by the number of levels below them.
    levels: Vec<Vec<usize>>,
}

impl Tree {
    /// Adds the node of `keys`, which are sorted, at least one, and share their first `depth` nibbles; its place and the
    /// number of levels below it.
    fn build(&mut self, keys: &[(Nibbles, usize)], depth: usize) -> (usize, usize) {
        let (first, place) = keys[0];
        if keys.len() == 1 {
            return self.add(Node::Leaf { rest: first.slice(depth..), place }, 0);
        }
        let shared = first.common_prefix_length(&keys[keys.len() - 1].0);
        if shared > depth {
            let (child, below) = self.build(keys, shared);
            return self.add(Node::Extension { key: first.slice(depth..shared), child }, below + 1);
        }
        let (mut mask, mut children, mut highest) = (TrieMask::default(), Vec::with_capacity(16), 0);
        // No key is the beginning of another, so none ends here.
        let nibble = |key: &Nibbles| key.get_unchecked(depth);
        for keys in keys.chunk_by(|(one, _), (other, _)| nibble(one) == nibble(other)) {
            let (child, below) = self.build(keys, depth + 1);
            mask.set_bit(nibble(&keys[0].0));
            children.push(child);
            highest = highest.max(below);
        }
        self.add(Node::Branch { mask, children }, highest + 1)
    }

    fn add(&mut self, node: Node, below: usize) -> (usize, usize) {
        let place = self.nodes.len();
        self.nodes.push(node);
        if self.levels.len() <= below {
            self.levels.resize_with(below + 1, Vec::new);
        }
        self.levels[below].push(place);
        (place, below)
    }

    /// Hashes all nodes; the hash of the last, which is the root.
    fn hash(self, encode: &impl Fn(usize, &mut Vec<u8>)) -> B256 {
        let mut links = vec![RlpNode::default(); self.nodes.len()];
        let (mut rlp, mut value, mut ends) = (Vec::new(), Vec::new(), Vec::new());
        for places in self.levels.iter().flat_map(|level| level.chunks(NODES_AT_ONCE)) {
            rlp.clear();
            ends.clear();
            for place in places {
                match &self.nodes[*place] {
                    Node::Leaf { rest, place } => {
                        value.clear();
                        encode(*place, &mut value);
                        LeafNodeRef::new(rest, &value).encode(&mut rlp);
                    }
                    Node::Extension { key, child } => {
                        ExtensionNodeRef::new(key, &links[*child]).encode(&mut rlp);
                    }
                    Node::Branch { mask, children } => {
                        let stack: Vec<RlpNode> =
                            children.iter().map(|child| links[*child].clone()).collect();
                        BranchNodeRef::new(&stack, *mask).encode(&mut rlp);
                    }
                }
                ends.push(rlp.len());
            }
            let begins = std::iter::once(0).chain(ends.iter().copied());
            let nodes: Vec<&[u8]> = begins.zip(&ends).map(|(begin, end)| &rlp[begin..*end]).collect();
            for ((place, node), hash) in places.iter().zip(&nodes).zip(keccak256_all(&nodes)) {
                let is_short = node.len() < B256::len_bytes();
                links[*place] = if is_short { RlpNode::from_rlp(node) } else { RlpNode::word_rlp(&hash) };
            }
        }
        // The root is hashed whatever its size. It is the only node of the highest level, so it was encoded last.
        keccak256(&rlp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_trie::root::ordered_trie_root_encoded;
    use proptest::prelude::*;

    fn root(values: &[Vec<u8>]) -> B256 {
        ordered_root(values.len(), |place, out| out.extend_from_slice(&values[place]))
    }

    #[test]
    fn as_many_values_as_change_the_shape_of_keys_give_the_root_of_alloy_trie() {
        let values: Vec<Vec<u8>> = (0..70_000_u32).map(|place| place.to_be_bytes().repeat(9)).collect();
        for count in (0..300).chain([4_095, 4_096, 4_097, 65_535, 65_536, 65_537, 70_000]) {
            let values = &values[..count];
            assert_eq!(root(values), ordered_trie_root_encoded(values), "{count} values");
        }
    }

    proptest! {
        #[test]
        fn any_values_give_the_root_of_alloy_trie(
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..600), 0..400),
        ) {
            prop_assert_eq!(root(&values), ordered_trie_root_encoded(&values));
        }

        #[test]
        fn short_values_give_the_root_of_alloy_trie(
            values in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..6), 0..400),
        ) {
            prop_assert_eq!(root(&values), ordered_trie_root_encoded(&values));
        }
    }
}
