//! What can go wrong in the chain.

use bxp_types::{B256, Height};
use std::{
    io,
    path::{Path, PathBuf},
};

/// The chain's errors. All but [`ChainError::Decode`] stop the node: a validator that can't keep its word must not
/// speak.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The disk or the database.
    #[error("use the chain's storage")]
    Storage(#[from] bxp_storage::StorageError),
    /// The state machine.
    #[error("execute block {height}")]
    Execution {
        /// The block.
        height: Height,
        /// What execution says.
        source: Box<bxp_execution::VerifyError>,
    },
    /// Open the state.
    #[error("open the state")]
    State(#[source] Box<bxp_execution::ExecutionError>),
    /// Consensus can't take up its own log.
    #[error("recover consensus from its log: {0}")]
    Recovery(String),
    /// This node's block differs from the one that n - t validators attest.
    #[error(
        "block {height} is {ours} here but {certified} by certificate: stop, keep the data folder and report it; \
         `bxp node` on an empty folder rebuilds from the others"
    )]
    Diverged {
        /// The block.
        height: Height,
        /// This node's hash.
        ours: B256,
        /// The certified hash.
        certified: B256,
    },
    /// Bytes of a stored or received block that don't decode.
    #[error("decode {what}: {reason}")]
    Decode {
        /// What it should have been.
        what: &'static str,
        /// Why it is not.
        reason: String,
    },
    /// The folder of the segments.
    #[error("use the segments in {}", .folder.display())]
    Segments {
        /// The folder.
        folder: PathBuf,
        /// The operating system's word for it.
        source: io::Error,
    },
    /// The driver has stopped.
    #[error("the chain's driver has stopped")]
    Stopped,
}

impl ChainError {
    pub(crate) fn execution(height: Height, source: impl Into<bxp_execution::VerifyError>) -> Self {
        Self::Execution { height, source: Box::new(source.into()) }
    }

    pub(crate) fn segments(folder: &Path, source: io::Error) -> Self {
        Self::Segments { folder: folder.to_owned(), source }
    }

    /// What went wrong with all its reasons, in one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(error) = source {
            text.push_str(": ");
            text.push_str(&error.to_string());
            source = error.source();
        }
        text
    }

    pub(crate) fn decode(what: &'static str, reason: impl std::fmt::Display) -> Self {
        Self::Decode { what, reason: reason.to_string() }
    }
}
