//! Blocks, transactions, receipts and logs in the shapes of Ethereum's JSON-RPC.

mod block;
mod log;
mod receipt;
mod transaction;

pub(crate) use block::{
    AnyBlockJson, BlockJson, HeaderJson, PlainBlockJson, block, body, header, pending_block, plain_block,
};
pub(crate) use log::{logs, placed};
pub(crate) use receipt::{ReceiptJson, receipt, receipts};
pub(crate) use transaction::{TransactionJson, included, waiting};
