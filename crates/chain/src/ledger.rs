//! What [`View`](crate::View) shows of a [`Chain`], and the way into it.

use crate::{Admitted, Chain, Source, block_index::BlockIndex, blocks::Blocks, mempool::Mempool};
use async_trait::async_trait;
use bxp_execution::State;
use bxp_types::{B256, Bytes, Genesis, Height, StoredBlock, SubmitError};
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
        let admitted = self.shared.admit(&raw)?;
        let hash = admitted.hash();
        self.keep(vec![admitted]).await?;
        Ok(hash)
    }

    async fn submit_many(&self, raws: Vec<Bytes>) -> Vec<Result<B256, SubmitError>> {
        let admitted = tokio::task::block_in_place(|| self.shared.admit_many(&raws));
        let (mut taken, mut answers) = (Vec::new(), Vec::with_capacity(admitted.len()));
        for one in admitted {
            answers.push(one.map(|one| {
                let hash = one.hash();
                taken.push(one);
                hash
            }));
        }
        let kept = if taken.is_empty() { Ok(()) } else { self.keep(taken).await };
        answers.into_iter().map(|one| one.and_then(|hash| kept.clone().map(|()| hash))).collect()
    }
}

impl Chain {
    /// Returns when these transactions, which the pool has taken in, are on disk. If they cannot be, the pool forgets them.
    async fn keep(&self, admitted: Vec<Admitted>) -> Result<(), SubmitError> {
        let hashes: Vec<B256> = admitted.iter().map(Admitted::hash).collect();
        if let Err(error) = self.pool_writer.persist(admitted).await {
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
