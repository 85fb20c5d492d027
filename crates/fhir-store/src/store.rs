//! The store: one encrypted file or a database server, one writer, and readers that are bound to permits.

use crate::{
    Reader, Server, StoreError,
    database::Database,
    schema,
    sealing::Sealer,
    writer::{Reconnect, Writer},
};
use bxp_privacy::Permit;
use bxp_types::{BlockClass, Secret};
use parking_lot::{Condvar, Mutex, MutexGuard};
use rusqlite::{Connection, OpenFlags};
use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
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
pub(crate) const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// The working copy of a hospital's resources. Clones share it.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

struct Inner {
    place: Place,
    writer: Mutex<Writer>,
    readers: Mutex<Readers>,
    given_back: Condvar,
    /// Of a server: its tables may still have what was forgotten.
    traces: Arc<AtomicBool>,
    /// Held while a server is vacuumed.
    vacuuming: Mutex<()>,
}

/// Where the store is.
#[derive(Clone)]
enum Place {
    File { path: PathBuf, key: Secret<[u8; 32]> },
    Server { server: Box<Server>, sealer: Arc<Sealer> },
}

/// Readers' connections.
#[derive(Default)]
struct Readers {
    idle: Vec<Database>,
    /// With those that are in use.
    open: usize,
}

impl Store {
    /// Opens the store in `folder` under `key`, creating it where it is not there.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] under another key, [`StoreError::LaterSchema`], [`StoreError::Io`],
    /// [`StoreError::Database`].
    pub fn open(folder: &Path, key: Secret<[u8; 32]>) -> Result<Self, StoreError> {
        let path = Self::file(folder);
        fs::create_dir_all(folder).map_err(|source| StoreError::Io { path: path.clone(), source })?;
        let connection = connect(&path, &key, WRITER_CACHE_KIB, true)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // The gate keeps what it needs to do the last transactions again, until a checkpoint has synced them.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        // What is forgotten is overwritten, and does not lie about in free pages.
        connection.pragma_update(None, "secure_delete", true)?;
        Self::new(Place::File { path, key }, Database::file(connection), None)
    }

    /// The file of the store in `folder`.
    #[must_use]
    pub fn file(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Opens the store on a database server, making its tables where they are not there. What the server must not see is
    /// sealed under `key`; each commit is on the server's disk when it is answered.
    ///
    /// # Errors
    /// [`StoreError::OtherKey`], [`StoreError::LaterSchema`], [`StoreError::Configuration`] where the server is not as it must
    /// be or another node writes to it, [`StoreError::Server`].
    pub fn connect(server: Server, key: &Secret<[u8; 32]>) -> Result<Self, StoreError> {
        let sealer = Arc::new(Sealer::new(key)?);
        let writer = {
            let (server, sealer) = (server.clone(), Arc::clone(&sealer));
            move || Ok(Database::server(server.writer()?, Arc::clone(&sealer)))
        };
        let database = writer()?;
        Self::new(Place::Server { server: Box::new(server), sealer }, database, Some(Box::new(writer)))
    }

    fn new(place: Place, mut database: Database, reconnect: Option<Reconnect>) -> Result<Self, StoreError> {
        let outdated = schema::migrate(&mut database)?;
        // A crash may have come before it was vacuumed.
        let traces = Arc::new(AtomicBool::new(true));
        let mut writer = Writer::new(database, reconnect, Arc::clone(&traces))?;
        if outdated {
            writer.index_again()?;
        }
        let (writer, readers) = (Mutex::new(writer), Mutex::new(Readers::default()));
        let given_back = Condvar::new();
        let vacuuming = Mutex::new(());
        Ok(Self(Arc::new(Inner { place, writer, readers, given_back, traces, vacuuming })))
    }

    /// The one writer; others wait for it.
    pub fn writer(&self) -> MutexGuard<'_, Writer> {
        self.0.writer.lock()
    }

