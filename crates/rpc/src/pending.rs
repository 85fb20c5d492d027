//! The pending block: what this node would propose next, executed on the newest block when somebody asks.

use crate::{arrivals::Arrivals, fault::Fault};
use alloy_primitives::B256;
use bxp_execution::ChainSpec;
use bxp_simulate::{Deadline, Pending, PendingState, SimulatedChain, pending};
use bxp_types::{Ledger, StateReader, StoredBlock};
use parking_lot::Mutex;
use std::{
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Bytes of transactions that it holds at most: some two thousand transfers.
const BYTES_MAX: usize = 256 << 10;
/// How long building it may take; what is not executed then is left out.
const BUILD_TIME_MAX: Duration = Duration::from_secs(1);
/// How long it is given out while neither pool nor chain moves: its time is the clock's.
const KEPT_FOR: Duration = Duration::from_secs(1);

/// A block with the state after it.
pub(crate) type BlockAndState<'a> = (Arc<StoredBlock>, Box<dyn StateReader + 'a>);

/// Builds pending blocks and keeps the newest.
pub(crate) struct PendingBlocks {
    spec: Arc<ChainSpec>,
    arrivals: Arc<Arrivals>,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    /// The newest block's hash and the number of the pool's next arrival.
    of: (B256, u64),
    built_at: Instant,
    pending: Arc<Pending>,
}

impl PendingBlocks {
    pub(crate) fn new(spec: Arc<ChainSpec>, arrivals: Arc<Arrivals>) -> Self {
        Self { spec, arrivals, kept: Mutex::new(None) }
    }

    /// The pending block as it is now.
    pub(crate) fn block(&self, ledger: &dyn Ledger) -> Result<Arc<Pending>, Fault> {
        Ok(self.build(ledger)?.0)
    }

    /// The pending block and the state after it.
    pub(crate) fn state<'a>(&self, ledger: &'a dyn Ledger) -> Result<BlockAndState<'a>, Fault> {
        let (pending, below) = self.build(ledger)?;
        let block = Arc::clone(&pending.block);
        Ok((block, Box::new(PendingState { pending, below })))
    }

    fn build<'a>(&self, ledger: &'a dyn Ledger) -> Result<(Arc<Pending>, Box<dyn StateReader + 'a>), Fault> {
        // Before the pool is read, so that a block never passes for newer than it is.
        let arrivals = self.arrivals.next();
        let head = ledger.head();
        let below = ledger.state(head.height())?;
        let of = (head.hash, arrivals);
        if let Some(kept) = &*self.kept.lock()
            && kept.of == of
            && kept.built_at.elapsed() < KEPT_FOR
        {
            return Ok((Arc::clone(&kept.pending), below));
        }
        let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let chain = SimulatedChain {
            view: &*below,
            base: &head.header,
            spec: &self.spec,
            deadline: Deadline::after(BUILD_TIME_MAX),
        };
        let pending = Arc::new(pending(&chain, ledger.proposable(BYTES_MAX), clock.as_secs())?);
        let kept = Kept { of, built_at: Instant::now(), pending: Arc::clone(&pending) };
        *self.kept.lock() = Some(kept);
        Ok((pending, below))
    }
}
