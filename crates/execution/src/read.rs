//! Reading a state, wherever it lies: in tables, in tables as they were at a past block, or in memory.

use crate::{ExecutionError, known_tries::KnownTries};
use alloy_consensus::TrieAccount;
use alloy_primitives::{Address, B256, Bytes, U256};
use bxp_trie::{Nibbles, NodeReadError, NodeReader};
use bxp_types::Height;

/// A state that transactions can be run on: accounts, slots and code.
pub(crate) trait StateRead: Sync {
    /// The account at `address`.
    fn account(&self, address: Address) -> Result<Option<TrieAccount>, ExecutionError>;

    /// The value of a slot; zero where there is none.
    fn slot(&self, address: Address, slot: U256) -> Result<U256, ExecutionError>;

    /// The code with this hash.
    fn code(&self, hash: B256) -> Result<Bytes, ExecutionError>;

    /// The hash of the block at `height`.
    fn block_hash(&self, height: Height) -> Result<Option<B256>, ExecutionError>;

    /// Whether something was asked that is not known yet: then nothing counts that ran on this state.
    fn was_asked_too_early(&self) -> bool {
        false
    }
}

/// A state whose roots are known, so that the one that a block leads to can be: the nodes of the tries, too.
pub(crate) trait TrieRead: StateRead {
    /// Every slot of `address` that has a value.
    fn slots(&self, address: Address) -> Result<Vec<U256>, ExecutionError>;

    /// What is known in memory of the tries of this state and others, if anything may be.
    fn known_tries(&self) -> Option<&KnownTries> {
        None
    }

    /// The node of the account trie at `path`.
    fn account_node(&self, path: &Nibbles) -> Result<Option<Bytes>, ExecutionError>;

    /// The node at `path` of the storage trie of the account whose address hashes to `hashed_address`.
    fn storage_node(&self, hashed_address: B256, path: &Nibbles) -> Result<Option<Bytes>, ExecutionError>;
}

/// The nodes of the account trie.
pub(crate) struct AccountTrie<'a>(pub(crate) &'a dyn TrieRead);

impl NodeReader for AccountTrie<'_> {
    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, NodeReadError> {
        self.0.account_node(path).map_err(NodeReadError::new)
    }
}

/// The nodes of one account's storage trie.
pub(crate) struct StorageTrie<'a> {
    pub(crate) state: &'a dyn TrieRead,
    pub(crate) hashed_address: B256,
}

impl NodeReader for StorageTrie<'_> {
    fn node(&self, path: &Nibbles) -> Result<Option<Bytes>, NodeReadError> {
        self.state.storage_node(self.hashed_address, path).map_err(NodeReadError::new)
    }
}
