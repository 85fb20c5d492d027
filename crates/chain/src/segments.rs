//! The past in files: blocks, receipts and certificates that left their tables for immutable segments (ADR 76).
//!
//! | table | key | value |
//! |---|---|---|
//! | `segments` | the first height (8 bytes BE) | number of heights (4 bytes BE), bytes of the file (8 BE), SHA-256 that the file ends with (32) |
//!
//! A row stands for a file that is whole and on disk; together the rows cover the heights from 0 to the end of the last
//! one. A file without a row is no part of the chain. Whoever reads goes through [`crate::blocks::Blocks`] and does not
//! learn where a height lies.

use crate::{ChainError, codec};
use bxp_storage::{Batch, Disk, Segment, SegmentHead, SegmentWriter, Store, Table, WrittenSegment};
use bxp_types::{Digest, Height, NetworkId};
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::Arc,
};

/// Segments whose index and newest group are in memory at most: some 16 MB.
const OPEN_MAX: usize = 64;
/// The folder of the files, in the store's.
const FOLDER: &str = "segments";

/// What a segment has of each height, in the order of a record's parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Block = 0,
    Receipts = 1,
    /// Empty where there is none, as at height 0.
    Certificate = 2,
}

const PARTS: u32 = 3;

/// The segments of a chain. Clones share them.
#[derive(Clone)]
pub(crate) struct Segments {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    table: Table,
    rows: Arc<RwLock<BTreeMap<u64, Row>>>,
    /// The newest used last.
    open: Arc<Mutex<Opened>>,
}

/// Opened segments by their first heights.
type Opened = VecDeque<(u64, Arc<Segment>)>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) count: u32,
    pub(crate) bytes: u64,
    pub(crate) digest: Digest,
}

impl Segments {
    /// Reads which segments there are; none of them is opened yet.
    pub(crate) fn open(store: &Store) -> Result<Self, ChainError> {
        let table = store.table("segments")?;
        let mut rows = BTreeMap::new();
        for entry in table.iter() {
            let (key, value) = entry?;
            let first = codec::decode_height("segments", &key)?;
            rows.insert(first.0, Row::decode(&value)?);
        }
        let (disk, folder) = (store.disk(), store.folder().join(FOLDER));
        Ok(Self { disk, folder, table, rows: Arc::new(RwLock::new(rows)), open: Arc::default() })
    }

    /// The height behind the last segment: up to it all have left their tables or are about to.
    pub(crate) fn end(&self) -> Height {
        let rows = self.rows.read();
        Height(rows.last_key_value().map_or(0, |(first, row)| first + u64::from(row.count)))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.read().len()
    }

    /// What is kept of `height`; nothing where no segment has it.
    ///
    /// # Errors
    /// [`ChainError::Storage`] that names the file, when it is not what was written.
    pub(crate) fn read(&self, height: Height, part: Part) -> Result<Option<Bytes>, ChainError> {
        let row = self.rows.read().range(..=height.0).next_back().map(|(first, row)| (*first, *row));
        let Some((first, row)) = row.filter(|(first, row)| height.0 - first < u64::from(row.count)) else {
            return Ok(None);
        };
        let found = self.segment(first, row)?.read(height.0, part as usize)?;
        Ok(found.filter(|bytes| !bytes.is_empty()))
    }

    /// Begins the segment of `count` heights from `first` on.
    pub(crate) fn begin(
        &self,
        network: NetworkId,
        chain_id: u64,
        first: Height,
        count: u32,
    ) -> Result<SegmentWriter, ChainError> {
        let head = SegmentHead { network, chain_id, first: first.0, count, parts: PARTS };
        Ok(SegmentWriter::create(Arc::clone(&self.disk), &self.path(first.0), head)?)
    }

    /// Adds the row of a segment that is on disk to `batch`; once that is on disk too, [`Segments::know`] it.
    pub(crate) fn put(&self, batch: &mut Batch, first: Height, count: u32, written: WrittenSegment) {
        let row = Row { count, bytes: written.bytes, digest: written.digest };
        batch.put(&self.table, first.0.to_be_bytes(), row.encode());
    }

