//! Making an executed block's state the stored one.

use crate::{ExecutedBlock, ExecutionError, ReadyRows, State, state::Head};
use bxp_storage::Batch;

impl State {
    /// Adds everything that `executed` does to the state to `batch`. Readers see the new state, all at once, when the
    /// batch is committed; until then, and if that fails, the old one.
    ///
    /// # Errors
    /// [`ExecutionError::NotOnHead`] when the stored state is no longer the one that the block was executed on;
    /// [`ExecutionError::Storage`].
    pub fn commit(&self, batch: &mut Batch, executed: &ExecutedBlock) -> Result<(), ExecutionError> {
        self.commit_ready(batch, executed, self.make_ready(executed)?)
    }

    /// The same with the rows that were made ready for it.
    ///
    /// # Errors
    /// As [`State::commit`].
    pub fn commit_ready(
        &self,
        batch: &mut Batch,
        executed: &ExecutedBlock,
        ready: ReadyRows,
    ) -> Result<(), ExecutionError> {
        let header = &executed.block.header;
        let view = self.view();
        self.check_on_head(&view, header.parent_hash, executed.block.height())?;
        let head = Head {
            height: executed.block.height(),
            hash: executed.block.hash,
            state_root: header.state_root,
        };
        batch.append(ready.batch);
        self.write_head(batch, &view, &executed.changes, &head)?;
        self.tables().history.advance(batch, view.snapshot(), head.height, self.retention())
    }
}
