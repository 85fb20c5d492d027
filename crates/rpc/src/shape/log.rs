//! Logs.

use super::receipt::log_count;
use alloy_primitives::B256;
use alloy_rpc_types_eth::{Filter, Log};
use bxp_types::{StoredBlock, StoredReceipt};

/// A log, with where it stands: `index` is its transaction's, `log_index` its own in the block.
pub(crate) fn placed(
    block: &StoredBlock,
    transaction: B256,
    index: usize,
    log_index: usize,
    log: alloy_primitives::Log,
) -> Log {
    Log {
        inner: log,
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        block_timestamp: Some(block.header.timestamp),
        transaction_hash: Some(transaction),
        transaction_index: u64::try_from(index).ok(),
        log_index: u64::try_from(log_index).ok(),
        removed: false,
    }
}

/// The block's logs that `filter` asks for, by address and topics.
pub(crate) fn matching_logs(block: &StoredBlock, receipts: &[StoredReceipt], filter: &Filter) -> Vec<Log> {
    let mut found = Vec::new();
    let mut first_log = 0;
    for (index, (transaction, receipt)) in block.transactions.iter().zip(receipts).enumerate() {
        let logs = receipt.receipt.logs().iter().enumerate().filter(|(_, log)| filter.matches(log));
        found.extend(
            logs.map(|(at, log)| placed(block, *transaction.tx_hash(), index, first_log + at, log.clone())),
        );
        first_log += log_count(receipt);
    }
    found
}
