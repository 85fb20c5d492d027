//! Receipts.

use super::log::placed;
use alloy_consensus::{ReceiptEnvelope, Transaction as _};
use alloy_rpc_types_eth::{Log, TransactionReceipt};
use bxp_types::{StoredBlock, StoredReceipt};

/// A receipt, with where its transaction stands.
pub(crate) type ReceiptJson = TransactionReceipt<ReceiptEnvelope<Log>>;

/// The receipt of the block's transaction at `index`.
pub(crate) fn receipt(block: &StoredBlock, receipts: &[StoredReceipt], index: usize) -> Option<ReceiptJson> {
    let first_log = receipts.iter().take(index).map(log_count).sum();
    placed_receipt(block, receipts.get(index)?, index, first_log)
}

/// All receipts of the block.
pub(crate) fn receipts(block: &StoredBlock, receipts: &[StoredReceipt]) -> Vec<ReceiptJson> {
    let mut first_log = 0;
    let mut placed = Vec::with_capacity(receipts.len());
    for (index, receipt) in receipts.iter().enumerate() {
        placed.extend(placed_receipt(block, receipt, index, first_log));
        first_log += log_count(receipt);
    }
    placed
}

/// How many logs the receipt has.
pub(crate) fn log_count(receipt: &StoredReceipt) -> usize {
    receipt.receipt.logs().len()
}

fn placed_receipt(
    block: &StoredBlock,
    stored: &StoredReceipt,
    index: usize,
    first_log: usize,
) -> Option<ReceiptJson> {
    let transaction = block.transactions.get(index)?;
    let mut log_index = first_log;
    let inner = stored.receipt.clone().map_logs(|log| {
        let log = placed(block, *transaction.tx_hash(), index, log_index, log);
        log_index += 1;
        log
    });
    Some(TransactionReceipt {
        inner,
        transaction_hash: *transaction.tx_hash(),
        transaction_index: u64::try_from(index).ok(),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        gas_used: stored.gas_used,
        effective_gas_price: stored.effective_gas_price,
        blob_gas_used: None,
        blob_gas_price: None,
        from: transaction.signer(),
        to: transaction.to(),
        contract_address: stored.contract_address,
    })
}
