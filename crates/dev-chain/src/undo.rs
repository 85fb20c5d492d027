//! Snapshots, and taking the past back.

use crate::{
    DevChainError,
    chain::{Shared, Work},
    clock::Clock,
};
use bxp_chain::mempool::Mempool;
use bxp_execution::StateChanges;
use bxp_storage::Durability;
use bxp_types::StoredBlock;
use std::sync::Arc;

/// Something that has happened and can be taken back.
pub(crate) enum Undo {
    /// A block came.
    Block { changes: Arc<StateChanges>, parent: Arc<StoredBlock> },
    /// An account was edited.
    Edit { changes: StateChanges },
}

/// The chain at a moment.
pub(crate) struct Snapshot {
    /// How much had happened.
    happened: usize,
    pool: Mempool,
    clock: Clock,
    automine: bool,
}

/// The snapshot of the beginning, which no developer can name.
const BEGINNING: u64 = 0;

impl Shared {
    /// Remembers the chain as it is.
    pub(crate) fn take_snapshot(&self) -> u64 {
        let mut work = self.work.lock();
        let snapshot = Snapshot {
            happened: work.undo.len(),
            pool: work.pool.clone(),
            clock: work.clock.clone(),
            automine: work.automine,
        };
        let id = if work.snapshots.is_empty() { BEGINNING } else { work.next_snapshot };
        if id != BEGINNING {
            work.next_snapshot += 1;
        }
        work.snapshots.insert(id, snapshot);
        id
    }

    /// Takes back what came after the snapshot.
    pub(crate) fn revert_to(&self, id: u64) -> Result<bool, DevChainError> {
        let mut work = self.work.lock();
        if id == BEGINNING || !work.snapshots.contains_key(&id) {
            return Ok(false);
        }
        self.go_back(&mut work, id)?;
        work.snapshots.split_off(&id);
        Ok(true)
    }

    /// Takes everything back.
    pub(crate) fn begin_again(&self) -> Result<(), DevChainError> {
        let mut work = self.work.lock();
        self.go_back(&mut work, BEGINNING)?;
        work.snapshots.split_off(&(BEGINNING + 1));
        work.impersonated.clear();
        work.impersonate_all = false;
        Ok(())
    }

    fn go_back(&self, work: &mut Work, id: u64) -> Result<(), DevChainError> {
        let Some(snapshot) = work.snapshots.get(&id) else { return Ok(()) };
        let (pool, clock) = (snapshot.pool.clone(), snapshot.clock.clone());
        let (automine, happened) = (snapshot.automine, snapshot.happened);
        let before = self.head();
        while work.undo.len() > happened {
            let Some(undo) = work.undo.pop() else { break };
            self.take_back(undo)?;
        }
        work.pool = pool;
        work.clock = clock;
        work.automine = automine;
        work.next_base_fee = None;
        work.next_mix_hash = None;
        if self.head().height() != before.height() {
            self.heads.send_replace(self.head().height());
        }
        Ok(())
    }

    fn take_back(&self, undo: Undo) -> Result<(), DevChainError> {
        let mut batch = self.store.batch();
        match undo {
            Undo::Edit { changes } => {
                self.state.undo(&mut batch, &changes, &self.head())?;
                batch.commit(Durability::Buffered)?;
            }
            Undo::Block { changes, parent } => {
                let block = self.head();
                self.state.undo(&mut batch, &changes, &parent)?;
                self.blocks.remove(&mut batch, &block)?;
                self.index.go_back(&mut batch, parent.height());
                batch.commit(Durability::Buffered)?;
                *self.head.write() = parent;
            }
        }
        Ok(())
    }
}
