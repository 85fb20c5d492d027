//! All tables at one moment.

use crate::{Entries, Result, Table};
use bytes::Bytes;
use fjall::Readable;
use std::ops::RangeBounds;

/// A consistent view of a [`Store`](crate::Store): batches committed after it was taken are not seen, and of none
/// only a part. Holding one for long keeps old versions on disk.
#[derive(Clone)]
pub struct Snapshot(fjall::Snapshot);

impl Snapshot {
    pub(crate) const fn new(snapshot: fjall::Snapshot) -> Self {
        Self(snapshot)
    }

    /// The value at `key` of `table`.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`](crate::StorageError::Corrupt), [`StorageError::Io`](crate::StorageError::Io).
    pub fn get(&self, table: &Table, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        table.value(self.0.get(table.keyspace(), key))
    }

    /// The entries of `table` whose keys lie in `range`, in the order of their keys.
    pub fn range<K: AsRef<[u8]>>(&self, table: &Table, range: impl RangeBounds<K>) -> Entries {
        table.entries(self.0.range(table.keyspace(), range))
    }

    /// The entries of `table` whose keys begin with `prefix`, in the order of their keys.
    pub fn iter_prefix(&self, table: &Table, prefix: impl AsRef<[u8]>) -> Entries {
        table.entries(self.0.prefix(table.keyspace(), prefix))
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Snapshot").field(&self.0.seqno()).finish()
    }
}
