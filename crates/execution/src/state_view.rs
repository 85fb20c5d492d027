//! One block's state, for readers.

use crate::{
    ChainSpec, ExecutionError, State,
    overlay::{self, Overlay},
    read::{AccountTrie, StateRead, StorageTrie},
    view::View,
};
use alloy_consensus::constants::{EMPTY_ROOT_HASH, KECCAK_EMPTY};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use bxp_types::{AccountState, Height};
use revm::{DatabaseRef, bytecode::Bytecode, state::AccountInfo};

/// The state after one block, unmoved by later commits. Holding one for long keeps old versions on disk.
#[derive(Clone)]
pub struct StateView {
    state: State,
    view: View,
}

impl StateView {
    pub(crate) const fn new(state: State, view: View) -> Self {
        Self { state, view }
    }

    /// The account at `address`; nonce and balance are 0 where there is none.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Malformed`].
    pub fn account(&self, address: Address) -> Result<AccountState, ExecutionError> {
        let account = self.view.account(address)?;
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
        match self.view.account(address)? {
            Some(account) if account.code_hash != KECCAK_EMPTY => {
                Ok(self.state.code_cache().get(account.code_hash, &self.view)?.original_bytes())
            }
            _ => Ok(Bytes::new()),
        }
    }

    /// The value of storage slot `slot` at `address`.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Malformed`].
    pub fn storage_slot(&self, address: Address, slot: U256) -> Result<U256, ExecutionError> {
        self.view.slot(address, slot)
    }

    /// The root of the storage trie at `address`; that of an empty trie where there is no account.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Malformed`].
    pub fn storage_root(&self, address: Address) -> Result<B256, ExecutionError> {
        Ok(self.view.account(address)?.map_or(EMPTY_ROOT_HASH, |account| account.storage_root))
    }

    /// The hash of the block at `height`, as the BLOCKHASH instruction knows it.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Malformed`].
    pub fn block_hash(&self, height: Height) -> Result<Option<B256>, ExecutionError> {
        self.view.block_hash(height)
    }

    /// The proof of the account at `address`, or of its absence, against the state root (EIP-1186).
    ///
    /// # Errors
    /// [`ExecutionError::Trie`].
    pub fn prove_account(&self, address: Address) -> Result<Vec<Bytes>, ExecutionError> {
        Ok(bxp_trie::prove(&AccountTrie(&self.view), keccak256(address))?)
    }

    /// The proof of `slot`, or of its absence, against the storage root of the account at `address` (EIP-1186).
    ///
    /// # Errors
    /// [`ExecutionError::Trie`].
    pub fn prove_slot(&self, address: Address, slot: U256) -> Result<Vec<Bytes>, ExecutionError> {
        let trie = StorageTrie { state: &self.view, hashed_address: keccak256(address) };
        Ok(bxp_trie::prove(&trie, keccak256(slot.to_be_bytes::<32>()))?)
    }

    pub(crate) fn spec(&self) -> &ChainSpec {
        self.state.spec()
    }

    pub(crate) const fn read(&self) -> &View {
        &self.view
    }

    pub(crate) fn overlay(&self) -> Overlay<'_> {
        Overlay::new(&self.view, self.state.code_cache())
    }
}

/// For tracers and simulations that bring their own EVM.
impl DatabaseRef for StateView {
    type Error = ExecutionError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, ExecutionError> {
        Ok(self.view.account(address)?.as_ref().map(overlay::info))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, ExecutionError> {
        self.state.code_cache().get(code_hash, &self.view)
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, ExecutionError> {
        self.view.slot(address, index)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, ExecutionError> {
        Ok(self.view.block_hash(Height(number))?.unwrap_or_default())
    }
}

impl std::fmt::Debug for StateView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StateView").field("state", &self.state).finish_non_exhaustive()
    }
}
