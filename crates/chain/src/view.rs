//! [`Ledger`] over a chain's tables, state and pool: one view for every kind of chain.

use crate::{
    ChainError,
    block_index::BlockIndex,
    blocks::Blocks,
    mempool::{Mempool, UnderWay},
};
use async_trait::async_trait;
use bxp_execution::{ExecutionError, State, StateView};
use bxp_types::{
    AccountState, Address, B256, Bytes, CallOutcome, CallRequest, Certificate, FoundLog, Genesis, Height,
    Ledger, LedgerError, LogQuery, OutsideBody, PoolContent, RecoveredTransaction, StateReader, StoredBlock,
    StoredReceipt, SubmitError, TransactionLocation, U256,
};
use parking_lot::MappedMutexGuard;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// A chain that [`View`] shows: where things lie, and what chains do each in their own way.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// [`Ledger::genesis`].
    fn genesis(&self) -> &Genesis;

    /// [`Ledger::head`].
    fn head(&self) -> Arc<StoredBlock>;

    /// [`Ledger::heads`].
    fn heads(&self) -> watch::Receiver<Height>;

    /// Blocks, receipts and what finds them.
    fn blocks(&self) -> &Blocks;

    /// Where logs and accounts are found.
    fn index(&self) -> &BlockIndex;

    /// The state of the newest block on disk, which may be above the head, and of those below it that are kept.
    fn state(&self) -> &State;

    /// The pool, which nobody else can use meanwhile.
    fn pool(&self) -> MappedMutexGuard<'_, Mempool>;

    /// [`Ledger::arrivals`].
    fn arrivals(&self) -> broadcast::Receiver<B256>;

    /// [`Ledger::next_base_fee`].
    fn next_base_fee(&self) -> u64;

    /// [`Ledger::outside_body`].
    fn outside_body(&self, height: Height) -> Option<Arc<OutsideBody>> {
        let _ = height;
        None
    }

    /// [`Ledger::submit`].
    ///
    /// # Errors
    /// As there.
    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError>;

    /// [`Ledger::submit_many`].
    async fn submit_many(&self, raws: Vec<Bytes>) -> Vec<Result<B256, SubmitError>> {
        let mut answers = Vec::with_capacity(raws.len());
        for raw in raws {
            answers.push(self.submit(raw).await);
        }
        answers
    }
}

/// A chain as the rooms above see it.
#[derive(Clone, Debug)]
pub struct View<S>(S);

impl<S: Source> View<S> {
    /// Shows `chain`.
    #[must_use]
    pub const fn new(chain: S) -> Self {
        Self(chain)
    }

    /// The newest block that readers see, and the state after it. The stored state may be that of a later block, which
    /// is on disk and becomes the head in a moment (ADR 99): whoever mixes the two finds nonces spent by nobody.
    fn at_head(&self) -> Result<(Arc<StoredBlock>, StateView), LedgerError> {
        // The head is read first: its state is on disk then, whatever becomes the head meanwhile.
        let (head, state) = (self.0.head(), self.0.state());
        match state.at(head.height()) {
            Ok(view) => Ok((head, view)),
            // For a moment it may be gone: where a developer takes a block back. An import brings no more blocks at once
            // than a node keeps states of.
            Err(ExecutionError::NotRetained { .. }) => Ok((head, state.newest())),
            Err(error) => Err(error.into()),
        }
    }
}

fn storage(error: impl std::fmt::Display) -> LedgerError {
    LedgerError::Storage(error.to_string())
}

impl From<ChainError> for LedgerError {
    fn from(error: ChainError) -> Self {
        storage(error.chain())
    }
}

#[async_trait]
impl<S: Source> Ledger for View<S> {
    fn genesis(&self) -> &Genesis {
        self.0.genesis()
    }

    fn head(&self) -> Arc<StoredBlock> {
        self.0.head()
    }

    fn heads(&self) -> watch::Receiver<Height> {
        self.0.heads()
    }

    fn block(&self, height: Height) -> Result<Option<Arc<StoredBlock>>, LedgerError> {
        let head = self.head();
        if head.height() == height {
            return Ok(Some(head));
        }
        if let Some((block, _)) = self.0.blocks().fresh(height) {
            return Ok(Some(block));
        }
        Ok(self.0.blocks().block(height)?.map(Arc::new))
    }

    fn height_of(&self, block_hash: B256) -> Result<Option<Height>, LedgerError> {
        Ok(self.0.blocks().height_of(block_hash)?)
    }

