//! A chain of Ethereum itself, imported whole and served: for holding JSON-RPC against what Ethereum says.
//!
//! Blocks and receipts lie in memory, the state of every block in the state's own tables. Nothing follows the last
//! block: transactions are taken into the pool and stay there.

use crate::DevChainError;
use alloy_consensus::transaction::TxHashRef as _;
use async_trait::async_trait;
use bxp_chain::{
    block_index::BlockIndex,
    mempool::{Conditions, Mempool, PoolLimits},
};
use bxp_execution::{EthereumBlock, EthereumGenesis, Retention, State};
use bxp_storage::{Durability, Store};
use bxp_types::{
    AccountState, Address, B256, Bytes, CallOutcome, CallRequest, Certificate, Genesis, Height, Ledger,
    LedgerError, LogQuery, NetworkId, OutsideBody, PoolContent, RecoveredTransaction, StateReader,
    StoredBlock, StoredReceipt, SubmitError, TransactionLocation, U256,
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};
use tempfile::TempDir;
use tokio::sync::{broadcast, watch};

/// Arrivals that a slow reader may be behind.
const ARRIVALS_MAX: usize = 256;

/// An imported chain.
pub struct ForeignChain {
    genesis: Genesis,
    state: State,
    index: BlockIndex,
    blocks: Vec<Arc<StoredBlock>>,
    receipts: Vec<Arc<Vec<StoredReceipt>>>,
    bodies: Vec<Arc<OutsideBody>>,
    heights: HashMap<B256, Height>,
    locations: HashMap<B256, TransactionLocation>,
    heads: watch::Sender<Height>,
    arrivals: broadcast::Sender<B256>,
    pool: Mutex<Mempool>,
    /// Dropped last: the tables lie in it.
    _folder: TempDir,
}

impl ForeignChain {
    /// Executes `blocks` on `genesis`, everything that their headers say being checked, in a folder that is gone with
    /// the chain.
    ///
    /// # Errors
    /// [`DevChainError`] names the first block that is not what its header says.
    pub fn import(
        genesis: &EthereumGenesis,
        blocks: impl IntoIterator<Item = EthereumBlock>,
    ) -> Result<Self, DevChainError> {
        let folder = tempfile::tempdir().map_err(DevChainError::Folder)?;
        let store = Store::open(folder.path(), NetworkId([0; 32]))?;
        let state = State::open_ethereum(&store, genesis, Retention::All)?;
        let first = Arc::new(state.genesis_block().clone());
        let mut chain = Self {
            genesis: document(&first, genesis.chain_id()),
            index: BlockIndex::open(&store)?,
            state,
            blocks: Vec::new(),
            receipts: Vec::new(),
            bodies: Vec::new(),
            heights: HashMap::new(),
            locations: HashMap::new(),
            heads: watch::Sender::new(Height(0)),
            arrivals: broadcast::Sender::new(ARRIVALS_MAX),
            pool: Mutex::new(Mempool::new(PoolLimits::default())),
            _folder: folder,
        };
        let mut total_difficulty = first.header.difficulty;
        let mut batch = store.batch();
        chain.index.put(&mut batch, &first, &[]);
        batch.commit(Durability::Buffered)?;
        chain.add(Arc::clone(&first), Vec::new(), OutsideBody::default());
        let mut parent = first;
        for block in blocks {
            let executed = chain.state.import(&parent.header, total_difficulty, &block)?;
            total_difficulty = total_difficulty.saturating_add(block.header.difficulty);
            let mut batch = store.batch();
            chain.state.commit(&mut batch, &executed)?;
            chain.index.put(&mut batch, &executed.block, &executed.receipts);
            batch.commit(Durability::Buffered)?;
            parent = Arc::new(executed.block);
            let body = OutsideBody { ommers: block.ommers, withdrawals: block.withdrawals };
            chain.add(Arc::clone(&parent), executed.receipts, body);
        }
        Ok(chain)
    }

    fn add(&mut self, block: Arc<StoredBlock>, receipts: Vec<StoredReceipt>, body: OutsideBody) {
        let height = block.height();
        self.heights.insert(block.hash, height);
        for (index, transaction) in (0_u32..).zip(&block.transactions) {
            self.locations.insert(*transaction.tx_hash(), TransactionLocation { height, index });
        }
        self.blocks.push(block);
        self.receipts.push(Arc::new(receipts));
        self.bodies.push(Arc::new(body));
        self.heads.send_replace(height);
    }

