//! A developer's chain: one node without consensus and network, for testing contracts on.
//!
//! [`DevChain`] runs the executor, the trie and the tables that a validator runs, in a folder that is gone when it
//! stops. A block follows each transaction at once, or when told. Accounts can be edited and impersonated, the clock
//! moved, and the past taken back ([`bxp_types::Developer`]). It has ten accounts whose keys everyone knows
//! ([`accounts`]).
//!
//! It agrees with nobody, attests nothing, and keeps no health data. It must never be reachable from outside of the
//! developer's machine.

mod accounts;
mod chain;
mod clock;
mod controls;
mod error;
mod foreign;
mod genesis;
mod interval;
mod ledger;
mod mine;
mod undo;

pub use accounts::{DevAccount, MNEMONIC, accounts};
pub use bxp_chain::View;
pub use chain::{DevChain, DevConfig};
pub use error::DevChainError;
pub use foreign::ForeignChain;
pub use genesis::TREASURY;
