//! The trustless gateway's rules, without HTTP: what a request asks for, and which blocks answer it.
//!
//! <https://specs.ipfs.tech/http-gateways/trustless-gateway/>: single blocks, and CAR files of a path's blocks and what
//! is at its end, in depth-first order, each once or as often as it is met.

mod request;
mod select;
pub(crate) mod shard;

pub use request::{Asked, ByteRange, Refusal, Scope, Wish, wish};
pub use select::Selection;
