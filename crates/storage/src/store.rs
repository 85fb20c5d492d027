//! The data folder: its lock, its network, its database.

use crate::{
    Batch, Disk, MemoryDisk, Result, Snapshot, StorageError, Table,
    disk::FileSystem,
    files,
    memory::{MemoryStore, Refused},
    network_marker,
    snapshot::View,
    table::Rows,
};
use bxp_types::NetworkId;
use fjall::{CompressionType, Database, KeyspaceCreateOptions, KvSeparationOptions};
use parking_lot::Mutex;
use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    sync::Arc,
};

const LOCK_FILE: &str = "lock";
const DATABASE_FOLDER: &str = "database";

/// Bytes of the database's journals from which tables that have little to write are written too, so that old journals go: a
/// start reads all of them, and a table with a few rows would hold back hundreds of megabytes.
const JOURNALS_BYTES_MAX: u64 = 128 << 20;

/// A node's data folder. Clones share it; the lock is released when the last clone and the last [`Table`] are gone.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) backend: Backend,
    pub(crate) folder: PathBuf,
}

impl Inner {
    /// All tables as they are now.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot(match &self.backend {
            Backend::Folder { database, steady, .. } => View::Folder(steady.snapshot(database)),
            Backend::Memory(store) => View::Memory(store.snapshot()),
        })
    }
}

pub(crate) enum Backend {
    /// Fields are dropped in this order, so that the database is closed before the lock is released.
    Folder {
        database: Database,
        steady: Steady,
        _lock: File,
    },
    Memory(Arc<MemoryStore>),
}

/// Lets nobody see a part of a batch. fjall gives a batch the next number and moves that up to which readers see behind it
/// when it is whole; but a table in memory that becomes a file, or files that are merged, move it too, and over the number of
/// a batch that is being taken in. So while one is, whoever wants a snapshot gets the one from before it (ADR 105).
#[derive(Default)]
pub(crate) struct Steady {
    /// Held by who commits: only one batch at a time is taken in, as fjall has it too.
    committing: Mutex<()>,
    before: Mutex<Option<fjall::Snapshot>>,
}

impl Steady {
    /// A snapshot in which every batch is whole or not at all.
    fn snapshot(&self, database: &Database) -> fjall::Snapshot {
        let before = self.before.lock();
        before.clone().unwrap_or_else(|| database.snapshot())
    }

    /// Takes a batch in by `commit`.
    pub(crate) fn commit<T>(&self, database: &Database, commit: impl FnOnce() -> T) -> T {
        let _alone = self.committing.lock();
        *self.before.lock() = Some(database.snapshot());
        let committed = commit();
        *self.before.lock() = None;
        committed
    }
}

impl Store {
    /// Opens the data folder at `folder` for `network`, creating it when it is not there.
    ///
    /// # Errors
    /// [`StorageError::InUse`] while another process has it open, [`StorageError::OtherNetwork`] when it was made by
    /// a node of another network, [`StorageError::Corrupt`], [`StorageError::DiskFull`] and [`StorageError::Io`].
    pub fn open(folder: &Path, network: NetworkId) -> Result<Self> {
        let io = |source| StorageError::io("create data folder", folder, source);
        fs::create_dir_all(folder).map_err(io)?;
        let lock = lock(folder)?;
        network_marker::claim(folder, network)?;
        let database = open_database(&folder.join(DATABASE_FOLDER))?;
        let backend = Backend::Folder { database, steady: Steady::default(), _lock: lock };
        Ok(Self(Arc::new(Inner { backend, folder: folder.to_owned() })))
    }

