//! Red Belly consensus as a pure state machine: [`Input`] in, [`Effect`] out.
//!
//! For every height each validator proposes one opaque body. Proposals spread by reliable broadcast, one binary
//! consensus per proposer decides which of them enter, and all that are decided 1 form the [`Superblock`]. There is
//! no leader, no randomness and no signature inside; up to t < n/3 validators may be Byzantine. The numbered
//! pseudo-code is `specs/consensus.md`; comments such as `B11` cite its lines.
//!
//! The crate refuses to know time (it asks for timers), sockets (it hands out bytes), disks (it hands out records),
//! and what a body means (it asks for validation). It never panics on what a peer sends, and its memory per height
//! is bounded.
//!
//! # How to drive it
//! 1. [`Engine::new`], after a restart [`Engine::recover`] with the log's records, then [`Input::Settled`] with the
//!    height of the last final block.
//! 2. Carry out every list of effects in its order; [`Effect::Persist`] is on disk before anything after it happens.
//!    Records of several calls may share one sync, if the effects after them wait for it.
//! 3. [`Input::Start`] a height when its parent is executed and there is something to propose, or when
//!    [`Effect::Wanted`] named it. After [`Effect::Decided`] execute, and start the next one when it is wanted.
//! 4. [`Input::Settled`] once enough others hold the block for good. A height that was settled by block sync is
//!    abandoned: start the one after it.
//! 5. When the log has grown, write [`Engine::records`] to a fresh one and drop the old one.
//!
//! One validator alone decides at once:
//! ```
//! use bxp_consensus::{Config, Effect, Engine, Input};
//! use bxp_types::{Height, NetworkId, ValidatorIndex};
//!
//! let mut engine = Engine::new(Config::new(ValidatorIndex(0), 1, NetworkId([0; 32])))?;
//! let effects = engine.handle(Input::Start { height: Height(1), proposal: "anything".into() });
//! assert!(matches!(effects[0], Effect::Persist(_)));
//! assert!(effects.iter().any(|effect| matches!(effect, Effect::Decided(block) if block.proposals.len() == 1)));
//! # Ok::<(), bxp_consensus::ConsensusError>(())
//! ```

mod binary;
mod bitmask;
mod broadcast;
mod config;
mod digests;
mod engine;
mod error;
mod gather;
mod height;
mod interface;
mod mutant;
mod patience;
mod record;
mod recover;
mod resend;
mod round;
mod superblock;
mod tally;
mod turn;
mod votes;
pub mod wire;

/// The whole-network simulator of `tests/it` is also compiled into the unit tests, where mutants can be switched on.
#[cfg(test)]
extern crate self as bxp_consensus;

pub use bitmask::Bitmask;
pub use config::{Config, VALIDATORS_MAX, Verification};
pub use engine::Engine;
pub use error::ConsensusError;
pub use interface::{Effect, Input, RoundStep, Timer};
pub use superblock::{Proposal, Superblock};
pub use votes::{Values, Vote, Votes};
