//! The decoders of what peers write to streams, without a peer: for the fuzz targets.

use crate::wire::{
    frame,
    head::{BlockHead, PortionHead},
};
use bxp_types::SealedBlock;
use bytes::Bytes;
use futures::{executor::block_on, io::Cursor};

/// Reads a portion head and gives it as this node would write it; nothing for bytes that are none.
#[must_use]
pub fn portion_head(wire: &Bytes) -> Option<Vec<u8>> {
    PortionHead::decode(wire)?.encode()
}

/// The portion head of these blocks; nothing where one has no form.
#[must_use]
pub fn portion_head_of(manifest: &[u8], blocks: &[SealedBlock]) -> Option<Vec<u8>> {
    let blocks = blocks.iter().map(BlockHead::of).collect::<Option<Vec<_>>>()?;
    PortionHead { manifest: Bytes::copy_from_slice(manifest), blocks }.encode()
}

/// Reads frames of at most `limit` bytes to the end of `wire`, or to what is none, and gives their bytes together.
#[must_use]
pub fn frames(wire: &[u8], limit: usize) -> usize {
    let (mut reader, mut read) = (Cursor::new(wire), 0);
    while let Ok(Some(frame)) = block_on(frame::read(&mut reader, limit)) {
        read += frame.len();
    }
    read
}