    /// [`Store::open`] on a disk in memory.
    ///
    /// # Errors
    /// As [`Store::open`]; [`StorageError::Io`] while the machine has no power.
    pub fn open_in(disk: &MemoryDisk, folder: &Path, network: NetworkId) -> Result<Self> {
        let store = MemoryStore::open(disk, folder, network).map_err(|refused| match refused {
            Refused::InUse => StorageError::InUse { folder: folder.to_owned() },
            Refused::OtherNetwork(found) => {
                StorageError::OtherNetwork { folder: folder.to_owned(), found, wanted: network }
            }
            Refused::NoPower(source) => StorageError::io("open database", folder, source),
        })?;
        let backend = Backend::Memory(Arc::new(store));
        Ok(Self(Arc::new(Inner { backend, folder: folder.to_owned() })))
    }

    /// The table called `name`, created when it is not there.
    ///
    /// # Errors
    /// [`StorageError::Misuse`] for an empty name or one above 255 bytes, [`StorageError::DiskFull`],
    /// [`StorageError::Io`].
    pub fn table(&self, name: &str) -> Result<Table> {
        self.open_table(name, None)
    }

    /// The same for a table whose values are mostly of many kilobytes: those lie in files of their own, which stay as they are
    /// while keys are merged. A table that is there keeps the form that it was created in.
    ///
    /// # Errors
    /// As [`Store::table`].
    pub fn table_of_large_values(&self, name: &str) -> Result<Table> {
        // What is kept so is mostly hashes, of which compression makes nothing shorter.
        self.open_table(name, Some(KvSeparationOptions::default().compression(CompressionType::None)))
    }

    fn open_table(&self, name: &str, apart: Option<KvSeparationOptions>) -> Result<Table> {
        const ACTION: &str = "open table";
        if name.is_empty() || name.len() > usize::from(u8::MAX) {
            return Err(StorageError::Misuse { action: ACTION, detail: "a table's name has 1 to 255 bytes" });
        }
        let rows = match &self.0.backend {
            Backend::Folder { database, .. } => {
                let keyspace =
                    database.keyspace(name, || KeyspaceCreateOptions::default().with_kv_separation(apart));
                Rows::Folder(keyspace.map_err(|error| StorageError::database(ACTION, &self.0.folder, error))?)
            }
            Backend::Memory(store) => Rows::Memory(store.table(name)),
        };
        Ok(Table::new(rows, Arc::clone(&self.0)))
    }

    /// An empty batch.
    pub fn batch(&self) -> Batch {
        Batch::new(Arc::clone(&self.0))
    }

    /// All tables as they are now, whatever is written later.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.0.snapshot()
    }

    /// The disk on which the folder lies, for files beside the database.
    #[must_use]
    pub fn disk(&self) -> Arc<dyn Disk> {
        match &self.0.backend {
            Backend::Folder { .. } => Arc::new(FileSystem),
            Backend::Memory(store) => Arc::new(store.disk()),
        }
    }

    /// The data folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.0.folder
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.0.folder).finish()
    }
}

fn lock(folder: &Path) -> Result<File> {
    const ACTION: &str = "lock data folder";
    let path = folder.join(LOCK_FILE);
    let mut options = File::options();
    let file = options.create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| StorageError::io(ACTION, &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StorageError::InUse { folder: folder.to_owned() }),
        Err(TryLockError::Error(source)) => Err(StorageError::io(ACTION, &path, source)),
    }
}

/// A database is made beside its place and moved there once it is whole, since fjall does not open one whose creation
/// was interrupted.
fn open_database(place: &Path) -> Result<Database> {
    const ACTION: &str = "create database";
    let open = |path: &Path| {
        // A second thread would mostly hand requests round in a circle (ADR 94).
        let builder = Database::builder(path).worker_threads(1);
        let database = builder.max_journaling_size(JOURNALS_BYTES_MAX).open();
        database.map_err(|error| StorageError::database("open database", path, error))
    };
    if !place.exists() {
        let beside = files::beside(place);
        if beside.exists() {
            fs::remove_dir_all(&beside).map_err(|source| StorageError::io(ACTION, &beside, source))?;
        }
        drop(open(&beside)?);
        fs::rename(&beside, place).map_err(|source| StorageError::io(ACTION, place, source))?;
        files::sync_folder_of(&FileSystem, ACTION, place)?;
    }
    open(place)
}
