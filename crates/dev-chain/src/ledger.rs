//! What [`View`](bxp_chain::View) shows of a [`DevChain`], and the way into it.

use crate::DevChain;
use alloy_consensus::Transaction as _;
use async_trait::async_trait;
use bxp_chain::{Source, block_index::BlockIndex, blocks::Blocks, mempool::Mempool};
use bxp_execution::State;
use bxp_types::{B256, Bytes, Genesis, Height, StoredBlock, SubmitError};
use parking_lot::{MappedMutexGuard, MutexGuard};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

#[async_trait]
impl Source for DevChain {
    fn genesis(&self) -> &Genesis {
        &self.shared.genesis
    }

    fn head(&self) -> Arc<StoredBlock> {
        self.shared.head()
    }

    fn heads(&self) -> watch::Receiver<Height> {
        self.shared.heads.subscribe()
    }

    fn blocks(&self) -> &Blocks {
        &self.shared.blocks
    }

    fn index(&self) -> &BlockIndex {
        &self.shared.index
    }

    fn state(&self) -> &State {
        &self.shared.state
    }

    fn pool(&self) -> MappedMutexGuard<'_, Mempool> {
        MutexGuard::map(self.shared.work.lock(), |work| &mut work.pool)
    }

    fn arrivals(&self) -> broadcast::Receiver<B256> {
        self.shared.arrivals.subscribe()
    }

    fn next_base_fee(&self) -> u64 {
        self.shared.next_base_fee(&self.shared.work.lock())
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let shared = Arc::clone(&self.shared);
        let submit = move || {
            let transaction = bxp_chain::proposal::recover(&raw, shared.genesis.chain_id)?;
            tracing::debug!(nonce = transaction.nonce(), "take a transaction");
            shared.take(transaction)
        };
        tokio::task::spawn_blocking(submit).await.map_err(|error| SubmitError::Storage(error.to_string()))?
    }
}
