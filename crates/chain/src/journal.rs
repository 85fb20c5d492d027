//! What consensus said, on disk before it is said.
//!
//! Consensus gives opaque records. A record is kept until every height that had begun when it was written is settled;
//! then the log is rewritten without it.

use crate::ChainError;
use bxp_storage::{Disk, Log};
use bxp_types::Height;
use bytes::Bytes;
use std::{path::Path, sync::Arc};

/// Records after which a settled height triggers a rewrite.
const REWRITE_RECORDS: usize = 512;
/// Bytes after which a settled height triggers a rewrite.
const REWRITE_BYTES: usize = 32 << 20;

/// The write-ahead log of what consensus said.
#[derive(Debug)]
pub struct Journal {
    log: Log,
    /// Records in order, each with the newest height that had begun.
    records: Vec<(Height, Bytes)>,
    bytes: usize,
    dirty: bool,
}

impl Journal {
    /// Opens the log and gives the earlier run's records for consensus to recover from. They count as of `begun`, the
    /// height above the head, which may have been under way.
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn open(path: &Path, begun: Height) -> Result<(Self, Vec<Bytes>), ChainError> {
        Ok(Self::resume(Log::open(path)?, begun))
    }

    /// [`Journal::open`] on another disk than the operating system's.
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        path: &Path,
        begun: Height,
    ) -> Result<(Self, Vec<Bytes>), ChainError> {
        Ok(Self::resume(Log::open_on(disk, path)?, begun))
    }

    fn resume((log, replayed): (Log, Vec<Bytes>), begun: Height) -> (Self, Vec<Bytes>) {
        let bytes = replayed.iter().map(Bytes::len).sum();
        let records = replayed.iter().map(|record| (begun, record.clone())).collect();
        (Self { log, records, bytes, dirty: false }, replayed)
    }

    /// Adds a record of height `begun` or an earlier one. It is safe after [`Journal::sync`].
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn append(&mut self, begun: Height, record: Bytes) -> Result<(), ChainError> {
        self.log.append(&record)?;
        self.bytes += record.len();
        self.records.push((begun, record));
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

    /// Heights up to `settled` are final: drops their records once enough have gathered.
    ///
    /// # Errors
    /// [`ChainError::Storage`].
    pub fn settled(&mut self, settled: Height) -> Result<(), ChainError> {
        if self.records.len() < REWRITE_RECORDS && self.bytes < REWRITE_BYTES {
            return Ok(());
        }
        let kept = self.records.iter().position(|(begun, _)| *begun > settled).unwrap_or(self.records.len());
        if kept == 0 {
            return Ok(());
        }
        self.records.drain(..kept);
        self.bytes = self.records.iter().map(|(_, record)| record.len()).sum();
        self.log.rotate(self.records.iter().map(|(_, record)| record))?;
        self.dirty = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_live_until_their_heights_are_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("consensus.log");
        let (mut journal, replayed) = Journal::open(&path, Height(0)).unwrap();
        assert!(replayed.is_empty());
        for height in 1..=3 {
            for record in 0..REWRITE_RECORDS / 2 {
                journal.append(Height(height), Bytes::from(format!("{height}/{record}"))).unwrap();
            }
        }
        journal.sync().unwrap();
        journal.settled(Height(2)).unwrap();
        drop(journal);
        let (_, replayed) = Journal::open(&path, Height(2)).unwrap();
        assert_eq!(replayed.len(), REWRITE_RECORDS / 2);
        assert_eq!(replayed[0], Bytes::from("3/0"));
    }
}
