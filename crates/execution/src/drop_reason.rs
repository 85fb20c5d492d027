//! Why an ordered transaction is left out of its block.

use alloy_primitives::U256;
use revm::context_interface::result::InvalidTransaction;

/// Why a transaction did not enter a block, in geth's words where it has some. A function of the transaction and the
/// state before it: every node gives the same.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// The nonce is spent: the transaction, or another with its nonce, has been included.
    #[error("nonce too low: next nonce {next}, tx nonce {got}")]
    NonceTooLow {
        /// The account's nonce.
        next: u64,
        /// The transaction's.
        got: u64,
    },
    /// A transaction before it is missing.
    #[error("nonce too high: next nonce {next}, tx nonce {got}")]
    NonceTooHigh {
        /// The account's nonce.
        next: u64,
        /// The transaction's.
        got: u64,
    },
    /// The balance does not cover value and gas.
    #[error("insufficient funds for gas * price + value: balance {balance}, tx cost {cost}")]
    InsufficientFunds {
        /// The sender's balance in wei.
        balance: U256,
        /// Gas limit x fee cap + value, in wei.
        cost: U256,
    },
    /// The block has less gas left than the transaction may use.
    #[error("gas limit reached: have {left}, want {want}")]
    BlockGas {
        /// Gas left in the block.
        left: u64,
        /// The transaction's gas limit.
        want: u64,
    },
    /// Gas below what the transaction costs before it runs.
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGas {
        /// The transaction's gas limit.
        have: u64,
        /// The least.
        want: u64,
    },
    /// The fee cap is below the base fee.
    #[error("max fee per gas less than block base fee: maxFeePerGas: {cap}, baseFee: {base}")]
    Underpriced {
        /// The transaction's fee cap in wei.
        cap: u128,
        /// The block's base fee in wei.
        base: u64,
    },
    /// Signed for another chain, or without a chain id.
    #[error("invalid chain id for signer: have {have} want {want}")]
    WrongChain {
        /// The transaction's chain id; 0 when it has none.
        have: u64,
        /// This network's.
        want: u64,
    },
    /// A blob transaction.
    #[error("transaction type not supported")]
    UnsupportedType,
    /// Another rule of the fork is broken.
    #[error("{0}")]
    Rule(String),
}

impl DropReason {
    /// The reason for what revm says of a transaction with this fee cap in a block with this base fee.
    pub(crate) fn new(invalid: &InvalidTransaction, cap: u128, base: u64) -> Self {
        match invalid {
            InvalidTransaction::NonceTooLow { tx, state } => Self::NonceTooLow { next: *state, got: *tx },
            InvalidTransaction::NonceTooHigh { tx, state } => Self::NonceTooHigh { next: *state, got: *tx },
            InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
                Self::InsufficientFunds { balance: **balance, cost: **fee }
            }
            InvalidTransaction::CallGasCostMoreThanGasLimit { initial_gas: want, gas_limit: have }
            | InvalidTransaction::GasFloorMoreThanGasLimit { gas_floor: want, gas_limit: have } => {
                Self::IntrinsicGas { have: *have, want: *want }
            }
            InvalidTransaction::GasPriceLessThanBasefee => Self::Underpriced { cap, base },
            InvalidTransaction::PriorityFeeGreaterThanMaxFee => {
                Self::Rule("max priority fee per gas higher than max fee per gas".to_owned())
            }
            other => Self::Rule(other.to_string()),
        }
    }
}
