//! The state after one block, as those who run calls on it see it.

use crate::{Height, LedgerError};
use alloy_consensus::TrieAccount;
use alloy_primitives::{Address, B256, Bytes, U256};
use std::collections::BTreeMap;

/// The state after one block. It does not move while it is held, whatever the chain does meanwhile.
pub trait StateReader: Send + Sync {
    /// The account as it stands in the trie; none where there is none.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn account(&self, address: Address) -> Result<Option<TrieAccount>, LedgerError>;

    /// The code with this hash.
    ///
    /// # Errors
    /// [`LedgerError::Storage`], also for a hash that no account has.
    fn code(&self, hash: B256) -> Result<Bytes, LedgerError>;

    /// The value of a storage slot; zero where there is none.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn slot(&self, address: Address, slot: U256) -> Result<U256, LedgerError>;

    /// The hash of the block at `height`; none above the block whose state this is.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn block_hash(&self, height: Height) -> Result<Option<B256>, LedgerError>;

    /// The proof of the account, or of its absence, against the state root (EIP-1186).
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn prove_account(&self, address: Address) -> Result<Vec<Bytes>, LedgerError>;

    /// The proof of the slot, or of its absence, against the account's storage root (EIP-1186).
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn prove_slot(&self, address: Address, slot: U256) -> Result<Vec<Bytes>, LedgerError>;

    /// The state root that the state would have with these changes.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn root_after(&self, changes: &StateDiff) -> Result<B256, LedgerError>;
}

/// What a run that is not kept did to the state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateDiff {
    /// Accounts by address; none where the account ceased to be.
    pub accounts: BTreeMap<Address, Option<AccountDiff>>,
}

/// An account as a run left it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountDiff {
    /// Transactions sent.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: U256,
    /// keccak256 of the code.
    pub code_hash: B256,
    /// Whether what was stored before is gone, so that only `slots` count.
    pub cleared: bool,
    /// Slots with their new values; zero removes.
    pub slots: BTreeMap<U256, U256>,
}
