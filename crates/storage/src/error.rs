//! What can go wrong with a data folder, in words that say what and where.

use bxp_types::NetworkId;
use std::{
    io,
    path::{Path, PathBuf},
};

/// Why the data folder could not be opened, read or written. Keys and values never appear in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StorageError {
    /// Another process holds the folder's lock.
    #[error("another process uses data folder {}; stop it, or use another --dir", .folder.display())]
    InUse {
        /// The data folder.
        folder: PathBuf,
    },
    /// The folder was made by a node of another network.
    #[error("data folder {} belongs to network {found}, this node is of network {wanted}; use another --dir", .folder.display())]
    OtherNetwork {
        /// The data folder.
        folder: PathBuf,
        /// The network that the folder belongs to.
        found: NetworkId,
        /// The network of this node.
        wanted: NetworkId,
    },
    /// The disk, the quota or the largest file size is used up. Everything acknowledged before is kept.
    #[error("{action}: no space left on the disk of {}; free some and start the node again", .path.display())]
    DiskFull {
        /// What was being done.
        action: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{action} at {}", .path.display())]
    Io {
        /// What was being done.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// The operating system's word for it.
        source: io::Error,
    },
    /// What is on disk is not what was written.
    #[error("{action}: {} is damaged: {detail}; restore the folder from a backup or synchronise anew with another --dir", .path.display())]
    Corrupt {
        /// What was being done.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// How it shows.
        detail: String,
    },
    /// A write failed before, so that nothing more is accepted until the file has been opened again: after a failed
    /// fsync it is unknown what the disk holds.
    #[error("{action}: an earlier write to {} failed; start the node again", .path.display())]
    Poisoned {
        /// What was being done.
        action: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// A caller's mistake: a name or key that the database cannot hold, or a table of another store.
    #[error("{action}: {detail}")]
    Misuse {
        /// What was being done.
        action: &'static str,
        /// What is wrong with it.
        detail: &'static str,
    },
    /// A log record above the bound.
    #[error("append to log: a record of {bytes} bytes is above the {max} that a log takes")]
    RecordTooLong {
        /// Bytes of the record.
        bytes: usize,
        /// The most.
        max: usize,
    },
}

impl StorageError {
    /// Names an operating-system error.
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                Self::DiskFull { action, path }
            }
            _ => Self::Io { action, path, source },
        }
    }

    /// Names a database error.
    pub(crate) fn database(action: &'static str, path: &Path, error: fjall::Error) -> Self {
        match error {
            fjall::Error::Io(source) | fjall::Error::Storage(fjall::LsmError::Io(source)) => {
                Self::io(action, path, source)
            }
            fjall::Error::Poisoned => Self::Poisoned { action, path: path.to_owned() },
            fjall::Error::Locked => Self::InUse { folder: path.to_owned() },
            other => Self::Corrupt { action, path: path.to_owned(), detail: other.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_has_a_type_of_its_own() {
        for code in [28, 122, 27] {
            let error =
                StorageError::io("append to log", Path::new("/data/wal"), io::Error::from_raw_os_error(code));
            assert_eq!(
                error.to_string(),
                "append to log: no space left on the disk of /data/wal; free some and start the node again"
            );
        }
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let error = StorageError::database("open database", Path::new("/data"), fjall::Error::Io(denied));
        assert_eq!(error.to_string(), "open database at /data");
    }
}
