//! The chain's handle: what the rest of the node holds.

use crate::{
    ChainError,
    blocks::Blocks,
    driver,
    mempool::{Mempool, PoolLimits},
    pool_writer::PoolWriter,
};
use alloy_consensus::Transaction as _;
use arc_swap::ArcSwap;
use bxp_enclave::Enclave;
use bxp_execution::{Retention, State};
use bxp_network::{Channel, Network};
use bxp_storage::Store;
use bxp_types::{Digest, Genesis, Height, NetworkId, RecoveredTransaction, StoredBlock, ValidatorIndex};
use bytes::Bytes;
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, oneshot, watch},
    task::JoinHandle,
};

/// How the chain runs on this node.
#[derive(Clone, Debug)]
pub struct ChainConfig {
    /// This node's index in genesis.
    pub me: ValidatorIndex,
    /// The consensus write-ahead log.
    pub journal: PathBuf,
    /// The least time between the starts of two heights: the longer, the larger the blocks.
    pub block_interval: Duration,
    /// Bounds of the pool.
    pub pool: PoolLimits,
    /// How far back the state can be asked.
    pub retention: Retention,
}

/// What the network brings for the chain.
#[derive(Debug)]
pub enum ChainEvent {
    /// A peer is there.
    Connected(ValidatorIndex),
    /// A peer is gone.
    Disconnected(ValidatorIndex),
    /// A peer says something.
    Message {
        /// Who.
        from: ValidatorIndex,
        /// On which channel.
        channel: Channel,
        /// What; adversarial until verified.
        bytes: Bytes,
    },
    /// A peer asks for certified blocks.
    SyncRequest {
        /// The request; adversarial until verified.
        bytes: Bytes,
        /// Where the answer goes; dropped when the request is refused.
        reply: oneshot::Sender<Bytes>,
    },
    /// End the driver.
    Shutdown,
}

/// Events from the network that may wait for the driver.
const EVENTS_MAX: usize = 4_096;
/// Recovered proposals kept between their check and their execution.
const CHECKED_MAX: usize = 1_024;

/// A running chain. Clones share it.
#[derive(Clone)]
pub struct Chain {
    pub(crate) shared: Arc<Shared>,
    events: mpsc::Sender<ChainEvent>,
}

/// What the driver and the readers share.
pub(crate) struct Shared {
    pub(crate) genesis: Genesis,
    pub(crate) network_id: NetworkId,
    pub(crate) config: ChainConfig,
    pub(crate) store: Store,
    pub(crate) blocks: Blocks,
    pub(crate) state: State,
    pub(crate) head: ArcSwap<StoredBlock>,
    pub(crate) heads: watch::Sender<Height>,
    pub(crate) pool: Mutex<Mempool>,
    pub(crate) pool_grew: Notify,
    pub(crate) pool_writer: PoolWriter,
    pub(crate) checked: Mutex<Checked>,
    /// The highest certified height that a peer spoke of.
    pub(crate) highest_known: AtomicU64,
}

/// Transactions of checked proposals by digest, so that no signature is recovered twice.
#[derive(Default)]
pub(crate) struct Checked {
    by_digest: BTreeMap<Digest, (Height, Arc<crate::proposal::Proposal>)>,
}

impl Checked {
    pub(crate) fn insert(
        &mut self,
        height: Height,
        digest: Digest,
        proposal: Arc<crate::proposal::Proposal>,
    ) {
        if self.by_digest.len() >= CHECKED_MAX {
            let oldest =
                self.by_digest.iter().min_by_key(|(_, (height, _))| *height).map(|(&digest, _)| digest);
            oldest.map(|digest| self.by_digest.remove(&digest));
        }
        self.by_digest.insert(digest, (height, proposal));
    }

    pub(crate) fn get(&self, digest: &Digest) -> Option<Arc<crate::proposal::Proposal>> {
        self.by_digest.get(digest).map(|(_, proposal)| Arc::clone(proposal))
    }

