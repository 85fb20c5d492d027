//! A ledger in memory, of real signed transactions, headers and receipts.

use alloy_consensus::{
    Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, SignableTransaction, Transaction as _, TrieAccount,
    TxEip1559, TxEnvelope, TxLegacy,
    constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY},
    proofs,
    transaction::SignerRecoverable,
};
use alloy_eips::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, Signature, TxKind, U256, keccak256};
use async_trait::async_trait;
use bxp_types::{
    AccountState, CallOutcome, CallRequest, Certificate, Genesis, Height, Jurisdiction, Ledger, LedgerError,
    LogQuery, PoolContent, RecoveredTransaction, StateDiff, StateReader, StoredBlock, StoredReceipt,
    SubmitError, TransactionLocation, ValidatorEntry,
};
use ed25519_zebra::{SigningKey, VerificationKey};
use parking_lot::RwLock;
use secp256k1::{Message, SECP256K1, SecretKey};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};
use tokio::sync::{broadcast, watch};

pub(crate) const CHAIN_ID: u64 = 7801;
pub(crate) const GAS_LIMIT: u64 = 30_000_000;
pub(crate) const BASE_FEE: u64 = 1_000;

#[derive(Default)]
struct Chain {
    blocks: Vec<Arc<StoredBlock>>,
    receipts: Vec<Arc<Vec<StoredReceipt>>>,
    places: HashMap<B256, TransactionLocation>,
    pool: HashMap<B256, RecoveredTransaction>,
    dropped: HashMap<B256, String>,
    certificates: BTreeMap<Height, Certificate>,
    accounts: HashMap<Address, AccountState>,
    code: HashMap<Address, Bytes>,
    storage: HashMap<(Address, U256), U256>,
}

pub(crate) struct MemoryLedger {
    genesis: Genesis,
    chain: RwLock<Chain>,
    heads: watch::Sender<Height>,
    arrivals: broadcast::Sender<B256>,
    pub(crate) receipts_read: AtomicUsize,
    /// How many transactions came together, each time.
    pub(crate) together: RwLock<Vec<usize>>,
    /// The lowest block whose state is given.
    pub(crate) oldest_state: AtomicU64,
}

/// A secret key for tests, by number.
pub(crate) fn key(number: u8) -> SecretKey {
    SecretKey::from_byte_array(&[number; 32]).unwrap()
}

/// The account of a key.
pub(crate) fn account_of(key: &SecretKey) -> Address {
    Address::from_raw_public_key(&key.public_key(SECP256K1).serialize_uncompressed()[1..])
}

fn sign(hash: B256, key: &SecretKey) -> Signature {
    let (recovery, bytes) =
        SECP256K1.sign_ecdsa_recoverable(&Message::from_digest(hash.0), key).serialize_compact();
    Signature::from_bytes_and_parity(&bytes, i32::from(recovery) == 1)
}

/// A signed transfer (EIP-1559) with a tip of `tip` wei.
pub(crate) fn transfer(number: u8, nonce: u64, tip: u128) -> RecoveredTransaction {
    let transaction = TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 10_000,
        max_priority_fee_per_gas: tip,
        to: TxKind::Call(Address::repeat_byte(0x77)),
        value: U256::from(5),
        ..TxEip1559::default()
    };
    let signature = sign(transaction.signature_hash(), &key(number));
    TxEnvelope::from(transaction.into_signed(signature)).try_into_recovered().unwrap()
}

/// A signed contract creation of the oldest kind.
pub(crate) fn creation(number: u8, nonce: u64) -> RecoveredTransaction {
    let transaction = TxLegacy {
        chain_id: Some(CHAIN_ID),
        nonce,
        gas_price: 3_000,
        gas_limit: 100_000,
        to: TxKind::Create,
        value: U256::ZERO,
        input: Bytes::from_static(&[0x60, 0x00]),
    };
    let signature = sign(transaction.signature_hash(), &key(number));
    TxEnvelope::from(transaction.into_signed(signature)).try_into_recovered().unwrap()
}

/// A log.
pub(crate) fn log(address: u8, topics: &[u8]) -> Log {
    let topics = topics.iter().map(|topic| B256::repeat_byte(*topic)).collect();
    Log::new_unchecked(Address::repeat_byte(address), topics, Bytes::from_static(b"data"))
}

