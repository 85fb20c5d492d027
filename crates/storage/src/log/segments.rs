//! A log in several files, so that what is no longer needed goes with its file and nothing is written twice.

use super::Log;
use crate::{Result, StorageError, files};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    fs, io,
    path::{Path, PathBuf},
};

/// A write-ahead log whose records carry a mark, such as a height. Files of which every mark is settled are deleted.
///
/// The files are `PATH.1`, `PATH.2` and so on, each a [`Log`]. Records come back in the order in which they were
/// added; those of settled marks may be among them.
#[derive(Debug)]
pub struct SegmentedLog {
    path: PathBuf,
    segment_bytes_max: u64,
    /// Full segments, oldest first, each with its highest mark.
    full: VecDeque<(u64, PathBuf)>,
    /// The segment that grows.
    active: Log,
    /// The active segment's number.
    number: u64,
    /// The highest mark in the active segment.
    mark_max: u64,
}

impl SegmentedLog {
    /// Opens the segments beside `path` and gives back their records in order; begins the first one where there is
    /// none. A segment of about `segment_bytes_max` is full. What is found counts as marked `mark`.
    ///
    /// # Errors
    /// As [`Log::open`]; [`StorageError::Corrupt`] too when a record was cut short in a segment that is not the last.
    pub fn open(path: &Path, segment_bytes_max: u64, mark: u64) -> Result<(Self, Vec<Bytes>)> {
        let numbers = numbers(path)?;
        let Some((&number, earlier)) = numbers.split_last() else {
            let (active, records) = Log::open(&segment(path, 1))?;
            let log = Self {
                path: path.to_owned(),
                segment_bytes_max,
                full: VecDeque::new(),
                active,
                number: 1,
                mark_max: mark,
            };
            return Ok((log, records));
        };
        let (mut full, mut records) = (VecDeque::new(), Vec::new());
        for earlier in earlier {
            let path = segment(path, *earlier);
            let (log, replayed) = Log::open(&path)?;
            if log.torn_bytes() > 0 {
                let detail = "a record of a full segment is cut short".to_owned();
                return Err(StorageError::Corrupt { action: "open log", path, detail });
            }
            records.extend(replayed);
            full.push_back((mark, path));
        }
        let (active, replayed) = Log::open(&segment(path, number))?;
        records.extend(replayed);
        let path = path.to_owned();
        Ok((Self { path, segment_bytes_max, full, active, number, mark_max: mark }, records))
    }

    /// Adds a record. It survives the process when this returns, and the machine after [`SegmentedLog::sync`].
    ///
    /// # Errors
    /// As [`Log::append`].
    pub fn append(&mut self, mark: u64, payload: &[u8]) -> Result<()> {
        if self.active.size_bytes() >= self.segment_bytes_max {
            self.begin_segment()?;
        }
        self.mark_max = self.mark_max.max(mark);
        self.active.append(payload)
    }

    /// Returns when every record added so far is on disk (fdatasync).
    ///
    /// # Errors
    /// As [`Log::sync`].
    pub fn sync(&mut self) -> Result<()> {
        self.active.sync()
    }

    /// Deletes the full segments that hold no mark above `settled`. Until the folder is synced, a crash may bring them
    /// back; so it may give back records of settled marks.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn settled(&mut self, settled: u64) -> Result<()> {
        while let Some((_, path)) = self.full.front().filter(|(mark_max, _)| *mark_max <= settled) {
            fs::remove_file(path).map_err(|source| StorageError::io("drop log segment", path, source))?;
            self.full.pop_front();
        }
        Ok(())
    }

    /// The active segment is full and durable before the next one exists: a cut in an earlier one is damage.
    fn begin_segment(&mut self) -> Result<()> {
        self.active.sync()?;
        let (next, _) = Log::open(&segment(&self.path, self.number + 1))?;
        self.full.push_back((self.mark_max, segment(&self.path, self.number)));
        self.number += 1;
        self.active = next;
        Ok(())
    }
}

fn segment(path: &Path, number: u64) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

/// The numbers of the segments that are there, ascending.
fn numbers(path: &Path) -> Result<Vec<u64>> {
    let folder = files::folder_of(path);
    let prefix = path.file_name().map(|name| format!("{}.", name.to_string_lossy())).unwrap_or_default();
    let list = || -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(folder)? {
            let name = entry?.file_name();
            let number = name.to_str().and_then(|name| name.strip_prefix(&prefix));
            numbers.extend(number.and_then(|number| number.parse::<u64>().ok()));
        }
        numbers.sort_unstable();
        Ok(numbers)
    };
    list().map_err(|source| StorageError::io("open log", folder, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(path: &Path, mark: u64) -> (SegmentedLog, Vec<Bytes>) {
        SegmentedLog::open(path, 64, mark).unwrap()
    }

    fn files(path: &Path) -> usize {
        numbers(path).unwrap().len()
    }

    #[test]
    fn records_come_back_in_order_until_their_segment_is_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wal");
        let (mut log, replayed) = open(&path, 0);
        assert!(replayed.is_empty());
        let record = |mark: u64| Bytes::from(format!("{mark:40}"));
        for mark in 1..=20 {
            log.append(mark, &record(mark)).unwrap();
        }
        log.sync().unwrap();
        let written = files(&path);
        assert!(written > 5);
        drop(log);
        let (mut log, replayed) = open(&path, 20);
        assert_eq!(replayed, (1..=20).map(record).collect::<Vec<_>>());
        log.settled(19).unwrap();
        assert_eq!(files(&path), written, "what was found counts as marked 20");
        log.append(21, &record(21)).unwrap();
        log.append(22, &record(22)).unwrap();
        log.settled(20).unwrap();
        assert!(files(&path) <= 2);
        drop(log);
        let (_, replayed) = open(&path, 20);
        assert!(replayed.ends_with(&[record(21), record(22)]));
        assert!(!replayed.contains(&record(1)));
    }

    #[test]
    fn a_cut_is_forgiven_in_the_last_segment_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wal");
        let (mut log, _) = open(&path, 0);
        for mark in 1..=6 {
            log.append(mark, &[7; 40]).unwrap();
        }
        drop(log);
        let cut = |number: u64| {
            let file = segment(&path, number);
            let bytes = fs::read(&file).unwrap();
            fs::write(&file, &bytes[..bytes.len() - 1]).unwrap();
        };
        let last = *numbers(&path).unwrap().last().unwrap();
        cut(last);
        let (_, replayed) = open(&path, 0);
        assert_eq!(replayed.len(), 5);
        cut(1);
        let error = SegmentedLog::open(&path, 64, 0).unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
    }
}
