//! Runs that change nothing: calls, estimates of gas, access lists, simulated blocks, and traces of what has run.
//!
//! Everything here reads a [`bxp_types::StateReader`], runs revm over a copy in memory and throws the copy away. The
//! rules are those of [`bxp_execution`], so that what a trace shows is what the block did. Each run is bounded: in gas
//! ([`GAS_MAX`]), in time ([`Deadline`]), and in what a trace may record ([`RECORDED_BYTES_MAX`]).
//!
//! It knows no chain, no disk and no JSON-RPC server; who asks, and how often, is not its business.

mod access_list;
mod call;
mod config;
mod database;
mod deadline;
mod environment;
mod error;
mod estimate;
mod machine;
mod operations;
mod overrides;
mod precompiles;
mod replay;
mod request;
mod root;
mod simulate;
mod trace;

pub use access_list::{AccessListFound, access_list};
pub use call::{Called, call};
pub use config::config;
pub use deadline::Deadline;
pub use environment::next_blob_base_fee;
pub use error::{Refused, SimulateError, halted, reverted};
pub use estimate::estimate;
pub use operations::{CallEntry, calls_of, internal_operations};
pub use overrides::Overrides;
pub use replay::Replayed;
pub use request::Question;
pub use simulate::{Pending, PendingState, SimulatedBlock, SimulatedCall, SimulatedChain, pending, simulate};
pub use trace::{RECORDED_BYTES_MAX, trace_block, trace_call, trace_call_within, trace_transaction};

/// The most gas of one run that is not a transaction of a block, as geth has it.
pub const GAS_MAX: u64 = 50_000_000;