fn genesis() -> Genesis {
    let validator = |index: u8| ValidatorEntry {
        name: format!("node-{index}"),
        jurisdiction: Jurisdiction::US,
        public_key: B256::from(<[u8; 32]>::from(VerificationKey::from(&SigningKey::from([index + 1; 32])))),
        sealing_key: B256::repeat_byte(index),
        account: Address::repeat_byte(index),
        p2p_address: format!("127.0.0.1:{index}"),
    };
    Genesis {
        chain_id: CHAIN_ID,
        time_ms: 1_700_000_000_500,
        gas_limit: GAS_LIMIT,
        base_fee_wei: BASE_FEE,
        treasury: Address::repeat_byte(0xfe),
        validators: (0..4).map(validator).collect(),
        accounts: BTreeMap::new(),
        identity_copies: BTreeMap::new(),
    }
}

impl MemoryLedger {
    /// A chain of the genesis block.
    pub(crate) fn new() -> Arc<Self> {
        let ledger = Self {
            genesis: genesis(),
            chain: RwLock::default(),
            heads: watch::Sender::new(Height(0)),
            arrivals: broadcast::Sender::new(16),
            receipts_read: AtomicUsize::new(0),
            together: RwLock::default(),
            oldest_state: AtomicU64::new(0),
        };
        ledger.mine(Vec::new());
        Arc::new(ledger)
    }

    /// Adds a block of these transactions, each with its logs, and says so.
    pub(crate) fn mine(&self, content: Vec<(RecoveredTransaction, Vec<Log>)>) -> Arc<StoredBlock> {
        let mut chain = self.chain.write();
        let number = chain.blocks.len() as u64;
        let receipts = executed(&content);
        let envelopes: Vec<ReceiptEnvelope> = receipts.iter().map(|one| one.receipt.clone()).collect();
        let transactions: Vec<RecoveredTransaction> = content.into_iter().map(|(one, _)| one).collect();
        let bare: Vec<TxEnvelope> = transactions.iter().map(|one| one.inner().clone()).collect();
        let time_ms = self.genesis.time_ms + number * 1_250;
        let header = Header {
            parent_hash: chain.blocks.last().map_or(B256::ZERO, |parent| parent.hash),
            number,
            beneficiary: self.genesis.treasury,
            gas_limit: GAS_LIMIT,
            gas_used: envelopes.last().map_or(0, ReceiptEnvelope::cumulative_gas_used),
            base_fee_per_gas: Some(BASE_FEE),
            timestamp: time_ms / 1000,
            extra_data: time_ms.to_be_bytes().into(),
            mix_hash: B256::repeat_byte(0x3c),
            transactions_root: proofs::calculate_transaction_root(&bare),
            receipts_root: proofs::calculate_receipt_root(&envelopes),
            logs_bloom: envelopes.iter().fold(Bloom::ZERO, |bloom, one| bloom | *one.logs_bloom()),
            withdrawals_root: Some(proofs::calculate_withdrawals_root(&[])),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::repeat_byte(0x3d)),
            requests_hash: Some(B256::repeat_byte(0x3e)),
            ..Header::default()
        };
        let block = Arc::new(StoredBlock { hash: header.hash_slow(), header, transactions, time_ms });
        for (index, transaction) in block.transactions.iter().enumerate() {
            let location = TransactionLocation { height: block.height(), index: index as u32 };
            chain.places.insert(*transaction.tx_hash(), location);
            chain.pool.remove(transaction.tx_hash());
            chain.accounts.entry(transaction.signer()).or_default().nonce = transaction.nonce() + 1;
        }
        chain.blocks.push(block.clone());
        chain.receipts.push(Arc::new(receipts));
        drop(chain);
        self.heads.send_replace(block.height());
        block
    }

    pub(crate) fn set_account(&self, address: Address, nonce: u64, balance: U256) {
        let account = AccountState { nonce, balance, code_hash: Some(keccak256([])) };
        self.chain.write().accounts.insert(address, account);
    }

    pub(crate) fn set_code(&self, address: Address, code: Bytes) {
        self.chain.write().code.insert(address, code);
    }

    pub(crate) fn set_storage(&self, address: Address, slot: U256, value: U256) {
        self.chain.write().storage.insert((address, slot), value);
    }

    pub(crate) fn drop_transaction(&self, hash: B256, reason: &str) {
        let mut chain = self.chain.write();
        chain.pool.remove(&hash);
        chain.dropped.insert(hash, reason.to_owned());
    }

    pub(crate) fn certify(&self, certificate: Certificate) {
        self.chain.write().certificates.insert(certificate.height, certificate);
    }
}

