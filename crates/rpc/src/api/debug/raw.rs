//! Blocks, headers, transactions and receipts in Ethereum's own encoding.

use crate::{context::Context, fault::Fault, hash::PrefixedHash, select, shape};
use alloy_consensus::{Block, BlockBody, TxEnvelope};
use alloy_eips::{BlockId, eip2718::Encodable2718, eip4895::Withdrawals};
use alloy_primitives::Bytes;
use bxp_types::{Ledger, OutsideBody, RecoveredTransaction, StoredBlock};
use jsonrpsee::{core::async_trait, proc_macros::rpc};

/// Raw encodings.
#[rpc(server, namespace = "debug")]
trait Raw {
    /// The RLP of the block's header.
    #[method(name = "getRawHeader")]
    async fn raw_header(&self, block: BlockId) -> Result<Bytes, Fault>;

    /// The RLP of the block.
    #[method(name = "getRawBlock")]
    async fn raw_block(&self, block: BlockId) -> Result<Bytes, Fault>;

    /// The block's receipts, each in EIP-2718 encoding.
    #[method(name = "getRawReceipts")]
    async fn raw_receipts(&self, block: BlockId) -> Result<Vec<Bytes>, Fault>;

    /// The transaction with this hash in EIP-2718 encoding; empty where there is none.
    #[method(name = "getRawTransaction")]
    async fn raw_transaction(&self, hash: PrefixedHash) -> Result<Bytes, Fault>;
}

struct Methods(Context);

#[async_trait]
impl RawServer for Methods {
    async fn raw_header(&self, block: BlockId) -> Result<Bytes, Fault> {
        let read = move |ledger: &dyn Ledger| {
            let block = select::required(ledger, Some(block))?;
            Ok(alloy_rlp::encode(&block.header).into())
        };
        self.0.run("debug_getRawHeader", read).await
    }

    async fn raw_block(&self, block: BlockId) -> Result<Bytes, Fault> {
        let read = move |ledger: &dyn Ledger| {
            let block = select::required(ledger, Some(block))?;
            let outside = ledger.outside_body(block.height())?;
            Ok(encode(&block, shape::body(&block, outside.as_deref())).into())
        };
        self.0.run("debug_getRawBlock", read).await
    }

    async fn raw_receipts(&self, block: BlockId) -> Result<Vec<Bytes>, Fault> {
        let read = move |ledger: &dyn Ledger| {
            let block = select::required(ledger, Some(block))?;
            let receipts = ledger.receipts(block.height())?.unwrap_or_default();
            Ok(receipts.iter().map(|one| one.receipt.encoded_2718().into()).collect())
        };
        self.0.run("debug_getRawReceipts", read).await
    }

    async fn raw_transaction(&self, hash: PrefixedHash) -> Result<Bytes, Fault> {
        let read = move |ledger: &dyn Ledger| {
            let found = super::super::transactions::find(ledger, hash.0)?;
            Ok(found.map(|one| one.inner().encoded_2718().into()).unwrap_or_default())
        };
        self.0.run("debug_getRawTransaction", read).await
    }
}

fn encode(block: &StoredBlock, outside: OutsideBody) -> Vec<u8> {
    let transactions: Vec<TxEnvelope> =
        block.transactions.iter().map(RecoveredTransaction::inner).cloned().collect();
    let withdrawals = outside.withdrawals.map(Withdrawals::new);
    let body = BlockBody { transactions, ommers: outside.ommers, withdrawals };
    alloy_rlp::encode(Block { header: block.header.clone(), body })
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
