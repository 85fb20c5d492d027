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

mod binary;
mod bitmask;
mod broadcast;
mod config;
mod engine;
mod error;
mod height;
mod interface;
mod record;
mod recover;
mod resend;
mod round;
mod superblock;
mod tally;
mod turn;
mod votes;
pub mod wire;

pub use bitmask::Bitmask;
pub use config::{Config, VALIDATORS_MAX};
pub use engine::Engine;
pub use error::ConsensusError;
pub use interface::{Effect, Input, RoundStep, Timer};
pub use superblock::{Proposal, Superblock};
pub use votes::{Values, Vote, Votes};
