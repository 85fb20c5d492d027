//! A ledger in memory, of real signed transactions, headers and receipts.

use alloy_consensus::{
    Header, Receipt, ReceiptEnvelope, ReceiptWithBloom, SignableTransaction, Transaction as _, TxEip1559,
    TxEnvelope, TxLegacy, proofs, transaction::SignerRecoverable,
};
use alloy_eips::{Decodable2718, Encodable2718};
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, Signature, TxKind, U256, keccak256};
use async_trait::async_trait;
use bxp_types::{
    AccountState, CallOutcome, CallRequest, Certificate, Genesis, Height, Jurisdiction, Ledger, LedgerError,
    RecoveredTransaction, StoredBlock, StoredReceipt, SubmitError, TransactionLocation, ValidatorEntry,
};
use ed25519_zebra::{SigningKey, VerificationKey};
use parking_lot::{Mutex, RwLock};
use secp256k1::{Message, SECP256K1, SecretKey};
use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::sync::watch;

pub(crate) const CHAIN_ID: u64 = 7801;
pub(crate) const GAS_LIMIT: u64 = 30_000_000;
pub(crate) const BASE_FEE: u64 = 1_000;

/// What `eth_call` does.
pub(crate) type Evm = dyn Fn(&CallRequest) -> Result<CallOutcome, LedgerError> + Send + Sync;

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
    evm: Mutex<Arc<Evm>>,
    pub(crate) receipts_read: AtomicUsize,
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
    }
}

impl MemoryLedger {
    /// A chain of the genesis block.
    pub(crate) fn new() -> Arc<Self> {
        let ledger = Self {
            genesis: genesis(),
            chain: RwLock::default(),
            heads: watch::Sender::new(Height(0)),
            evm: Mutex::new(Arc::new(|_: &CallRequest| {
                Ok(CallOutcome::Success { output: Bytes::new(), gas_used: 21_000 })
            })),
            receipts_read: AtomicUsize::new(0),
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

    pub(crate) fn set_evm(
        &self,
        evm: impl Fn(&CallRequest) -> Result<CallOutcome, LedgerError> + Send + Sync + 'static,
    ) {
        *self.evm.lock() = Arc::new(evm);
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

    fn call(&self, request: &CallRequest) -> Result<CallOutcome, LedgerError> {
        let evm = self.evm.lock().clone();
        evm(request)
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
            None => Ok(hash),
        }
    }
}

/// A transaction as a client sends it.
pub(crate) fn raw(transaction: &RecoveredTransaction) -> Bytes {
    transaction.inner().encoded_2718().into()
}
