//! The chain's handle: what the rest of the node holds.

use crate::{
    Archiver, ChainError, SegmentRules, driver::Driver, indexer::Indexer, mempool::PoolLimits,
    pool_writer::PoolWriter, shared::Shared,
};
use bxp_consensus::Verification;
use bxp_enclave::Enclave;
use bxp_execution::Retention;
use bxp_network::{Channel, Network};
use bxp_storage::Store;
use bxp_types::{Genesis, Height, ValidatorIndex};
use bytes::Bytes;
use std::{
    path::PathBuf,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
use tokio::{
    sync::{Notify, mpsc, oneshot},
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
    /// Who checks the signatures of a proposal.
    pub verification: Verification,
    /// How long a vote may wait to share a frame with others; without it what fits the number of validators, which is no
    /// time at all up to sixteen.
    pub vote_gather: Option<Duration>,
    /// When old blocks leave the tables for segments; without it they stay.
    pub segments: Option<SegmentRules>,
    /// Whether a block is run while the one below is hashed; see [`ChainConfig::gains_by_running_ahead`].
    pub run_ahead: bool,
}

/// Fewer processors than this are busy with hashing: what runs the next block is taken from it, and both come later.
const RUN_AHEAD_PROCESSORS_MIN: usize = 4;

impl ChainConfig {
    /// Whether this machine has processors left to run a block while the one below is hashed.
    #[must_use]
    pub fn gains_by_running_ahead() -> bool {
        std::thread::available_parallelism().is_ok_and(|count| count.get() >= RUN_AHEAD_PROCESSORS_MIN)
    }
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

/// A running chain. Clones share it.
#[derive(Clone)]
pub struct Chain {
    pub(crate) shared: Arc<Shared>,
    pub(crate) pool_writer: PoolWriter,
    /// Tells the driver that a transaction waits.
    pub(crate) pool_grew: Arc<Notify>,
    events: mpsc::Sender<ChainEvent>,
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
        let shared = Arc::new(Shared::open(genesis, config, store)?);
        let pool_writer = PoolWriter::spawn(Arc::clone(&shared));
        let pool_grew = Arc::new(Notify::new());
        let (events, receiver) = mpsc::channel(EVENTS_MAX);
        let driver = Driver::open(Arc::clone(&shared), enclave, network)?;
        let running = driver.run(receiver, Arc::clone(&pool_grew));
        let task = tokio::spawn(with_followers(Arc::clone(&shared), running));
        Ok((Self { shared, pool_writer, pool_grew, events }, task))
    }

    /// Hands over what the network brought; waits while the driver is behind.
    ///
    /// # Errors
    /// [`ChainError::Stopped`].
    pub async fn deliver(&self, event: ChainEvent) -> Result<(), ChainError> {
        self.events.send(event).await.map_err(|_| ChainError::Stopped)
    }

    /// The highest block that this node knows to be certified anywhere: its own, or one that more peers speak of than may lie.
    #[must_use]
    pub fn highest_known(&self) -> Height {
        let head = self.shared.head.load().height();
        head.max(Height(self.shared.highest_known.load(Ordering::Relaxed)))
    }

    /// How many transactions wait in this node's pool.
    #[must_use]
    pub fn pool_len(&self) -> usize {
        self.shared.pool_len()
    }
}

/// Runs the driver, and beside it the indexing of blocks and the making of segments, which have ended when this ends.
async fn with_followers(
    shared: Arc<Shared>,
    driver: impl Future<Output = Result<(), ChainError>>,
) -> Result<(), ChainError> {
    let indexer = Indexer { blocks: shared.blocks.clone(), index: shared.index.clone() };
    let (stop, stopped) = oneshot::channel();
    let indexing = tokio::spawn(indexer.run(shared.heads.subscribe(), stopped));
    let (stop_archiving, archiving_stopped) = oneshot::channel();
    let archiver = shared.config.segments.map(|rules| {
        Archiver::new(&shared.store, &shared.blocks, rules, shared.network_id, shared.genesis.chain_id)
    });
    let heads = shared.heads.subscribe();
    let archiving = archiver.map(|archiver| tokio::spawn(archiver.run(heads, archiving_stopped)));
    drop(shared);
    let ended = driver.await;
    drop((stop, stop_archiving));
    if indexing.await.is_err() {
        tracing::error!("the block index ended in a panic");
    }
    if let Some(archiving) = archiving
        && archiving.await.is_err()
    {
        tracing::error!("the making of segments ended in a panic");
    }
    ended
}
