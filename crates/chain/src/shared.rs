//! What a node knows: its tables, its state, its pool. The machine, its jobs and the readers share it.

use crate::{
    ChainConfig, ChainError,
    block_index::BlockIndex,
    blocks::Blocks,
    checked::{Checked, Late},
    mempool::{Conditions, Mempool},
    proposal,
};
use alloy_consensus::{Transaction as _, transaction::TxHashRef as _};
use arc_swap::ArcSwap;
use bxp_execution::State;
use bxp_storage::{Durability, Store};
use bxp_types::{B256, Bytes, Genesis, Height, NetworkId, RecoveredTransaction, StoredBlock, SubmitError};
use parking_lot::Mutex;
use rayon::prelude::*;
use std::{
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};
use tokio::sync::{broadcast, watch};

/// Arrivals in the pool that a slow listener may be behind.
const ARRIVALS_MAX: usize = 16_384;

/// A transaction that the pool has taken in, and that waits for [`Shared::keep`].
#[derive(Clone, Debug)]
pub struct Admitted {
    /// The transaction.
    pub transaction: RecoveredTransaction,
    /// What left the pool for it: replaced, or pushed out. Its rows go when this one is written.
    pub gone: Vec<B256>,
}

impl Admitted {
    /// The transaction's hash.
    #[must_use]
    pub fn hash(&self) -> B256 {
        *self.transaction.tx_hash()
    }
}

/// One node's tables, state and pool.
pub struct Shared {
    pub(crate) genesis: Genesis,
    pub(crate) network_id: NetworkId,
    pub(crate) config: ChainConfig,
    pub(crate) store: Store,
    pub(crate) blocks: Blocks,
    pub(crate) index: BlockIndex,
    pub(crate) state: State,
    pub(crate) head: ArcSwap<StoredBlock>,
    pub(crate) heads: watch::Sender<Height>,
    pub(crate) pool: Mutex<Mempool>,
    /// Tells of transactions that the pool takes in.
    pub(crate) arrivals: broadcast::Sender<B256>,
    pub(crate) checked: Mutex<Checked>,
    pub(crate) late: Late,
    /// The highest certified height that at least one correct peer spoke of.
    pub(crate) highest_known: AtomicU64,
}

