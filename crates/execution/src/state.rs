//! The stored state, and reading from it.

use crate::{
    ExecutionError,
    code_cache::CodeCache,
    genesis,
    tables::{Tables, View},
};
use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use bxp_storage::{Durability, Store};
use bxp_types::{AccountState, Genesis, Height, StoredBlock};
use std::sync::Arc;

/// The block whose state is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The block's number.
    pub height: Height,
    /// The block's hash.
    pub hash: B256,
    /// The root of the stored state.
    pub state_root: B256,
}

/// The state of the newest block. Clones share it.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    store: Store,
    tables: Tables,
    code: CodeCache,
    chain_id: u64,
    gas_limit: u64,
    treasury: Address,
    genesis_block: StoredBlock,
}

impl State {
    /// Opens the state in `store`; in a new folder, builds the genesis state and writes it to disk.
    ///
    /// # Errors
    /// [`ExecutionError::Genesis`] when an account of the document cannot exist; [`ExecutionError::Storage`].
    pub fn open(store: &Store, genesis: &Genesis) -> Result<Self, ExecutionError> {
        let tables = Tables::open(store)?;
        let view = View::new(&tables, store.snapshot());
        let genesis_block = match view.genesis()? {
            Some(stored) => {
                let block = genesis::block(genesis, stored.state_root);
                if block.hash != stored.hash {
                    return Err(ExecutionError::OtherGenesis { stored: stored.hash, wanted: block.hash });
                }
                block
            }
            None => build_genesis(store, &tables, &view, genesis)?,
        };
        drop(view);
        Ok(Self(Arc::new(Inner {
            store: store.clone(),
            tables,
            code: CodeCache::default(),
            chain_id: genesis.chain_id,
            gas_limit: genesis.gas_limit,
            treasury: genesis.treasury,
            genesis_block,
        })))
    }

    /// Block 0.
    #[must_use]
    pub fn genesis_block(&self) -> &StoredBlock {
        &self.0.genesis_block
    }

    /// The block whose state is stored.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Malformed`].
    pub fn head(&self) -> Result<Head, ExecutionError> {
        self.view().head()
    }

    /// The account at `address`; nonce and balance are 0 where there is none.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Malformed`].
    pub fn account(&self, address: Address) -> Result<AccountState, ExecutionError> {
        let account = self.view().account(address)?;
        Ok(account.map_or_else(AccountState::default, |account| AccountState {
            nonce: account.nonce,
            balance: account.balance,
            code_hash: Some(account.code_hash),
        }))
    }

    /// The runtime code at `address`; empty where there is none.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Malformed`], [`ExecutionError::MissingCode`].
    pub fn code(&self, address: Address) -> Result<Bytes, ExecutionError> {
        let view = self.view();
        match view.account(address)? {
            Some(account) if account.code_hash != KECCAK_EMPTY => {
                Ok(self.0.code.get(account.code_hash, &view)?.original_bytes())
            }
            _ => Ok(Bytes::new()),
        }
    }

    /// The value of storage slot `slot` at `address`.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Malformed`].
    pub fn storage_slot(&self, address: Address, slot: U256) -> Result<U256, ExecutionError> {
        self.view().slot(address, slot)
    }

    /// The hash of the block at `height`, as the BLOCKHASH instruction knows it.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Malformed`].
    pub fn block_hash(&self, height: Height) -> Result<Option<B256>, ExecutionError> {
        self.view().block_hash(height)
    }

    /// The proof of the account at `address`, or of its absence, against the state root (EIP-1186).
    ///
    /// # Errors
    /// [`ExecutionError::Trie`].
    pub fn prove_account(&self, address: Address) -> Result<Vec<Bytes>, ExecutionError> {
        Ok(bxp_trie::prove(&self.view().account_trie(), keccak256(address))?)
    }

    /// The proof of `slot`, or of its absence, against the storage root of the account at `address` (EIP-1186).
    ///
    /// # Errors
    /// [`ExecutionError::Trie`].
    pub fn prove_slot(&self, address: Address, slot: U256) -> Result<Vec<Bytes>, ExecutionError> {
        let key = keccak256(slot.to_be_bytes::<32>());
        Ok(bxp_trie::prove(&self.view().storage_trie(keccak256(address)), key)?)
    }

    pub(crate) fn view(&self) -> View<'_> {
        View::new(&self.0.tables, self.0.store.snapshot())
    }

    pub(crate) fn tables(&self) -> &Tables {
        &self.0.tables
    }

    pub(crate) fn code_cache(&self) -> &CodeCache {
        &self.0.code
    }

    pub(crate) fn chain_id(&self) -> u64 {
        self.0.chain_id
    }

    pub(crate) fn gas_limit(&self) -> u64 {
        self.0.gas_limit
    }

    pub(crate) fn treasury(&self) -> Address {
        self.0.treasury
    }

    /// Checks that the block at `height` with this parent follows the stored state's block.
    pub(crate) fn check_on_head(
        &self,
        view: &View<'_>,
        parent: B256,
        height: Height,
    ) -> Result<(), ExecutionError> {
        let head = view.head()?;
        if (parent, height) == (head.hash, head.height.next()) {
            return Ok(());
        }
        Err(ExecutionError::NotOnHead { height, parent, head_height: head.height, head: head.hash })
    }
}

fn build_genesis(
    store: &Store,
    tables: &Tables,
    view: &View<'_>,
    document: &Genesis,
) -> Result<StoredBlock, ExecutionError> {
    let (state_root, changes) = genesis::state(view, document)?;
    let block = genesis::block(document, state_root);
    let head = Head { height: Height(0), hash: block.hash, state_root };
    let mut batch = store.batch();
    tables.write_genesis(&mut batch, &changes, &head);
    batch.commit(Durability::Synced)?;
    Ok(block)
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("store", &self.0.store).field("chain_id", &self.0.chain_id).finish()
    }
}
