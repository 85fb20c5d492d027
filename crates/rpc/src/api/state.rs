//! Accounts, code, storage and their proofs, after any block whose state is kept.

use crate::{context::Context, fault::Fault, select, storage_key::StorageKey};
use alloy_consensus::constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use alloy_eips::BlockId;
use alloy_primitives::{Address, B256, Bytes, U64, U256};
use bxp_types::{Ledger, StateReader};
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use serde::Serialize;
use std::{collections::BTreeMap, sync::Arc};

/// Slots that one request reads or proves at most, as in geth.
const SLOTS_MAX: usize = 1_024;

/// An account with its proof (EIP-1186).
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ProofJson {
    address: Address,
    account_proof: Vec<Bytes>,
    balance: U256,
    code_hash: B256,
    nonce: U64,
    storage_hash: B256,
    storage_proof: Vec<SlotProofJson>,
}

/// A slot with its proof. The key is written as it was asked for.
#[derive(Clone, Debug, Serialize)]
struct SlotProofJson {
    key: String,
    value: U256,
    proof: Vec<Bytes>,
}

/// The state after a block (EIP-1898; absent means `latest`).
#[rpc(server, namespace = "eth")]
trait State {
    /// The account's balance in wei.
    #[method(name = "getBalance")]
    async fn balance(&self, address: Address, block: Option<BlockId>) -> Result<U256, Fault>;

    /// Transactions that the account has sent; with `pending`, those that wait in this node's pool included.
    #[method(name = "getTransactionCount")]
    async fn transaction_count(&self, address: Address, block: Option<BlockId>) -> Result<U64, Fault>;

    /// The contract's runtime code; empty where there is none.
    #[method(name = "getCode")]
    async fn code(&self, address: Address, block: Option<BlockId>) -> Result<Bytes, Fault>;

    /// One storage slot.
    #[method(name = "getStorageAt")]
    async fn storage_at(
        &self,
        address: Address,
        slot: StorageKey,
        block: Option<BlockId>,
    ) -> Result<B256, Fault>;

    /// Storage slots of several accounts.
    #[method(name = "getStorageValues")]
    async fn storage_values(
        &self,
        slots: BTreeMap<Address, Vec<StorageKey>>,
        block: Option<BlockId>,
    ) -> Result<BTreeMap<Address, Vec<B256>>, Fault>;

    /// The account and some of its slots with Merkle proofs against the block's state root (EIP-1186).
    #[method(name = "getProof")]
    async fn proof(
        &self,
        address: Address,
        slots: Vec<StorageKey>,
        block: Option<BlockId>,
    ) -> Result<ProofJson, Fault>;
}

struct Methods(Context);

impl Methods {
    async fn read<T: Send + 'static>(
        &self,
        method: &'static str,
        block: Option<BlockId>,
        read: impl FnOnce(&dyn StateReader) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let pending = Arc::clone(&self.0.pending);
        self.0.run(method, move |ledger| read(&*select::state_or_pending(ledger, &pending, block)?.1)).await
    }
}

#[async_trait]
impl StateServer for Methods {
    async fn balance(&self, address: Address, block: Option<BlockId>) -> Result<U256, Fault> {
        let read = move |view: &dyn StateReader| {
            Ok(view.account(address)?.map_or(U256::ZERO, |account| account.balance))
        };
        self.read("eth_getBalance", block, read).await
    }

    async fn transaction_count(&self, address: Address, block: Option<BlockId>) -> Result<U64, Fault> {
        let read = move |ledger: &dyn Ledger| {
            if select::is_pending(block) {
                return Ok(U64::from(ledger.pending_nonce(address)?));
            }
            let account = select::state(ledger, block)?.1.account(address)?;
            Ok(U64::from(account.map_or(0, |account| account.nonce)))
        };
        self.0.run("eth_getTransactionCount", read).await
    }

    async fn code(&self, address: Address, block: Option<BlockId>) -> Result<Bytes, Fault> {
        self.read("eth_getCode", block, move |view| code_of(view, address)).await
    }

    async fn storage_at(
        &self,
        address: Address,
        slot: StorageKey,
        block: Option<BlockId>,
    ) -> Result<B256, Fault> {
        let slot = slot.slot()?;
        self.read("eth_getStorageAt", block, move |view| Ok(view.slot(address, slot)?.into())).await
    }

    async fn storage_values(
        &self,
        slots: BTreeMap<Address, Vec<StorageKey>>,
        block: Option<BlockId>,
    ) -> Result<BTreeMap<Address, Vec<B256>>, Fault> {
        let count = slots.values().map(Vec::len).sum();
        if count == 0 {
            return Err(Fault::InvalidParams("empty request".to_owned()));
        }
        check_count(count)?;
        let read = move |view: &dyn StateReader| {
            let mut values = BTreeMap::new();
            for (address, keys) in slots {
                let read = |key: StorageKey| Ok(view.slot(address, key.slot()?)?.into());
                values.insert(address, keys.into_iter().map(read).collect::<Result<_, Fault>>()?);
            }
            Ok(values)
        };
        self.read("eth_getStorageValues", block, read).await
    }

    async fn proof(
        &self,
        address: Address,
        slots: Vec<StorageKey>,
        block: Option<BlockId>,
    ) -> Result<ProofJson, Fault> {
        check_count(slots.len())?;
        self.read("eth_getProof", block, move |view| prove(view, address, slots)).await
    }
}

fn check_count(count: usize) -> Result<(), Fault> {
    if count > SLOTS_MAX {
        return Err(Fault::InvalidParams(format!("too many slots (max {SLOTS_MAX}, got {count})")));
    }
    Ok(())
}

/// The code at `address`; empty where there is none.
pub(super) fn code_of(view: &dyn StateReader, address: Address) -> Result<Bytes, Fault> {
    match view.account(address)? {
        Some(account) if account.code_hash != KECCAK_EMPTY => Ok(view.code(account.code_hash)?),
        _ => Ok(Bytes::new()),
    }
}

fn prove(view: &dyn StateReader, address: Address, slots: Vec<StorageKey>) -> Result<ProofJson, Fault> {
    let account = view.account(address)?;
    let mut storage_proof = Vec::with_capacity(slots.len());
    for key in slots {
        let slot = key.slot()?;
        let proof = if account.is_some() { view.prove_slot(address, slot)? } else { Vec::new() };
        storage_proof.push(SlotProofJson { key: key.written(), value: view.slot(address, slot)?, proof });
    }
    let account_proof = view.prove_account(address)?;
    Ok(ProofJson {
        address,
        account_proof,
        balance: account.map_or(U256::ZERO, |account| account.balance),
        code_hash: account.map_or(KECCAK_EMPTY, |account| account.code_hash),
        nonce: U64::from(account.map_or(0, |account| account.nonce)),
        storage_hash: account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root),
        storage_proof,
    })
}

pub(super) fn methods(context: &Context) -> jsonrpsee::Methods {
    Methods(context.clone()).into_rpc().into()
}
