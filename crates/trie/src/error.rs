//! What can go wrong.

use crate::NodeReadError;
use alloy_primitives::B256;
use alloy_trie::Nibbles;

/// A trie could not be read or updated. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TrieError {
    /// The store failed.
    #[error("read the trie at path {path:?}")]
    Read {
        /// Where.
        path: Nibbles,
        /// What the store said.
        source: NodeReadError,
    },
    /// A parent refers to a node that is not stored.
    #[error("read the trie at path {path:?}: the node is missing")]
    Missing {
        /// Where.
        path: Nibbles,
    },
    /// A stored node is no trie node, or none that can stand there.
    #[error("decode the trie node at path {path:?}: {reason}")]
    Malformed {
        /// Where.
        path: Nibbles,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A stored node is not the one that its parent refers to.
    #[error("check the trie node at path {path:?}: its hash is {got}, its parent refers to {want}")]
    WrongHash {
        /// Where.
        path: Nibbles,
        /// keccak256 of the stored bytes.
        got: B256,
        /// The parent's reference.
        want: B256,
    },
    /// An update sets a value of no bytes, which a trie cannot tell from an absent one.
    #[error("set the value of key {key}: it is empty")]
    EmptyValue {
        /// The hashed key.
        key: B256,
    },
}

/// A proof proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The proof ends before the key's value or its absence is shown.
    #[error("verify the proof: node {index} is missing")]
    Truncated {
        /// Position of the absent node.
        index: usize,
    },
    /// A node is not the one that the root or the node before it refers to.
    #[error("verify the proof: node {index} has another hash than the one referred to")]
    WrongHash {
        /// Position of the node.
        index: usize,
    },
    /// A node is no trie node, or none that can stand there.
    #[error("verify the proof: decode node {index}: {reason}")]
    Malformed {
        /// Position of the node.
        index: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Nodes follow after the key's value or its absence is shown.
    #[error("verify the proof: {count} nodes are left over")]
    Surplus {
        /// How many.
        count: usize,
    },
}
