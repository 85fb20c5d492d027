//! All tables at one moment.

use crate::{
    Entries, Result, StorageError, Table,
    memory::MemorySnapshot,
    table::{Rows, Walk, owned_bounds, prefix_bounds},
};
use bytes::Bytes;
use fjall::Readable;
use std::ops::RangeBounds;

/// A consistent view of a [`Store`](crate::Store): batches committed after it was taken are not seen, and of none
/// only a part. Holding one for long keeps old versions on disk.
#[derive(Clone)]
pub struct Snapshot(pub(crate) View);

#[derive(Clone)]
pub(crate) enum View {
    Folder(fjall::Snapshot),
    Memory(MemorySnapshot),
}

impl Snapshot {
    /// The value at `key` of `table`.
    ///
    /// # Errors
    /// [`StorageError::Corrupt`], [`StorageError::Io`]; [`StorageError::Misuse`] for a table of another store.
    pub fn get(&self, table: &Table, key: impl AsRef<[u8]>) -> Result<Option<Bytes>> {
        match (&self.0, table.rows()) {
            (View::Folder(snapshot), Rows::Folder(keyspace)) => table.value(snapshot.get(keyspace, key)),
            (View::Memory(snapshot), Rows::Memory(rows)) => {
                snapshot.get(rows, key.as_ref()).map_err(|error| table.io_error(error))
            }
            _ => Err(StorageError::Misuse { action: "read table", detail: "the table is of another store" }),
        }
    }

    /// The entries of `table` whose keys lie in `range`, in the order of their keys.
    pub fn range<K: AsRef<[u8]>>(&self, table: &Table, range: impl RangeBounds<K>) -> Entries {
        match (&self.0, table.rows()) {
            (View::Folder(snapshot), Rows::Folder(keyspace)) => {
                table.entries(Walk::Folder(snapshot.range(keyspace, range)))
            }
            (View::Memory(snapshot), Rows::Memory(rows)) => {
                let (low, high) = owned_bounds(&range);
                table.entries(Walk::Memory(snapshot.range(rows, low, high)))
            }
            _ => table.entries(Walk::Nothing),
        }
    }

    /// The entries of `table` whose keys begin with `prefix`, in the order of their keys.
    pub fn iter_prefix(&self, table: &Table, prefix: impl AsRef<[u8]>) -> Entries {
        match (&self.0, table.rows()) {
            (View::Folder(snapshot), Rows::Folder(keyspace)) => {
                table.entries(Walk::Folder(snapshot.prefix(keyspace, prefix)))
            }
            (View::Memory(snapshot), Rows::Memory(rows)) => {
                let (low, high) = prefix_bounds(prefix.as_ref());
                table.entries(Walk::Memory(snapshot.range(rows, low, high)))
            }
            // A table of another kind of store has nothing that this snapshot could see.
            _ => table.entries(Walk::Nothing),
        }
    }
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seen = match &self.0 {
            View::Folder(snapshot) => snapshot.seqno(),
            View::Memory(snapshot) => snapshot.seen(),
        };
        f.debug_tuple("Snapshot").field(&seen).finish()
    }
}
