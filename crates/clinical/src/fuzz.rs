//! What reads other nodes' words about copies and erasures, without a node: for the fuzz targets.
//!
//! What gives bytes for bytes has read them, and gives them as this node would write them; nothing for bytes that are none.

use crate::{
    answer::{self, DONE},
    erase,
    keeping::wire::{self, Request},
};
use bxp_vault::{Receipt, Tombstone};
use bytes::Bytes;

/// Reads what another node asks about copies.
#[must_use]
pub fn keeping(request: &[u8]) -> Option<Bytes> {
    Request::decode(request).map(|request| request.encode())
}

/// Reads any answer: what follows in a good one, or the other's reason.
///
/// # Errors
/// The reason.
pub fn answered(answer: &[u8]) -> Result<&[u8], String> {
    answer::read(answer)
}

/// The answer that refuses.
#[must_use]
pub fn refused(reason: &str) -> Bytes {
    answer::refused(reason)
}

/// Reads which of `count` records another node holds.
#[must_use]
pub fn holds(answer: &[u8], count: usize) -> Option<Vec<bool>> {
    wire::read_holds(answer, count).ok()
}

/// The answer that tells which records are held.
#[must_use]
pub fn holds_of(held: &[bool]) -> Bytes {
    wire::holds(held)
}

/// Reads the keys of `count` records.
#[must_use]
pub fn copies(answer: &[u8], count: usize) -> Option<Bytes> {
    let copies = wire::read_copies(answer, count).ok()?;
    let copies: Vec<Option<Bytes>> = copies.into_iter().map(|keys| keys.map(Bytes::from)).collect();
    Some(copies_of(&copies))
}

/// The answer that gives keys.
#[must_use]
pub fn copies_of(keys: &[Option<Bytes>]) -> Bytes {
    wire::copies(keys)
}

/// Reads whether a statement was taken in.
#[must_use]
pub fn is_done(answer: &[u8]) -> bool {
    wire::read_done(answer).is_ok()
}

/// The answer that a statement was taken in.
#[must_use]
pub fn done() -> Bytes {
    wire::done()
}

/// Reads the tombstones that another node sends.
#[must_use]
pub fn tombstones(request: &[u8]) -> Option<Bytes> {
    Some(tombstones_of(&erase::read_request(request).ok()?))
}

/// The request for the erasure of what these name; no bytes where it cannot be written.
#[must_use]
pub fn tombstones_of(tombstones: &[Tombstone]) -> Bytes {
    erase::request(tombstones).unwrap_or_default()
}

/// Reads the receipts of an answer.
#[must_use]
pub fn receipts(answer: &[u8]) -> Option<Vec<u8>> {
    Some(receipts_of(&erase::read_receipts(answer).ok()?))
}

/// The answer that gives receipts; less of it where one cannot be written.
#[must_use]
pub fn receipts_of(receipts: &[Receipt]) -> Vec<u8> {
    let mut out = vec![DONE];
    for receipt in receipts.iter().filter_map(|receipt| receipt.encode().ok()) {
        let _ = erase::push(&mut out, &receipt);
    }
    out
}
