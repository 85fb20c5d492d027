//! The chain: from a signed transaction to a block with a certificate.
//!
//! It takes transactions into a durable pool, proposes them to Red Belly consensus, orders a decided superblock,
//! has it executed, attests the block, collects the others' attestations to a certificate of n - t, and brings a node
//! that fell behind up to date from certified blocks. It knows nothing of health data, of HTTP, or of what the
//! transactions mean.
//!
//! Pure parts ([`mempool`], [`order`], [`proposal`], [`certificates`]) are state machines without a clock; only
//! [`driver`] has time, sockets and disks.

pub mod blocks;
pub mod certificates;
pub mod chain;
pub mod codec;
pub mod driver;
mod error;
mod journal;
mod ledger;
pub mod mempool;
pub mod order;
mod pool_writer;
pub mod proposal;
pub mod sync;

pub use bxp_execution::Retention;
pub use chain::{Chain, ChainConfig, ChainEvent};
pub use error::ChainError;
