//! Blocks and headers.

use super::{TransactionJson, included, waiting};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{U64, U256};
use alloy_rlp::{Encodable, length_of_length};
use alloy_rpc_types_eth::{Block, BlockTransactions, Header};
use bxp_types::{OutsideBody, StoredBlock};
use serde::Serialize;

/// A block in Ethereum's shape.
pub(crate) type PlainBlockJson = Block<TransactionJson>;

/// A block, with its time in milliseconds where its header commits to it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BlockJson {
    #[serde(flatten)]
    block: PlainBlockJson,
    #[serde(rename = "timestampMs", skip_serializing_if = "Option::is_none")]
    time_ms: Option<U64>,
}

/// A block, or the pending one, which has neither hash nor nonce nor beneficiary.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum AnyBlockJson {
    /// A block of the chain.
    Block(Box<BlockJson>),
    /// The pending block.
    Pending(serde_json::Value),
}

/// A header, with its block's time in milliseconds where it commits to it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HeaderJson {
    #[serde(flatten)]
    header: Header,
    #[serde(rename = "timestampMs", skip_serializing_if = "Option::is_none")]
    time_ms: Option<U64>,
}

/// The block, with its transactions in full or by hash, and with what it has beside them.
pub(crate) fn block(block: &StoredBlock, full: bool, outside: Option<&OutsideBody>) -> BlockJson {
    BlockJson { block: plain_block(block, full, outside), time_ms: time_ms(block) }
}

/// The pending block as geth shows it: `hash`, `nonce` and `miner` are null, and its transactions stand in no block.
pub(crate) fn pending_block(block: &StoredBlock, full: bool) -> serde_json::Result<AnyBlockJson> {
    let mut shown = serde_json::to_value(plain_block(block, false, None))?;
    for field in ["hash", "nonce", "miner"] {
        shown[field] = serde_json::Value::Null;
    }
    if full {
        let transactions: Vec<_> = block.transactions.iter().cloned().map(waiting).collect();
        shown["transactions"] = serde_json::to_value(transactions)?;
    }
    Ok(AnyBlockJson::Pending(shown))
}

/// The same without what Ethereum has no word for.
pub(crate) fn plain_block(block: &StoredBlock, full: bool, outside: Option<&OutsideBody>) -> PlainBlockJson {
    let transactions = if full {
        BlockTransactions::Full((0..block.transactions.len()).filter_map(|at| included(block, at)).collect())
    } else {
        BlockTransactions::Hashes(block.transactions.iter().map(|one| *one.tx_hash()).collect())
    };
    let body = body(block, outside);
    let uncles = body.ommers.iter().map(alloy_consensus::Header::hash_slow).collect();
    Block {
        header: rpc_header(block, &body),
        uncles,
        transactions,
        withdrawals: body.withdrawals.map(Withdrawals::new),
    }
}

/// The block's header.
pub(crate) fn header(block: &StoredBlock) -> HeaderJson {
    HeaderJson { header: rpc_header(block, &body(block, None)), time_ms: time_ms(block) }
}

/// What the block has beside its transactions. Nobody withdraws from a permissioned chain; the list is there wherever
/// the header commits to one.
pub(crate) fn body(block: &StoredBlock, outside: Option<&OutsideBody>) -> OutsideBody {
    let none = || OutsideBody {
        withdrawals: block.header.withdrawals_root.map(|_| Vec::new()),
        ..Default::default()
    };
    outside.cloned().unwrap_or_else(none)
}

/// The block's time in milliseconds, which every header of a BXP network after the first carries in `extraData`.
fn time_ms(block: &StoredBlock) -> Option<U64> {
    (block.header.extra_data.as_ref() == block.time_ms.to_be_bytes()).then(|| U64::from(block.time_ms))
}

fn rpc_header(block: &StoredBlock, body: &OutsideBody) -> Header {
    Header {
        hash: block.hash,
        inner: block.header.clone(),
        total_difficulty: None,
        size: Some(U256::from(size(block, body))),
    }
}

/// Bytes of the block's RLP: header, transactions, ommers, and withdrawals where the header has them.
fn size(block: &StoredBlock, body: &OutsideBody) -> usize {
    let list = |payload: usize| payload.saturating_add(length_of_length(payload));
    let transactions = block.transactions.iter().map(|one| one.inner().length()).sum();
    let beside = body.ommers.length() + body.withdrawals.as_ref().map_or(0, Encodable::length);
    list(block.header.length().saturating_add(list(transactions)).saturating_add(beside))
}
