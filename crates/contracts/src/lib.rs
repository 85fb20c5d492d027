//! The system contracts as Rust sees them: bindings, bytecode, fixed addresses and their part of the genesis state.
//!
//! The sources are `contracts/src/*.sol`, whose NatSpec is the reference of every function, event and error. The
//! bindings and bytecodes here are read from the committed `contracts/artifacts/*.json`, so that building needs no
//! Solidity compiler; `cargo xtask contracts --check` fails where the two differ.
//!
//! | contract | address | for |
//! |---|---|---|
//! | [`RecordRegistry`] | [`RECORD_REGISTRY`] | anchors of record batches (rows A12, F9) |
//! | [`ConsentRegistry`] | [`CONSENT_REGISTRY`] | the patient's contribution switch (row B2) |
//! | [`DataMarket`] | [`DATA_MARKET`] | opens and lists data requests (row D4) |
//! | [`DataRequest`] | one for each request | escrow, deliveries, settlement (row E, figure 2) |
//! | [`NodeRegistry`] | [`NODE_REGISTRY`] | where nodes stand, who left a country and what it proved (row A12) |
//! | [`IPayments`] | [`PAYMENTS`] | batch payments, done by the machine itself (row A15) |
//!
//! It knows no chain, no key and no health data: it encodes, decodes and computes.

mod bindings;
pub mod consent;
pub mod genesis;
pub mod merkle;
pub mod nodes;
pub mod payments;
mod reverts;
mod state;

pub use bindings::{ConsentRegistry, DataMarket, DataRequest, IPayments, NodeRegistry, RecordRegistry};
pub use genesis::{CONSENT_REGISTRY, DATA_MARKET, RECORD_REGISTRY, authorised_slot, genesis_accounts};
pub use nodes::NODE_REGISTRY;
pub use payments::PAYMENTS;
pub use reverts::explain_revert;
pub use state::{RequestState, UnknownState};
