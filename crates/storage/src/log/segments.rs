//! A log in several files, so that what is no longer needed goes with its file and nothing is written twice.

use super::Log;
use crate::{Disk, Result, StorageError, disk::FileSystem, files};
use bytes::Bytes;
use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A write-ahead log whose records carry a mark, such as a height. Files of which every mark is settled are deleted.
///
/// The files are `PATH`, `PATH.1`, `PATH.2` and so on, each a [`Log`]. Records come back in the order in which they
/// were added; those of settled marks may be among them.
#[derive(Debug)]
pub struct SegmentedLog {
    disk: Arc<dyn Disk>,
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
    /// Opens the segments of `path` and gives back their records in order; begins the first one where there is
    /// none. A segment of about `segment_bytes_max` is full. What is found counts as marked `mark`.
    ///
    /// # Errors
    /// As [`Log::open`]; [`StorageError::Corrupt`] too when a record was cut short in a segment that is not the last.
    pub fn open(path: &Path, segment_bytes_max: u64, mark: u64) -> Result<(Self, Vec<Bytes>)> {
        Self::open_on(Arc::new(FileSystem), path, segment_bytes_max, mark)
    }

    /// [`SegmentedLog::open`] on another disk than the operating system's.
    ///
    /// # Errors
    /// As [`SegmentedLog::open`].
    pub fn open_on(
        disk: Arc<dyn Disk>,
        path: &Path,
        segment_bytes_max: u64,
        mark: u64,
    ) -> Result<(Self, Vec<Bytes>)> {
        let numbers = Self::numbers(disk.as_ref(), path)?;
        let (number, earlier) = numbers.split_last().map_or((0, &[][..]), |(last, earlier)| (*last, earlier));
        let (mut full, mut records) = (VecDeque::new(), Vec::new());
        for earlier in earlier {
            let path = segment(path, *earlier);
            let (log, replayed) = Log::open_on(Arc::clone(&disk), &path)?;
            if log.torn_bytes() > 0 {
                let detail = "a record of a full segment is cut short".to_owned();
                return Err(StorageError::Corrupt { action: "open log", path, detail });
            }
            records.extend(replayed);
            full.push_back((mark, path));
        }
        let (active, replayed) = Log::open_on(Arc::clone(&disk), &segment(path, number))?;
        records.extend(replayed);
        let path = path.to_owned();
        Ok((Self { disk, path, segment_bytes_max, full, active, number, mark_max: mark }, records))
    }

    /// Deletes the log at `path`, all of its segments.
    ///
    /// # Errors
    /// [`StorageError::Io`].
    pub fn remove(disk: &dyn Disk, path: &Path) -> Result<()> {
        for number in Self::numbers(disk, path)? {
            let path = segment(path, number);
            disk.remove(&path).map_err(|source| StorageError::io("drop log segment", &path, source))?;
        }
        Ok(())
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
            self.disk.remove(path).map_err(|source| StorageError::io("drop log segment", path, source))?;
            self.full.pop_front();
        }
        Ok(())
    }

    /// The active segment is full and durable before the next one exists: a cut in an earlier one is damage.
    fn begin_segment(&mut self) -> Result<()> {
        self.active.sync()?;
        let (next, _) = Log::open_on(Arc::clone(&self.disk), &segment(&self.path, self.number + 1))?;
        self.full.push_back((self.mark_max, segment(&self.path, self.number)));
        self.number += 1;
        self.active = next;
        Ok(())
    }

    /// The numbers of the segments that are there, ascending.
    fn numbers(disk: &dyn Disk, path: &Path) -> Result<Vec<u64>> {
        let folder = files::folder_of(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let names = disk.names(folder).map_err(|source| StorageError::io("open log", folder, source))?;
        let number = |found: &String| match found.strip_prefix(name.as_ref())? {
            "" => Some(0),
            rest => rest.strip_prefix('.')?.parse().ok(),
        };
        let mut numbers: Vec<u64> = names.iter().filter_map(number).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }
}

fn segment(path: &Path, number: u64) -> PathBuf {
    if number == 0 {
        return path.to_owned();
    }
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryDisk;
    use std::fs;

    fn open(path: &Path, mark: u64) -> (SegmentedLog, Vec<Bytes>) {
        SegmentedLog::open(path, 64, mark).unwrap()
    }

    fn files(path: &Path) -> usize {
        SegmentedLog::numbers(&FileSystem, path).unwrap().len()
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
        let last = *SegmentedLog::numbers(&FileSystem, &path).unwrap().last().unwrap();
        cut(last);
        let (_, replayed) = open(&path, 0);
        assert_eq!(replayed.len(), 5);
        cut(1);
        let error = SegmentedLog::open(&path, 64, 0).unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
    }

    #[test]
    fn whenever_the_power_fails_what_was_synced_comes_back_in_order() {
        let path = Path::new("/node/wal");
        for power in 0..160 {
            let disk = MemoryDisk::new(power);
            disk.fail_power_after(power);
            let mut synced = 0;
            let mut run = || -> Result<()> {
                let (mut log, _) = SegmentedLog::open_on(Arc::new(disk.clone()), path, 64, 0)?;
                for mark in 1..=20_u64 {
                    log.append(mark, &mark.to_le_bytes().repeat(4))?;
                    log.sync()?;
                    synced = mark;
                    log.settled(mark.saturating_sub(5))?;
                }
                Ok(())
            };
            let ended = run();
            assert_eq!(ended.is_err(), disk.is_off());
            disk.crash(|below| power.wrapping_mul(0x9e37_79b9) % below);
            let (_, replayed) = SegmentedLog::open_on(Arc::new(disk), path, 64, 20).unwrap();
            let marks: Vec<u64> =
                replayed.iter().map(|record| u64::from_le_bytes(record[..8].try_into().unwrap())).collect();
            assert!(marks.is_sorted(), "{power}: {marks:?}");
            let needed = synced.saturating_sub(4).max(1)..=synced;
            assert!(needed.clone().all(|mark| marks.contains(&mark)), "{power}: {needed:?} of {marks:?}");
        }
    }
}
