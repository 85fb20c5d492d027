//! Bitswap 1.2 in a private swarm: a listener of its own, apart from the validators' network.
//!
//! <https://specs.ipfs.tech/bitswap-protocol/>. Every connection begins with the swarm key (pnet), under which nobody
//! without the key gets as far as a protocol name. Then noise shows who the peer is, and the store's
//! [`View`](crate::View) of that peer decides over each want.
//!
//! One session a connection: it reads the peer's messages, keeps the peer's wantlist, and answers one message at a time,
//! so that a peer that does not read holds up nobody and nothing but its own wants. A peer has one ledger, whatever
//! the number of its connections.

mod behaviour;
mod driver;
mod fetch;
mod handler;
mod ledger;
mod limits;
mod message;
pub(crate) mod protobuf;
mod session;
mod swarm;
mod swarm_key;
mod wantlist;
pub(crate) mod wire;

pub use fetch::{FetchBounds, Fetched};
pub use ledger::LedgerView;
pub use limits::Limits;
pub use message::{Entry, Message, Presence, Received, Wants};
pub use swarm::{Bitswap, PeerView, SwarmConfig, start};
pub use swarm_key::{new_swarm_key, read_swarm_key};
