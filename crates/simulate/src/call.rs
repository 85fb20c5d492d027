//! `eth_call`.

use crate::{Question, SimulateError, halted, request::transaction};
use alloy_primitives::Bytes;
use alloy_rpc_types_eth::TransactionRequest;
use revm::context_interface::result::{ExecutionResult, HaltReason};

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Called {
    /// It returned.
    Success {
        /// What.
        output: Bytes,
        /// Gas used after refunds.
        gas_used: u64,
        /// The refunds.
        gas_refunded: u64,
    },
    /// It reverted.
    Revert {
        /// The revert data.
        output: Bytes,
        /// Gas used.
        gas_used: u64,
    },
    /// The EVM stopped it.
    Halt {
        /// Why.
        reason: HaltReason,
        /// Gas used.
        gas_used: u64,
    },
}

impl From<ExecutionResult> for Called {
    fn from(result: ExecutionResult) -> Self {
        let gas_used = result.tx_gas_used();
        let gas_refunded = result.gas().final_refunded();
        match result {
            ExecutionResult::Success { output, .. } => {
                Self::Success { output: output.into_data(), gas_used, gas_refunded }
            }
            ExecutionResult::Revert { output, .. } => Self::Revert { output, gas_used },
            ExecutionResult::Halt { reason, .. } => Self::Halt { reason, gas_used },
        }
    }
}

impl Called {
    /// What was returned.
    ///
    /// # Errors
    /// [`SimulateError::Reverted`] and [`SimulateError::Halted`].
    pub fn returned(self) -> Result<Bytes, SimulateError> {
        match self {
            Self::Success { output, .. } => Ok(output),
            Self::Revert { output, .. } => Err(SimulateError::Reverted(output)),
            Self::Halt { reason, .. } => Err(SimulateError::Halted(halted(&reason))),
        }
    }
}

/// Runs `request` and keeps nothing.
///
/// # Errors
/// [`SimulateError::Refused`] where it cannot begin, [`SimulateError::InvalidParams`], [`SimulateError::Timeout`],
/// [`SimulateError::Ledger`].
pub fn call(question: &Question<'_>, request: &TransactionRequest) -> Result<Called, SimulateError> {
    let (mut machine, mut database) = question.open()?;
    let transaction = transaction(&mut machine, &mut database, request)?;
    Ok(machine.run(&mut database, transaction, question.deadline)?.result.into())
}
