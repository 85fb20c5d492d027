//! Reading a segment: one record, or all of it.

use super::format::{
    ENTRY_BYTES, Group, HEADER_BYTES, SegmentHead, TRAILER_BYTES, Trailer, UNPACKED_BYTES_MAX, frame_crc,
    split,
};
use crate::{Disk, Result, StorageError};
use bxp_types::Digest;
use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const OPEN: &str = "open segment";
const READ: &str = "read segment";
const VERIFY: &str = "verify segment";
/// Bytes read at once while the whole file is hashed.
const HASHED_AT_ONCE: u64 = 1 << 20;

/// A segment on disk. Its head and index are in memory; a group is read and checked when a record of it is wanted, and
/// the newest one stays, since whoever reads a record mostly reads the next one too.
pub struct Segment {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    head: SegmentHead,
    /// Each group with the number of its first record.
    groups: Vec<(u64, Group)>,
    bytes: u64,
    newest: Mutex<Option<(usize, Arc<Vec<Bytes>>)>>,
}

impl Segment {
    /// Opens the segment of `bytes` bytes at `path` that was written with `digest`.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] when head or index are not what was written, or it is another segment;
    /// [`StorageError::Io`].
    pub fn open(disk: Arc<dyn Disk>, path: &Path, bytes: u64, digest: Digest) -> Result<Self> {
        let damaged = |detail: &str| corrupt(OPEN, path, detail.to_owned());
        let shortest = (HEADER_BYTES + TRAILER_BYTES) as u64;
        let at_trailer = bytes.checked_sub(TRAILER_BYTES as u64).filter(|_| bytes > shortest);
        let at_trailer = at_trailer.ok_or_else(|| damaged("it is too short"))?;
        let read = |offset, length| read(disk.as_ref(), OPEN, path, offset, length);
        let header = read(0, HEADER_BYTES)?;
        let head =
            SegmentHead::decode(&header).ok_or_else(|| damaged("its head is no segment's of version 1"))?;
        let trailer =
            Trailer::decode(&read(at_trailer, TRAILER_BYTES)?).ok_or_else(|| damaged("its trailer"))?;
        if Digest(trailer.sha256) != digest {
            return Err(damaged("it ends in another hash than it was written with"));
        }
        let index_bytes = at_trailer.checked_sub(trailer.index_offset);
        let index_bytes =
            index_bytes.filter(|bytes| *bytes == u64::from(trailer.groups) * ENTRY_BYTES as u64);
        let index_bytes = index_bytes.ok_or_else(|| damaged("its index is not where its trailer says"))?;
        let index = read(trailer.index_offset, usize::try_from(index_bytes).unwrap_or(usize::MAX))?;
        if frame_crc(&header, &index, trailer.index_offset, trailer.groups) != trailer.crc {
            return Err(damaged("the checksum of its head and index"));
        }
        let groups = groups(&head, &index, trailer.index_offset).ok_or_else(|| damaged("its index"))?;
        let (path, newest) = (path.to_owned(), Mutex::default());
        Ok(Self { disk, path, head, groups, bytes, newest })
    }

    /// What it holds.
    #[must_use]
    pub const fn head(&self) -> SegmentHead {
        self.head
    }

    /// Part `part` of the record of this number; nothing when the segment has no such record.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] when the record's group is not what was written, naming file and number;
    /// [`StorageError::Io`].
    pub fn read(&self, number: u64, part: usize) -> Result<Option<Bytes>> {
        let parts = self.head.parts as usize;
        let past = self.groups.partition_point(|(first, _)| *first <= number);
        let Some((at, (first, group))) = past.checked_sub(1).and_then(|at| Some((at, self.groups.get(at)?)))
        else {
            return Ok(None);
        };
        if part >= parts || number - first >= u64::from(group.records) {
            return Ok(None);
        }
        let place = usize::try_from(number - first).unwrap_or(usize::MAX) * parts + part;
        let newest = self.newest.lock().clone();
        if let Some((_, records)) = newest.filter(|(newest, _)| *newest == at) {
            return Ok(records.get(place).cloned());
        }
        let records = Arc::new(self.unpack(READ, number, group)?);
        let found = records.get(place).cloned();
        *self.newest.lock() = Some((at, records));
        Ok(found)
    }

    /// Reads everything: the hash of the whole file, and every record.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] with what is not as it was written; [`StorageError::Io`].
    pub fn verify(&self) -> Result<()> {
        for (first, group) in &self.groups {
            self.unpack(VERIFY, *first, group)?;
        }
        let (mut hash, mut at, end) = (Sha256::new(), 0, self.bytes - 32);
        while at < end {
            let length = (end - at).min(HASHED_AT_ONCE);
            hash.update(self.bytes_at(VERIFY, at, usize::try_from(length).unwrap_or(usize::MAX))?);
            at += length;
        }
        let hash: [u8; 32] = hash.finalize().into();
        if self.bytes_at(VERIFY, end, 32)? != hash {
            return Err(corrupt(VERIFY, &self.path, "the hash of the whole file".to_owned()));
        }
        Ok(())
    }

    /// The parts of a group's records; `number` is the record for which it is read.
    fn unpack(&self, action: &'static str, number: u64, group: &Group) -> Result<Vec<Bytes>> {
        let damaged = || corrupt(action, &self.path, format!("the group of record {number}"));
        let packed = self.bytes_at(action, group.offset, group.packed as usize)?;
        if crc32c::crc32c(&packed) != group.crc {
            return Err(damaged());
        }
        let unpacked = zstd::bulk::decompress(&packed, group.unpacked as usize).map_err(|_| damaged())?;
        if unpacked.len() != group.unpacked as usize {
            return Err(damaged());
        }
        split(&unpacked.into(), group.records as usize, self.head.parts as usize).ok_or_else(damaged)
    }

    fn bytes_at(&self, action: &'static str, offset: u64, length: usize) -> Result<Vec<u8>> {
        read(self.disk.as_ref(), action, &self.path, offset, length)
    }
}

impl std::fmt::Debug for Segment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Segment").field("path", &self.path).field("head", &self.head).finish_non_exhaustive()
    }
}

/// The groups with the numbers of their first records; nothing when they do not follow one another from the header to
/// the index, or do not hold what the head says.
fn groups(head: &SegmentHead, index: &[u8], end: u64) -> Option<Vec<(u64, Group)>> {
    let (mut offset, mut records) = (HEADER_BYTES as u64, 0_u64);
    let mut groups = Vec::with_capacity(index.len() / ENTRY_BYTES);
    for entry in index.chunks_exact(ENTRY_BYTES) {
        let group = Group::decode(entry)?;
        if group.offset != offset || group.records == 0 || group.unpacked as usize > UNPACKED_BYTES_MAX {
            return None;
        }
        groups.push((head.first.checked_add(records)?, group));
        offset += u64::from(group.packed);
        records += u64::from(group.records);
    }
    (offset == end && records == u64::from(head.count)).then_some(groups)
}

fn read(disk: &dyn Disk, action: &'static str, path: &Path, offset: u64, length: usize) -> Result<Vec<u8>> {
    disk.read_at(path, offset, length).map_err(|source| match source.kind() {
        std::io::ErrorKind::UnexpectedEof => corrupt(action, path, "it is cut short".to_owned()),
        std::io::ErrorKind::NotFound => corrupt(action, path, "it is not there".to_owned()),
        _ => StorageError::io(action, path, source),
    })
}

fn corrupt(action: &'static str, path: &Path, detail: String) -> StorageError {
    StorageError::Corrupt { action, path: path.to_owned(), detail }
}