impl Shared {
    /// Opens the chain in `store`, creating block 0 in a new one, and takes the pool of an earlier run back in.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn open(genesis: Genesis, config: ChainConfig, store: Store) -> Result<Self, ChainError> {
        let blocks = Blocks::open(&store)?;
        let state = State::open_retaining(&store, &genesis, config.retention);
        let state = state.map_err(|error| ChainError::State(Box::new(error)))?;
        let head = open_head(&store, &blocks, &state)?;
        let shared = Self {
            network_id: genesis.network_id(),
            heads: watch::Sender::new(head.height()),
            arrivals: broadcast::Sender::new(ARRIVALS_MAX),
            index: BlockIndex::open(&store)?,
            head: ArcSwap::from_pointee(head),
            checked: Mutex::default(),
            late: Late::default(),
            highest_known: AtomicU64::new(0),
            pool: Mutex::new(Mempool::new(config.pool)),
            genesis,
            config,
            store,
            blocks,
            state,
        };
        shared.reload_pool()?;
        Ok(shared)
    }

    /// The newest block.
    #[must_use]
    pub fn head(&self) -> Arc<StoredBlock> {
        self.head.load_full()
    }

    /// The chain's tables.
    #[must_use]
    pub const fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    /// The state of the newest block.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Takes a client's transaction into the pool, judged by the newest block. It may be acknowledged once
    /// [`Shared::keep`] has written it; if that fails, [`Shared::forget`] it.
    ///
    /// # Errors
    /// [`SubmitError`] in geth's words.
    pub fn admit(&self, raw: &[u8]) -> Result<Admitted, SubmitError> {
        self.insert(proposal::recover(raw, self.genesis.chain_id)?)
    }

    /// [`Shared::admit`] for each of these, in this order. Their signatures are recovered on all cores.
    #[must_use]
    pub fn admit_many(&self, raws: &[Bytes]) -> Vec<Result<Admitted, SubmitError>> {
        let recover = |raw: &Bytes| proposal::recover(raw, self.genesis.chain_id);
        let recovered: Vec<_> = raws.par_iter().map(recover).collect();
        recovered.into_iter().map(|one| one.and_then(|transaction| self.insert(transaction))).collect()
    }

    /// Returns when these transactions of the pool are on disk, and what left it for them is not: one flush for all. One
    /// call at a time.
    ///
    /// # Errors
    /// [`SubmitError::Storage`].
    pub fn keep<'a>(&self, admitted: impl IntoIterator<Item = &'a Admitted>) -> Result<(), SubmitError> {
        let mut batch = self.store.batch();
        let mut gone: Vec<B256> = Vec::new();
        for one in admitted {
            self.blocks.put_pooled(&mut batch, &one.transaction);
            gone.extend(&one.gone);
        }
        if !gone.is_empty() {
            // What has come again meanwhile waits; its row may be on disk already.
            let pool = self.pool.lock();
            gone.retain(|hash| pool.get(*hash).is_none());
        }
        for hash in gone {
            self.blocks.remove_pooled(&mut batch, hash);
        }
        batch.commit(Durability::Synced).map_err(|error| SubmitError::Storage(error.to_string()))
    }

    /// Takes a transaction that could not be kept out of the pool.
    pub fn forget(&self, transaction: B256) {
        self.pool.lock().remove(transaction);
    }

    /// Tells the pool how long this node has run, and deletes what has waited too long behind a gap.
    pub(crate) fn expire(&self, elapsed: Duration) -> Result<(), ChainError> {
        let mut pool = self.pool.lock();
        let expired = pool.expire(elapsed);
        if expired.is_empty() {
            return Ok(());
        }
        tracing::debug!(transactions = expired.len(), "what waited too long behind a gap leaves the pool");
        let mut batch = self.store.batch();
        for hash in expired {
            self.blocks.remove_pooled(&mut batch, hash);
        }
        // The pool stays locked, so that none of them comes back, and is kept, before its row goes.
        batch.commit(Durability::Buffered)?;
        Ok(())
    }

    /// How many transactions wait in the pool.
    #[must_use]
    pub fn pool_len(&self) -> usize {
        self.pool.lock().len()
    }

    /// A transaction that waits in the pool.
    #[must_use]
    pub fn pending(&self, transaction: B256) -> Option<RecoveredTransaction> {
        self.pool.lock().get(transaction).cloned()
    }

    pub(crate) fn next_base_fee(&self) -> u64 {
        bxp_execution::next_base_fee(&self.head.load().header)
    }

    fn insert(&self, transaction: RecoveredTransaction) -> Result<Admitted, SubmitError> {
        let account = self.state.account(transaction.signer());
        let account = account.map_err(|error| SubmitError::Storage(error.to_string()))?;
        let conditions =
            Conditions { account, base_fee: self.next_base_fee(), gas_limit: self.genesis.gas_limit };
        let gone = self.pool.lock().insert(transaction.clone(), &conditions)?;
        Ok(Admitted { transaction, gone })
    }

    /// Takes the pool of the earlier run back in; what has become invalid meanwhile is forgotten.
    fn reload_pool(&self) -> Result<(), ChainError> {
        let mut batch = self.store.batch();
        let mut waiting: Vec<RecoveredTransaction> = Vec::new();
        for (hash, raw) in self.blocks.pooled()? {
            match proposal::recover(&raw, self.genesis.chain_id) {
                Ok(transaction) => waiting.push(transaction),
                Err(_) => self.blocks.remove_pooled(&mut batch, hash),
            }
        }
        waiting.sort_by_key(|transaction| transaction.nonce());
        for transaction in waiting {
            let hash = *transaction.tx_hash();
            let gone = match self.insert(transaction) {
                Ok(admitted) => admitted.gone,
                Err(error) => {
                    tracing::debug!(%hash, %error, "a waiting transaction is no longer valid");
                    vec![hash]
                }
            };
            for hash in gone {
                self.blocks.remove_pooled(&mut batch, hash);
            }
        }
        batch.commit(Durability::Buffered)?;
        Ok(())
    }
}

fn open_head(store: &Store, blocks: &Blocks, state: &State) -> Result<StoredBlock, ChainError> {
    if let Some(newest) = blocks.newest()? {
        return Ok(newest);
    }
    let genesis = state.genesis_block().clone();
    let mut batch = store.batch();
    blocks.put(&mut batch, &genesis, &[], &[]);
    batch.commit(Durability::Synced)?;
    Ok(genesis)
}
