//! Checking proofs. The proof comes from elsewhere and is taken to be hostile; only the root is trusted.

use crate::{
    EMPTY_ROOT, ProofError,
    node::{self, Reference, TrieNode},
    proof::step,
};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::Nibbles;

/// Checks `proof` (as of [`crate::prove`] or `eth_getProof`) for `key` against `root`, and returns what it proves:
/// the key's value, or that it has none. A proof is exact: a node too few or too many is an error.
///
/// # Errors
/// [`ProofError`] says which node is wrong and why.
pub fn verify_proof(root: B256, key: B256, proof: &[Bytes]) -> Result<Option<Vec<u8>>, ProofError> {
    if proof.is_empty() && root == EMPTY_ROOT {
        return Ok(None);
    }
    let key = Nibbles::unpack(key);
    let mut path = Nibbles::new();
    let mut nodes = Nodes { proof, next: 0 };
    let mut node = nodes.hashed(root, &path)?;
    let value = loop {
        if let TrieNode::Leaf(leaf) = node {
            break (path.join(&leaf.key) == key).then_some(leaf.value);
        }
        let Some(child) = step(&mut path, node, &key) else { break None };
        node = match node::reference(&child).map_err(|reason| nodes.malformed(reason))? {
            Reference::Hash(hash) => nodes.hashed(hash, &path)?,
            Reference::Inline(rlp) => {
                node::decode(path.len(), rlp).map_err(|reason| nodes.malformed(reason))?
            }
        };
    };
    match proof.len() - nodes.next {
        0 => Ok(value),
        count => Err(ProofError::Surplus { count }),
    }
}

/// The proof's nodes, taken in order.
struct Nodes<'a> {
    proof: &'a [Bytes],
    next: usize,
}

impl Nodes<'_> {
    /// Takes the next node, which must have `hash` and be able to stand at `path`.
    fn hashed(&mut self, hash: B256, path: &Nibbles) -> Result<TrieNode, ProofError> {
        let index = self.next;
        let rlp = self.proof.get(index).ok_or(ProofError::Truncated { index })?;
        self.next += 1;
        if keccak256(rlp) != hash {
            return Err(ProofError::WrongHash { index });
        }
        node::decode(path.len(), rlp).map_err(|reason| self.malformed(reason))
    }

    /// Says that the node taken last is malformed.
    fn malformed(&self, reason: &'static str) -> ProofError {
        ProofError::Malformed { index: self.next.saturating_sub(1), reason }
    }
}
