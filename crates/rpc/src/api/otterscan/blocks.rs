//! Blocks in Otterscan's shapes.

use super::API_LEVEL;
use crate::{
    context::Context,
    fault::Fault,
    select,
    shape::{self, HeaderJson},
};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_primitives::{B256, U256};
use bxp_types::{Ledger, StoredBlock};
use jsonrpsee::{Methods as Rpc, core::async_trait, proc_macros::rpc, server::RegisterMethodError};
use serde_json::{Value, json};

/// Transactions of one page at most.
const PAGE_MAX: usize = 256;
/// Digits of calldata that are shown: the selector.
const SELECTOR_DIGITS: usize = 10;

/// Blocks for Otterscan.
#[rpc(server, namespace = "ots")]
trait OtsBlocks {
    /// The version of this interface.
    #[method(name = "getApiLevel")]
    fn api_level(&self) -> Result<u64, Fault>;

    /// The block without its transactions, with what its transactions paid.
    #[method(name = "getBlockDetails")]
    async fn block_details(&self, number: BlockNumberOrTag) -> Result<Option<Value>, Fault>;

    /// The same by hash.
    #[method(name = "getBlockDetailsByHash")]
    async fn block_details_by_hash(&self, hash: B256) -> Result<Option<Value>, Fault>;

    /// A page of the block's transactions with their receipts, the last ones on page 0.
    #[method(name = "getBlockTransactions")]
    async fn block_transactions(
        &self,
        number: BlockNumberOrTag,
        page: usize,
        size: usize,
    ) -> Result<Option<Value>, Fault>;
}

/// Headers as Erigon gives them.
#[rpc(server, namespace = "erigon")]
trait Erigon {
    /// The header of the block with this number or tag.
    #[method(name = "getHeaderByNumber")]
    async fn header_by_number(&self, number: BlockNumberOrTag) -> Result<Option<HeaderJson>, Fault>;

    /// The header of the block with this hash.
    #[method(name = "getHeaderByHash")]
    async fn header_by_hash(&self, hash: B256) -> Result<Option<HeaderJson>, Fault>;
}

struct Methods(Context);

#[async_trait]
impl OtsBlocksServer for Methods {
    fn api_level(&self) -> Result<u64, Fault> {
        Ok(API_LEVEL)
    }

    async fn block_details(&self, number: BlockNumberOrTag) -> Result<Option<Value>, Fault> {
        self.0.run("ots_getBlockDetails", move |ledger| details(ledger, number.into())).await
    }

    async fn block_details_by_hash(&self, hash: B256) -> Result<Option<Value>, Fault> {
        self.0.run("ots_getBlockDetailsByHash", move |ledger| details(ledger, hash.into())).await
    }

    async fn block_transactions(
        &self,
        number: BlockNumberOrTag,
        page: usize,
        size: usize,
    ) -> Result<Option<Value>, Fault> {
        let read = move |ledger: &dyn Ledger| {
            let Some(block) = select::block(ledger, number.into())? else { return Ok(None) };
            page_of(ledger, &block, page, size.min(PAGE_MAX)).map(Some)
        };
        self.0.run("ots_getBlockTransactions", read).await
    }
}

#[async_trait]
impl ErigonServer for Methods {
    async fn header_by_number(&self, number: BlockNumberOrTag) -> Result<Option<HeaderJson>, Fault> {
        let read = move |ledger: &dyn Ledger| {
            Ok(select::block(ledger, number.into())?.map(|block| shape::header(&block)))
        };
        self.0.run("erigon_getHeaderByNumber", read).await
    }

    async fn header_by_hash(&self, hash: B256) -> Result<Option<HeaderJson>, Fault> {
        let read = move |ledger: &dyn Ledger| {
            Ok(select::block(ledger, hash.into())?.map(|block| shape::header(&block)))
        };
        self.0.run("erigon_getHeaderByHash", read).await
    }
}

fn details(ledger: &dyn Ledger, id: BlockId) -> Result<Option<Value>, Fault> {
    let Some(block) = select::block(ledger, id)? else { return Ok(None) };
    let receipts = ledger.receipts(block.height())?.unwrap_or_default();
    let fees = receipts.iter().fold(U256::ZERO, |sum, receipt| {
        sum.saturating_add(U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price))
    });
    let mut shown = value(&shape::block(&block, false, None))?;
    if let Some(fields) = shown.as_object_mut() {
        fields.remove("transactions");
        fields.insert("logsBloom".to_owned(), Value::Null);
        fields.insert("transactionCount".to_owned(), json!(block.transactions.len()));
    }
    let none = U256::ZERO;
    let issuance = json!({ "blockReward": none, "uncleReward": none, "issuance": none });
    Ok(Some(json!({ "block": shown, "issuance": issuance, "totalFees": fees })))
}

fn page_of(ledger: &dyn Ledger, block: &StoredBlock, page: usize, size: usize) -> Result<Value, Fault> {
    let end = block.transactions.len().saturating_sub(page.saturating_mul(size));
    let places = end.saturating_sub(size)..end;
    let receipts = ledger.receipts(block.height())?.unwrap_or_default();
    let mut shown = Vec::with_capacity(places.len());
    let mut shown_receipts = Vec::with_capacity(places.len());
    for place in places {
        let mut transaction = value(&shape::included(block, place))?;
        if let Some(Value::String(input)) = transaction.get_mut("input") {
            input.truncate(SELECTOR_DIGITS);
        }
        shown.push(transaction);
        let mut receipt = value(&shape::receipt(block, &receipts, place))?;
        if let Some(fields) = receipt.as_object_mut() {
            fields.insert("logs".to_owned(), Value::Null);
            fields.insert("logsBloom".to_owned(), Value::Null);
        }
        shown_receipts.push(receipt);
    }
    let mut full = value(&shape::block(block, false, None))?;
    if let Some(fields) = full.as_object_mut() {
        fields.insert("transactions".to_owned(), Value::Array(shown));
        fields.insert("transactionCount".to_owned(), json!(block.transactions.len()));
        fields.insert("logsBloom".to_owned(), Value::Null);
    }
    Ok(json!({ "fullblock": full, "receipts": shown_receipts }))
}

pub(super) fn value(shown: &impl serde::Serialize) -> Result<Value, Fault> {
    serde_json::to_value(shown).map_err(|_| Fault::Interrupted)
}

pub(super) fn methods(context: &Context) -> Result<Rpc, RegisterMethodError> {
    let mut all = OtsBlocksServer::into_rpc(Methods(context.clone()));
    all.merge(ErigonServer::into_rpc(Methods(context.clone())))?;
    Ok(all.into())
}