    fn at<T: Clone>(list: &[T], height: Height) -> Option<T> {
        usize::try_from(height.0).ok().and_then(|height| list.get(height)).cloned()
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
    }
}

fn storage(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Storage(error.to_string())
}

#[async_trait]
impl Ledger for ForeignChain {
    fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    fn head(&self) -> Arc<StoredBlock> {
        // Block 0 is there from the start.
        self.blocks.last().cloned().unwrap_or_else(|| Arc::new(self.state.genesis_block().clone()))
    }

    fn heads(&self) -> watch::Receiver<Height> {
        self.heads.subscribe()
    }

    fn block(&self, height: Height) -> Result<Option<Arc<StoredBlock>>, LedgerError> {
        Ok(Self::at(&self.blocks, height))
    }

    fn height_of(&self, block_hash: B256) -> Result<Option<Height>, LedgerError> {
        Ok(self.heights.get(&block_hash).copied())
    }

    fn receipts(&self, height: Height) -> Result<Option<Arc<Vec<StoredReceipt>>>, LedgerError> {
        Ok(Self::at(&self.receipts, height))
    }

    fn outside_body(&self, height: Height) -> Result<Option<Arc<OutsideBody>>, LedgerError> {
        Ok(Self::at(&self.bodies, height))
    }

    fn certificate(&self, _: Height) -> Result<Option<Certificate>, LedgerError> {
        Ok(None)
    }

    fn locate(&self, transaction: B256) -> Result<Option<TransactionLocation>, LedgerError> {
        Ok(self.locations.get(&transaction).copied())
    }

    fn pending(&self, transaction: B256) -> Option<RecoveredTransaction> {
        self.pool.lock().get(transaction).cloned()
    }

    fn dropped(&self, _: B256) -> Result<Option<String>, LedgerError> {
        Ok(None)
    }

    fn account(&self, address: Address) -> Result<AccountState, LedgerError> {
        self.state.account(address).map_err(storage)
    }

    fn pending_nonce(&self, address: Address) -> Result<u64, LedgerError> {
        let mined = self.account(address)?.nonce;
        Ok(self.pool.lock().next_nonce(address).map_or(mined, |waiting| waiting.max(mined)))
    }

    fn code(&self, address: Address) -> Result<Bytes, LedgerError> {
        self.state.code(address).map_err(storage)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, LedgerError> {
        self.state.storage_slot(address, slot).map_err(storage)
    }

    fn call(&self, request: &CallRequest) -> Result<CallOutcome, LedgerError> {
        self.state.call(&self.head().header, request)
    }

    fn state(&self, height: Height) -> Result<Box<dyn StateReader + '_>, LedgerError> {
        Ok(Box::new(self.state.at(height)?))
    }

    fn log_blocks(
        &self,
        query: &LogQuery,
        from: Height,
        to: Height,
        max: usize,
    ) -> Result<(Vec<Height>, Option<Height>), LedgerError> {
        Ok(self.index.logs(query, from, to, max)?)
    }

    fn account_blocks(
        &self,
        account: Address,
        from: Height,
        to: Height,
        newest_first: bool,
        max: usize,
    ) -> Result<Vec<Height>, LedgerError> {
        Ok(self.index.account(account, from, to, newest_first, max)?)
    }

    fn pool(&self, sender: Option<Address>, max: usize) -> PoolContent {
        self.pool.lock().content(sender, max)
    }

    fn pool_size(&self) -> (usize, usize) {
        self.pool.lock().size()
    }

    fn arrivals(&self) -> broadcast::Receiver<B256> {
        self.arrivals.subscribe()
    }

    fn next_base_fee(&self) -> u64 {
        bxp_execution::next_base_fee(&self.head().header)
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let transaction = bxp_chain::proposal::recover(&raw, self.genesis.chain_id)?;
        let hash = *transaction.tx_hash();
        let account = self.account(transaction.signer());
        let account = account.map_err(|error| SubmitError::Storage(error.to_string()))?;
        let gas_limit = self.head().header.gas_limit;
        let conditions = Conditions { account, base_fee: self.next_base_fee(), gas_limit };
        self.pool.lock().insert(transaction, &conditions)?;
        // Nobody may be listening.
        let _ = self.arrivals.send(hash);
        Ok(hash)
    }
}

impl std::fmt::Debug for ForeignChain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForeignChain").field("blocks", &self.blocks.len()).finish_non_exhaustive()
    }
}
