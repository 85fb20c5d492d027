//! From transactions that have run to a block: receipts, roots, header.

use crate::{DropReason, ExecutedBlock, ExecutionError, RanBlock, receipts, root};
use alloy_eips::Encodable2718 as _;
use alloy_primitives::B256;
use bxp_types::{RecoveredTransaction, StoredBlock};
use std::sync::Arc;

impl RanBlock {
    /// The block of `transactions`, which are those that were run. `transactions_root` is their root, where it is known.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Trie`] and the like when the stored state cannot be read.
    pub fn seal(
        self,
        transactions: Vec<RecoveredTransaction>,
        transactions_root: Option<B256>,
    ) -> Result<ExecutedBlock, ExecutionError> {
        let Self { view, mut header, time_ms, accounts, ended, dropped, .. } = self;
        let transactions_root = transactions_root.filter(|_| dropped.is_empty());
        let (included, dropped) = parted(transactions, dropped);
        let base_fee = header.base_fee_per_gas;
        // The three roots have nothing in common but the cores.
        let (state, (transactions_root, (receipts, receipts_root, logs_bloom))) = rayon::join(
            || root::state_root(&view, &accounts),
            || {
                rayon::join(
                    || transactions_root.unwrap_or_else(|| self::transactions_root(&included)),
                    || {
                        let receipts = receipts::all(&included, ended, base_fee);
                        let (root, bloom) = (receipts::root(&receipts), receipts::bloom(&receipts));
                        (receipts, root, bloom)
                    },
                )
            },
        );
        let (state_root, changes) = state?;
        header.state_root = state_root;
        header.transactions_root = transactions_root;
        header.receipts_root = receipts_root;
        header.logs_bloom = logs_bloom;
        let hash = header.hash_slow();
        let block = StoredBlock { header, hash, transactions: included, time_ms };
        Ok(ExecutedBlock { block, receipts, dropped, changes: Arc::new(changes) })
    }
}

/// The root of the trie of transactions.
pub(crate) fn transactions_root(transactions: &[RecoveredTransaction]) -> B256 {
    bxp_trie::ordered_root(transactions.len(), |place, out| transactions[place].encode_2718(out))
}

/// The transactions that entered, and the hashes of those at the places of `dropped` with the reasons.
fn parted(
    transactions: Vec<RecoveredTransaction>,
    dropped: Vec<(usize, DropReason)>,
) -> (Vec<RecoveredTransaction>, Vec<(B256, DropReason)>) {
    if dropped.is_empty() {
        return (transactions, Vec::new());
    }
    let mut dropped = dropped.into_iter().peekable();
    let mut hashes = Vec::with_capacity(dropped.len());
    let mut included = Vec::with_capacity(transactions.len().saturating_sub(dropped.len()));
    for (place, transaction) in transactions.into_iter().enumerate() {
        match dropped.next_if(|(at, _)| *at == place) {
            Some((_, reason)) => hashes.push((*transaction.tx_hash(), reason)),
            None => included.push(transaction),
        }
    }
    (included, hashes)
}
