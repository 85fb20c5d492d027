//! Immutable files of consecutive numbered records, packed in small groups, each with a checksum.
//!
//! A [`Segment`] is for what is never changed and seldom read: it takes a fraction of the space that rows take, nothing
//! compacts it, and what the disk does to it is noticed. A record has a fixed number of parts, so that what belongs to
//! one number lies together. The bytes are in [`format`].

mod format;
mod reader;
mod writer;

pub use format::SegmentHead;
pub use reader::Segment;
pub use writer::{SegmentWriter, WrittenSegment};

#[cfg(test)]
mod tests;
