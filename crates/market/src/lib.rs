//! The data market: data requests, matching, delivery and settlement (white paper rows D4, E, F7, A14).
//!
//! A buyer opens a request on the chain with its whole price in escrow. The [`HolderAgent`] of every holder follows the
//! requests, matches them against the charts that its own node took in, seals the de-identified charts of contributing
//! patients to the buyer, proves each patient's anchor to the contract and sees to the payment. [`DeliveryService`] hands
//! the sealed deliveries out, [`Buyer`] is the other side of it.
//!
//! What it guarantees:
//! - Whole charts are read inside their holder only. What leaves is de-identified, sealed to the buyer, and named by
//!   pseudonyms made for that one delivery.
//! - The patient's switch is asked before a chart is opened for a buyer, and by the contract when the delivery is counted.
//!   A sealed delivery is handed out only once the contract has counted it.
//! - A delivery is on disk before its transaction is sent, and the contract is asked before it is sent again: no patient is
//!   delivered or paid for twice, whatever crashes when (row A14).
//!
//! It refuses to know how blocks are made and agreed on (it sees [`bxp_types::Ledger`]), and who may read: that is
//! `privacy`'s to decide, and the vault opens nothing without its permit.

mod agent;
mod buyer;
mod contract;
mod delivery;
mod encoding;
mod error;
pub mod fuzz;
mod keeper;
mod metric;
mod pseudonyms;
mod requests;
mod service;
mod tables;
mod view;

pub use agent::{
    AgentConfig, CHARTS_PER_DELIVERY_MAX, HolderAgent, Order, Published, Publisher, ReleasePolicy,
    ReleaseProfile,
};
pub use buyer::{Buyer, ContractCall, NewRequest, OpenedDelivery, accept, created_request, refund, withdraw};
pub use contract::{Deliveries, Progress, RequestReader};
pub use delivery::{Chart, SEALED_BYTES_MAX, delivery_info};
pub use error::MarketError;
pub use keeper::ContentKeeper;
pub use requests::Requests;
pub use service::DeliveryService;
pub use view::{RecordShares, RequestView, SERVICE, SplitBps};
