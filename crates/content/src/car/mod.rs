//! CAR version 1: a header with the roots, then the blocks one after the other, each with its CID.
//!
//! <https://ipld.io/specs/transport/car/carv1/>. What this node writes is deterministic: depth first from one root, each
//! block once.

mod read;
mod write;

pub use read::CarReader;
pub use write::{header, section};

/// The most roots of a file that is read.
pub const ROOTS_MAX: usize = 64;
