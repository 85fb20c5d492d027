//! Transactions and their receipts.

use crate::{
    context::Context,
    fault::Fault,
    select,
    shape::{self, ReceiptJson, TransactionJson},
};
use alloy_eips::{BlockId, BlockNumberOrTag, eip2718::Encodable2718};
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_eth::Index;
use bxp_types::{Ledger, RecoveredTransaction, StoredBlock};
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use std::sync::Arc;

/// Transactions and their receipts. What does not exist is null.
#[rpc(server, namespace = "eth")]
trait Transactions {
    /// The transaction with this hash, in a block or waiting in this node's pool.
    #[method(name = "getTransactionByHash")]
    async fn transaction_by_hash(&self, hash: B256) -> Result<Option<TransactionJson>, Fault>;

    /// The block's transaction at this index.
    #[method(name = "getTransactionByBlockNumberAndIndex")]
    async fn transaction_by_number_and_index(
        &self,
        number: BlockNumberOrTag,
        index: Index,
    ) -> Result<Option<TransactionJson>, Fault>;

    /// The block's transaction at this index.
    #[method(name = "getTransactionByBlockHashAndIndex")]
    async fn transaction_by_hash_and_index(
        &self,
        hash: B256,
        index: Index,
    ) -> Result<Option<TransactionJson>, Fault>;

    /// The transaction with this hash in EIP-2718 encoding, in a block or waiting in this node's pool.
    #[method(name = "getRawTransactionByHash")]
    async fn raw_transaction_by_hash(&self, hash: B256) -> Result<Option<Bytes>, Fault>;

    /// The receipt of an executed transaction.
    #[method(name = "getTransactionReceipt")]
    async fn transaction_receipt(&self, hash: B256) -> Result<Option<ReceiptJson>, Fault>;
}

struct Methods(Context);

#[async_trait]
impl TransactionsServer for Methods {
    async fn transaction_by_hash(&self, hash: B256) -> Result<Option<TransactionJson>, Fault> {
        self.0.run("eth_getTransactionByHash", move |ledger| by_hash(ledger, hash)).await
    }

    async fn transaction_by_number_and_index(
        &self,
        number: BlockNumberOrTag,
        index: Index,
    ) -> Result<Option<TransactionJson>, Fault> {
        let pending = Arc::clone(&self.0.pending);
        let read = move |ledger: &dyn Ledger| {
            if number.is_pending() {
                let pending = pending.block(ledger)?;
                let transaction = pending.block.transactions.get(usize::from(index)).cloned();
                return Ok(transaction.map(shape::waiting));
            }
            at(ledger, number.into(), index.into())
        };
        self.0.run("eth_getTransactionByBlockNumberAndIndex", read).await
    }

    async fn transaction_by_hash_and_index(
        &self,
        hash: B256,
        index: Index,
    ) -> Result<Option<TransactionJson>, Fault> {
        self.0
            .run("eth_getTransactionByBlockHashAndIndex", move |ledger| at(ledger, hash.into(), index.into()))
            .await
    }

    async fn raw_transaction_by_hash(&self, hash: B256) -> Result<Option<Bytes>, Fault> {
        let read =
            move |ledger: &dyn Ledger| Ok(find(ledger, hash)?.map(|one| one.inner().encoded_2718().into()));
        self.0.run("eth_getRawTransactionByHash", read).await
    }

    async fn transaction_receipt(&self, hash: B256) -> Result<Option<ReceiptJson>, Fault> {
        self.0.run("eth_getTransactionReceipt", move |ledger| receipt(ledger, hash)).await
    }
}

fn by_hash(ledger: &dyn Ledger, hash: B256) -> Result<Option<TransactionJson>, Fault> {
    if let Some((block, index)) = located(ledger, hash)? {
        return Ok(shape::included(&block, index));
    }
    if let Some(transaction) = ledger.pending(hash) {
        return Ok(Some(shape::waiting(transaction)));
    }
    // It may have left the pool for a block between the two looks.
    Ok(located(ledger, hash)?.and_then(|(block, index)| shape::included(&block, index)))
}

fn at(ledger: &dyn Ledger, id: BlockId, index: usize) -> Result<Option<TransactionJson>, Fault> {
    Ok(select::block(ledger, id)?.and_then(|block| shape::included(&block, index)))
}

/// The receipt of an executed transaction.
pub(super) fn receipt(ledger: &dyn Ledger, hash: B256) -> Result<Option<ReceiptJson>, Fault> {
    let Some((block, index)) = located(ledger, hash)? else { return Ok(None) };
    let receipts = ledger.receipts(block.height())?.ok_or(Fault::MissingBlock(block.height()))?;
    Ok(shape::receipt(&block, &receipts, index))
}

/// The transaction with this hash, in a block or waiting in this node's pool.
pub(super) fn find(ledger: &dyn Ledger, hash: B256) -> Result<Option<RecoveredTransaction>, Fault> {
    if let Some(waiting) = ledger.pending(hash) {
        return Ok(Some(waiting));
    }
    Ok(located(ledger, hash)?.and_then(|(block, index)| block.transactions.get(index).cloned()))
}

/// The block of an executed transaction and its index there.
pub(super) fn located(ledger: &dyn Ledger, hash: B256) -> Result<Option<(Arc<StoredBlock>, usize)>, Fault> {
    let Some(location) = ledger.locate(hash)? else { return Ok(None) };
    let Some(block) = select::block_at(ledger, location.height)? else { return Ok(None) };
    Ok(usize::try_from(location.index).ok().map(|index| (block, index)))
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
