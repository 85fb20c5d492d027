//! Receipts.

use alloy_consensus::{Eip658Value, Receipt, ReceiptEnvelope, Transaction, proofs};
use alloy_primitives::{Address, B256, Bloom, Log};
use bxp_types::{RecoveredTransaction, StoredReceipt};
use rayon::prelude::*;
use revm::context_interface::result::ExecutionResult;

/// How a transaction that entered its block ended.
pub(crate) struct Ended {
    pub(crate) success: bool,
    pub(crate) gas_used: u64,
    pub(crate) logs: Vec<Log>,
    pub(crate) contract_address: Option<Address>,
}

impl From<ExecutionResult> for Ended {
    fn from(result: ExecutionResult) -> Self {
        let (success, gas_used, contract_address) =
            (result.is_success(), result.tx_gas_used(), result.created_address());
        let logs = match result {
            ExecutionResult::Success { logs, .. } => logs,
            ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => Vec::new(),
        };
        Self { success, gas_used, logs, contract_address }
    }
}

/// The receipt of `transaction`, which ended so when the block had used `cumulative_gas_used` gas with it.
pub(crate) fn receipt(
    transaction: &RecoveredTransaction,
    ended: Ended,
    status: Eip658Value,
    cumulative_gas_used: u64,
    base_fee: Option<u64>,
) -> StoredReceipt {
    let Ended { gas_used, logs, contract_address, .. } = ended;
    let receipt = Receipt { status, cumulative_gas_used, logs };
    StoredReceipt {
        receipt: ReceiptEnvelope::from_typed(transaction.tx_type(), receipt),
        gas_used,
        contract_address,
        effective_gas_price: transaction.effective_gas_price(base_fee),
    }
}

/// Receipts that one task makes, so that a task is worth handing out.
const RECEIPTS_A_TASK: usize = 64;

/// The receipts of a block's transactions, which ended so: the most of their cost are the blooms of their logs.
pub(crate) fn all(
    transactions: &[RecoveredTransaction],
    ended: Vec<Ended>,
    base_fee: Option<u64>,
) -> Vec<StoredReceipt> {
    let cumulative: Vec<u64> = ended
        .iter()
        .scan(0_u64, |sum, ended| {
            *sum = sum.saturating_add(ended.gas_used);
            Some(*sum)
        })
        .collect();
    transactions
        .par_iter()
        .zip(ended)
        .zip(cumulative)
        .with_min_len(RECEIPTS_A_TASK)
        .map(|((transaction, ended), cumulative)| {
            let status = Eip658Value::Eip658(ended.success);
            receipt(transaction, ended, status, cumulative, base_fee)
        })
        .collect()
}

/// The root of the receipts' trie.
pub(crate) fn root(receipts: &[StoredReceipt]) -> B256 {
    let envelopes: Vec<_> = receipts.iter().map(|receipt| &receipt.receipt).collect();
    proofs::calculate_receipt_root(&envelopes)
}

/// The union of the receipts' blooms.
pub(crate) fn bloom(receipts: &[StoredReceipt]) -> Bloom {
    receipts.iter().fold(Bloom::ZERO, |bloom, receipt| bloom | *receipt.receipt.logs_bloom())
}
