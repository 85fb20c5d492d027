//! The chain: from a signed transaction to a block with a certificate.
//!
//! It takes transactions into a durable pool, proposes them to Red Belly consensus, orders a decided superblock,
//! has it executed, attests the block, collects the others' attestations to a certificate of n - t, and brings a node
//! that fell behind up to date from certified blocks. It knows nothing of health data, of HTTP, or of what the
//! transactions mean.
//!
//! [`machine`] is the whole of it as a state machine without a clock, a socket or a thread; [`mempool`], [`order`],
//! [`proposal`] and [`certificates`] are its pure parts. [`driver`] carries out what the machine wants.

mod archiver;
mod attester;
pub mod block_index;
pub mod blocks;
mod bulk;
pub mod certificates;
pub mod chain;
mod checked;
pub mod codec;
mod driver;
mod error;
mod found;
mod fresh;
pub mod fuzz;
mod indexer;
mod job;
mod journal;
mod ledger;
mod locations;
mod log_scan;
pub mod machine;
pub mod mempool;
pub mod order;
mod pool_writer;
pub mod proposal;
mod receipt_rows;
mod segments;
mod shared;
pub mod sync;
mod traffic;
pub mod verify;
mod view;

pub use archiver::{Archiver, SEGMENT_BLOCKS, SEGMENTS_BEHIND, SegmentRules};
pub use attester::Attester;
pub use bxp_consensus::Verification;
pub use bxp_execution::Retention;
pub use chain::{Chain, ChainConfig, ChainEvent};
pub use error::ChainError;
pub use job::{Done, Job, MadeBlock};
pub use journal::Journal;
pub use machine::{Effect, Input, Load, Machine, Moment};
pub use shared::{Admitted, Shared};
pub use view::{Source, View};
