//! The content store: de-identified DAGs, published to named readers over IPFS's own protocols (white paper row A12).
//!
//! A *publication* is a DAG of DAG-CBOR blocks with a purpose, a term and a list of readers. It leaves by bitswap 1.2 in a
//! private swarm ([`bitswap`]), as a CAR file ([`car`]), and block by block through the trustless gateway, whose rules are
//! in [`gateway`]. What came from elsewhere is kept while it is pinned.
//!
//! What it guarantees:
//! - Blocks are read through a [`View`], which is bound to one reader, and by default gives nothing: the reader must be
//!   named by a publication that holds the block, and the [`Gatekeeper`] must allow it at this moment.
//! - A block is written only after its bytes were hashed and found to be what its CID says, and only within the quota.
//! - Blocks lie on disk sealed; those of a patient under the patient's key, so that an erasure reaches them.
//! - Garbage collection removes nothing that is pinned, published, anchored, or being written.
//!
//! It refuses to know what a block says, who a patient is, and by which rules a purpose is lawful: that is the
//! gatekeeper's, which asks `privacy`.

mod access;
pub mod bitswap;
pub mod block;
pub mod car;
pub mod dag;
pub mod dag_cbor;
pub mod dag_pb;
mod error;
pub mod fuzz;
pub mod gateway;
mod metric;
pub mod records;
mod store;
mod varint;

pub use access::{Gatekeeper, Reader, Terms, purpose_name, purpose_named};
pub use block::{BLOCK_BYTES_MAX, Block, Codec};
pub use error::ContentError;
pub use store::{Collected, ContentStore, Draft, Hold, NewBlock, Publication, Quota, Statistics, View};

/// A peer's name in the swarm, and where it listens.
pub use libp2p::{Multiaddr, PeerId};

/// The id in the swarm of who has this Ed25519 key; nothing for bytes that are no key.
#[must_use]
pub fn peer_of(public_key: &[u8; 32]) -> Option<PeerId> {
    let key = libp2p::identity::ed25519::PublicKey::try_from_bytes(public_key).ok()?;
    Some(libp2p::identity::PublicKey::from(key).to_peer_id())
}
