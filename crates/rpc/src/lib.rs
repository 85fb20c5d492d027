//! Ethereum JSON-RPC over HTTP and WebSocket, for ethers, viem, cast and wallets.
//!
//! [`serve`] answers the `eth_`, `net_`, `web3_` methods that need a chain and its newest state, and `bxp_` methods
//! for what Ethereum has no word for: certificates, transactions left out, the node itself. The reference is the
//! `#[rpc]` traits in `api`, one file for one family of methods.
//!
//! All it knows of the chain is [`bxp_types::Ledger`]. It holds no keys (`eth_accounts` is empty), knows no FHIR and
//! no health data, and keeps nothing but clients' filters. Every input is hostile: requests, batches, answers,
//! connections, filters and ranges are bounded. Blocks are final, so `latest`, `safe` and `finalized` are one block,
//! and nothing is ever `removed`; `pending` is what this node would propose next (ADR 67).

mod api;
mod arrivals;
mod context;
mod error;
mod fault;
mod filters;
pub mod fuzz;
mod gate;
mod hash;
mod info;
mod metric;
mod pending;
mod select;
mod server;
mod shape;
mod storage_key;

pub use error::RpcError;
pub use info::{NodeInfo, NodeStatus};
pub use server::{ClientLimits, Policy, RpcServer, serve, serve_with};
