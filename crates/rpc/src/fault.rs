//! What a client is told when a method fails: codes as clients expect them, words as geth has them.

use alloy_primitives::{B256, Bytes};
use bxp_simulate::SimulateError;
use bxp_types::{Height, LedgerError, SubmitError};
use jsonrpsee::types::ErrorObjectOwned;

/// Code of an execution that reverted (geth); the data is the revert data.
const REVERTED: i32 = 3;
/// Code of a transaction that was taken but not included in time (EIP-7966); the data is its hash.
const NOT_INCLUDED_IN_TIME: i32 = 4;
/// Code of a transaction that was taken but cannot run yet (EIP-7966); the data is its hash.
const NOT_READY: i32 = 5;
/// Code of a refusal by the node (geth's default).
const REFUSED: i32 = -32_000;
/// Code of an answer that would be too large (EIP-1474, "limit exceeded").
const LIMIT_EXCEEDED: i32 = -32_005;
/// Code of arguments that make no sense (JSON-RPC 2.0).
const INVALID_PARAMS: i32 = -32_602;
/// Code of a failure inside the node (JSON-RPC 2.0).
const INTERNAL: i32 = -32_603;

/// Why a method fails.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Submit(#[from] SubmitError),
    #[error("header not found")]
    UnknownBlock,
    #[error(transparent)]
    Simulate(SimulateError),
    #[error("transaction not found")]
    UnknownTransaction,
    #[error("block {0} not found")]
    NoBlock(String),
    #[error("genesis is not traceable")]
    GenesisTrace,
    #[error("unknown account")]
    UnknownAccount,
    #[error("{0}")]
    InvalidParams(String),
    #[error("{0}")]
    Limit(String),
    #[error("filter not found")]
    FilterNotFound,
    #[error("too many filters: {0} are installed; uninstall some or let them expire")]
    TooManyFilters(usize),
    #[error("too many filters: one client has at most {0}; uninstall some or let them expire")]
    TooManyFiltersOfClient(usize),
    #[error(
        "the transaction was added to the pool but cannot run before another one: next nonce {next}, tx nonce {got}"
    )]
    NotReady { hash: B256, next: u64, got: u64 },
    #[error("the transaction was added to the pool but was not included within {timeout_ms} ms")]
    NotIncludedInTime { hash: B256, timeout_ms: u64 },
    #[error("the transaction was ordered but left out of its block: {reason}")]
    LeftOut { hash: B256, reason: String },
    #[error("block {0} is missing from the chain's database")]
    MissingBlock(Height),
    #[error("write an answer in JSON")]
    Json(#[from] serde_json::Error),
    #[error("the node is shutting down")]
    Interrupted,
}

impl Fault {
    fn code(&self) -> i32 {
        match self {
            Self::Simulate(error) => simulate_code(error),
            Self::NotIncludedInTime { .. } => NOT_INCLUDED_IN_TIME,
            Self::NotReady { .. } => NOT_READY,
            Self::InvalidParams(_) => INVALID_PARAMS,
            Self::Limit(_) => LIMIT_EXCEEDED,
            Self::Ledger(LedgerError::Storage(_))
            | Self::Submit(SubmitError::Storage(_))
            | Self::MissingBlock(_)
            | Self::Json(_)
            | Self::Interrupted => INTERNAL,
            Self::Ledger(LedgerError::InvalidCall(_) | LedgerError::StateNotKept { .. })
            | Self::Submit(_)
            | Self::UnknownBlock
            | Self::UnknownTransaction
            | Self::NoBlock(_)
            | Self::GenesisTrace
            | Self::UnknownAccount
            | Self::FilterNotFound
            | Self::TooManyFilters(_)
            | Self::TooManyFiltersOfClient(_)
            | Self::LeftOut { .. } => REFUSED,
        }
    }

    fn data(&self) -> Option<Bytes> {
        match self {
            Self::Simulate(SimulateError::Reverted(output)) => Some(output.clone()),
            Self::NotIncludedInTime { hash, .. }
            | Self::NotReady { hash, .. }
            | Self::LeftOut { hash, .. } => Some(hash.0.into()),
            _ => None,
        }
    }
}

impl From<Fault> for ErrorObjectOwned {
    fn from(fault: Fault) -> Self {
        let code = fault.code();
        if code == INTERNAL && !matches!(fault, Fault::Simulate(SimulateError::Block { .. })) {
            // The client learns that the node failed, the operator learns how.
            tracing::error!(error = %fault, "answer a JSON-RPC request");
            return Self::owned(code, "internal error", None::<()>);
        }
        Self::owned(code, fault.to_string(), fault.data())
    }
}

impl From<SimulateError> for Fault {
    fn from(error: SimulateError) -> Self {
        match error {
            SimulateError::Ledger(error) => Self::Ledger(error),
            SimulateError::InvalidParams(words) => Self::InvalidParams(words),
            SimulateError::Limit(words) => Self::Limit(words),
            other => Self::Simulate(other),
        }
    }
}

fn simulate_code(error: &SimulateError) -> i32 {
    match error {
        SimulateError::Reverted(_) => REVERTED,
        SimulateError::Block { code, .. } => *code,
        SimulateError::InvalidParams(_) => INVALID_PARAMS,
        SimulateError::Limit(_) => LIMIT_EXCEEDED,
        SimulateError::Evm(_) | SimulateError::Ledger(_) => INTERNAL,
        SimulateError::Refused(_)
        | SimulateError::Timeout
        | SimulateError::Halted(_)
        | SimulateError::GasAllowance(_)
        | SimulateError::InsufficientFunds => REFUSED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use alloy_sol_types::{Panic, Revert, SolError};

    #[test]
    fn a_revert_carries_its_reason_and_its_data() {
        let data: Bytes = Revert::from("not the owner").abi_encode().into();
        let object = ErrorObjectOwned::from(Fault::from(SimulateError::Reverted(data.clone())));
        assert_eq!((object.code(), object.message()), (3, "execution reverted: not the owner"));
        assert_eq!(object.data().unwrap().get(), format!("\"{data}\""));

        let panic: Bytes = Panic { code: U256::from(0x11) }.abi_encode().into();
        let object = ErrorObjectOwned::from(Fault::from(SimulateError::Reverted(panic)));
        assert_eq!(object.message(), "execution reverted: arithmetic underflow or overflow");

        let object =
            ErrorObjectOwned::from(Fault::from(SimulateError::Reverted(Bytes::from_static(&[1, 2, 3, 4]))));
        assert_eq!(
            (object.message(), object.data().unwrap().get()),
            ("execution reverted", "\"0x01020304\"")
        );
    }

    #[test]
    fn what_failed_inside_stays_inside() {
        let fault = Fault::Ledger(LedgerError::Storage("/var/lib/node: checksum".to_owned()));
        let object = ErrorObjectOwned::from(fault);
        assert_eq!((object.code(), object.message()), (-32_603, "internal error"));
    }
}
