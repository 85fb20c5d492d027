//! A chain of one: each transaction makes a block at once, executed by revm with the system contracts in genesis.

use alloy_consensus::{Transaction as _, transaction::SignerRecoverable};
use alloy_eips::eip2718::Decodable2718;
use async_trait::async_trait;
use bxp_execution::{BlockInput, State, next_base_fee};
use bxp_storage::{Durability, Store};
use bxp_types::{
    AccountState, Address, B256, Bytes, CallOutcome, CallRequest, Certificate, Genesis, Height, Ledger,
    LedgerError, LogQuery, PoolContent, RecoveredTransaction, StateReader, StoredBlock, StoredReceipt,
    SubmitError, Transaction, TransactionLocation, U256,
};
use parking_lot::Mutex;
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};
use tokio::sync::{broadcast, watch};

type Block = (Arc<StoredBlock>, Arc<Vec<StoredReceipt>>);

pub(crate) struct TestLedger {
    genesis: Genesis,
    store: Store,
    state: State,
    blocks: Mutex<Vec<Block>>,
    heads: watch::Sender<Height>,
    /// Transactions are taken but put into no block, as when the node stops right after.
    pub(crate) stalled: AtomicBool,
    pub(crate) submitted: Mutex<Vec<B256>>,
    /// Why the pool takes nothing, where it does not.
    pub(crate) refusal: Mutex<Option<SubmitError>>,
    /// How often it said so.
    pub(crate) refused: AtomicU64,
    /// How many calls were run.
    pub(crate) calls: AtomicU64,
    _dir: tempfile::TempDir,
}

impl TestLedger {
    pub(crate) fn new(genesis: &Genesis) -> Arc<Self> {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), genesis.network_id()).unwrap();
        let state = State::open(&store, genesis).unwrap();
        let first = (Arc::new(state.genesis_block().clone()), Arc::default());
        Arc::new(Self {
            genesis: genesis.clone(),
            store,
            state,
            blocks: Mutex::new(vec![first]),
            heads: watch::Sender::new(Height(0)),
            stalled: AtomicBool::new(false),
            submitted: Mutex::default(),
            refusal: Mutex::default(),
            refused: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            _dir: dir,
        })
    }

    /// A block without transactions.
    pub(crate) fn empty_block(&self) {
        self.produce(Vec::new());
    }

    /// A block with these transactions.
    fn produce(&self, transactions: Vec<RecoveredTransaction>) {
        let mut blocks = self.blocks.lock();
        let parent = Arc::clone(&blocks.last().unwrap().0);
        let input = BlockInput {
            height: parent.height().next(),
            time_ms: parent.time_ms + 500,
            mix_hash: B256::ZERO,
            parent_beacon_root: B256::ZERO,
            beneficiary: self.genesis.treasury,
            gas_limit: self.genesis.gas_limit,
            base_fee: next_base_fee(&parent.header),
            transactions,
        };
        let executed = self.state.execute(&parent.header, input).unwrap();
        assert!(executed.dropped.is_empty(), "{:?}", executed.dropped);
        let mut batch = self.store.batch();
        self.state.commit(&mut batch, &executed).unwrap();
        batch.commit(Durability::Buffered).unwrap();
        let height = executed.block.height();
        blocks.push((Arc::new(executed.block), Arc::new(executed.receipts)));
        drop(blocks);
        self.heads.send_replace(height);
    }
}

#[async_trait]
impl Ledger for TestLedger {
    fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    fn head(&self) -> Arc<StoredBlock> {
        Arc::clone(&self.blocks.lock().last().unwrap().0)
    }

    fn heads(&self) -> watch::Receiver<Height> {
        self.heads.subscribe()
    }

    fn block(&self, height: Height) -> Result<Option<Arc<StoredBlock>>, LedgerError> {
        Ok(self.blocks.lock().get(height.0 as usize).map(|(block, _)| Arc::clone(block)))
    }

    fn height_of(&self, block_hash: B256) -> Result<Option<Height>, LedgerError> {
        let blocks = self.blocks.lock();
        Ok(blocks.iter().find(|(block, _)| block.hash == block_hash).map(|(block, _)| block.height()))
    }

    fn receipts(&self, height: Height) -> Result<Option<Arc<Vec<StoredReceipt>>>, LedgerError> {
        Ok(self.blocks.lock().get(height.0 as usize).map(|(_, receipts)| Arc::clone(receipts)))
    }

    fn certificate(&self, _: Height) -> Result<Option<Certificate>, LedgerError> {
        Ok(None)
    }

    fn locate(&self, transaction: B256) -> Result<Option<TransactionLocation>, LedgerError> {
        let blocks = self.blocks.lock();
        let found = blocks.iter().find_map(|(block, _)| {
            let index = block.transactions.iter().position(|one| one.tx_hash() == &transaction)?;
            Some(TransactionLocation { height: block.height(), index: index as u32 })
        });
        Ok(found)
    }

    fn pending(&self, _: B256) -> Option<RecoveredTransaction> {
        None
    }

    fn dropped(&self, _: B256) -> Result<Option<String>, LedgerError> {
        Ok(None)
    }

    fn account(&self, address: Address) -> Result<AccountState, LedgerError> {
        self.state.account(address).map_err(|error| LedgerError::Storage(error.to_string()))
    }

    fn pending_nonce(&self, address: Address) -> Result<u64, LedgerError> {
        Ok(self.account(address)?.nonce)
    }

    fn code(&self, address: Address) -> Result<Bytes, LedgerError> {
        self.state.code(address).map_err(|error| LedgerError::Storage(error.to_string()))
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, LedgerError> {
        self.state.storage_slot(address, slot).map_err(|error| LedgerError::Storage(error.to_string()))
    }

    fn call(&self, request: &CallRequest) -> Result<CallOutcome, LedgerError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let head = self.head();
        self.state.call(&head.header, request)
    }

    fn state(&self, height: Height) -> Result<Box<dyn StateReader + '_>, LedgerError> {
        Ok(Box::new(self.state.at(height)?))
    }

    fn log_blocks(
        &self,
        _: &LogQuery,
        _: Height,
        _: Height,
        _: usize,
    ) -> Result<(Vec<Height>, Option<Height>), LedgerError> {
        Ok((Vec::new(), None))
    }

    fn account_blocks(
        &self,
        _: Address,
        _: Height,
        _: Height,
        _: bool,
        _: usize,
    ) -> Result<Vec<Height>, LedgerError> {
        Ok(Vec::new())
    }

    fn pool(&self, _: Option<Address>, _: usize) -> PoolContent {
        PoolContent::default()
    }

    fn pool_size(&self) -> (usize, usize) {
        (0, 0)
    }

    fn arrivals(&self) -> broadcast::Receiver<B256> {
        broadcast::channel(1).1
    }

    fn next_base_fee(&self) -> u64 {
        next_base_fee(&self.head().header)
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let transaction = Transaction::decode_2718(&mut raw.as_ref()).unwrap();
        let hash = *transaction.tx_hash();
        let recovered = transaction.try_into_recovered().unwrap();
        let next = self.account(recovered.signer()).unwrap().nonce;
        if recovered.nonce() < next {
            return Err(SubmitError::NonceTooLow { next, got: recovered.nonce() });
        }
        let refusal = self.refusal.lock().clone();
        if let Some(refusal) = refusal {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(refusal);
        }
        self.submitted.lock().push(hash);
        if !self.stalled.load(Ordering::SeqCst) {
            self.produce(vec![recovered]);
        }
        Ok(hash)
    }
}
