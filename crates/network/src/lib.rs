//! The network manager: permissioned libp2p, bounded channels, block exchange, residency fence.
//!
//! Nodes talk over TCP, encrypted and authenticated by noise with the validators' Ed25519 keys. Only the validators of
//! the genesis document get in; everyone else is refused when the handshake has shown who it is. Protocol names carry
//! the network's id, so two networks never mix. Between two validators there is one connection, dialled by the one of
//! lower index, with one ordered stream for each [`Channel`] and a short stream for each exchange: a request, a
//! hand-over of sealed blocks, a fetch of one.
//!
//! The residency fence (white paper row A12) stands at both ends of every block's way: a block of class `Identity(c)`
//! is neither written to a peer outside of `c` nor taken from the wire by a node outside of `c`.
//!
//! Every queue is bounded. A peer that reads too slowly loses its connection and catches up when it is back; a peer
//! that sends too fast is read no further, one above its budget, in what it says or in what it asks for, more slowly,
//! and one that breaks the protocol is banned for a while. It knows nothing of consensus rules, of what the chain
//! contains or of what a block seals, and it never logs a payload.

mod ban;
mod behaviour;
mod budget;
mod channel;
mod config;
mod dial;
mod driver;
mod ending;
mod error;
mod event;
mod exchange;
mod fence;
pub mod fuzz;
mod handle;
mod handler;
mod handshake;
mod metric;
mod network;
mod protocol;
mod pulse;
mod roster;
mod session;
mod shared;
mod wire;

pub use config::{Limits, NetworkConfig};
pub use error::{ExchangeError, FetchBlockError, NetworkError, RequestError, SendBlocksError, SendError};
pub use event::{Channel, Event, Service};
pub use network::{Network, start, start_with};
