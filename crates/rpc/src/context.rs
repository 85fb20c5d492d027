//! What every method works with.

use crate::{
    arrivals::Arrivals, fault::Fault, filters::Filters, gate::Gate, info::NodeInfo, pending::PendingBlocks,
};
use bxp_execution::ChainSpec;
use bxp_simulate::Deadline;
use bxp_types::{Height, Ledger};
use std::{sync::Arc, time::Duration};

/// How long a call, an estimate or a search may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(5);
/// How long a trace or a simulation may take.
const TRACE_TIME_MAX: Duration = Duration::from_secs(15);

/// Shared by all methods; cloning is cheap.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) info: Arc<NodeInfo>,
    pub(crate) filters: Arc<Filters>,
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) pending: Arc<PendingBlocks>,
    /// The head when the server started: `startingBlock` of `eth_syncing`.
    pub(crate) started_at: Height,
    gate: Gate,
}

impl Context {
    /// The context of a server that starts now.
    pub(crate) fn new(ledger: Arc<dyn Ledger>, info: NodeInfo) -> Self {
        let started_at = ledger.head().height();
        let arrivals = Arc::new(Arrivals::new(ledger.arrivals()));
        let pending = Arc::new(PendingBlocks::new(Arc::clone(&info.spec), Arc::clone(&arrivals)));
        Self {
            ledger,
            info: Arc::new(info),
            filters: Arc::default(),
            arrivals,
            pending,
            started_at,
            gate: Gate::new(),
        }
    }

    /// The rules of the chain's blocks.
    pub(crate) fn spec(&self) -> Arc<ChainSpec> {
        Arc::clone(&self.info.spec)
    }

    /// Runs `work`, which reads the ledger, on a thread that may block.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        method: &'static str,
        work: impl FnOnce(&dyn Ledger) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let ledger = self.ledger.clone();
        self.gate.run(method, move || work(&*ledger)).await
    }
}

/// When a call that begins now has to be over.
pub(crate) fn call_deadline() -> Deadline {
    Deadline::after(CALL_TIME_MAX)
}

/// When a trace that begins now has to be over.
pub(crate) fn trace_deadline() -> Deadline {
    Deadline::after(TRACE_TIME_MAX)
}