    fn receipts(&self, height: Height) -> Result<Option<Arc<Vec<StoredReceipt>>>, LedgerError> {
        if let Some((_, receipts)) = self.0.blocks().fresh(height) {
            return Ok(Some(receipts));
        }
        Ok(self.0.blocks().receipts(height)?.map(Arc::new))
    }

    fn logs(&self, height: Height, query: &LogQuery) -> Result<Option<Vec<FoundLog>>, LedgerError> {
        let head = self.head();
        // A block on disk becomes visible when the head moves to it.
        if head.height() < height {
            return Ok(None);
        }
        // The first block of a chain has no receipts to store.
        if head.height() == height && head.transactions.is_empty() {
            return Ok(Some(Vec::new()));
        }
        if let Some((block, receipts)) = self.0.blocks().fresh(height) {
            let may_have = query.may_be_in(&block.header.logs_bloom);
            return Ok(Some(if may_have { FoundLog::find(&block, &receipts, query) } else { Vec::new() }));
        }
        Ok(self.0.blocks().logs(height, query, self.0.index())?)
    }

    fn outside_body(&self, height: Height) -> Result<Option<Arc<OutsideBody>>, LedgerError> {
        Ok(self.0.outside_body(height))
    }

    fn certificate(&self, height: Height) -> Result<Option<Certificate>, LedgerError> {
        Ok(self.0.blocks().certificate(height)?)
    }

    fn locate(&self, transaction: B256) -> Result<Option<TransactionLocation>, LedgerError> {
        let location = self.0.blocks().locate(transaction)?;
        // A block on disk becomes visible when the head moves to it.
        Ok(location.filter(|location| location.height <= self.head().height()))
    }

    fn pending(&self, transaction: B256) -> Option<RecoveredTransaction> {
        self.0.pool().get(transaction).cloned()
    }

    fn dropped(&self, transaction: B256) -> Result<Option<String>, LedgerError> {
        Ok(self.0.blocks().dropped(transaction)?)
    }

    fn account(&self, address: Address) -> Result<AccountState, LedgerError> {
        Ok(self.at_head()?.1.account(address)?)
    }

    fn pending_nonce(&self, address: Address) -> Result<u64, LedgerError> {
        // The pool judges by the stored state, whether or not the head is there yet.
        let mined = self.0.state().account(address)?.nonce;
        Ok(self.0.pool().next_nonce(address).map_or(mined, |waiting| waiting.max(mined)))
    }

    fn code(&self, address: Address) -> Result<Bytes, LedgerError> {
        Ok(self.at_head()?.1.code(address)?)
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, LedgerError> {
        Ok(self.at_head()?.1.storage_slot(address, slot)?)
    }

    fn call(&self, request: &CallRequest) -> Result<CallOutcome, LedgerError> {
        let (head, state) = self.at_head()?;
        state.call(&head.header, request)
    }

    fn state(&self, height: Height) -> Result<Box<dyn StateReader + '_>, LedgerError> {
        Ok(Box::new(self.0.state().at(height)?))
    }

    fn log_blocks(
        &self,
        query: &LogQuery,
        from: Height,
        to: Height,
        max: usize,
    ) -> Result<(Vec<Height>, Option<Height>), LedgerError> {
        Ok(self.0.index().logs(query, from, to, max)?)
    }

    fn account_blocks(
        &self,
        account: Address,
        from: Height,
        to: Height,
        newest_first: bool,
        max: usize,
    ) -> Result<Vec<Height>, LedgerError> {
        Ok(self.0.index().account(account, from, to, newest_first, max)?)
    }

    fn pool(&self, sender: Option<Address>, max: usize) -> PoolContent {
        self.0.pool().content(sender, max)
    }

    fn proposable(&self, bytes_max: usize) -> Vec<RecoveredTransaction> {
        let (gas_limit, base_fee) = (self.0.genesis().gas_limit, self.0.next_base_fee());
        self.0.pool().take(bytes_max, gas_limit, base_fee, &UnderWay::default())
    }

    fn pool_size(&self) -> (usize, usize) {
        self.0.pool().size()
    }

    fn arrivals(&self) -> broadcast::Receiver<B256> {
        self.0.arrivals()
    }

    fn next_base_fee(&self) -> u64 {
        self.0.next_base_fee()
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        self.0.submit(raw).await
    }

    async fn submit_many(&self, raws: Vec<Bytes>) -> Vec<Result<B256, SubmitError>> {
        self.0.submit_many(raws).await
    }
}