    /// Takes what was forgotten out of a file's log, or out of a server's tables: its own log and its backups are the
    /// operator's (ADR 71). Tells whether it could; a reader or an open transaction of a file holds it up. A server is vacuumed
    /// over a connection of its own, so that no one waits for it, and where nothing was forgotten since the last time it is not.
    /// What an older snapshot there still sees, of a dump that runs, stays until the server's own next vacuum.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Server`]; then it is still to be done.
    pub fn leave_no_trace(&self) -> Result<bool, StoreError> {
        let Place::Server { .. } = &self.0.place else { return self.writer().empty_log() };
        let _one_at_a_time = self.0.vacuuming.lock();
        self.0.traces.store(true, Ordering::SeqCst);
        let database = self.0.place.reader()?;
        let count = |name: &str| Ok::<_, StoreError>(schema::note(&database, name)?.unwrap_or(0));
        let forgotten = count(schema::FORGOTTEN)?;
        if forgotten > count(schema::VACUUMED)? {
            database.vacuum()?;
            self.writer().note_vacuumed(forgotten)?;
        }
        // What is being forgotten in a transaction that is open is not seen yet.
        let writer = self.writer();
        if !writer.is_open() && count(schema::FORGOTTEN)? == count(schema::VACUUMED)? {
            self.0.traces.store(false, Ordering::SeqCst);
        }
        Ok(true)
    }

    /// Whether [`Store::leave_no_trace`] may have something to do.
    #[must_use]
    pub fn has_traces(&self) -> bool {
        match &self.0.place {
            // Who writes looks by itself.
            Place::File { .. } => self.0.writer.try_lock().is_some_and(|writer| writer.is_log_due()),
            Place::Server { .. } => self.0.traces.load(Ordering::SeqCst),
        }
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

    /// Bytes on disk of a file, the log of the last transactions included; none of a server.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        let Place::File { path, .. } = &self.0.place else { return 0 };
        let with = |ending: &str| {
            let mut path = path.clone().into_os_string();
            path.push(ending);
            fs::metadata(path).map_or(0, |found| found.len())
        };
        with("") + with("-wal")
    }

    /// A connection to read by; waits for one where all that may be open are in use.
    fn pooled(&self) -> Result<Pooled, StoreError> {
        let deadline = Instant::now() + BUSY_TIMEOUT;
        let mut readers = self.0.readers.lock();
        loop {
            while let Some(database) = readers.idle.pop() {
                if !database.is_lost() {
                    return Ok(Pooled { database: Some(database), store: self.clone() });
                }
                readers.open -= 1;
            }
            if readers.open < self.0.place.readers_max() {
                break;
            }
            if self.0.given_back.wait_until(&mut readers, deadline).timed_out() {
                return Err(StoreError::Busy);
            }
        }
        readers.open += 1;
        drop(readers);
        let made = self.0.place.reader();
        if made.is_err() {
            self.0.readers.lock().open -= 1;
            self.0.given_back.notify_one();
        }
        Ok(Pooled { database: Some(made?), store: self.clone() })
    }
}

impl Place {
    /// Connections that may read at the same time. A file has no bound of its own: those who ask have.
    fn readers_max(&self) -> usize {
        match self {
            Self::File { .. } => usize::MAX,
            Self::Server { server, .. } => server.readers_max(),
        }
    }

    fn reader(&self) -> Result<Database, StoreError> {
        match self {
            Self::File { path, key } => connect(path, key, READER_CACHE_KIB, false).map(Database::file),
            Self::Server { server, sealer } => Ok(Database::server(server.reader()?, Arc::clone(sealer))),
        }
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.0.place {
            Place::File { path, .. } => f.debug_tuple("Store").field(path).finish(),
            Place::Server { server, .. } => f.debug_tuple("Store").field(server).finish(),
        }
    }
}

/// A reader's connection, which goes back to the others.
pub(crate) struct Pooled {
    database: Option<Database>,
    store: Store,
}

impl Deref for Pooled {
    type Target = Database;

    #[allow(clippy::expect_used, reason = "it is taken out by drop alone")]
    fn deref(&self) -> &Database {
        self.database.as_ref().expect("a connection is there until it is dropped")
    }
}

impl Drop for Pooled {
    fn drop(&mut self) {
        let mut readers = self.store.0.readers.lock();
        match self.database.take() {
            Some(database) if readers.idle.len() < READERS_KEPT && !database.is_lost() => {
                readers.idle.push(database);
            }
            _ => readers.open -= 1,
        }
        self.store.0.given_back.notify_one();
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
        "PRAGMA cipher_log_level = NONE; PRAGMA key = \"x'{hex}'\"; PRAGMA cipher_page_size = 8192;
         PRAGMA cipher_hmac_algorithm = HMAC_SHA256;"
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
