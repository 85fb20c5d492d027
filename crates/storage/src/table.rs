//! An ordered map of bytes on disk.

use crate::{Result, StorageError, store::Inner};
use bytes::Bytes;
use fjall::{Guard, Iter, Keyspace};
use std::{ops::RangeBounds, sync::Arc};

/// The longest key in bytes; the shortest has one.
pub const KEY_BYTES_MAX: usize = u16::MAX as usize;

/// A key and its value.
pub type Entry = (Bytes, Bytes);

/// A table of a [`Store`](crate::Store). Clones share it. Single reads see the newest committed batch; an iterator
/// sees the table as it was when the iterator was made.
#[derive(Clone)]
pub struct Table {
    keyspace: Keyspace,
    /// Keeps the folder locked as long as a table of it is in use.
    store: Arc<Inner>,
}

impl Table {
    pub(crate) const fn new(keyspace: Keyspace, store: Arc<Inner>) -> Self {
        Self { keyspace, store }
    }

    pub(crate) const fn keyspace(&self) -> &Keyspace {
        &self.keyspace
    }

    pub(crate) fn belongs_to(&self, store: &Arc<Inner>) -> bool {
        Arc::ptr_eq(&self.store, store)
    }

    /// The value at `key`.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`], [`StorageError::Io`].
    pub fn get(&self, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        self.value(self.keyspace.get(key))
    }

    /// Whether there is a value at `key`.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`], [`StorageError::Io`].
    pub fn contains(&self, key: impl AsRef<[u8]>) -> Result<bool> {
        self.keyspace.contains_key(key).map_err(|error| self.error(error))
    }

    /// The entries whose keys begin with `prefix`, in the order of their keys.
    pub fn iter_prefix(&self, prefix: impl AsRef<[u8]>) -> Entries {
        self.entries(self.keyspace.prefix(prefix))
    }

    /// The entries whose keys lie in `range`, in the order of their keys.
    pub fn range<K: AsRef<[u8]>>(&self, range: impl RangeBounds<K>) -> Entries {
        self.entries(self.keyspace.range(range))
    }

    /// All entries in the order of their keys.
    pub fn iter(&self) -> Entries {
        self.entries(self.keyspace.iter())
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

    pub(crate) fn entries(&self, iter: Iter) -> Entries {
        Entries { iter, store: Arc::clone(&self.store) }
    }

    pub(crate) fn value(&self, read: fjall::Result<Option<fjall::Slice>>) -> Result<Option<Bytes>> {
        read.map(|value| value.map(|bytes| Bytes::copy_from_slice(&bytes))).map_err(|error| self.error(error))
    }

    fn error(&self, error: fjall::Error) -> StorageError {
        StorageError::database("read table", &self.store.folder, error)
    }
}

impl std::fmt::Debug for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Table").field(&&**self.keyspace.name()).finish()
    }
}

/// Entries of a table, in the order of their keys; can be walked from both ends.
pub struct Entries {
    iter: Iter,
    store: Arc<Inner>,
}

impl Entries {
    fn read(&self, guard: Guard) -> Result<Entry> {
        match guard.into_inner() {
            Ok((key, value)) => Ok((Bytes::copy_from_slice(&key), Bytes::copy_from_slice(&value))),
            Err(error) => Err(StorageError::database("read table", &self.store.folder, error)),
        }
    }
}

impl Iterator for Entries {
    type Item = Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let guard = self.iter.next()?;
        Some(self.read(guard))
    }
}

impl DoubleEndedIterator for Entries {
    fn next_back(&mut self) -> Option<Self::Item> {
        let guard = self.iter.next_back()?;
        Some(self.read(guard))
    }
}
