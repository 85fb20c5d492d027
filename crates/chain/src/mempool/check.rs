//! What is asked of a transaction, whatever others wait.

use super::{Conditions, PoolLimits, intrinsic_gas};
use alloy_consensus::Transaction as _;
use bxp_execution::TRANSACTION_GAS_MAX;
use bxp_types::{RecoveredTransaction, SubmitError, U256};

/// The most that it pays for a unit of gas above the base fee, in wei.
pub(super) fn tip_cap(transaction: &RecoveredTransaction) -> u128 {
    transaction.max_priority_fee_per_gas().unwrap_or_else(|| transaction.max_fee_per_gas())
}

/// The most that it takes from its sender, in wei.
pub(super) fn cost(transaction: &RecoveredTransaction) -> U256 {
    let gas = U256::from(transaction.gas_limit()) * U256::from(transaction.max_fee_per_gas());
    gas.saturating_add(transaction.value())
}

/// Whether who pays `new` takes the place of who pays `old`: it is more, and by a tenth in whole wei. So geth judges
/// replacements (`list.Add` in `core/txpool/legacypool/list.go`), where nothing never replaces nothing.
pub(super) const fn outbids(new: u128, old: u128) -> bool {
    new > old && new >= old.saturating_add(old / 10)
}

/// Whether it could run in some block soon, its sender's account being at `account_nonce`.
///
/// # Errors
/// [`SubmitError`] in geth's words.
pub(super) fn check(
    transaction: &RecoveredTransaction,
    account_nonce: u64,
    conditions: &Conditions,
    limits: PoolLimits,
) -> Result<(), SubmitError> {
    let (got, next) = (transaction.nonce(), account_nonce);
    if got < next {
        return Err(SubmitError::NonceTooLow { next, got });
    }
    if got - next >= limits.per_sender_max as u64 {
        return Err(SubmitError::NonceTooHigh { next, got });
    }
    if transaction.gas_limit() > conditions.gas_limit {
        return Err(SubmitError::GasLimit);
    }
    if transaction.gas_limit() > TRANSACTION_GAS_MAX {
        return Err(SubmitError::TransactionGas { cap: TRANSACTION_GAS_MAX, have: transaction.gas_limit() });
    }
    let want = intrinsic_gas(transaction);
    if transaction.gas_limit() < want {
        return Err(SubmitError::IntrinsicGas { have: transaction.gas_limit(), want });
    }
    let cap = transaction.max_fee_per_gas();
    if tip_cap(transaction) > cap {
        return Err(SubmitError::TipAboveFeeCap);
    }
    if cap < u128::from(conditions.base_fee) {
        return Err(SubmitError::Underpriced { cap, base: conditions.base_fee });
    }
    Ok(())
}
