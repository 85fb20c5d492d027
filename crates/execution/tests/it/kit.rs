//! A small chain for tests: keys, signed transactions, contracts in raw bytecode, blocks.

use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxEnvelope, transaction::Recovered};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, hex, keccak256};
use bxp_execution::{BlockInput, ExecutedBlock, Retention, State, next_base_fee};
use bxp_storage::{Durability, Store};
use bxp_types::{Amount, Genesis, GenesisAccount, RecoveredTransaction};
use secp256k1::{Message, PublicKey, SECP256K1, SecretKey};
use std::collections::BTreeMap;
use tempfile::TempDir;

pub(crate) const CHAIN_ID: u64 = 2018;
pub(crate) const TREASURY: Address = Address::repeat_byte(0x7e);
pub(crate) const GWEI: u128 = 1_000_000_000;

/// A test key and its account.
#[derive(Clone, Copy)]
pub(crate) struct Account {
    key: SecretKey,
    pub(crate) address: Address,
}

impl Account {
    /// The account of the key `seed`, `seed`, ...
    pub(crate) fn new(seed: u8) -> Self {
        let key = SecretKey::from_byte_array(&[seed; 32]).unwrap();
        let public = PublicKey::from_secret_key(SECP256K1, &key).serialize_uncompressed();
        Self { key, address: Address::from_slice(&keccak256(&public[1..])[12..]) }
    }

    pub(crate) fn sign_hash(&self, hash: B256) -> Signature {
        let signed = SECP256K1.sign_ecdsa_recoverable(&Message::from_digest(hash.0), &self.key);
        let (id, bytes) = signed.serialize_compact();
        Signature::from_bytes_and_parity(&bytes, i32::from(id) == 1)
    }

    pub(crate) fn sign<T: SignableTransaction<Signature>>(&self, transaction: T) -> RecoveredTransaction
    where
        TxEnvelope: From<alloy_consensus::Signed<T>>,
    {
        let signature = self.sign_hash(transaction.signature_hash());
        Recovered::new_unchecked(transaction.into_signed(signature).into(), self.address)
    }
}

/// A type 2 transaction with a cap of 10 gwei and a tip of 1 gwei.
pub(crate) fn transaction(nonce: u64, to: TxKind, value: u128, input: impl Into<Bytes>) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 300_000,
        max_fee_per_gas: 10 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to,
        value: U256::from(value),
        input: input.into(),
        ..TxEip1559::default()
    }
}

/// Runtime code of the test contract:
/// - without calldata it adds one to slot 0, logs the new value under topic 0x2a and returns it;
/// - with two words it stores the second in the slot that the first names;
/// - with one byte it reverts with `no`.
pub(crate) const CONTRACT: [u8; 60] = hex!(
    "36604014602757 36600114603057 6000546001018060005560005 2602a60206000a160206000f3 5b6020356000355500"
    "5b616e6f6000526002601efd"
);

/// Init code that deploys `runtime` (shorter than 256 bytes).
pub(crate) fn deploying(runtime: &[u8]) -> Bytes {
    let length = u8::try_from(runtime.len()).unwrap();
    [&[0x60, length], hex!("80600b6000396000f3").as_slice(), runtime].concat().into()
}

/// Calldata of two words.
pub(crate) fn store(slot: u64, value: u64) -> Bytes {
    [U256::from(slot).to_be_bytes::<32>(), U256::from(value).to_be_bytes::<32>()].concat().into()
}

/// A genesis document with these accounts, each with 1000 BXM.
pub(crate) fn genesis(funded: &[Account]) -> Genesis {
    let account = || GenesisAccount { balance: Amount::from_bxm(1000), ..GenesisAccount::default() };
    Genesis {
        chain_id: CHAIN_ID,
        time_ms: 1_700_000_000_000,
        gas_limit: 30_000_000,
        base_fee_wei: 1_000_000_000,
        treasury: TREASURY,
        validators: Vec::new(),
        accounts: funded.iter().map(|funded| (funded.address, account())).collect::<BTreeMap<_, _>>(),
        identity_copies: BTreeMap::new(),
    }
}

/// A state in a folder of its own, and the newest block.
pub(crate) struct Chain {
    pub(crate) genesis: Genesis,
    pub(crate) state: State,
    pub(crate) store: Store,
    pub(crate) head: Header,
    folder: TempDir,
}

impl Chain {
    pub(crate) fn new(genesis: Genesis) -> Self {
        Self::retaining(genesis, Retention::default())
    }

    pub(crate) fn retaining(genesis: Genesis, retention: Retention) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path(), genesis.network_id()).unwrap();
        let state = State::open_retaining(&store, &genesis, retention).unwrap();
        let head = state.genesis_block().header.clone();
        Self { genesis, state, store, head, folder }
    }

    /// What consensus would have decided after the head.
    pub(crate) fn input(&self, transactions: Vec<RecoveredTransaction>) -> BlockInput {
        let height = bxp_types::Height(self.head.number + 1);
        BlockInput {
            height,
            time_ms: self.genesis.time_ms + height.0 * 1500,
            mix_hash: B256::repeat_byte(0xaa),
            parent_beacon_root: B256::repeat_byte(0xbb),
            beneficiary: TREASURY,
            gas_limit: self.genesis.gas_limit,
            base_fee: next_base_fee(&self.head),
            transactions,
        }
    }

    pub(crate) fn execute(&self, transactions: Vec<RecoveredTransaction>) -> ExecutedBlock {
        self.state.execute(&self.head, self.input(transactions)).unwrap()
    }

    pub(crate) fn commit(&mut self, executed: &ExecutedBlock) {
        let mut batch = self.store.batch();
        self.state.commit(&mut batch, executed).unwrap();
        batch.commit(Durability::Buffered).unwrap();
        self.head = executed.block.header.clone();
    }

    /// Executes and commits; nothing may be dropped.
    pub(crate) fn add(&mut self, transactions: Vec<RecoveredTransaction>) -> ExecutedBlock {
        let executed = self.execute(transactions);
        assert_eq!(executed.dropped, []);
        self.commit(&executed);
        executed
    }

    pub(crate) fn balance(&self, address: Address) -> U256 {
        self.state.account(address).unwrap().balance
    }

    /// The same chain after the process has ended and begun again.
    pub(crate) fn reopen(self) -> Self {
        self.reopen_retaining(Retention::default())
    }

    pub(crate) fn reopen_retaining(self, retention: Retention) -> Self {
        let Self { genesis, state, store, head, folder } = self;
        drop((state, store));
        let store = Store::open(folder.path(), genesis.network_id()).unwrap();
        let state = State::open_retaining(&store, &genesis, retention).unwrap();
        Self { genesis, state, store, head, folder }
    }
}
