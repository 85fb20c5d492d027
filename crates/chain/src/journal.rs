//! What consensus said, on disk before it is said.
//!
//! Consensus gives opaque records. A record is kept at least until every height that had begun when it was written is
//! settled; then the file that holds it goes (ADR 29).

use crate::ChainError;
use bxp_storage::{Disk, SegmentedLog};
use bxp_types::Height;
use bytes::Bytes;
use std::{path::Path, sync::Arc};

/// About how many bytes a file of the log takes: little to read at a start, and under load one file a second or fewer.
const SEGMENT_BYTES: u64 = 16 << 20;

/// The write-ahead log of what consensus said.
#[derive(Debug)]
pub struct Journal {
    log: SegmentedLog,
    dirty: bool,
}

impl Journal {
    /// Opens the log and gives the earlier run's records for consensus to recover from. They count as of `begun`, the
    /// greatest height that may have been under way.
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn open(path: &Path, begun: Height) -> Result<(Self, Vec<Bytes>), ChainError> {
        let (log, records) = SegmentedLog::open(path, SEGMENT_BYTES, begun.0)?;
        Ok((Self { log, dirty: false }, records))
    }

    /// [`Journal::open`] on another disk than the operating system's, with files of about `segment_bytes`.
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        path: &Path,
        segment_bytes: u64,
        begun: Height,
    ) -> Result<(Self, Vec<Bytes>), ChainError> {
        let (log, records) = SegmentedLog::open_on(disk, path, segment_bytes, begun.0)?;
        Ok((Self { log, dirty: false }, records))
    }

    /// Adds a record of height `begun` or an earlier one. It is safe after [`Journal::sync`].
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn append(&mut self, begun: Height, record: &[u8]) -> Result<(), ChainError> {
        self.log.append(begun.0, record)?;
        self.dirty = true;
        Ok(())
    }

    /// Brings everything appended to the disk. Blocks for the time of a disk flush.
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn sync(&mut self) -> Result<(), ChainError> {
        if std::mem::take(&mut self.dirty) {
            self.log.sync()?;
        }
        Ok(())
    }

    /// Heights up to `settled` are final: files that hold nothing of later ones go.
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn settled(&mut self, settled: Height) -> Result<(), ChainError> {
        Ok(self.log.settled(settled.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_storage::MemoryDisk;

    #[test]
    fn records_live_until_their_heights_are_settled() {
        let (disk, path) = (MemoryDisk::new(1), Path::new("/node/consensus.log"));
        let open = |begun| Journal::open_on(Arc::new(disk.clone()), path, 4_096, Height(begun)).unwrap();
        let (mut journal, replayed) = open(0);
        assert!(replayed.is_empty());
        for height in 1..=3 {
            for record in 0..500 {
                journal.append(Height(height), format!("{height}/{record}").as_bytes()).unwrap();
            }
        }
        journal.sync().unwrap();
        journal.settled(Height(2)).unwrap();
        drop(journal);
        let (_, replayed) = open(2);
        let of_height_3 = replayed.iter().filter(|record| record.starts_with(b"3/")).count();
        assert_eq!(of_height_3, 500);
        assert!(replayed.len() < 1_000, "files of settled heights are gone");
    }
}
