//! [`Ledger`] for [`DevChain`].

use crate::DevChain;
use alloy_consensus::Transaction as _;
use async_trait::async_trait;
use bxp_types::{
    AccountState, Address, B256, Bytes, CallOutcome, CallRequest, Certificate, Genesis, Height, Ledger,
    LedgerError, LogQuery, PoolContent, RecoveredTransaction, StateReader, StoredBlock, StoredReceipt,
    SubmitError, TransactionLocation, U256,
};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

fn storage(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Storage(error.to_string())
}

#[async_trait]
impl Ledger for DevChain {
    fn genesis(&self) -> &Genesis {
        &self.shared.genesis
    }

    fn head(&self) -> Arc<StoredBlock> {
        self.shared.head()
    }

    fn heads(&self) -> watch::Receiver<Height> {
        self.shared.heads.subscribe()
    }

    fn block(&self, height: Height) -> Result<Option<Arc<StoredBlock>>, LedgerError> {
        Ok(self.shared.blocks.block(height)?.map(Arc::new))
    }

    fn height_of(&self, block_hash: B256) -> Result<Option<Height>, LedgerError> {
        Ok(self.shared.blocks.height_of(block_hash)?)
    }

    fn receipts(&self, height: Height) -> Result<Option<Arc<Vec<StoredReceipt>>>, LedgerError> {
        Ok(self.shared.blocks.receipts(height)?.map(Arc::new))
    }

    fn certificate(&self, _: Height) -> Result<Option<Certificate>, LedgerError> {
        Ok(None)
    }

    fn locate(&self, transaction: B256) -> Result<Option<TransactionLocation>, LedgerError> {
        let location = self.shared.blocks.locate(transaction)?;
        Ok(location.filter(|location| location.height <= self.head().height()))
    }

    fn pending(&self, transaction: B256) -> Option<RecoveredTransaction> {
        self.shared.work.lock().pool.get(transaction).cloned()
    }

    fn dropped(&self, transaction: B256) -> Result<Option<String>, LedgerError> {
        Ok(self.shared.blocks.dropped(transaction)?)
    }

    fn account(&self, address: Address) -> Result<AccountState, LedgerError> {
        self.shared.state.account(address).map_err(storage)
    }

    fn pending_nonce(&self, address: Address) -> Result<u64, LedgerError> {
        let mined = self.account(address)?.nonce;
        let waiting = self.shared.work.lock().pool.next_nonce(address);
        Ok(waiting.map_or(mined, |waiting| waiting.max(mined)))
    }

    fn code(&self, address: Address) -> Result<Bytes, LedgerError> {
        self.shared.state.code(address).map_err(storage)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, LedgerError> {
        self.shared.state.storage_slot(address, slot).map_err(storage)
    }

    fn call(&self, request: &CallRequest) -> Result<CallOutcome, LedgerError> {
        self.shared.state.call(&self.head().header, request)
    }

    fn state(&self, height: Height) -> Result<Box<dyn StateReader + '_>, LedgerError> {
        Ok(Box::new(self.shared.state.at(height)?))
    }

    fn log_blocks(
        &self,
        query: &LogQuery,
        from: Height,
        to: Height,
        max: usize,
    ) -> Result<(Vec<Height>, Option<Height>), LedgerError> {
        Ok(self.shared.index.logs(query, from, to, max)?)
    }

    fn account_blocks(
        &self,
        account: Address,
        from: Height,
        to: Height,
        newest_first: bool,
        max: usize,
    ) -> Result<Vec<Height>, LedgerError> {
        Ok(self.shared.index.account(account, from, to, newest_first, max)?)
    }

    fn pool(&self, sender: Option<Address>, max: usize) -> PoolContent {
        self.shared.work.lock().pool.content(sender, max)
    }

    fn pool_size(&self) -> (usize, usize) {
        self.shared.work.lock().pool.size()
    }

    fn arrivals(&self) -> broadcast::Receiver<B256> {
        self.shared.arrivals.subscribe()
    }

    fn next_base_fee(&self) -> u64 {
        self.shared.next_base_fee(&self.shared.work.lock())
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let shared = Arc::clone(&self.shared);
        let submit = move || {
            let transaction = bxp_chain::proposal::recover(&raw, shared.genesis.chain_id)?;
            tracing::debug!(nonce = transaction.nonce(), "take a transaction");
            shared.take(transaction)
        };
        tokio::task::spawn_blocking(submit).await.map_err(|error| SubmitError::Storage(error.to_string()))?
    }
}
