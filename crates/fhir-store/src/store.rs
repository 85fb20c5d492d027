//! The store: one encrypted file, one writer, and readers that are bound to permits.

use crate::{Reader, StoreError, schema, writer::Writer};
use bxp_privacy::Permit;
use bxp_types::{BlockClass, Secret};
use parking_lot::{Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

const FILE: &str = "records.db";
/// The writer's cache in KiB: the ends of the index's lists stay in memory.
const WRITER_CACHE_KIB: i64 = 256 << 10;
/// A reader's cache in KiB.
const READER_CACHE_KIB: i64 = 48 << 10;
/// Readers that are kept open.
const READERS_KEPT: usize = 16;
/// Prepared statements that a connection keeps.
const STATEMENTS_KEPT: usize = 96;
/// How long a connection waits for another one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The working copy of a hospital's resources. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    path: PathBuf,
    key: Secret<[u8; 32]>,
    writer: Mutex<Writer>,
    readers: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens the store in `folder` under `key`, creating it where it is not there.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] under another key, [`StoreError::LaterSchema`], [`StoreError::Io`],
    /// [`StoreError::Database`].
    pub fn open(folder: &Path, key: Secret<[u8; 32]>) -> Result<Self, StoreError> {
        let path = folder.join(FILE);
        fs::create_dir_all(folder).map_err(|source| StoreError::Io { path: path.clone(), source })?;
        let mut connection = connect(&path, &key, WRITER_CACHE_KIB, true)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // The gate keeps what it needs to do the last transactions again, until a checkpoint has synced them.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // What is forgotten is overwritten, and does not lie about in free pages.
        connection.pragma_update(None, "secure_delete", true)?;
        let outdated = schema::migrate(&mut connection)?;
        let mut writer = Writer::new(connection)?;
        if outdated {
            writer.index_again()?;
        }
        let (writer, readers) = (Mutex::new(writer), Mutex::new(Vec::new()));
        Ok(Self(Arc::new(Inner { path, key, writer, readers })))
    }

    /// The one writer; others wait for it.
    pub fn writer(&self) -> MutexGuard<'_, Writer> {
        self.0.writer.lock()
    }

    /// A reader that opens what `permit` opens at `now_ms`, milliseconds since the epoch.
    ///
    /// # Errors
    /// [`StoreError::NotPermitted`] for a permit of the de-identified side; [`StoreError::Database`].
    pub fn reader(&self, permit: &Permit, now_ms: u64) -> Result<Reader, StoreError> {
        // What is kept here is whole, so only leave for the identity side opens it.
        if !matches!(permit.class(), BlockClass::Identity(_)) || now_ms >= permit.expires_ms() {
            return Err(StoreError::NotPermitted);
        }
        Ok(Reader::new(self.pooled()?, permit.clone(), now_ms))
    }

    /// Bytes on disk, the log of the last transactions included.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        let with = |ending: &str| {
            let mut path = self.0.path.clone().into_os_string();
            path.push(ending);
            fs::metadata(path).map_or(0, |found| found.len())
        };
        with("") + with("-wal")
    }

    fn pooled(&self) -> Result<Pooled, StoreError> {
        let kept = self.0.readers.lock().pop();
        let connection = match kept {
            Some(connection) => connection,
            None => connect(&self.0.path, &self.0.key, READER_CACHE_KIB, false)?,
        };
        Ok(Pooled { connection: Some(connection), store: self.clone() })
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.0.path).finish()
    }
}

/// A reader's connection, which goes back to the others.
pub(crate) struct Pooled {
    connection: Option<Connection>,
    store: Store,
}

impl Deref for Pooled {
    type Target = Connection;

    #[allow(clippy::expect_used, reason = "it is taken out by drop alone")]
    fn deref(&self) -> &Connection {
        self.connection.as_ref().expect("a connection is there until it is dropped")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let mut readers = self.store.0.readers.lock();
        if let (true, Some(connection)) = (readers.len() < READERS_KEPT, self.connection.take()) {
            readers.push(connection);
        }
    }
}

fn connect(
    path: &Path,
    key: &Secret<[u8; 32]>,
    cache_kib: i64,
    create: bool,
) -> Result<Connection, StoreError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let connection = Connection::open_with_flags(path, flags)?;
    // A raw key: it is random already, so there is nothing to stretch.
    let hex: String = key.expose().iter().map(|byte| format!("{byte:02x}")).collect();
    connection.execute_batch(&format!(
        "PRAGMA cipher_log_level = NONE; PRAGMA key = \"x'{hex}'\"; PRAGMA cipher_page_size = 8192;"
    ))?;
    let opened = connection.query_row("SELECT count(*) FROM sqlite_master", [], |_| Ok(()));
    if let Err(error) = opened {
        let sealed = error.sqlite_error_code() == Some(rusqlite::ErrorCode::NotADatabase);
        return Err(if sealed { StoreError::Sealed(path.to_owned()) } else { error.into() });
    }
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    if !create {
        connection.pragma_update(None, "query_only", true)?;
    }
    Ok(connection)
}
