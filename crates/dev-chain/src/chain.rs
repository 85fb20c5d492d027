//! The chain's parts, and starting it.

use crate::{
    DevAccount, DevChainError, accounts,
    clock::Clock,
    genesis, interval,
    undo::{Snapshot, Undo},
};
use alloy_primitives::{Address, B256};
use bxp_chain::{
    block_index::BlockIndex,
    blocks::Blocks,
    mempool::{Mempool, PoolLimits},
};
use bxp_execution::State;
use bxp_storage::{Durability, Store};
use bxp_types::{Genesis, GenesisAccount, Height, StoredBlock};
use parking_lot::{Mutex, RwLock};
use secp256k1::SecretKey;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;
use tokio::sync::{broadcast, watch};

/// Accounts whose keys the chain holds.
const ACCOUNTS: u32 = 10;
/// Arrivals that a slow reader may be behind.
const ARRIVALS_MAX: usize = 4_096;

/// How a developer's chain begins.
#[derive(Clone, Debug)]
pub struct DevConfig {
    /// The EIP-155 chain id; tools expect 31337.
    pub chain_id: u64,
    /// Contracts of block 0, beside the deterministic deployer.
    pub contracts: BTreeMap<Address, GenesisAccount>,
    /// A block at this interval; without it, at once after each transaction.
    pub interval: Option<Duration>,
}

/// A running chain. Clones share it; its folder goes with the last one.
#[derive(Clone)]
pub struct DevChain {
    pub(crate) shared: Arc<Shared>,
}

pub(crate) struct Shared {
    pub(crate) genesis: Genesis,
    pub(crate) accounts: Vec<DevAccount>,
    pub(crate) keys: BTreeMap<Address, SecretKey>,
    pub(crate) store: Store,
    pub(crate) blocks: Blocks,
    pub(crate) index: BlockIndex,
    pub(crate) state: State,
    pub(crate) head: RwLock<Arc<StoredBlock>>,
    pub(crate) heads: watch::Sender<Height>,
    pub(crate) arrivals: broadcast::Sender<B256>,
    pub(crate) interval: watch::Sender<Option<Duration>>,
    /// Taken for every change, one at a time.
    pub(crate) work: Mutex<Work>,
    /// Dropped last: the tables lie in it.
    _folder: TempDir,
}

/// What changes with the chain.
pub(crate) struct Work {
    pub(crate) pool: Mempool,
    pub(crate) clock: Clock,
    pub(crate) automine: bool,
    pub(crate) impersonated: BTreeSet<Address>,
    pub(crate) impersonate_all: bool,
    pub(crate) next_base_fee: Option<u64>,
    pub(crate) next_mix_hash: Option<B256>,
    /// What has happened, the newest last, as far as it can be taken back.
    pub(crate) undo: Vec<Undo>,
    pub(crate) snapshots: BTreeMap<u64, Snapshot>,
    pub(crate) next_snapshot: u64,
}

impl DevChain {
    /// Starts a chain in a new folder among the machine's temporary ones.
    ///
    /// # Errors
    /// [`DevChainError`] where there is no place for it.
    pub fn start(config: DevConfig) -> Result<Self, DevChainError> {
        let mut clock = Clock::default();
        let accounts = accounts(ACCOUNTS);
        let genesis = genesis::document(config.chain_id, clock.take_next(0), &accounts, config.contracts);
        let folder = tempfile::tempdir().map_err(DevChainError::Folder)?;
        let store = Store::open(folder.path(), genesis.network_id())?;
        let blocks = Blocks::open(&store)?;
        let index = BlockIndex::open(&store)?;
        let state = State::open_for_developer(&store, &genesis)?;
        let head = Arc::new(state.genesis_block().clone());
        let mut batch = store.batch();
        let receipts = blocks.put(&mut batch, &head, &[], &[]);
        index.put(&head, &receipts)?;
        batch.commit(Durability::Buffered)?;
        let key = |account: &DevAccount| {
            SecretKey::from_byte_array(&account.private_key.0).ok().map(|key| (account.address, key))
        };
        let work = Work {
            pool: Mempool::new(PoolLimits::default()),
            clock,
            automine: config.interval.is_none(),
            impersonated: BTreeSet::new(),
            impersonate_all: false,
            next_base_fee: None,
            next_mix_hash: None,
            undo: Vec::new(),
            snapshots: BTreeMap::new(),
            next_snapshot: 1,
        };
        let shared = Arc::new(Shared {
            keys: accounts.iter().filter_map(key).collect(),
            genesis,
            accounts,
            blocks,
            index,
            state,
            heads: watch::Sender::new(head.height()),
            head: RwLock::new(head),
            arrivals: broadcast::Sender::new(ARRIVALS_MAX),
            interval: watch::Sender::new(config.interval),
            work: Mutex::new(work),
            store,
            _folder: folder,
        });
        shared.take_snapshot();
        interval::spawn(&shared);
        Ok(Self { shared })
    }
}

impl Shared {
    pub(crate) fn head(&self) -> Arc<StoredBlock> {
        Arc::clone(&self.head.read())
    }

    /// Makes `block` the newest one that readers see.
    pub(crate) fn move_head(&self, block: Arc<StoredBlock>) {
        let height = block.height();
        *self.head.write() = block;
        self.heads.send_replace(height);
    }
}

impl std::fmt::Debug for DevChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DevChain").field("head", &self.shared.head().height()).finish_non_exhaustive()
    }
}
