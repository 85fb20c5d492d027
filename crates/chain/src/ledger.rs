//! What [`View`](crate::View) shows of a [`Chain`], and the way into it.

use crate::{Chain, Source, block_index::BlockIndex, blocks::Blocks, mempool::Mempool};
use alloy_consensus::transaction::TxHashRef as _;
use async_trait::async_trait;
use bxp_execution::State;
use bxp_types::{B256, Bytes, Genesis, Height, RecoveredTransaction, StoredBlock, SubmitError};
use parking_lot::{MappedMutexGuard, MutexGuard};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

#[async_trait]
impl Source for Chain {
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
        MutexGuard::map(self.shared.pool.lock(), |pool| pool)
    }

    fn arrivals(&self) -> broadcast::Receiver<B256> {
        self.shared.arrivals.subscribe()
    }

    fn next_base_fee(&self) -> u64 {
        self.shared.next_base_fee()
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let transaction = self.shared.admit(&raw)?;
        self.keep(vec![transaction.clone()]).await?;
        Ok(*transaction.tx_hash())
    }

    async fn submit_many(&self, raws: Vec<Bytes>) -> Vec<Result<B256, SubmitError>> {
        let admitted = tokio::task::block_in_place(|| self.shared.admit_many(&raws));
        let taken: Vec<_> = admitted.iter().filter_map(|one| one.as_ref().ok().cloned()).collect();
        let kept = if taken.is_empty() { Ok(()) } else { self.keep(taken).await };
        admitted.into_iter().map(|one| one.and_then(|one| kept.clone().map(|()| *one.tx_hash()))).collect()
    }
}

impl Chain {
    /// Returns when these transactions, which the pool has taken in, are on disk. If they cannot be, the pool forgets them.
    async fn keep(&self, transactions: Vec<RecoveredTransaction>) -> Result<(), SubmitError> {
        let hashes: Vec<B256> = transactions.iter().map(|one| *one.tx_hash()).collect();
        if let Err(error) = self.pool_writer.persist(transactions).await {
            hashes.iter().for_each(|hash| self.shared.forget(*hash));
            return Err(error);
        }
        for hash in hashes {
            // Nobody may be listening.
            let _ = self.shared.arrivals.send(hash);
        }
        self.pool_grew.notify_one();
        Ok(())
    }
}