/// Receipts of transactions that each used the gas of a transfer.
fn executed(content: &[(RecoveredTransaction, Vec<Log>)]) -> Vec<StoredReceipt> {
    let receipt = |(index, (transaction, logs)): (usize, &(RecoveredTransaction, Vec<Log>))| {
        let cumulative_gas_used = 21_000 * (index as u64 + 1);
        let receipt = Receipt { status: true.into(), cumulative_gas_used, logs: logs.clone() };
        let receipt = ReceiptWithBloom::from(receipt);
        let create = transaction.to().is_none();
        StoredReceipt {
            receipt: if create {
                ReceiptEnvelope::Legacy(receipt)
            } else {
                ReceiptEnvelope::Eip1559(receipt)
            },
            gas_used: 21_000,
            contract_address: create.then(|| transaction.signer().create(transaction.nonce())),
            effective_gas_price: transaction.effective_gas_price(Some(BASE_FEE)),
        }
    };
    content.iter().enumerate().map(receipt).collect()
}

#[async_trait]
impl Ledger for MemoryLedger {
    fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    fn head(&self) -> Arc<StoredBlock> {
        self.chain.read().blocks.last().cloned().unwrap()
    }

    fn heads(&self) -> watch::Receiver<Height> {
        self.heads.subscribe()
    }

    fn block(&self, height: Height) -> Result<Option<Arc<StoredBlock>>, LedgerError> {
        Ok(self.chain.read().blocks.get(height.0 as usize).cloned())
    }

    fn height_of(&self, block_hash: B256) -> Result<Option<Height>, LedgerError> {
        Ok(self.chain.read().blocks.iter().find(|block| block.hash == block_hash).map(|block| block.height()))
    }

    fn receipts(&self, height: Height) -> Result<Option<Arc<Vec<StoredReceipt>>>, LedgerError> {
        self.receipts_read.fetch_add(1, Ordering::Relaxed);
        Ok(self.chain.read().receipts.get(height.0 as usize).cloned())
    }

    fn certificate(&self, height: Height) -> Result<Option<Certificate>, LedgerError> {
        Ok(self.chain.read().certificates.get(&height).cloned())
    }

    fn locate(&self, transaction: B256) -> Result<Option<TransactionLocation>, LedgerError> {
        Ok(self.chain.read().places.get(&transaction).copied())
    }

    fn pending(&self, transaction: B256) -> Option<RecoveredTransaction> {
        self.chain.read().pool.get(&transaction).cloned()
    }

    fn dropped(&self, transaction: B256) -> Result<Option<String>, LedgerError> {
        Ok(self.chain.read().dropped.get(&transaction).cloned())
    }

    fn account(&self, address: Address) -> Result<AccountState, LedgerError> {
        if address == Address::repeat_byte(0xdd) {
            return Err(LedgerError::Storage("block 7 of /secret/place: checksum".to_owned()));
        }
        Ok(self.chain.read().accounts.get(&address).copied().unwrap_or_default())
    }

    fn pending_nonce(&self, address: Address) -> Result<u64, LedgerError> {
        let waiting = self.chain.read().pool.values().filter(|one| one.signer() == address).count();
        Ok(self.account(address)?.nonce + waiting as u64)
    }

    fn code(&self, address: Address) -> Result<Bytes, LedgerError> {
        Ok(self.chain.read().code.get(&address).cloned().unwrap_or_default())
    }

    fn storage(&self, address: Address, slot: U256) -> Result<U256, LedgerError> {
        Ok(self.chain.read().storage.get(&(address, slot)).copied().unwrap_or_default())
    }

    fn call(&self, _: &CallRequest) -> Result<CallOutcome, LedgerError> {
        Err(LedgerError::Storage("JSON-RPC runs its calls itself".to_owned()))
    }

