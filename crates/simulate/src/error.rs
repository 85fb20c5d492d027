//! Why a run gives no answer, in geth's words.

use crate::{database::ReadError, deadline};
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{Panic, Revert, SolError};
use bxp_types::LedgerError;
use revm::{
    context::TxEnv,
    context_interface::result::{EVMError, HaltReason, InvalidTransaction},
};

/// Why a run gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// The state could not be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The transaction cannot begin.
    #[error("{0}")]
    Refused(Refused),
    /// What was asked makes no sense.
    #[error("{0}")]
    InvalidParams(String),
    /// A simulated block that cannot be; the code is that of `eth_simulateV1`.
    #[error("{words}")]
    Block {
        /// The code.
        code: i32,
        /// What is wrong.
        words: String,
    },
    /// It took too long.
    #[error("execution timeout")]
    Timeout,
    /// It would record more than a trace may.
    #[error("{0}")]
    Limit(String),
    /// It reverted where it had to return.
    #[error("{}", reverted(.0))]
    Reverted(Bytes),
    /// The EVM stopped it where it had to return.
    #[error("{0}")]
    Halted(String),
    /// No gas limit below this one is enough.
    #[error("gas required exceeds allowance ({0})")]
    GasAllowance(u64),
    /// The sender cannot pay for what is sent.
    #[error("insufficient funds for transfer")]
    InsufficientFunds,
    /// The EVM failed for a reason of its own.
    #[error("{0}")]
    Evm(String),
}

/// Why a transaction cannot begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whose it is.
    pub from: Address,
    /// What is wrong, without geth's `err: `.
    pub words: String,
    /// The code of `eth_simulateV1`.
    pub code: i32,
    /// Its gas limit.
    pub gas: u64,
    /// Whether gas is what is missing.
    pub lacks_gas: bool,
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "err: {} (supplied gas {})", self.words, self.gas)
    }
}

impl SimulateError {
    pub(crate) fn new(error: EVMError<ReadError>, transaction: &TxEnv, base_fee: u64) -> Self {
        match error {
            EVMError::Database(ReadError(error)) => Self::Ledger(error),
            EVMError::Transaction(invalid) => Self::Refused(refused(&invalid, transaction, base_fee)),
            EVMError::Custom(words) if words == deadline::WORDS => Self::Timeout,
            EVMError::Custom(words) if words.contains("byte limit") => Self::Limit(words),
            other => Self::Evm(other.to_string()),
        }
    }
}

const NONCE_TOO_LOW: i32 = -38_010;
const NONCE_TOO_HIGH: i32 = -38_011;
const BELOW_BASE_FEE: i32 = -38_012;
const INTRINSIC_GAS: i32 = -38_013;
const INSUFFICIENT_FUNDS: i32 = -38_014;
const SENDER_WITH_CODE: i32 = -38_024;
const INIT_CODE_SIZE: i32 = -38_025;
const OTHER: i32 = -32_603;

