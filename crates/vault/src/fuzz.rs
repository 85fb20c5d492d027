//! The decoders of manifests, envelopes and rows on disk, without a vault: for the fuzz targets.
//!
//! What gives bytes for bytes has read them, and gives them as this node would write them; nothing for bytes that are none.
//! What could be read and not be written comes as no bytes, which can be read by none of them.

use crate::{
    Anchor, Directory, Disclosure, MerkleBatch, PendingBatch, RecordEntry, VaultError,
    batches::{self, BatchWire},
    departure::{self, Row},
    encoding, envelope,
    manifest::{Manifest, ManifestRecord, Place},
    padding::{self, Effort},
};
use bxp_types::{BlockClass, Jurisdiction, ValidatorIndex};
use serde_bytes::ByteBuf;

const BATCH: &str = "batch";
const DEPARTURE: &str = "departure";

/// Reads what stands beside replicated blocks.
#[must_use]
pub fn manifest(bytes: &[u8]) -> Option<Vec<u8>> {
    Some(Manifest::decode(bytes).ok()?.encode().unwrap_or_default())
}

/// The manifest of records in one batch and of others in none, with `keys` beside them.
///
/// # Errors
/// As [`MerkleBatch::new`] for the first ones.
pub fn manifest_of(
    batched: &[RecordEntry],
    unbatched: &[RecordEntry],
    keys: Option<&[u8]>,
) -> Result<Vec<u8>, VaultError> {
    let batch = MerkleBatch::new(batched)?;
    let place = |index: u32| {
        batch.proof(index).map(|proof| Place { root: batch.root(), count: batch.count(), proof })
    };
    let placed = (0_u32..).zip(batched).map(|(index, entry)| (entry, place(index)));
    let all = placed.chain(unbatched.iter().map(|entry| (entry, None)));
    let records = all.map(|(entry, place)| ManifestRecord { entry: entry.clone(), place }).collect();
    Manifest { records, keys: keys.map(<[u8]>::to_vec) }.encode()
}

/// Reads an envelope, and gives it as sealing writes it.
#[must_use]
pub fn envelope(bytes: &[u8]) -> Option<Vec<u8>> {
    let (class, ciphertext) = envelope::decode(bytes).ok()?;
    Some(envelope_of(class, &ciphertext))
}

/// The envelope around any bytes, as sealing writes it around a ciphertext.
#[must_use]
pub fn envelope_of(class: BlockClass, ciphertext: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    envelope::begin(&mut out, ciphertext.len());
    out.extend_from_slice(ciphertext);
    envelope::end(&mut out, class);
    out
}

/// Undoes the packing of a block's content.
#[must_use]
pub fn unpacked(packed: &[u8]) -> Option<Vec<u8>> {
    padding::unpack(packed).ok()
}

/// Content in each of the ways in which this node packs it.
#[must_use]
pub fn packed(content: &[u8]) -> Vec<Vec<u8>> {
    let pack = |effort| {
        padding::pack(content, effort, |packed| {
            let mut out = Vec::new();
            packed.write(&mut out);
            Ok(out)
        })
    };
    [Effort::Compress, Effort::CompressLong].into_iter().filter_map(|effort| pack(effort).ok()).collect()
}

/// Reads a row of the accounting of disclosures.
#[must_use]
pub fn disclosure(row: &[u8]) -> Option<Vec<u8>> {
    Some(Disclosure::decode(row).ok()?.encode().unwrap_or_default())
}

/// The row of a disclosure.
#[must_use]
pub fn disclosure_of(disclosure: &Disclosure) -> Vec<u8> {
    disclosure.encode().unwrap_or_default()
}

/// Reads the row of a batch.
#[must_use]
pub fn batch(row: &[u8]) -> Option<Vec<u8>> {
    let wire = batches::decode_batch(row).ok()?;
    Some(encoding::encode(BATCH, &wire).unwrap_or_default())
}

/// The row of a batch, which is anchored where `anchor` says.
#[must_use]
pub fn batch_of(batch: &PendingBatch, anchor: Option<Anchor>) -> Vec<u8> {
    let (id, height) = (anchor.map(|anchor| anchor.batch_id), anchor.map(|anchor| anchor.height.0));
    let PendingBatch { count, home, own, .. } = *batch;
    encoding::encode(BATCH, &BatchWire { v: batches::VERSION, home, count, own, id, height })
        .unwrap_or_default()
}

/// Reads the row of a departure, and the directory in it.
#[must_use]
pub fn departure(row: &[u8]) -> Option<Vec<u8>> {
    let row: Row = encoding::decode(DEPARTURE, row).ok()?;
    let _ = Directory::decode(&row.before);
    Some(encoding::encode(DEPARTURE, &row).unwrap_or_default())
}

/// The row of a departure that the directory of `height` tells of, `before` being the one before it.
#[must_use]
pub fn departure_of(height: u64, noted_ms: u64, next: u64, before: &Directory) -> Vec<u8> {
    let before = ByteBuf::from(before.encode().unwrap_or_default());
    encoding::encode(DEPARTURE, &Row { height, noted_ms, next, before }).unwrap_or_default()
}

/// Reads the key of a departure's row.
#[must_use]
pub fn departure_key(key: &[u8]) -> Option<Vec<u8>> {
    let (node, country) = departure::read_key(key).ok()?;
    Some(departure_key_of(node, country))
}

/// The key of the row of a node's departure from a country.
#[must_use]
pub fn departure_key_of(node: ValidatorIndex, country: Jurisdiction) -> Vec<u8> {
    departure::key(node, country)
}
