//! What can go wrong, apart from transactions that are dropped.

use alloy_primitives::{Address, B256};
use bxp_storage::StorageError;
use bxp_trie::TrieError;
use bxp_types::Height;
use revm::database_interface::DBErrorMarker;

/// Why the state could not be opened, read, or taken a block further. None of these is a transaction's fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExecutionError {
    /// The database failed.
    #[error("use the state's tables: {0}")]
    Storage(#[from] StorageError),
    /// The state's trie is not whole.
    #[error("compute the state root: {0}")]
    Trie(#[from] TrieError),
    /// A table holds what was never written to it.
    #[error("read table {table}: an entry is malformed; restore the data folder or synchronise anew")]
    Malformed {
        /// The table.
        table: &'static str,
    },
    /// Code that an account names is not there.
    #[error("read code {0}: it is missing; restore the data folder or synchronise anew")]
    MissingCode(B256),
    /// The block does not follow the block whose state is stored.
    #[error(
        "execute block {height} on parent {parent}: the stored state is that of block {head_height}, {head}"
    )]
    NotOnHead {
        /// The block.
        height: Height,
        /// Its parent's hash.
        parent: B256,
        /// The height of the stored state.
        head_height: Height,
        /// The hash of the block of the stored state.
        head: B256,
    },
    /// What follows from a block's hash or its roots is asked for, and that block is not hashed yet.
    #[error("read what block {0} has made: it is not hashed yet; execute the next one when it is")]
    NotSealed(Height),
    /// The state of a block is no longer, or not yet, kept.
    #[error("read the state of block {height}: kept are those of blocks {oldest} to {newest}")]
    NotRetained {
        /// The block.
        height: Height,
        /// The lowest block whose state is kept.
        oldest: Height,
        /// The newest block.
        newest: Height,
    },
    /// An account of the genesis document cannot exist.
    #[error("build genesis account {address}: {reason}")]
    Genesis {
        /// The account.
        address: Address,
        /// Why not.
        reason: &'static str,
    },
    /// A genesis file of an Ethereum chain cannot be used.
    #[error("read the Ethereum genesis file: {reason}")]
    EthereumGenesis {
        /// What is wrong with it.
        reason: String,
    },
    /// A file of blocks of an Ethereum chain cannot be used.
    #[error("read the Ethereum blocks: {reason}")]
    EthereumChain {
        /// What is wrong with it.
        reason: String,
    },
    /// A file holds no state tests.
    #[error("read state tests: {reason}")]
    StateTest {
        /// What is wrong with it.
        reason: String,
    },
    /// The stored state grew from another genesis document.
    #[error(
        "open the state: it grew from genesis block {stored}, this network's is {wanted}; use another --dir"
    )]
    OtherGenesis {
        /// The hash of the stored state's block 0.
        stored: B256,
        /// The hash of the document's block 0.
        wanted: B256,
    },
    /// Balances add up to more than 2^256.
    #[error("add to the balance of {0}: the sum is above 2^256")]
    BalanceOverflow(Address),
    /// The EVM stopped for a reason that is no transaction's fault.
    #[error("run the EVM: {0}")]
    Evm(String),
}

impl DBErrorMarker for ExecutionError {}

/// Why a block that was made elsewhere is not accepted.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// The block could not be executed here.
    #[error(transparent)]
    Execution(#[from] ExecutionError),
    /// A field of the block is not what execution gives.
    #[error("verify block {height}: {field} is {found}, execution gives {expected}")]
    Mismatch {
        /// The block.
        height: Height,
        /// The field, in the words of the JSON-RPC.
        field: &'static str,
        /// What execution or the chain's rules give.
        expected: String,
        /// What the block has.
        found: String,
    },
    /// The block includes a transaction that cannot enter.
    #[error("verify block {height}: transaction {transaction} cannot be included: {reason}")]
    Included {
        /// The block.
        height: Height,
        /// The transaction.
        transaction: B256,
        /// Why it is dropped.
        reason: crate::DropReason,
    },
}
