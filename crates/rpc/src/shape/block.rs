//! Blocks and headers.

use super::{TransactionJson, included};
use alloy_eips::eip4895::Withdrawals;
use alloy_primitives::{U64, U256};
use alloy_rlp::{Encodable, length_of_length};
use alloy_rpc_types_eth::{Block, BlockTransactions, Header};
use bxp_types::StoredBlock;
use serde::Serialize;

/// A block, with its time in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct BlockJson {
    #[serde(flatten)]
    block: Block<TransactionJson>,
    #[serde(rename = "timestampMs")]
    time_ms: U64,
}

/// A header, with its block's time in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct HeaderJson {
    #[serde(flatten)]
    header: Header,
    #[serde(rename = "timestampMs")]
    time_ms: U64,
}

/// The block, with its transactions in full or by hash.
pub(crate) fn block(block: &StoredBlock, full: bool) -> BlockJson {
    let transactions = if full {
        BlockTransactions::Full((0..block.transactions.len()).filter_map(|at| included(block, at)).collect())
    } else {
        BlockTransactions::Hashes(block.transactions.iter().map(|one| *one.tx_hash()).collect())
    };
    // Nobody withdraws from a permissioned chain; the list is there wherever the header commits to one.
    let withdrawals = block.header.withdrawals_root.map(|_| Withdrawals::default());
    let json = Block { header: rpc_header(block), uncles: Vec::new(), transactions, withdrawals };
    BlockJson { block: json, time_ms: U64::from(block.time_ms) }
}

/// The block's header.
pub(crate) fn header(block: &StoredBlock) -> HeaderJson {
    HeaderJson { header: rpc_header(block), time_ms: U64::from(block.time_ms) }
}

fn rpc_header(block: &StoredBlock) -> Header {
    Header {
        hash: block.hash,
        inner: block.header.clone(),
        total_difficulty: None,
        size: Some(U256::from(size(block))),
    }
}

/// Bytes of the block's RLP: header, transactions, no uncles, and withdrawals where the header has them.
fn size(block: &StoredBlock) -> usize {
    let list = |payload: usize| payload.saturating_add(length_of_length(payload));
    let transactions = block.transactions.iter().map(|one| one.inner().length()).sum();
    let empty_lists = 1 + usize::from(block.header.withdrawals_root.is_some());
    list(block.header.length().saturating_add(list(transactions)).saturating_add(empty_lists))
}
