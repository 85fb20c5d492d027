//! Receipts.

use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, Transaction};
use alloy_primitives::{Bloom, Log};
use bxp_types::{RecoveredTransaction, StoredReceipt};
use revm::context_interface::result::ExecutionResult;

/// The receipt of `transaction`, which ended with `result` when the block had used `cumulative_gas_used` gas with it.
pub(crate) fn receipt(
    transaction: &RecoveredTransaction,
    result: ExecutionResult,
    status: Eip658Value,
    cumulative_gas_used: u64,
    base_fee: Option<u64>,
) -> StoredReceipt {
    let (gas_used, contract_address) = (result.tx_gas_used(), result.created_address());
    let logs: Vec<Log> = match result {
        ExecutionResult::Success { logs, .. } => logs,
        ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => Vec::new(),
    };
    let receipt = Receipt { status, cumulative_gas_used, logs };
    StoredReceipt {
        receipt: ReceiptEnvelope::from_typed(transaction.tx_type(), receipt),
        gas_used,
        contract_address,
        effective_gas_price: transaction.effective_gas_price(base_fee),
    }
}

/// The union of the receipts' blooms.
pub(crate) fn bloom(receipts: &[StoredReceipt]) -> Bloom {
    receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.receipt.logs_bloom())
}
