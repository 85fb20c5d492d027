//! The incremental Merkle-Patricia trie of Ethereum (yellow paper, appendix D), over 32-byte hashed keys.
//!
//! [`update`] applies a batch to a trie that lies elsewhere and returns the new root with the nodes that change;
//! only nodes on the changed paths are read. [`prove`] and [`verify_proof`] make and check inclusion and exclusion
//! proofs as `eth_getProof` (EIP-1186) carries them.
//!
//! [`update_known`] works on a [`KnownTrie`], which keeps the nodes that updates meet in memory, decoded and with every
//! hash: the upper nodes and those in use are neither read nor decoded again.
//!
//! The crate is pure: nodes come in through [`NodeReader`] and go out as [`TrieUpdate`]. It refuses to know where
//! nodes are kept, what the values mean and which account a trie belongs to.
//!
//! # What is stored
//!
//! One entry for one node, under the node's path: the nibbles from the root down to where the node begins.
//! - The root stands under the empty path whatever its size. An empty trie has no entry.
//! - Another node has an entry if and only if its parent refers to it by hash, which is when its RLP has 32 bytes or
//!   more. A shorter node is part of its parent's RLP and has no entry of its own.
//! - An extension stands under its own path, the branch below it under that path joined with the extension's key.
//! - A leaf stands under the path where it begins; the rest of its key is inside it.
//!
//! The stored nodes are therefore exactly the elements of all possible proofs, and they are a function of the
//! key-value pairs alone: no order of updates leaves other nodes behind.

mod ahead;
mod batch;
mod changes;
mod error;
mod known;
mod lanes;
mod node;
mod ordered;
mod proof;
mod reader;
mod settle;
mod shape;
mod tree;
mod update;
mod verify;
mod walk;

pub use alloy_primitives::B256;
pub use alloy_trie::Nibbles;
pub use changes::Change;
pub use error::{ProofError, TrieError};
pub use known::KnownTrie;
pub use lanes::keccak256_all;
pub use ordered::ordered_root;
pub use proof::prove;
pub use reader::{NodeReadError, NodeReader};
pub use update::{TrieUpdate, root, update, update_known};
pub use verify::verify_proof;

/// The root of a trie without entries: keccak256 of the RLP of the empty string.
pub const EMPTY_ROOT: B256 = alloy_trie::EMPTY_ROOT_HASH;
