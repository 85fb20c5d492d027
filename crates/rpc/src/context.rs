//! What every method works with.

use crate::{fault::Fault, filters::Filters, gate::Gate, info::NodeInfo};
use bxp_types::{Height, Ledger};
use std::sync::Arc;

/// Shared by all methods; cloning is cheap.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) info: Arc<NodeInfo>,
    pub(crate) filters: Arc<Filters>,
    /// The head when the server started: `startingBlock` of `eth_syncing`.
    pub(crate) started_at: Height,
    gate: Gate,
}

impl Context {
    /// The context of a server that starts now.
    pub(crate) fn new(ledger: Arc<dyn Ledger>, info: NodeInfo) -> Self {
        let started_at = ledger.head().height();
        Self { ledger, info: Arc::new(info), filters: Arc::default(), started_at, gate: Gate::new() }
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
