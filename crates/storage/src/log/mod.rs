//! An append-only file of records that must be on disk before the node says something.

mod record;
mod segments;

pub use record::RECORD_BYTES_MAX;
pub use segments::SegmentedLog;

use crate::{Disk, DiskFile, Result, StorageError, disk::FileSystem, files};
use bytes::Bytes;
use record::Found;
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The longest payload that is copied beside its header to save a write.
const COPIED_BYTES_MAX: usize = 4096;

/// A write-ahead log. It belongs in the folder of a [`Store`](crate::Store), whose lock keeps other processes away.
///
/// After an append or a sync that failed nothing more is accepted: it is unknown what the disk holds, and only
/// opening the log again tells.
#[derive(Debug)]
pub struct Log {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    salt: u64,
    end: u64,
    torn_bytes: u64,
    poisoned: bool,
}

impl Log {
    /// Opens the log at `path` and gives back its records in order; creates it when it is not there.
    ///
    /// What a crash left of the last record is cut off; [`Log::torn_bytes`] says how much that was. A damaged last
    /// record cannot be told from one cut short.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`] when the file is no log, or when a whole record follows a damaged one;
    /// [`StorageError::DiskFull`], [`StorageError::Io`].
    pub fn open(path: &Path) -> Result<(Self, Vec<Bytes>)> {
        Self::open_on(Arc::new(FileSystem), path)
    }

    /// [`Log::open`] on another disk than the operating system's.
    ///
    /// # Errors
    /// As [`Log::open`].
    pub fn open_on(disk: Arc<dyn Disk>, path: &Path) -> Result<(Self, Vec<Bytes>)> {
        let io = |source| StorageError::io("open log", path, source);
        remove_leftover(disk.as_ref(), path)?;
        let Some((mut file, bytes)) = disk.open(path).map_err(io)? else {
            return Ok((Self::create(disk.as_ref(), path)?, Vec::new()));
        };
        let length = bytes.len() as u64;
        let (salt, records, end) = replay(path, &bytes.into())?;
        if length > end {
            file.truncate(end).map_err(io)?;
        }
        // Records that the last process appended and did not sync are replayed, so they must not vanish later.
        file.sync().map_err(io)?;
        let torn_bytes = length.saturating_sub(end);
        Ok((Self { file, path: path.to_owned(), salt, end, torn_bytes, poisoned: false }, records))
    }

    /// Bytes that [`Log::open`] cut off behind the last whole record.
    #[must_use]
    pub const fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Bytes of the file.
    #[must_use]
    pub const fn size_bytes(&self) -> u64 {
        self.end
    }

    /// Adds a record. It survives the process when this returns, and the machine after [`Log::sync`].
    ///
    /// # Errors
    /// [`StorageError::RecordTooLong`]; [`StorageError::DiskFull`] and [`StorageError::Io`], after which the log is
    /// [`StorageError::Poisoned`].
    pub fn append(&mut self, payload: &[u8]) -> Result<()> {
        const ACTION: &str = "append to log";
        self.check_usable(ACTION)?;
        check_length(payload)?;
        if let Err(source) = self.write_record(payload) {
            self.poisoned = true;
            return Err(StorageError::io(ACTION, &self.path, source));
        }
        self.end += (record::RECORD_HEADER_BYTES + payload.len()) as u64;
        Ok(())
    }

    /// A small record goes out in one write; a long one is not copied for that.
    fn write_record(&mut self, payload: &[u8]) -> io::Result<()> {
        let header = record::header(self.salt, self.end, payload);
        if payload.len() > COPIED_BYTES_MAX {
            self.file.append(&header)?;
            return self.file.append(payload);
        }
        self.file.append(&[&header, payload].concat())
    }

    /// Returns when every record added so far is on disk (fdatasync).
    ///
    /// # Errors
    /// [`StorageError::DiskFull`] and [`StorageError::Io`], after which the log is [`StorageError::Poisoned`].
    pub fn sync(&mut self) -> Result<()> {
        const ACTION: &str = "sync log";
        self.check_usable(ACTION)?;
        self.file.sync().map_err(|source| {
            self.poisoned = true;
            StorageError::io(ACTION, &self.path, source)
        })
    }

    fn create(disk: &dyn Disk, path: &Path) -> Result<Self> {
        let salt = disk.salt();
        let header = record::file_header(salt);
        let file = files::replace(disk, "create log", path, &header)?;
        let end = header.len() as u64;
        Ok(Self { file, path: path.to_owned(), salt, end, torn_bytes: 0, poisoned: false })
    }

    fn check_usable(&self, action: &'static str) -> Result<()> {
        if self.poisoned { Err(StorageError::Poisoned { action, path: self.path.clone() }) } else { Ok(()) }
    }
}

fn check_length(payload: &[u8]) -> Result<()> {
    if payload.len() > RECORD_BYTES_MAX {
        return Err(StorageError::RecordTooLong { bytes: payload.len(), max: RECORD_BYTES_MAX });
    }
    Ok(())
}

fn remove_leftover(disk: &dyn Disk, path: &Path) -> Result<()> {
    let beside = files::beside(path);
    match disk.remove(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StorageError::io("open log", &beside, error))
        }
        _ => Ok(()),
    }
}

/// The salt, the records, and where the last whole one ends.
fn replay(path: &Path, file: &Bytes) -> Result<(u64, Vec<Bytes>, u64)> {
    let corrupt =
        |detail: String| StorageError::Corrupt { action: "open log", path: path.to_owned(), detail };
    let salt =
        record::read_file_header(file).ok_or_else(|| corrupt("it is no log of version 1".to_owned()))?;
    let (mut records, mut offset) = (Vec::new(), record::FILE_HEADER_BYTES);
    loop {
        match record::read(salt, file, offset) {
            Found::Record(payload) => {
                offset += record::RECORD_HEADER_BYTES + payload.len();
                records.push(file.slice_ref(payload));
            }
            Found::End | Found::CutShort => return Ok((salt, records, offset as u64)),
            Found::Damage => {
                return match record::find_after(salt, file, offset) {
                    None => Ok((salt, records, offset as u64)),
                    Some(next) => Err(corrupt(format!(
                        "the record at byte {offset} is damaged, and one at byte {next} is whole"
                    ))),
                };
            }
        }
    }
}

#[cfg(test)]
mod tests;
