//! Why a developer's chain does not go on.

use bxp_chain::ChainError;
use bxp_execution::{ExecutionError, VerifyError};
use bxp_storage::StorageError;
use bxp_types::LedgerError;
use std::io;

/// The chain could not be started or taken further.
#[derive(Debug, thiserror::Error)]
pub enum DevChainError {
    /// There is no place for its folder.
    #[error("make a folder for the developer's chain")]
    Folder(#[source] io::Error),
    /// The database failed.
    #[error("use the chain's tables")]
    Storage(#[from] StorageError),
    /// The chain's tables failed.
    #[error("use the chain's blocks")]
    Chain(#[from] ChainError),
    /// The state could not be read or taken further.
    #[error("execute a block: {0}")]
    Execution(Box<ExecutionError>),
    /// An imported block is not what its header says.
    #[error("import a block: {0}")]
    Import(Box<VerifyError>),
}

impl From<VerifyError> for DevChainError {
    fn from(error: VerifyError) -> Self {
        Self::Import(Box::new(error))
    }
}

impl From<ExecutionError> for DevChainError {
    fn from(error: ExecutionError) -> Self {
        Self::Execution(Box::new(error))
    }
}

impl From<DevChainError> for LedgerError {
    fn from(error: DevChainError) -> Self {
        Self::Storage(error.to_string())
    }
}
