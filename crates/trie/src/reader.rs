//! Where nodes come from.

use alloy_primitives::Bytes;
use alloy_trie::Nibbles;
use std::{collections::BTreeMap, error::Error};

/// The nodes of one trie, by path. Large batches read from several threads.
pub trait NodeReader: Sync {
    /// The RLP of the node stored under `path`, or none.
    ///
    /// # Errors
    /// [`NodeReadError`] where the store fails.
    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, NodeReadError>;
}

/// The store behind a [`NodeReader`] failed.
#[derive(Debug, thiserror::Error)]
#[error("read a trie node")]
pub struct NodeReadError(#[source] Box<dyn Error + Send + Sync>);

impl NodeReadError {
    /// Wraps what the store said.
    pub fn new(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self(source.into())
    }
}

/// A trie in memory.
impl NodeReader for BTreeMap<Nibbles, Bytes> {
    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, NodeReadError> {
        Ok(self.get(path).cloned())
    }
}
