//! Writes to several tables that happen together or not at all.

use crate::{
    KEY_BYTES_MAX, Result, StorageError, Table,
    memory::Write,
    store::{Backend, Inner},
    table::Rows,
};
use fjall::{Database, Keyspace, OwnedWriteBatch, PersistMode, Slice};
use std::sync::Arc;

const ACTION: &str = "commit batch";
const FOREIGN_TABLE: &str = "the table is of another store";
const FOREIGN_BATCH: &str = "the batch is of another store";

/// What [`Batch::commit`] has done when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// The batch is in the operating system's hands: it survives the process, not the machine.
    Buffered,
    /// The batch is on disk (fsync), and so is every batch before it.
    Synced,
}

/// Writes that wait for [`Batch::commit`]. Where a key is written twice, the later write wins. Several threads may fill a
/// batch each, which one of them then appends to each other: copying keys and values costs more than that.
#[must_use = "a batch writes nothing before it is committed"]
pub struct Batch {
    writes: Writes,
    misuse: Option<&'static str>,
    store: Arc<Inner>,
}

enum Writes {
    Folder(Writing),
    Memory(Vec<Write>),
}

/// Writes to tables of a folder.
#[derive(Default)]
struct Writing {
    tables: Vec<Keyspace>,
    /// Places among the tables, keys, and values, or none where the key is removed.
    rows: Vec<(usize, Slice, Option<Slice>)>,
}

impl Batch {
    pub(crate) fn new(store: Arc<Inner>) -> Self {
        let writes = match &store.backend {
            Backend::Folder { .. } => Writes::Folder(Writing::default()),
            Backend::Memory(_) => Writes::Memory(Vec::new()),
        };
        Self { writes, misuse: None, store }
    }

    /// Sets `key` of `table` to `value`. A key has 1 to [`KEY_BYTES_MAX`] bytes, a value less than 4 GiB; a write that
    /// breaks this, or goes to a table of another store, makes [`Batch::commit`] fail.
    pub fn put(&mut self, table: &Table, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) {
        let (key, value) = (key.as_ref(), value.as_ref());
        if u32::try_from(value.len()).is_err() {
            self.misuse = Some("a value has less than 4 GiB");
        } else if self.may_write(table, key) {
            match (&mut self.writes, table.rows()) {
                (Writes::Folder(writes), Rows::Folder(table)) => writes.push(table, key, Some(value.into())),
                (Writes::Memory(writes), Rows::Memory(rows)) => writes.push(rows.write(key, Some(value))),
                _ => self.misuse = Some(FOREIGN_TABLE),
            }
        }
    }

    /// Removes `key` from `table`; nothing happens where there is none.
    pub fn remove(&mut self, table: &Table, key: impl AsRef<[u8]>) {
        if self.may_write(table, key.as_ref()) {
            match (&mut self.writes, table.rows()) {
                (Writes::Folder(writes), Rows::Folder(table)) => writes.push(table, key.as_ref(), None),
                (Writes::Memory(writes), Rows::Memory(rows)) => writes.push(rows.write(key.as_ref(), None)),
                _ => self.misuse = Some(FOREIGN_TABLE),
            }
        }
    }

    /// Adds the writes of `later` behind these. Both are of one store; else [`Batch::commit`] fails.
    pub fn append(&mut self, later: Self) {
        self.misuse = self.misuse.or(later.misuse);
        if !Arc::ptr_eq(&self.store, &later.store) {
            self.misuse = Some(FOREIGN_BATCH);
            return;
        }
        match (&mut self.writes, later.writes) {
            (Writes::Folder(writes), Writes::Folder(later)) => writes.append(later),
            (Writes::Memory(writes), Writes::Memory(later)) => writes.extend(later),
            _ => self.misuse = Some(FOREIGN_BATCH),
        }
    }

    fn may_write(&mut self, table: &Table, key: &[u8]) -> bool {
        if !table.belongs_to(&self.store) {
            self.misuse = Some(FOREIGN_TABLE);
        } else if key.is_empty() || key.len() > KEY_BYTES_MAX {
            self.misuse = Some("a key has 1 to 65535 bytes");
        } else {
            return true;
        }
        false
    }

    /// The number of writes.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.writes {
            Writes::Folder(writes) => writes.rows.len(),
            Writes::Memory(writes) => writes.len(),
        }
    }

    /// Whether nothing would be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes everything, atomically over all tables. With [`Durability::Synced`] an empty batch syncs too: whatever
    /// was committed before is on disk when this returns.
    ///
    /// # Errors
    /// [`StorageError::DiskFull`] and [`StorageError::Io`]: the batch may or may not be there after the folder is
    /// opened again, but never a part of it. [`StorageError::Poisoned`] for every commit after those.
    /// [`StorageError::Misuse`]: nothing is written.
    pub fn commit(self, durability: Durability) -> Result<()> {
        if let Some(detail) = self.misuse {
            return Err(StorageError::Misuse { action: ACTION, detail });
        }
        let folder = &self.store.folder;
        match (&self.store.backend, self.writes) {
            (Backend::Memory(store), Writes::Memory(writes)) => {
                store.commit(writes, durability).map_err(|source| StorageError::io(ACTION, folder, source))
            }
            (Backend::Folder { database, steady, .. }, Writes::Folder(writes)) => {
                let writes = writes.gathered(database);
                let mode = match durability {
                    Durability::Buffered => PersistMode::Buffer,
                    Durability::Synced => PersistMode::SyncAll,
                };
                let committed = match durability {
                    Durability::Synced if writes.is_empty() => database.persist(mode),
                    _ => steady.commit(database, || writes.durability(Some(mode)).commit()),
                };
                committed.map_err(|error| StorageError::database(ACTION, folder, error))
            }
            _ => Err(StorageError::Misuse { action: ACTION, detail: FOREIGN_TABLE }),
        }
    }
}

impl Writing {
    fn push(&mut self, table: &Keyspace, key: &[u8], value: Option<Slice>) {
        let place = self.place(table);
        self.rows.push((place, key.into(), value));
    }

    /// The table's place, mostly that of the last row's.
    fn place(&mut self, table: &Keyspace) -> usize {
        let last = self.rows.last().map(|(place, ..)| *place);
        let is_it = |place: &usize| self.tables.get(*place) == Some(table);
        let known = last.filter(is_it).or_else(|| self.tables.iter().position(|known| known == table));
        known.unwrap_or_else(|| {
            self.tables.push(table.clone());
            self.tables.len() - 1
        })
    }

    fn append(&mut self, later: Self) {
        if self.rows.is_empty() {
            *self = later;
            return;
        }
        let places: Vec<usize> = later.tables.iter().map(|table| self.place(table)).collect();
        let rows = later.rows.into_iter();
        self.rows.extend(rows.map(|(place, key, value)| (places[place], key, value)));
    }

    /// The database's own batch of these.
    fn gathered(self, database: &Database) -> OwnedWriteBatch {
        let mut writes = OwnedWriteBatch::with_capacity(database.clone(), self.rows.len());
        for (place, key, value) in self.rows {
            match value {
                Some(value) => writes.insert(&self.tables[place], key, value),
                None => writes.remove(&self.tables[place], key),
            }
        }
        writes
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").field("writes", &self.len()).finish()
    }
}
