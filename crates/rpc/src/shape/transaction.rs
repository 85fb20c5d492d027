//! Transactions.

use alloy_consensus::{TxEnvelope, transaction::TransactionInfo};
use alloy_rpc_types_eth::Transaction;
use bxp_types::{RecoveredTransaction, StoredBlock};

/// A transaction, with where it stands.
pub(crate) type TransactionJson = Transaction<TxEnvelope>;

/// The block's transaction at `index`.
pub(crate) fn included(block: &StoredBlock, index: usize) -> Option<TransactionJson> {
    let transaction = block.transactions.get(index)?;
    let place = TransactionInfo {
        hash: Some(*transaction.tx_hash()),
        index: u64::try_from(index).ok(),
        block_hash: Some(block.hash),
        block_number: Some(block.header.number),
        base_fee: block.header.base_fee_per_gas,
        block_timestamp: Some(block.header.timestamp),
    };
    Some(Transaction::from_transaction(transaction.clone(), place))
}

/// A transaction that stands in no block yet.
pub(crate) fn waiting(transaction: RecoveredTransaction) -> TransactionJson {
    Transaction::from_transaction(transaction, TransactionInfo::default())
}
