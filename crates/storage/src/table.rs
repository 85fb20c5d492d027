//! An ordered map of bytes on disk.

use crate::{
    Durability, Result, StorageError,
    memory::{MemoryEntries, MemoryTable},
    store::{Backend, Inner},
};
use bytes::Bytes;
use fjall::{Guard, Iter, Keyspace};
use std::{
    io,
    ops::{Bound, RangeBounds},
    sync::Arc,
};

/// The longest key in bytes; the shortest has one.
pub const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// A key and its value.
pub type Entry = (Bytes, Bytes);

/// A table of a [`Store`](crate::Store). Clones share it. Single reads see the newest committed batch; an iterator
/// sees the table as it was when the iterator was made.
#[derive(Clone)]
pub struct Table {
    rows: Rows,
    /// Keeps the folder locked as long as a table of it is in use.
    store: Arc<Inner>,
}

/// Where the rows are.
#[derive(Clone)]
pub(crate) enum Rows {
    Folder(Keyspace),
    Memory(MemoryTable),
}

impl Table {
    pub(crate) const fn new(rows: Rows, store: Arc<Inner>) -> Self {
        Self { rows, store }
    }

    pub(crate) const fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(crate) fn belongs_to(&self, store: &Arc<Inner>) -> bool {
        Arc::ptr_eq(&self.store, store)
    }

    /// The value at `key`.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`], [`StorageError::Io`].
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        match &self.rows {
            Rows::Folder(keyspace) => self.value(keyspace.get(key)),
            Rows::Memory(table) => table.get(key.as_ref()).map_err(|error| self.io_error(error)),
        }
    }

    /// Whether there is a value at `key`.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`], [`StorageError::Io`].
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        match &self.rows {
            Rows::Folder(keyspace) => keyspace.contains_key(key).map_err(|error| self.error(error)),
            Rows::Memory(_) => Ok(self.get(key)?.is_some()),
        }
    }

    /// The entries whose keys begin with `prefix`, in the order of their keys.
    pub fn iter_prefix(&self, prefix: impl AsRef<[u8]>) -> Entries {
        self.store.snapshot().iter_prefix(self, prefix)
    }

    /// The entries whose keys lie in `range`, in the order of their keys.
    pub fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Entries {
        self.store.snapshot().range(self, range)
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> Entries {
        self.range::<&[u8]>(..)
    }

    /// The entry with the least key.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`], [`StorageError::Io`].
    pub fn first(&self) -> Result<Option<Entry>> {
        self.iter().next().transpose()
    }

    /// The entry with the greatest key.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`], [`StorageError::Io`].
    pub fn last(&self) -> Result<Option<Entry>> {
        self.iter().next_back().transpose()
    }

    /// Adds many entries at once, in ascending order of their keys and each key once: they become a file of their own,
    /// past the journal and past what batches go through, which costs a fraction of a batch. All of them are there and
    /// on disk when this returns; until then, and if it fails, none is.
    ///
    /// # Errors
    /// [`StorageError::Misuse`] for keys that do not ascend or are empty or too long; [`StorageError::DiskFull`],
    /// [`StorageError::Io`].
    pub fn ingest<K: Into<Vec<u8>>, V: Into<Vec<u8>>>(
        &self,
        entries: impl IntoIterator<Item = (K, V)>,
    ) -> Result<()> {
        const ACTION: &str = "ingest entries";
        let misuse = |detail| StorageError::Misuse { action: ACTION, detail };
        let mut last: Option<Vec<u8>> = None;
        let mut checked = |key: Vec<u8>| {
            if key.is_empty() || key.len() > KEY_BYTES_MAX {
                return Err(misuse("a key has 1 to 65535 bytes"));
            }
            if last.as_ref().is_some_and(|last| *last >= key) {
                return Err(misuse("keys do not ascend"));
            }
            last = Some(key.clone());
            Ok(key)
        };
        let database = |error| StorageError::database(ACTION, &self.store.folder, error);
        match (&self.rows, &self.store.backend) {
            (Rows::Folder(keyspace), _) => {
                let mut ingestion = keyspace.start_ingestion().map_err(database)?;
                for (key, value) in entries {
                    ingestion.write(checked(key.into())?, value.into()).map_err(database)?;
                }
                ingestion.finish().map_err(database)
            }
            (Rows::Memory(rows), Backend::Memory(store)) => {
                let writes = entries
                    .into_iter()
                    .map(|(key, value)| Ok(rows.write(&checked(key.into())?, Some(&value.into()))));
                let writes = writes.collect::<Result<_>>()?;
                let committed = store.commit(writes, Durability::Synced);
                committed.map_err(|source| StorageError::io(ACTION, &self.store.folder, source))
            }
            (Rows::Memory(_), Backend::Folder { .. }) => Err(misuse("the table is of another store")),
        }
    }

    pub(crate) fn entries(&self, walk: Walk) -> Entries {
        Entries { walk, store: Arc::clone(&self.store) }
    }

    pub(crate) fn value(&self, read: fjall::Result<Option<fjall::Slice>>) -> Result<Option<Bytes>> {
        read.map(|value| value.map(|bytes| Bytes::copy_from_slice(&bytes))).map_err(|error| self.error(error))
    }

    pub(crate) fn io_error(&self, error: io::Error) -> StorageError {
        StorageError::io("read table", &self.store.folder, error)
    }

    fn error(&self, error: fjall::Error) -> StorageError {
        StorageError::database("read table", &self.store.folder, error)
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = match &self.rows {
            Rows::Folder(keyspace) => &**keyspace.name(),
            Rows::Memory(table) => table.name(),
        };
        f.debug_tuple("Table").field(&name).finish()
    }
}