    /// From here on this segment is read.
    pub(crate) fn know(&self, first: Height, count: u32, written: WrittenSegment) {
        let row = Row { count, bytes: written.bytes, digest: written.digest };
        self.rows.write().insert(first.0, row);
    }

    /// Removes the files that have no row: of a segment whose making was interrupted.
    pub(crate) fn remove_leftovers(&self) -> Result<(), ChainError> {
        let known: Vec<String> = self.rows.read().keys().map(|first| name(*first)).collect();
        let io = |source| ChainError::segments(&self.folder, source);
        for found in self.disk.names(&self.folder).map_err(io)? {
            let is_ours = SegmentWriter::is_leftover(&found) || found.ends_with(EXTENSION);
            if is_ours && !known.contains(&found) {
                tracing::info!(file = %found, "remove a segment that was not finished");
                self.disk.remove(&self.folder.join(&found)).map_err(io)?;
            }
        }
        Ok(())
    }

    /// Reads each segment whole; tells `found` of what is not as it was written, with the segment's first height.
    pub(crate) fn verify(
        &self,
        network: NetworkId,
        chain_id: u64,
        mut found: impl FnMut(Height, String, String),
    ) {
        let (rows, mut next) = (self.rows.read().clone(), 0);
        for (first, row) in rows {
            let file = format!("segment {}", self.path(first).display());
            if first != next {
                found(Height(first), file.clone(), format!("the segment from height {first}, not {next}"));
            }
            next = first + u64::from(row.count);
            let verified = self.segment(first, row).and_then(|segment| {
                let head = segment.head();
                segment.verify()?;
                Ok((head.network, head.chain_id) == (network, chain_id))
            });
            match verified {
                Ok(true) => {}
                Ok(false) => found(Height(first), file, "of another network".to_owned()),
                Err(error) => found(Height(first), file, error.chain()),
            }
        }
    }

    fn segment(&self, first: u64, row: Row) -> Result<Arc<Segment>, ChainError> {
        let mut open = self.open.lock();
        if let Some(at) = open.iter().position(|(of, _)| *of == first)
            && let Some(found) = open.remove(at)
        {
            let segment = Arc::clone(&found.1);
            open.push_back(found);
            return Ok(segment);
        }
        let segment = Segment::open(Arc::clone(&self.disk), &self.path(first), row.bytes, row.digest)?;
        let head = segment.head();
        if (head.first, head.count, head.parts) != (first, row.count, PARTS) {
            return Err(ChainError::decode(
                "segment",
                format!("{} has other heights", self.path(first).display()),
            ));
        }
        let segment = Arc::new(segment);
        open.push_back((first, Arc::clone(&segment)));
        if open.len() > OPEN_MAX {
            open.pop_front();
        }
        Ok(segment)
    }

    fn path(&self, first: u64) -> PathBuf {
        self.folder.join(name(first))
    }
}

const EXTENSION: &str = ".segment";

/// The name of the file whose first height is `first`; names sort as heights do.
fn name(first: u64) -> String {
    format!("{first:020}{EXTENSION}")
}

impl Row {
    pub(crate) fn encode(&self) -> Vec<u8> {
        [self.count.to_be_bytes().as_slice(), &self.bytes.to_be_bytes(), &self.digest.0].concat()
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, ChainError> {
        let bytes: [u8; 44] =
            bytes.try_into().map_err(|_| ChainError::decode("segments", "a row is not 44 bytes"))?;
        let [c0, c1, c2, c3, b0, b1, b2, b3, b4, b5, b6, b7, digest @ ..] = bytes;
        Ok(Self {
            count: u32::from_be_bytes([c0, c1, c2, c3]),
            bytes: u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]),
            digest: Digest(digest),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_and_a_name_are_pinned() {
        let row = Row { count: 8_192, bytes: 0x0102_0304, digest: Digest([7; 32]) };
        let hex: String = row.encode().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, ["00002000", "0000000001020304", &"07".repeat(32)].concat());
        assert_eq!(Row::decode(&row.encode()).unwrap(), row);
        assert!(Row::decode(&row.encode()[1..]).is_err());
        assert_eq!(name(8_192), "00000000000000008192.segment");
    }
}
