//! Making proofs.

use crate::{
    NodeReader, TrieError,
    node::{Reference, TrieNode},
    update::{decode_stored, read, reference},
};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::{
    Nibbles,
    nodes::{BranchNode, RlpNode},
};

/// The nodes from the root towards `key` (keccak256 of the address or slot), each as its RLP: a proof of the key's
/// value, or of its absence where the way ends or leads elsewhere. Empty for an empty trie.
///
/// Each node is checked against its parent's reference, so that a damaged store never gives out a wrong proof.
///
/// # Errors
/// [`TrieError`] where a node cannot be read, is missing, is malformed or is not the one referred to.
pub fn prove(reader: &impl NodeReader, key: B256) -> Result<Vec<Bytes>, TrieError> {
    let key = Nibbles::unpack(key);
    let mut proof = Vec::new();
    let mut path = Nibbles::new();
    let Some(rlp) = read(reader, &path)? else { return Ok(proof) };
    let mut node = decode_stored(&path, &rlp)?;
    proof.push(rlp);
    while let Some(child) = step(&mut path, node, &key) {
        node = match reference(&path, &child)? {
            Reference::Inline(rlp) => decode_stored(&path, rlp)?,
            Reference::Hash(want) => {
                let rlp = read(reader, &path)?.ok_or(TrieError::Missing { path })?;
                let got = keccak256(&rlp);
                if got != want {
                    return Err(TrieError::WrongHash { path, got, want });
                }
                let node = decode_stored(&path, &rlp)?;
                proof.push(rlp);
                node
            }
        };
    }
    Ok(proof)
}

/// Goes from `node` at `path` one node towards `key`. None where the way ends.
pub(crate) fn step(path: &mut Nibbles, node: TrieNode, key: &Nibbles) -> Option<RlpNode> {
    match node {
        TrieNode::EmptyRoot | TrieNode::Leaf(_) => None,
        TrieNode::Branch(branch) => {
            let nibble = key.get(path.len())?;
            path.push(nibble);
            child(branch, nibble)
        }
        TrieNode::Extension(extension) => {
            path.extend(&extension.key);
            key.starts_with(path).then_some(extension.child)
        }
    }
}

/// A branch's child at `nibble`.
fn child(branch: BranchNode, nibble: u8) -> Option<RlpNode> {
    if !branch.state_mask.is_bit_set(nibble) {
        return None;
    }
    let before = (0..nibble).filter(|lower| branch.state_mask.is_bit_set(*lower)).count();
    branch.stack.into_iter().nth(before)
}