/// Both ends of a range of keys.
pub(crate) fn owned_bounds<K: AsRef<[u8]>>(range: &impl RangeBounds<K>) -> (Bound<Bytes>, Bound<Bytes>) {
    let owned = |bound: Bound<&K>| bound.map(|key| Bytes::copy_from_slice(key.as_ref()));
    (owned(range.start_bound()), owned(range.end_bound()))
}

/// The least key that begins with `prefix`, and the least above all that do.
pub(crate) fn prefix_bounds(prefix: &[u8]) -> (Bound<Bytes>, Bound<Bytes>) {
    let mut above = prefix.to_vec();
    while above.pop_if(|last| *last == u8::MAX).is_some() {}
    let high = match above.last_mut() {
        Some(last) => {
            *last += 1;
            Bound::Excluded(above.into())
        }
        None => Bound::Unbounded,
    };
    (Bound::Included(Bytes::copy_from_slice(prefix)), high)
}

/// Entries of a table, in the order of their keys; can be walked from both ends.
pub struct Entries {
    walk: Walk,
    store: Arc<Inner>,
}

pub(crate) enum Walk {
    Folder(Iter),
    Memory(MemoryEntries),
    Nothing,
}

impl Entries {
    fn read(&self, guard: Guard) -> Result<Entry> {
        match guard.into_inner() {
            Ok((key, value)) => Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value))),
            Err(error) => Err(StorageError::database("read table", &self.store.folder, error)),
        }
    }

    fn named(&self, entry: io::Result<Entry>) -> Result<Entry> {
        entry.map_err(|source| StorageError::io("read table", &self.store.folder, source))
    }
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.walk {
            Walk::Folder(iter) => iter.next().map(|guard| self.read(guard)),
            Walk::Memory(entries) => entries.next().map(|entry| self.named(entry)),
            Walk::Nothing => None,
        }
    }
}

impl DoubleEndedIterator for Entries {
    fn next_back(&mut self) -> Option<Self::Item> {
        match &mut self.walk {
            Walk::Folder(iter) => iter.next_back().map(|guard| self.read(guard)),
            Walk::Memory(entries) => entries.next_back().map(|entry| self.named(entry)),
            Walk::Nothing => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_key_that_does_not_begin_with_it() {
        let high = |prefix: &[u8]| prefix_bounds(prefix).1;
        assert_eq!(high(b"ab"), Bound::Excluded(Bytes::from_static(b"ac")));
        assert_eq!(high(b"a\xff"), Bound::Excluded(Bytes::from_static(b"b")));
        assert_eq!(high(b"\xff\xff"), Bound::Unbounded);
        assert_eq!(high(b""), Bound::Unbounded);
    }
}
