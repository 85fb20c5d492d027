//! The rows that a block writes, made ready on all cores before the one thread that writes takes them (ADR 103).

use crate::{ExecutedBlock, ExecutionError, State};
use bxp_storage::{Batch, Store};
use rayon::prelude::*;

/// A block's rows but for those that depend on what is stored when it is written.
#[derive(Debug)]
pub struct ReadyRows {
    pub(crate) batch: Batch,
}

impl State {
    /// Makes the rows ready that [`State::commit_ready`] will write for `executed`. Nothing is read and nothing is written:
    /// the block below may be on its way to the disk.
    ///
    /// # Errors
    /// [`ExecutionError::Malformed`] where keys cannot be listed.
    pub fn make_ready(&self, executed: &ExecutedBlock) -> Result<ReadyRows, ExecutionError> {
        let (tables, changes, height) = (self.tables(), &*executed.changes, executed.block.height());
        let (mut batch, history) = rayon::join(
            || tables.rows(self.store(), changes),
            || tables.history.rows(self.store(), height, changes, self.retention()),
        );
        batch.append(history?);
        Ok(ReadyRows { batch })
    }
}

/// Puts each of `entries` into a batch, in their order, by tasks of so many entries on all cores.
pub(crate) fn rows_of<T: Sync>(
    store: &Store,
    entries: &[T],
    entries_a_task: usize,
    put: impl Fn(&mut Batch, &T) + Sync,
) -> Batch {
    let parts: Vec<Batch> = entries
        .par_chunks(entries_a_task)
        .map(|entries| {
            let mut batch = store.batch();
            entries.iter().for_each(|entry| put(&mut batch, entry));
            batch
        })
        .collect();
    joined(store, parts)
}

/// All of `parts`, in their order.
pub(crate) fn joined(store: &Store, parts: impl IntoIterator<Item = Batch>) -> Batch {
    let mut whole = store.batch();
    parts.into_iter().for_each(|part| whole.append(part));
    whole
}
