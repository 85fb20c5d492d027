//! Blocks and their receipts.

use crate::{
    context::Context,
    fault::Fault,
    select,
    shape::{self, AnyBlockJson, BlockJson, ReceiptJson},
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U64};
use bxp_types::Ledger;
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use std::sync::Arc;

/// Blocks and their receipts. What does not exist is null.
#[rpc(server, namespace = "eth")]
trait Blocks {
    /// The block with this number or tag, with its transactions in full or by hash. `pending` is what this node would
    /// propose next, executed on the newest block: at most 256 KiB of transactions and 50 million gas.
    #[method(name = "getBlockByNumber")]
    async fn block_by_number(
        &self,
        number: BlockNumberOrTag,
        full: Option<bool>,
    ) -> Result<Option<AnyBlockJson>, Fault>;

    /// The block with this hash, with its transactions in full or by hash.
    #[method(name = "getBlockByHash")]
    async fn block_by_hash(&self, hash: B256, full: Option<bool>) -> Result<Option<BlockJson>, Fault>;

    /// How many transactions the block has.
    #[method(name = "getBlockTransactionCountByNumber")]
    async fn transaction_count_by_number(&self, number: BlockNumberOrTag) -> Result<Option<U64>, Fault>;

    /// How many transactions the block has.
    #[method(name = "getBlockTransactionCountByHash")]
    async fn transaction_count_by_hash(&self, hash: B256) -> Result<Option<U64>, Fault>;

    /// How many headers of blocks beside the chain the block names: none on a network of BXP.
    #[method(name = "getUncleCountByBlockNumber")]
    async fn uncle_count_by_number(&self, number: BlockNumberOrTag) -> Result<Option<U64>, Fault>;

    /// The same by hash.
    #[method(name = "getUncleCountByBlockHash")]
    async fn uncle_count_by_hash(&self, hash: B256) -> Result<Option<U64>, Fault>;

    /// The receipts of the block's transactions, in order.
    #[method(name = "getBlockReceipts")]
    async fn block_receipts(&self, block: BlockId) -> Result<Option<Vec<ReceiptJson>>, Fault>;
}

struct Methods(Context);

#[async_trait]
impl BlocksServer for Methods {
    async fn block_by_number(
        &self,
        number: BlockNumberOrTag,
        full: Option<bool>,
    ) -> Result<Option<AnyBlockJson>, Fault> {
        let pending = Arc::clone(&self.0.pending);
        let read = move |ledger: &dyn Ledger| {
            if number.is_pending() {
                let block = &pending.block(ledger)?.block;
                return Ok(Some(shape::pending_block(block, full.unwrap_or_default())?));
            }
            Ok(block(ledger, number.into(), full)?.map(|block| AnyBlockJson::Block(Box::new(block))))
        };
        self.0.run("eth_getBlockByNumber", read).await
    }

    async fn block_by_hash(&self, hash: B256, full: Option<bool>) -> Result<Option<BlockJson>, Fault> {
        self.0.run("eth_getBlockByHash", move |ledger| block(ledger, hash.into(), full)).await
    }

    async fn transaction_count_by_number(&self, number: BlockNumberOrTag) -> Result<Option<U64>, Fault> {
        let pending = Arc::clone(&self.0.pending);
        let read = move |ledger: &dyn Ledger| {
            if number.is_pending() {
                return Ok(Some(U64::from(pending.block(ledger)?.block.transactions.len())));
            }
            count(ledger, number.into())
        };
        self.0.run("eth_getBlockTransactionCountByNumber", read).await
    }

    async fn transaction_count_by_hash(&self, hash: B256) -> Result<Option<U64>, Fault> {
        self.0.run("eth_getBlockTransactionCountByHash", move |ledger| count(ledger, hash.into())).await
    }

    async fn uncle_count_by_number(&self, number: BlockNumberOrTag) -> Result<Option<U64>, Fault> {
        self.0.run("eth_getUncleCountByBlockNumber", move |ledger| uncles(ledger, number.into())).await
    }

    async fn uncle_count_by_hash(&self, hash: B256) -> Result<Option<U64>, Fault> {
        self.0.run("eth_getUncleCountByBlockHash", move |ledger| uncles(ledger, hash.into())).await
    }

    async fn block_receipts(&self, block: BlockId) -> Result<Option<Vec<ReceiptJson>>, Fault> {
        let pending = Arc::clone(&self.0.pending);
        let read = move |ledger: &dyn Ledger| {
            if select::is_pending(Some(block)) {
                let pending = pending.block(ledger)?;
                return Ok(Some(shape::receipts(&pending.block, &pending.receipts)));
            }
            receipts(ledger, block)
        };
        self.0.run("eth_getBlockReceipts", read).await
    }
}

fn block(ledger: &dyn Ledger, id: BlockId, full: Option<bool>) -> Result<Option<BlockJson>, Fault> {
    let Some(block) = select::block(ledger, id)? else { return Ok(None) };
    let outside = ledger.outside_body(block.height())?;
    Ok(Some(shape::block(&block, full.unwrap_or_default(), outside.as_deref())))
}

fn count(ledger: &dyn Ledger, id: BlockId) -> Result<Option<U64>, Fault> {
    Ok(select::block(ledger, id)?.map(|block| U64::from(block.transactions.len())))
}

fn uncles(ledger: &dyn Ledger, id: BlockId) -> Result<Option<U64>, Fault> {
    let Some(block) = select::block(ledger, id)? else { return Ok(None) };
    let outside = ledger.outside_body(block.height())?;
    Ok(Some(U64::from(outside.map_or(0, |outside| outside.ommers.len()))))
}

fn receipts(ledger: &dyn Ledger, id: BlockId) -> Result<Option<Vec<ReceiptJson>>, Fault> {
    let Some(block) = select::block(ledger, id)? else { return Ok(None) };
    let receipts = ledger.receipts(block.height())?.ok_or(Fault::MissingBlock(block.height()))?;
    Ok(Some(shape::receipts(&block, &receipts)))
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
