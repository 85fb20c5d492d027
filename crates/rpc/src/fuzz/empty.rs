//! A chain of block 0 whose state is not kept, and which does nothing of what a developer tells it.

use crate::NodeStatus;
use alloy_consensus::{Header, TypedTransaction};
use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use bxp_types::{
    AccountState, CallOutcome, CallRequest, Certificate, Developer, Edit, Genesis, Height, Jurisdiction,
    Ledger, LedgerError, LogQuery, PoolContent, RecoveredTransaction, StateReader, StoredBlock,
    StoredReceipt, SubmitError, TransactionLocation, ValidatorEntry,
};
use jsonrpsee::core::async_trait;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::sync::{broadcast, watch};

/// The chain's EIP-155 id.
pub(super) const CHAIN_ID: u64 = 2018;

const GAS_LIMIT: u64 = 30_000_000;
const BASE_FEE_WEI: u64 = 1_000;
const TIME_MS: u64 = 1_700_000_000_000;

/// The chain.
pub(super) struct Empty {
    genesis: Genesis,
    block: Arc<StoredBlock>,
    heads: watch::Sender<Height>,
    arrivals: broadcast::Sender<B256>,
}

impl Empty {
    /// A chain of one validator.
    pub(super) fn new() -> Self {
        let validator = ValidatorEntry {
            name: "node".to_owned(),
            jurisdiction: Jurisdiction::US,
            public_key: B256::repeat_byte(1),
            sealing_key: B256::repeat_byte(2),
            account: Address::repeat_byte(3),
            p2p_address: "127.0.0.1:1".to_owned(),
        };
        let genesis = Genesis {
            chain_id: CHAIN_ID,
            time_ms: TIME_MS,
            gas_limit: GAS_LIMIT,
            base_fee_wei: BASE_FEE_WEI,
            treasury: Address::repeat_byte(4),
            validators: vec![validator],
            accounts: BTreeMap::new(),
            identity_copies: BTreeMap::new(),
        };
        let header = Header {
            gas_limit: GAS_LIMIT,
            base_fee_per_gas: Some(BASE_FEE_WEI),
            timestamp: TIME_MS / 1_000,
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            ..Header::default()
        };
        let hash = header.hash_slow();
        let block = StoredBlock { header, hash, transactions: Vec::new(), time_ms: TIME_MS };
        Self {
            genesis,
            block: Arc::new(block),
            heads: watch::Sender::new(Height(0)),
            arrivals: broadcast::Sender::new(1),
        }
    }
}

#[async_trait]
impl Ledger for Empty {
    fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    fn head(&self) -> Arc<StoredBlock> {
        Arc::clone(&self.block)
    }

    fn heads(&self) -> watch::Receiver<Height> {
        self.heads.subscribe()
    }

    fn block(&self, height: Height) -> Result<Option<Arc<StoredBlock>>, LedgerError> {
        Ok((height == Height(0)).then(|| Arc::clone(&self.block)))
    }

    fn height_of(&self, block_hash: B256) -> Result<Option<Height>, LedgerError> {
        Ok((block_hash == self.block.hash).then_some(Height(0)))
    }

    fn receipts(&self, height: Height) -> Result<Option<Arc<Vec<StoredReceipt>>>, LedgerError> {
        Ok((height == Height(0)).then(Arc::default))
    }

    fn certificate(&self, _: Height) -> Result<Option<Certificate>, LedgerError> {
        Ok(None)
    }

    fn locate(&self, _: B256) -> Result<Option<TransactionLocation>, LedgerError> {
        Ok(None)
    }

    fn pending(&self, _: B256) -> Option<RecoveredTransaction> {
        None
    }

    fn dropped(&self, _: B256) -> Result<Option<String>, LedgerError> {
        Ok(None)
    }

    fn account(&self, _: Address) -> Result<AccountState, LedgerError> {
        Ok(AccountState::default())
    }

    fn pending_nonce(&self, _: Address) -> Result<u64, LedgerError> {
        Ok(0)
    }

    fn code(&self, _: Address) -> Result<Bytes, LedgerError> {
        Ok(Bytes::new())
    }

    fn storage(&self, _: Address, _: U256) -> Result<U256, LedgerError> {
        Ok(U256::ZERO)
    }

    fn call(&self, _: &CallRequest) -> Result<CallOutcome, LedgerError> {
        Err(LedgerError::InvalidCall("nothing runs here".to_owned()))
    }

    fn state(&self, height: Height) -> Result<Box<dyn StateReader + '_>, LedgerError> {
        Err(LedgerError::StateNotKept { asked: height, oldest: height.next() })
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
        self.arrivals.subscribe()
    }

    fn next_base_fee(&self) -> u64 {
        BASE_FEE_WEI
    }

    async fn submit(&self, _raw: Bytes) -> Result<B256, SubmitError> {
        Err(SubmitError::PoolFull)
    }
}

impl NodeStatus for Empty {
    fn peer_count(&self) -> usize {
        0
    }

    fn highest_block(&self) -> Height {
        Height(0)
    }
}

impl Developer for Empty {
    fn accounts(&self) -> Vec<Address> {
        Vec::new()
    }

    fn sign(&self, _: Address, _: B256) -> Option<Signature> {
        None
    }

    fn send(&self, _: Address, _: TypedTransaction) -> Result<B256, SubmitError> {
        Err(SubmitError::InvalidSender)
    }

    fn impersonate(&self, _: Address, _: bool) {}

    fn impersonate_all(&self, _: bool) {}

    fn edit(&self, _: Address, _: Edit) -> Result<(), LedgerError> {
        Ok(())
    }

    fn mine(&self, _: u64, _: u64) -> Result<(), LedgerError> {
        Ok(())
    }

    fn automine(&self) -> bool {
        false
    }

    fn set_automine(&self, _: bool) {}

    fn set_interval(&self, _: Option<Duration>) {}

    fn increase_time(&self, seconds: u64) -> u64 {
        seconds
    }

    fn set_next_time(&self, _: u64) -> Result<(), LedgerError> {
        Ok(())
    }

    fn set_next_base_fee(&self, _: u64) {}

    fn set_next_mix_hash(&self, _: B256) {}

    fn drop_transaction(&self, _: B256) -> bool {
        false
    }

    fn snapshot(&self) -> u64 {
        0
    }

    fn revert(&self, _: u64) -> Result<bool, LedgerError> {
        Ok(false)
    }

    fn reset(&self) -> Result<(), LedgerError> {
        Ok(())
    }
}
