//! Applying a batch of updates.

use crate::{
    EMPTY_ROOT, KnownTrie, NodeReader, TrieError,
    batch::sorted,
    changes::Change,
    node::{self, Reference, TrieNode},
    tree::Node,
};
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::{Nibbles, nodes::RlpNode};

/// A trie's root after an update, and how its stored nodes change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrieUpdate {
    /// The new root hash.
    pub root: B256,
    /// By path, in this order: the node's RLP as it is stored and as it is to be stored.
    pub nodes: Vec<(Nibbles, Change<Bytes>)>,
}

/// Applies `updates` to the trie in `reader`. Keys are hashed (keccak256), values RLP; none deletes. Order does not
/// matter, except that of several updates of one key the last counts. Deleting an absent key changes nothing.
///
/// Stored nodes are trusted to be what their parents refer to: checking would double the hashing. [`crate::prove`]
/// checks.
///
/// # Errors
/// [`TrieError`]; of a value without bytes, a node that cannot be read, is missing or is malformed.
pub fn update(
    reader: &impl NodeReader,
    updates: Vec<(B256, Option<Vec<u8>>)>,
) -> Result<TrieUpdate, TrieError> {
    update_known(reader, &mut KnownTrie::default(), updates)
}

/// [`update`], with what is `known` of the trie in memory, which is not read again. Afterwards it is what is known of the
/// trie with the update; where the update fails, nothing.
///
/// What is known is trusted to be of the trie in `reader`: the caller knows it by [`KnownTrie::root`].
///
/// # Errors
/// As [`update`].
pub fn update_known(
    reader: &impl NodeReader,
    known: &mut KnownTrie,
    updates: Vec<(B256, Option<Vec<u8>>)>,
) -> Result<TrieUpdate, TrieError> {
    let done = sorted(updates).and_then(|mut updates| known.update(reader, &mut updates));
    if done.is_err() {
        *known = KnownTrie::default();
    }
    done
}

/// The root hash of the trie in `reader`.
///
/// # Errors
/// [`TrieError::Read`] where the store fails.
pub fn root(reader: &impl NodeReader) -> Result<B256, TrieError> {
    Ok(read(reader, &Nibbles::new())?.map_or(EMPTY_ROOT, keccak256))
}

/// Reads the node stored under `path`.
pub(crate) fn read(reader: &impl NodeReader, path: &Nibbles) -> Result<Option<Bytes>, TrieError> {
    reader.node(path).map_err(|source| TrieError::Read { path: *path, source })
}

/// Decodes the node that begins at `path`.
pub(crate) fn decode(path: &Nibbles, rlp: &[u8]) -> Result<Node, TrieError> {
    let malformed = |reason| TrieError::Malformed { path: *path, reason };
    Node::decoded(path, decode_stored(path, rlp)?).map_err(malformed)
}

/// The same as it is encoded.
pub(crate) fn decode_stored(path: &Nibbles, rlp: &[u8]) -> Result<TrieNode, TrieError> {
    node::decode(path.len(), rlp).map_err(|reason| TrieError::Malformed { path: *path, reason })
}

/// Reads what a parent says of the child at `path`.
pub(crate) fn reference<'a>(path: &Nibbles, child: &'a RlpNode) -> Result<Reference<'a>, TrieError> {
    node::reference(child).map_err(|reason| TrieError::Malformed { path: *path, reason })
}
