//! The Merkle tree of a record batch, as `contracts/src/MerkleProof.sol` verifies it.
//!
//! It is the tree of RFC 9162, section 2.1, with keccak256: leaf = keccak256(0x00 || data), node = keccak256(0x01 ||
//! left || right), the left subtree of n leaves holding the largest power of two smaller than n. Leaves and nodes
//! cannot be confused (second preimage), and a proof fits one index of one number of leaves.

use alloy_primitives::{Address, B256, keccak256};

/// The leaf over any data.
#[must_use]
pub fn leaf(data: &[u8]) -> B256 {
    keccak256([&[0x00], data].concat())
}

/// The leaf of one record: it binds the record's salted commitment to the patient who is paid for it.
/// [`crate::DataRequest`] computes it from an entry, so a holder must anchor exactly this.
#[must_use]
pub fn record_leaf(patient: Address, commitment: B256) -> B256 {
    leaf(&[patient.as_slice(), commitment.as_slice()].concat())
}

fn parent(left: B256, right: B256) -> B256 {
    keccak256([&[0x01], left.as_slice(), right.as_slice()].concat())
}

/// Where a leaf stands, and its neighbours on the way up, lowest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The leaf's number in the batch.
    pub index: u32,
    /// The neighbours; there are at most 32.
    pub siblings: Vec<B256>,
}

/// A tree over at least one leaf.
#[derive(Clone, Debug)]
pub struct Tree {
    /// Nodes from the leaves up; the last level is the root alone. An odd node at a level's end rises unchanged.
    levels: Vec<Vec<B256>>,
}

impl Tree {
    /// The tree over `leaves`, or nothing when there are none or more than a `u32` counts.
    #[must_use]
    pub fn new(leaves: Vec<B256>) -> Option<Self> {
        if leaves.is_empty() || u32::try_from(leaves.len()).is_err() {
            return None;
        }
        let mut levels = vec![leaves];
        while let Some(below) = levels.last().filter(|level| level.len() > 1) {
            let above = below
                .chunks(2)
                .map(|pair| match *pair {
                    [left, right] => parent(left, right),
                    _ => pair[0],
                })
                .collect();
            levels.push(above);
        }
        Some(Self { levels })
    }

    /// What is anchored.
    #[must_use]
    pub fn root(&self) -> B256 {
        self.levels.last().map_or(B256::ZERO, |level| level[0])
    }

    /// Number of leaves.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.levels[0].len() as u32
    }

    /// The proof of leaf number `index`, or nothing when there is no such leaf.
    #[must_use]
    pub fn prove(&self, index: u32) -> Option<Proof> {
        if index >= self.count() {
            return None;
        }
        let mut position = index as usize;
        let mut siblings = Vec::new();
        for level in &self.levels {
            siblings.extend(level.get(position ^ 1));
            position >>= 1;
        }
        Some(Proof { index, siblings })
    }
}

impl Proof {
    /// Whether `leaf` is leaf number `index` of the `count` leaves under `root` (RFC 9162, section 2.1.3.2).
    #[must_use]
    pub fn verify(&self, root: B256, count: u32, leaf: B256) -> bool {
        if self.index >= count {
            return false;
        }
        let (mut position, mut last, mut node) = (self.index, count - 1, leaf);
        for &sibling in &self.siblings {
            if last == 0 {
                return false;
            }
            if position & 1 == 1 || position == last {
                node = parent(sibling, node);
                // A right edge without a neighbour rises until it has one.
                let rise = if position == 0 { 0 } else { position.trailing_zeros() };
                position >>= rise;
                last >>= rise;
            } else {
                node = parent(node, sibling);
            }
            position >>= 1;
            last >>= 1;
        }
        last == 0 && node == root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn leaves(count: u32) -> Vec<B256> {
        (0..count).map(|index| leaf(&index.to_be_bytes())).collect()
    }

    #[test]
    fn an_empty_batch_has_no_tree() {
        assert!(Tree::new(vec![]).is_none());
    }

    #[test]
    fn three_leaves_make_the_tree_of_the_rfc() {
        let three = leaves(3);
        let tree = Tree::new(three.clone()).unwrap();
        assert_eq!(tree.root(), parent(parent(three[0], three[1]), three[2]));
        assert_eq!(tree.prove(2).unwrap().siblings, vec![parent(three[0], three[1])]);
        assert_eq!(tree.prove(3), None);
    }

    #[test]
    fn an_inner_node_is_no_leaf() {
        let four = leaves(4);
        let tree = Tree::new(four.clone()).unwrap();
        let inner = parent(four[0], four[1]);
        let forged = Proof { index: 0, siblings: vec![parent(four[2], four[3])] };
        assert!(!forged.verify(tree.root(), 4, inner), "the anchored count gives the depth");
        assert_ne!(leaf(&[four[0].as_slice(), four[1].as_slice()].concat()), inner);
    }

    proptest! {
        #[test]
        fn proofs_fit_their_leaf_their_index_and_their_count_only(
            count in 1_u32..70,
            pick in any::<prop::sample::Index>(),
            wrong_index in 0_u32..80,
            wrong_count in 1_u32..80,
        ) {
            let leaves = leaves(count);
            let index = pick.index(leaves.len()) as u32;
            let tree = Tree::new(leaves.clone()).unwrap();
            let proof = tree.prove(index).unwrap();
            let leaf = leaves[index as usize];
            prop_assert!(proof.verify(tree.root(), count, leaf));
            prop_assert!(!proof.verify(tree.root(), count, B256::ZERO));
            let moved = Proof { index: wrong_index, ..proof.clone() };
            prop_assert_eq!(moved.verify(tree.root(), count, leaf), wrong_index == index);
            if !proof.siblings.is_empty() {
                let shortened = Proof { siblings: proof.siblings[1..].to_vec(), ..proof.clone() };
                prop_assert!(!shortened.verify(tree.root(), count, leaf));
            }
            // Another count is a different shape; where the path to this index is the same, it may verify.
            let _ = proof.verify(tree.root(), wrong_count, leaf);
        }
    }
}
