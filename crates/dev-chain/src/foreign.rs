//! A chain of Ethereum itself, imported whole and served: for holding JSON-RPC against what Ethereum says.
//!
//! Nothing follows the last block: transactions are taken into the pool and stay there.

use crate::DevChainError;
use alloy_consensus::transaction::TxHashRef as _;
use async_trait::async_trait;
use bxp_chain::{
    Source,
    block_index::BlockIndex,
    blocks::Blocks,
    mempool::{Conditions, Mempool, PoolLimits},
};
use bxp_execution::{Ancestry, EthereumBlock, EthereumGenesis, Retention, State};
use bxp_storage::{Durability, Store};
use bxp_types::{Address, B256, Bytes, Genesis, Height, NetworkId, OutsideBody, StoredBlock, SubmitError};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use std::{collections::BTreeMap, sync::Arc};
use tempfile::TempDir;
use tokio::sync::{broadcast, watch};

/// Arrivals that a slow reader may be behind.
const ARRIVALS_MAX: usize = 256;

/// An imported chain.
pub struct ForeignChain {
    genesis: Genesis,
    state: State,
    index: BlockIndex,
    blocks: Blocks,
    head: Arc<StoredBlock>,
    /// What no block of BXP has, by height.
    bodies: Vec<Arc<OutsideBody>>,
    heads: watch::Sender<Height>,
    arrivals: broadcast::Sender<B256>,
    pool: Mutex<Mempool>,
    /// Dropped last: the tables lie in it.
    _folder: TempDir,
}

impl ForeignChain {
    /// Executes the blocks of `chain` on `genesis`, everything that their headers say being checked, in a folder that is gone with
    /// the chain.
    ///
    /// # Errors
    /// [`DevChainError`] names the first block that is not what its header says.
    pub fn import(
        genesis: &EthereumGenesis,
        chain: impl IntoIterator<Item = EthereumBlock>,
    ) -> Result<Self, DevChainError> {
        let folder = tempfile::tempdir().map_err(DevChainError::Folder)?;
        let store = Store::open(folder.path(), NetworkId([0; 32]))?;
        let state = State::open_ethereum(&store, genesis, Retention::All)?;
        let (blocks, index) = (Blocks::open(&store)?, BlockIndex::open(&store)?);
        let mut head = state.genesis_block().clone();
        let mut bodies = vec![Arc::new(OutsideBody::default())];
        let document = document(&head, genesis.chain_id());
        let mut total_difficulty = head.header.difficulty;
        let mut ancestry = Ancestry::of(&head.header);
        let mut batch = store.batch();
        let receipts = blocks.put(&mut batch, &head, &[], &[]);
        index.put(&head, &receipts)?;
        batch.commit(Durability::Buffered)?;
        for block in chain {
            let executed = state.import(&head.header, total_difficulty, &mut ancestry, &block)?;
            total_difficulty = total_difficulty.saturating_add(block.header.difficulty);
            let mut batch = store.batch();
            state.commit(&mut batch, &executed)?;
            let receipts = blocks.put(&mut batch, &executed.block, &executed.receipts, &[]);
            index.put(&executed.block, &receipts)?;
            batch.commit(Durability::Buffered)?;
            index.settle()?;
            blocks.settle_locations(executed.block.height())?;
            bodies.push(Arc::new(OutsideBody { ommers: block.ommers, withdrawals: block.withdrawals }));
            head = executed.block;
        }
        Ok(Self {
            genesis: document,
            state,
            index,
            blocks,
            bodies,
            heads: watch::Sender::new(head.height()),
            head: Arc::new(head),
            arrivals: broadcast::Sender::new(ARRIVALS_MAX),
            pool: Mutex::new(Mempool::new(PoolLimits::default())),
            _folder: folder,
        })
    }
}

/// What a network of BXP would say of itself; only the chain id and the gas limit mean something here.
fn document(first: &StoredBlock, chain_id: u64) -> Genesis {
    Genesis {
        chain_id,
        time_ms: first.time_ms,
        gas_limit: first.header.gas_limit,
        base_fee_wei: first.header.base_fee_per_gas.unwrap_or_default(),
        treasury: first.header.beneficiary,
        validators: Vec::new(),
        accounts: BTreeMap::<Address, _>::new(),
        identity_copies: BTreeMap::new(),
    }
}

#[async_trait]
impl Source for ForeignChain {
    fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    fn head(&self) -> Arc<StoredBlock> {
        Arc::clone(&self.head)
    }

    fn heads(&self) -> watch::Receiver<Height> {
        self.heads.subscribe()
    }

    fn blocks(&self) -> &Blocks {
        &self.blocks
    }

    fn index(&self) -> &BlockIndex {
        &self.index
    }

    fn state(&self) -> &State {
        &self.state
    }

    fn pool(&self) -> MappedMutexGuard<'_, Mempool> {
        MutexGuard::map(self.pool.lock(), |pool| pool)
    }

    fn arrivals(&self) -> broadcast::Receiver<B256> {
        self.arrivals.subscribe()
    }

    fn next_base_fee(&self) -> u64 {
        bxp_execution::next_base_fee(&self.head.header)
    }

    fn outside_body(&self, height: Height) -> Option<Arc<OutsideBody>> {
        usize::try_from(height.0).ok().and_then(|height| self.bodies.get(height)).cloned()
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let transaction = bxp_chain::proposal::recover(&raw, self.genesis.chain_id)?;
        let hash = *transaction.tx_hash();
        let account = self.state.account(transaction.signer());
        let account = account.map_err(|error| SubmitError::Storage(error.to_string()))?;
        let gas_limit = self.head.header.gas_limit;
        let conditions = Conditions { account, base_fee: self.next_base_fee(), gas_limit };
        self.pool.lock().insert(transaction, &conditions)?;
        // Nobody may be listening.
        let _ = self.arrivals.send(hash);
        Ok(hash)
    }
}

impl std::fmt::Debug for ForeignChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForeignChain").field("head", &self.head.height()).finish_non_exhaustive()
    }
}
