//! The chain with a fault: transactions to data requests stop on their way, before or after they are submitted.

use async_trait::async_trait;
use bxp_chain::{Chain, View};
use bxp_types::{
    AccountState, Address, B256, Bytes, CallOutcome, CallRequest, Certificate, Genesis, Height, Ledger,
    LedgerError, LogQuery, PoolContent, RecoveredTransaction, StateReader, StoredBlock, StoredReceipt,
    SubmitError, TransactionLocation, U256,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::{Notify, broadcast, watch};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The transaction never leaves.
    BeforeSubmission,
    /// The transaction is in the pool, and its sender never learns of it.
    AfterSubmission,
}

/// Hangs at the first submission.
pub(crate) struct FaultyLedger {
    chain: View<Chain>,
    fault: Fault,
    armed: AtomicBool,
    pub(crate) hung: Arc<Notify>,
}

impl FaultyLedger {
    pub(crate) fn new(chain: Chain, fault: Fault) -> Self {
        Self { chain: View::new(chain), fault, armed: AtomicBool::new(true), hung: Arc::new(Notify::new()) }
    }

    async fn hang(&self) {
        self.hung.notify_one();
        std::future::pending::<()>().await;
    }
}

#[async_trait]
impl Ledger for FaultyLedger {
    fn genesis(&self) -> &Genesis {
        self.chain.genesis()
    }
    fn head(&self) -> Arc<StoredBlock> {
        self.chain.head()
    }
    fn heads(&self) -> watch::Receiver<Height> {
        self.chain.heads()
    }
    fn block(&self, height: Height) -> Result<Option<Arc<StoredBlock>>, LedgerError> {
        self.chain.block(height)
    }
    fn state(&self, height: Height) -> Result<Box<dyn StateReader + '_>, LedgerError> {
        self.chain.state(height)
    }
    fn log_blocks(
        &self,
        query: &LogQuery,
        from: Height,
        to: Height,
        max: usize,
    ) -> Result<(Vec<Height>, Option<Height>), LedgerError> {
        self.chain.log_blocks(query, from, to, max)
    }
    fn account_blocks(
        &self,
        account: Address,
        from: Height,
        to: Height,
        newest_first: bool,
        max: usize,
    ) -> Result<Vec<Height>, LedgerError> {
        self.chain.account_blocks(account, from, to, newest_first, max)
    }
    fn pool(&self, sender: Option<Address>, max: usize) -> PoolContent {
        self.chain.pool(sender, max)
    }
    fn pool_size(&self) -> (usize, usize) {
        self.chain.pool_size()
    }
    fn arrivals(&self) -> broadcast::Receiver<B256> {
        self.chain.arrivals()
    }
    fn height_of(&self, block_hash: B256) -> Result<Option<Height>, LedgerError> {
        self.chain.height_of(block_hash)
    }
    fn receipts(&self, height: Height) -> Result<Option<Arc<Vec<StoredReceipt>>>, LedgerError> {
        self.chain.receipts(height)
    }
    fn certificate(&self, height: Height) -> Result<Option<Certificate>, LedgerError> {
        self.chain.certificate(height)
    }
    fn locate(&self, transaction: B256) -> Result<Option<TransactionLocation>, LedgerError> {
        self.chain.locate(transaction)
    }
    fn pending(&self, transaction: B256) -> Option<RecoveredTransaction> {
        self.chain.pending(transaction)
    }
    fn dropped(&self, transaction: B256) -> Result<Option<String>, LedgerError> {
        self.chain.dropped(transaction)
    }
    fn account(&self, address: Address) -> Result<AccountState, LedgerError> {
        self.chain.account(address)
    }
    fn pending_nonce(&self, address: Address) -> Result<u64, LedgerError> {
        self.chain.pending_nonce(address)
    }
    fn code(&self, address: Address) -> Result<Bytes, LedgerError> {
        self.chain.code(address)
    }
    fn storage(&self, address: Address, slot: U256) -> Result<U256, LedgerError> {
        self.chain.storage(address, slot)
    }
    fn call(&self, request: &CallRequest) -> Result<CallOutcome, LedgerError> {
        self.chain.call(request)
    }
    fn next_base_fee(&self) -> u64 {
        self.chain.next_base_fee()
    }
    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        if !self.armed.swap(false, Ordering::SeqCst) {
            return self.chain.submit(raw).await;
        }
        if self.fault == Fault::AfterSubmission {
            self.chain.submit(raw).await?;
        }
        self.hang().await;
        Err(SubmitError::PoolFull)
    }
}