fn refused(invalid: &InvalidTransaction, transaction: &TxEnv, base_fee: u64) -> Refused {
    let from = transaction.caller;
    let gas = transaction.gas_limit;
    let mut lacks_gas = false;
    let (code, words) = match invalid {
        InvalidTransaction::NonceTooLow { tx, state } => {
            (NONCE_TOO_LOW, format!("nonce too low: address {from}, tx: {tx} state: {state}"))
        }
        InvalidTransaction::NonceTooHigh { tx, state } => {
            (NONCE_TOO_HIGH, format!("nonce too high: address {from}, tx: {tx} state: {state}"))
        }
        InvalidTransaction::NonceOverflowInTransaction => {
            (OTHER, format!("nonce has max value: address {from}, nonce: {}", transaction.nonce))
        }
        InvalidTransaction::GasPriceLessThanBasefee => {
            let price = transaction.gas_price;
            let words = "max fee per gas less than block base fee";
            (BELOW_BASE_FEE, format!("{words}: address {from}, maxFeePerGas: {price}, baseFee: {base_fee}"))
        }
        InvalidTransaction::PriorityFeeGreaterThanMaxFee => {
            let (tip, cap) = (transaction.gas_priority_fee.unwrap_or_default(), transaction.gas_price);
            let words = "max priority fee per gas higher than max fee per gas";
            (OTHER, format!("{words}: address {from}, maxPriorityFeePerGas: {tip}, maxFeePerGas: {cap}"))
        }
        InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas: want, gas_limit: have }
        | InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor: want, gas_limit: have } => {
            lacks_gas = true;
            (INTRINSIC_GAS, format!("intrinsic gas too low: have {have}, want {want}"))
        }
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
            (INSUFFICIENT_FUNDS, insufficient(from, **balance, **fee))
        }
        InvalidTransaction::RejectCallerWithCode => {
            (SENDER_WITH_CODE, format!("sender not an eoa: address {from}"))
        }
        InvalidTransaction::CreateInitCodeSizeLimit => {
            (INIT_CODE_SIZE, "max initcode size exceeded".to_owned())
        }
        InvalidTransaction::TxGasLimitGreaterThanCap { gas_limit, cap } => {
            (OTHER, format!("transaction gas limit too high (cap: {cap}, tx: {gas_limit})"))
        }
        other => (OTHER, other.to_string()),
    };
    Refused { from, words, code, gas, lacks_gas }
}

fn insufficient(from: Address, have: U256, want: U256) -> String {
    format!("insufficient funds for gas * price + value: address {from} have {have} want {want}")
}

/// geth's words for a revert: with the reason where the data is that of `revert("...")` or of a compiler's panic.
#[must_use]
pub fn reverted(output: &Bytes) -> String {
    if let Ok(revert) = Revert::abi_decode(output) {
        return format!("execution reverted: {}", revert.reason);
    }
    if let Ok(panic) = Panic::abi_decode(output) {
        return format!("execution reverted: {}", panic_words(&panic));
    }
    "execution reverted".to_owned()
}

/// geth's words for the codes of Solidity's panics.
fn panic_words(panic: &Panic) -> String {
    let words = match panic.code.saturating_to::<u64>() {
        0x00 => "generic panic",
        0x01 => "assert(false)",
        0x11 => "arithmetic underflow or overflow",
        0x12 => "division or modulo by zero",
        0x21 => "enum overflow",
        0x22 => "invalid encoded storage byte array accessed",
        0x31 => "out-of-bounds array access; popping on an empty array",
        0x32 => "out-of-bounds access of an array or bytesN",
        0x41 => "out of memory",
        0x51 => "uninitialized function",
        code => return format!("unknown panic code: {code:#x}"),
    };
    words.to_owned()
}

/// geth's words for what stops the EVM.
#[must_use]
pub fn halted(reason: &HaltReason) -> String {
    let words = match reason {
        HaltReason::OutOfGas(_) => "out of gas",
        HaltReason::OpcodeNotFound => "invalid opcode",
        HaltReason::InvalidFEOpcode => "invalid opcode: INVALID",
        HaltReason::InvalidJump => "invalid jump destination",
        HaltReason::StackUnderflow => "stack underflow",
        HaltReason::StackOverflow => "stack limit reached 1024",
        HaltReason::OutOfOffset => "return data out of bounds",
        HaltReason::CreateCollision => "contract address collision",
        HaltReason::NonceOverflow => "nonce uint64 overflow",
        HaltReason::CreateContractSizeLimit => "max code size exceeded",
        HaltReason::CreateContractStartingWithEF => "invalid code: must not begin with 0xef",
        HaltReason::CreateInitCodeSizeLimit => "max initcode size exceeded",
        HaltReason::StateChangeDuringStaticCall | HaltReason::CallNotAllowedInsideStatic => {
            "write protection"
        }
        HaltReason::OutOfFunds => "insufficient balance for transfer",
        HaltReason::CallTooDeep => "max call depth exceeded",
        other => return format!("{other:?}"),
    };
    words.to_owned()
}

impl SimulateError {
    /// Whether the transaction needs more gas to begin.
    pub(crate) const fn lacks_gas(&self) -> bool {
        matches!(self, Self::Refused(Refused { lacks_gas: true, .. }))
    }
}
