//! The readers of encoded blocks and receipts, and of rows on disk, without a chain: for the fuzz targets.

use crate::{
    log_scan::{self, Item, Sketch},
    receipt_rows,
    segments::Row,
};
use alloy_primitives::Log;
use bxp_types::{Address, B256, Digest, LogQuery};
use std::ops::Range;

/// Bytes of the first of several rows of receipts.
pub const PAGE_BYTES: usize = receipt_rows::PAGE_BYTES;

/// What stands in encoded receipts, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Walked {
    /// Of each log the number of its transaction, and where its bytes are.
    pub logs: Vec<(u32, Range<usize>)>,
    /// The contracts that transactions made.
    pub contracts: Vec<Address>,
}

/// Walks through encoded receipts; nothing where they are none.
#[must_use]
pub fn walked(receipts: &[u8]) -> Option<Walked> {
    let mut walked = Walked::default();
    let all = log_scan::walk(receipts, |item| {
        match item {
            Item::Log(place, bytes) => {
                let from = place.offset as usize;
                walked.logs.push((place.transaction, from..from + bytes.len()));
            }
            Item::Contract(contract) => walked.contracts.push(contract),
        }
        Ok(())
    });
    all.ok().map(|()| walked)
}

/// The logs in encoded receipts that `query` asks for; nothing where they are none.
#[must_use]
pub fn found(receipts: &[u8], query: &LogQuery) -> Option<Vec<Log>> {
    let found = log_scan::find(receipts, query).ok()?;
    Some(found.into_iter().map(|(_, log)| log).collect())
}

/// How many bytes the log has that begins here.
#[must_use]
pub fn log_length(bytes: &[u8]) -> Option<usize> {
    log_scan::log_length(bytes)
}

/// The hash of an encoded block, and those of its transactions at these places; nothing where one of them is not there.
#[must_use]
pub fn sketch(block: &[u8], places: &[u32]) -> Option<(B256, Vec<B256>)> {
    let mut sketch = Sketch::read(block).ok()?;
    let hashes: Result<Vec<B256>, _> = places.iter().map(|place| sketch.transaction_hash(*place)).collect();
    Some((sketch.hash, hashes.ok()?))
}

/// The bytes of all receipts of which this row is the first page; nothing where it is all.
#[must_use]
pub fn continued(row: &[u8]) -> Option<usize> {
    receipt_rows::continued(row)
}

/// Reads the row of a segment, and gives it as it is written.
#[must_use]
pub fn segment(row: &[u8]) -> Option<Vec<u8>> {
    Some(Row::decode(row).ok()?.encode())
}

/// The row of a segment of `count` heights in a file of so many bytes.
#[must_use]
pub fn segment_of(count: u32, bytes: u64, digest: Digest) -> Vec<u8> {
    Row { count, bytes, digest }.encode()
}
