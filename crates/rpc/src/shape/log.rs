//! Logs.

use alloy_primitives::B256;
use alloy_rpc_types_eth::Log;
use bxp_types::{FoundLog, Height, StoredBlock};

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

/// The logs that were found in the block at `height`.
pub(crate) fn logs(height: Height, found: Vec<FoundLog>) -> Vec<Log> {
    let shown = found.into_iter().map(|found| Log {
        inner: found.log,
        block_hash: Some(found.block_hash),
        block_number: Some(height.0),
        block_timestamp: Some(found.timestamp),
        transaction_hash: Some(found.transaction),
        transaction_index: u64::try_from(found.transaction_index).ok(),
        log_index: u64::try_from(found.log_index).ok(),
        removed: false,
    });
    shown.collect()
}
