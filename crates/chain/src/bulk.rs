//! Rows that an index has gathered, on their way into its table: few of them as a batch, many past the journal, as a file
//! of their own (ADR 74).

use crate::ChainError;
use bxp_storage::{Durability, Store, Table};
use bxp_types::Height;

/// Fewer rows than these are written as a batch; a file of their own would be too small.
pub(crate) const BULK_MIN: usize = 4_096;

/// Adds `rows`, which ascend, to `table`, and with them the height up to which it is complete then, under `marker`, a key
/// that comes before all of theirs. All of it is there or nothing.
pub(crate) fn add_rows<K, V>(
    store: &Store,
    table: &Table,
    (marker, complete): (&[u8], Height),
    rows: impl Iterator<Item = (K, V)> + Clone,
) -> Result<(), ChainError>
where
    K: AsRef<[u8]> + Into<Vec<u8>>,
    V: AsRef<[u8]> + Into<Vec<u8>>,
{
    let complete = complete.0.to_be_bytes();
    if rows.clone().take(BULK_MIN).count() < BULK_MIN {
        let mut batch = store.batch();
        rows.for_each(|(key, value)| batch.put(table, key, value));
        batch.put(table, marker, complete);
        return Ok(batch.commit(Durability::Buffered)?);
    }
    let marker = (marker.to_vec(), complete.to_vec());
    let rows = rows.map(|(key, value)| (key.into(), value.into()));
    Ok(table.ingest(std::iter::once(marker).chain(rows))?)
}