    pub(crate) fn forget_up_to(&mut self, height: Height) {
        self.by_digest.retain(|_, (of, _)| *of > height);
    }
}

impl Chain {
    /// Opens the chain in `store`, creating block 0 on a new folder, and starts its driver. The task ends on
    /// [`ChainEvent::Shutdown`], or with the error that stopped it.
    ///
    /// # Errors
    /// [`ChainError`] when the disk or its content fails.
    pub fn start(
        genesis: Genesis,
        config: ChainConfig,
        store: Store,
        enclave: Enclave,
        network: Network,
    ) -> Result<(Self, JoinHandle<Result<(), ChainError>>), ChainError> {
        let blocks = Blocks::open(&store)?;
        let state = State::open_retaining(&store, &genesis, config.retention);
        let state = state.map_err(|error| ChainError::State(Box::new(error)))?;
        let head = open_head(&store, &blocks, &state)?;
        let pool = Mutex::new(Mempool::new(config.pool));
        let shared = Arc::new(Shared {
            network_id: genesis.network_id(),
            heads: watch::Sender::new(head.height()),
            head: ArcSwap::from_pointee(head),
            pool_grew: Notify::new(),
            pool_writer: PoolWriter::spawn(store.clone(), blocks.clone()),
            checked: Mutex::default(),
            highest_known: AtomicU64::new(0),
            genesis,
            config,
            store,
            blocks,
            state,
            pool,
        });
        shared.reload_pool()?;
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let driver = driver::Driver::open(Arc::clone(&shared), enclave, network)?;
        let task = tokio::spawn(driver.run(receiver));
        Ok((Self { shared, events }, task))
    }

    /// Hands over what the network brought; waits while the driver is behind.
    ///
    /// # Errors
    /// [`ChainError::Stopped`].
    pub async fn deliver(&self, event: ChainEvent) -> Result<(), ChainError> {
        self.events.send(event).await.map_err(|_| ChainError::Stopped)
    }

    /// The highest block that this node knows to be decided anywhere.
    #[must_use]
    pub fn highest_known(&self) -> Height {
        let head = self.shared.head.load().height();
        head.max(Height(self.shared.highest_known.load(Ordering::Relaxed)))
    }

    /// How many transactions wait in this node's pool.
    #[must_use]
    pub fn pool_len(&self) -> usize {
        self.shared.pool.lock().len()
    }
}

fn open_head(store: &Store, blocks: &Blocks, state: &State) -> Result<StoredBlock, ChainError> {
    if let Some(newest) = blocks.newest()? {
        return Ok(newest);
    }
    let genesis = state.genesis_block().clone();
    let mut batch = store.batch();
    blocks.put(&mut batch, &genesis, &[], &[]);
    batch.commit(bxp_storage::Durability::Synced)?;
    Ok(genesis)
}

impl Shared {
    /// Takes the pool of the earlier run back in; what has become invalid meanwhile is forgotten.
    fn reload_pool(&self) -> Result<(), ChainError> {
        let mut batch = self.store.batch();
        let mut waiting: Vec<RecoveredTransaction> = Vec::new();
        for (hash, raw) in self.blocks.pooled()? {
            match crate::proposal::recover(&raw, self.genesis.chain_id) {
                Ok(transaction) => waiting.push(transaction),
                Err(_) => self.blocks.remove_pooled(&mut batch, hash),
            }
        }
        waiting.sort_by_key(|transaction| transaction.nonce());
        for transaction in waiting {
            let hash = *alloy_consensus::transaction::TxHashRef::tx_hash(&transaction);
            let inserted = self.insert(transaction);
            if let Err(error) = inserted {
                tracing::debug!(%hash, %error, "a waiting transaction is no longer valid");
                self.blocks.remove_pooled(&mut batch, hash);
            }
        }
        batch.commit(bxp_storage::Durability::Buffered)?;
        Ok(())
    }
}
