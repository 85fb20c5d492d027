//! Making a segment: under another name, until all of it is on disk.

use super::format::{
    GROUP_BYTES, GROUP_RECORDS_MAX, Group, RECORD_BYTES_MAX, SegmentHead, Trailer, frame_crc,
};
use crate::{Disk, DiskFile, Result, StorageError, files};
use bxp_types::Digest;
use sha2::{Digest as _, Sha256};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

const ACTION: &str = "write segment";
/// Of zstd's levels the one beyond which little is gained: blocks become 22.9 % at some 300 MB/s, and 22.6 % at half of that
/// with level 9 (ADR 76).
const LEVEL: i32 = 3;

/// A segment that is being made. Dropped before [`SegmentWriter::finish`], it leaves a file beside its place that
/// [`SegmentWriter::is_leftover`] knows.
pub struct SegmentWriter {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    head: SegmentHead,
    hash: Sha256,
    /// Bytes in the file.
    bytes: u64,
    /// Parts of the records that are not packed yet, record by record.
    waiting: Vec<Vec<u8>>,
    waiting_bytes: usize,
    groups: Vec<Group>,
    records: u32,
}

/// What [`SegmentWriter::finish`] has made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WrittenSegment {
    /// Length of the file.
    pub bytes: u64,
    /// The SHA-256 in its last 32 bytes, of all before them.
    pub digest: Digest,
}

impl SegmentWriter {
    /// Begins the segment that will be at `path`, in a folder that is made when it is not there.
    ///
    /// # Errors
    /// [`StorageError::Misuse`] for a segment of nothing; [`StorageError::DiskFull`], [`StorageError::Io`].
    pub fn create(disk: Arc<dyn Disk>, path: &Path, head: SegmentHead) -> Result<Self> {
        if head.count == 0 || head.parts == 0 {
            return Err(StorageError::Misuse { action: ACTION, detail: "a segment has records and parts" });
        }
        let folder = files::folder_of(path);
        disk.create_folder(folder).map_err(|source| StorageError::io(ACTION, folder, source))?;
        let header = head.encode();
        let file = files::write_beside(disk.as_ref(), ACTION, path, &header)?;
        let mut hash = Sha256::new();
        hash.update(&header);
        Ok(Self {
            disk,
            path: path.to_owned(),
            file,
            head,
            hash,
            bytes: header.len() as u64,
            waiting: Vec::new(),
            waiting_bytes: 0,
            groups: Vec::new(),
            records: 0,
        })
    }

    /// Whether a file of this name was left by an interrupted writer.
    #[must_use]
    pub fn is_leftover(name: &str) -> bool {
        files::is_beside(name)
    }

    /// Adds the next record.
    ///
    /// # Errors
    /// [`StorageError::Misuse`] for another number of parts than the head says, or a record too many;
    /// [`StorageError::RecordTooLong`], [`StorageError::DiskFull`], [`StorageError::Io`].
    pub fn add(&mut self, parts: &[&[u8]]) -> Result<()> {
        if parts.len() != self.head.parts as usize || self.records == self.head.count {
            let detail = "a record has the parts, and a segment the records, that its head says";
            return Err(StorageError::Misuse { action: ACTION, detail });
        }
        let bytes: usize = parts.iter().map(|part| part.len()).sum();
        if bytes > RECORD_BYTES_MAX {
            return Err(StorageError::RecordTooLong { bytes, max: RECORD_BYTES_MAX });
        }
        self.waiting.extend(parts.iter().map(|part| part.to_vec()));
        self.waiting_bytes += bytes;
        self.records += 1;
        if self.waiting_bytes >= GROUP_BYTES || self.waiting.len() >= GROUP_RECORDS_MAX * parts.len() {
            self.end_group()?;
        }
        Ok(())
    }

    /// Ends the segment: when this returns it is at its place, whole and on disk.
    ///
    /// # Errors
    /// [`StorageError::Misuse`] when records are missing; [`StorageError::DiskFull`], [`StorageError::Io`].
    pub fn finish(mut self) -> Result<WrittenSegment> {
        if self.records != self.head.count {
            return Err(StorageError::Misuse { action: ACTION, detail: "records are missing" });
        }
        if !self.waiting.is_empty() {
            self.end_group()?;
        }
        let (index_offset, index) =
            (self.bytes, self.groups.iter().flat_map(Group::encode).collect::<Vec<_>>());
        let groups = number(self.groups.len())?;
        let crc = frame_crc(&self.head.encode(), &index, index_offset, groups);
        self.append(&index)?;
        let trailer = Trailer { index_offset, groups, crc, sha256: [0; 32] };
        self.append(&trailer.encode_before_hash())?;
        let sha256: [u8; 32] = self.hash.clone().finalize().into();
        self.append(&sha256)?;
        self.file.sync().map_err(|source| StorageError::io(ACTION, &self.path, source))?;
        files::move_in_place(self.disk.as_ref(), ACTION, &self.path)?;
        Ok(WrittenSegment { bytes: self.bytes, digest: Digest(sha256) })
    }

    fn end_group(&mut self) -> Result<()> {
        let parts = self.head.parts as usize;
        let records = self.waiting.len() / parts;
        let mut unpacked = Vec::with_capacity(self.waiting_bytes + 4 * self.waiting.len());
        for part in &self.waiting {
            unpacked.extend(number(part.len())?.to_le_bytes());
        }
        for part in 0..parts {
            self.waiting.iter().skip(part).step_by(parts).for_each(|bytes| unpacked.extend(bytes));
        }
        let packed = zstd::bulk::compress(&unpacked, LEVEL)
            .map_err(|source| StorageError::io(ACTION, &self.path, source))?;
        self.groups.push(Group {
            offset: self.bytes,
            packed: number(packed.len())?,
            unpacked: number(unpacked.len())?,
            records: number(records)?,
            crc: crc32c::crc32c(&packed),
        });
        self.append(&packed)?;
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }

    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.append(bytes).map_err(|source| StorageError::io(ACTION, &self.path, source))?;
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn number(length: usize) -> Result<u32> {
    u32::try_from(length)
        .map_err(|_| StorageError::Misuse { action: ACTION, detail: "a group has less than 4 GiB" })
}