    fn state(&self, height: Height) -> Result<Box<dyn StateReader + '_>, LedgerError> {
        let oldest = Height(self.oldest_state.load(Ordering::Relaxed));
        if height < oldest || height > self.head().height() {
            return Err(LedgerError::StateNotKept { asked: height, oldest });
        }
        Ok(Box::new(MemoryState(self)))
    }

    fn log_blocks(
        &self,
        query: &LogQuery,
        from: Height,
        to: Height,
        max: usize,
    ) -> Result<(Vec<Height>, Option<Height>), LedgerError> {
        if query.is_any() {
            return Ok((Vec::new(), None));
        }
        let chain = self.chain.read();
        let fits = |height: &u64| {
            chain.receipts.get(*height as usize).is_some_and(|receipts| {
                receipts.iter().flat_map(|one| one.receipt.logs()).any(|log| query.fits(log))
            })
        };
        let found: Vec<Height> = (from.0..=to.0).filter(fits).take(max).map(Height).collect();
        let known = if found.len() == max { found.last().copied() } else { Some(to) };
        Ok((found, known))
    }

    fn account_blocks(
        &self,
        account: Address,
        from: Height,
        to: Height,
        newest_first: bool,
        max: usize,
    ) -> Result<Vec<Height>, LedgerError> {
        let chain = self.chain.read();
        let takes_part = |block: &&Arc<StoredBlock>| {
            block.transactions.iter().any(|one| one.signer() == account || one.to() == Some(account))
        };
        let mut found: Vec<Height> = chain.blocks.iter().filter(takes_part).map(|one| one.height()).collect();
        found.retain(|height| from <= *height && *height <= to);
        if newest_first {
            found.reverse();
        }
        found.truncate(max);
        Ok(found)
    }

    fn pool(&self, sender: Option<Address>, max: usize) -> PoolContent {
        let chain = self.chain.read();
        let mut pending: Vec<_> =
            chain.pool.values().filter(|one| sender.is_none_or(|of| of == one.signer())).cloned().collect();
        pending.sort_by_key(|one| (one.signer(), one.nonce()));
        pending.truncate(max);
        PoolContent { pending, queued: Vec::new() }
    }

    fn pool_size(&self) -> (usize, usize) {
        (self.chain.read().pool.len(), 0)
    }

    fn arrivals(&self) -> broadcast::Receiver<B256> {
        self.arrivals.subscribe()
    }

    fn next_base_fee(&self) -> u64 {
        BASE_FEE + 125
    }

    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError> {
        let decoded =
            TxEnvelope::decode_2718_exact(&raw).map_err(|error| SubmitError::Decode(error.to_string()))?;
        let transaction = decoded.try_into_recovered().map_err(|_| SubmitError::InvalidSender)?;
        let hash = *transaction.tx_hash();
        let next = self
            .account(transaction.signer())
            .map_err(|error| SubmitError::Storage(error.to_string()))?
            .nonce;
        if transaction.nonce() < next {
            return Err(SubmitError::NonceTooLow { next, got: transaction.nonce() });
        }
        match self.chain.write().pool.insert(hash, transaction) {
            Some(_) => Err(SubmitError::AlreadyKnown),
            None => {
                let _ = self.arrivals.send(hash);
                Ok(hash)
            }
        }
    }
    async fn submit_many(&self, raws: Vec<Bytes>) -> Vec<Result<B256, SubmitError>> {
        self.together.write().push(raws.len());
        let mut answers = Vec::new();
        for raw in raws {
            answers.push(self.submit(raw).await);
        }
        answers
    }
}

/// A transaction as a client sends it.
pub(crate) fn raw(transaction: &RecoveredTransaction) -> Bytes {
    transaction.inner().encoded_2718().into()
}

/// The one state that the ledger has, after whichever block.
struct MemoryState<'a>(&'a MemoryLedger);

impl StateReader for MemoryState<'_> {
    fn account(&self, address: Address) -> Result<Option<TrieAccount>, LedgerError> {
        let account = self.0.account(address)?;
        let code = self.0.code(address)?;
        if account == AccountState::default() && code.is_empty() {
            return Ok(None);
        }
        Ok(Some(TrieAccount {
            nonce: account.nonce,
            balance: account.balance,
            storage_root: EMPTY_ROOT_HASH,
            code_hash: if code.is_empty() { KECCAK_EMPTY } else { keccak256(&code) },
        }))
    }

    fn code(&self, hash: B256) -> Result<Bytes, LedgerError> {
        let chain = self.0.chain.read();
        let code = chain.code.values().find(|code| keccak256(code) == hash);
        code.cloned().ok_or_else(|| LedgerError::Storage("no such code".to_owned()))
    }

    fn slot(&self, address: Address, slot: U256) -> Result<U256, LedgerError> {
        self.0.storage(address, slot)
    }

    fn block_hash(&self, height: Height) -> Result<Option<B256>, LedgerError> {
        Ok(self.0.block(height)?.map(|block| block.hash))
    }

    fn prove_account(&self, _: Address) -> Result<Vec<Bytes>, LedgerError> {
        Err(LedgerError::Storage("the ledger in memory has no tries".to_owned()))
    }

    fn prove_slot(&self, _: Address, _: U256) -> Result<Vec<Bytes>, LedgerError> {
        Err(LedgerError::Storage("the ledger in memory has no tries".to_owned()))
    }

    fn root_after(&self, changes: &StateDiff) -> Result<B256, LedgerError> {
        // Not a trie's root, but another one for other changes.
        Ok(keccak256(format!("{changes:?}")))
    }
}
