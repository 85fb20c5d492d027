//! From transactions that have run to a block: receipts, roots, header.

use crate::{
    DropReason, ExecutedBlock, ExecutionError, RanBlock, State,
    evm::Evm,
    overlay::{Overlay, OverlayAccount},
    overlay_accounts::OverlayAccounts,
    receipts, root,
    run::RanTransactions,
    system_calls,
    view::View,
};
use alloy_consensus::Header;
use alloy_eips::{Encodable2718 as _, eip2935::HISTORY_STORAGE_ADDRESS};
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
        let Self { view, transactions: ran } = self;
        let header = ran.block.header.clone();
        ran.seal_on(&view, header, None, transactions, transactions_root)
    }
}

impl RanTransactions {
    /// The same where they ran before the block with this hash, after which `view` is the state, was hashed.
    pub(crate) fn seal_above(
        self,
        state: &State,
        view: &View,
        parent_hash: B256,
        transactions: Vec<RecoveredTransaction>,
        transactions_root: Option<B256>,
    ) -> Result<ExecutedBlock, ExecutionError> {
        let header = Header { parent_hash, ..self.block.header.clone() };
        let told = told_parent(state, view, &header)?;
        let history = told.get(&HISTORY_STORAGE_ADDRESS);
        self.seal_on(view, header, history, transactions, transactions_root)
    }

    fn seal_on(
        self,
        view: &View,
        mut header: Header,
        history: Option<&OverlayAccount>,
        transactions: Vec<RecoveredTransaction>,
        transactions_root: Option<B256>,
    ) -> Result<ExecutedBlock, ExecutionError> {
        let Self { block: ran, ended, dropped, .. } = self;
        let transactions_root = transactions_root.filter(|_| dropped.is_empty());
        let (included, dropped) = parted(transactions, dropped);
        let base_fee = header.base_fee_per_gas;
        let history = history.map(|account| (&HISTORY_STORAGE_ADDRESS, account));
        // The three roots have nothing in common but the cores.
        let (state, (transactions_root, (receipts, receipts_root, logs_bloom))) = rayon::join(
            || root::state_root(view, ran.accounts.into_iter().chain(history)),
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
        let block = StoredBlock { header, hash, transactions: included, time_ms: ran.time_ms };
        Ok(ExecutedBlock { block, receipts, dropped, changes: Arc::new(changes) })
    }
}

/// The history contract once it is told the parent's hash (EIP-2935), and what else its call has read.
fn told_parent(state: &State, view: &View, header: &Header) -> Result<OverlayAccounts, ExecutionError> {
    let overlay = Overlay::new(view, state.code_cache());
    let mut evm = Evm::new(overlay, state.spec(), header);
    system_calls::parent_hash(&mut evm, header, &state.spec().rules(header))?;
    Ok(evm.into_overlay().into_accounts())
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
