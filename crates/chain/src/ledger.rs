//! [`Ledger`] for [`Chain`]: reads from the newest executed state, and the way in.

use crate::{Chain, ChainError};
use alloy_consensus::transaction::TxHashRef as _;
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

impl From<ChainError> for LedgerError {
    fn from(error: ChainError) -> Self {
        storage(error)
    }
}

#[async_trait]
impl Ledger for Chain {
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
        let head = self.head();
        if head.height() == height {
            return Ok(Some(head));
        }
        Ok(self.shared.blocks.block(height)?.map(Arc::new))
    }

    fn height_of(&self, block_hash: B256) -> Result<Option<Height>, LedgerError> {
        Ok(self.shared.blocks.height_of(block_hash)?)
    }

    fn receipts(&self, height: Height) -> Result<Option<Arc<Vec<StoredReceipt>>>, LedgerError> {
        Ok(self.shared.blocks.receipts(height)?.map(Arc::new))
    }

    fn certificate(&self, height: Height) -> Result<Option<Certificate>, LedgerError> {
        Ok(self.shared.blocks.certificate(height)?)
    }

    fn locate(&self, transaction: B256) -> Result<Option<TransactionLocation>, LedgerError> {
        let location = self.shared.blocks.locate(transaction)?;
        // A block on disk becomes visible when the head moves to it.
        Ok(location.filter(|location| location.height <= self.head().height()))
    }

    fn pending(&self, transaction: B256) -> Option<RecoveredTransaction> {
        self.shared.pending(transaction)
    }

    fn dropped(&self, transaction: B256) -> Result<Option<String>, LedgerError> {
        Ok(self.shared.blocks.dropped(transaction)?)
    }

    fn account(&self, address: Address) -> Result<AccountState, LedgerError> {
        self.shared.state.account(address).map_err(storage)
    }

    fn pending_nonce(&self, address: Address) -> Result<u64, LedgerError> {
        let mined = self.account(address)?.nonce;
        Ok(self.shared.pool.lock().next_nonce(address).map_or(mined, |pending| pending.max(mined)))
    }

    fn code(&self, address: Address) -> Result<Bytes, LedgerError> {
        self.shared.state.code(address).map_err(storage)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, LedgerError> {
        self.shared.state.storage_slot(address, slot).map_err(storage)
    }

    fn call(&self, request: &CallRequest) -> Result<CallOutcome, LedgerError> {
        self.shared.state.call(&self.shared.head.load().header, request)
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
        self.shared.pool.lock().content(sender, max)
    }

    fn pool_size(&self) -> (usize, usize) {
        self.shared.pool.lock().size()
    }

    fn arrivals(&self) -> broadcast::Receiver<B256> {
        self.shared.arrivals.subscribe()
    }

    fn next_base_fee(&self) -> u64 {
        self.shared.next_base_fee()
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let transaction = self.shared.admit(&raw)?;
        let hash = *transaction.tx_hash();
        if let Err(error) = self.pool_writer.persist(transaction).await {
            self.shared.forget(hash);
            return Err(error);
        }
        // Nobody may be listening.
        let _ = self.shared.arrivals.send(hash);
        self.pool_grew.notify_one();
        Ok(hash)
    }
}
