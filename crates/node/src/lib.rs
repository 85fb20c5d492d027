//! The composition root: one process, all rooms.
//!
//! It reads a node's configuration, opens its folder, starts the rooms in order, carries the network's events to the
//! room they are for, and stops everything cleanly. It decides nothing itself.

pub mod config;
mod metrics_server;
mod node;
mod records;
mod router;
mod working_copy;

pub use config::{Content, Listen, NodeConfig, Release, Rpc, Segments, Verification};
pub use node::{Node, NodeAddresses};
pub use working_copy::Fhir;
