//! The chain as upper rooms see it.

use crate::{
    Certificate, FoundLog, Genesis, Height, LogQuery, OutsideBody, RecoveredTransaction, StateReader,
    StoredBlock, StoredReceipt, TransactionLocation,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// A read-only message call against the newest state.
#[derive(Clone, Debug, Default)]
pub struct CallRequest {
    /// The caller; the zero address when absent.
    pub from: Option<Address>,
    /// The callee; none creates a contract.
    pub to: Option<Address>,
    /// Gas limit; the block's when absent.
    pub gas: Option<u64>,
    /// What the caller offers for a unit of gas, in wei; zero when absent, and then no balance is needed for gas.
    pub gas_price: Option<u128>,
    /// Wei sent along.
    pub value: U256,
    /// Calldata or init code.
    pub data: Bytes,
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// It returned.
    Success {
        /// What it returned.
        output: Bytes,
        /// Gas used after refunds.
        gas_used: u64,
    },
    /// It reverted, with the revert data.
    Revert {
        /// ABI-encoded reason, as the contract gave it.
        output: Bytes,
        /// Gas used.
        gas_used: u64,
    },
    /// The EVM stopped it.
    Halt {
        /// The EVM's word for it, such as `OutOfGas`.
        reason: String,
        /// Gas used.
        gas_used: u64,
    },
}

/// An account in the newest state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountState {
    /// Transactions sent.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: U256,
    /// keccak256 of the code; `None` where there is no account.
    pub code_hash: Option<B256>,
}

/// Why the chain could not answer.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The database failed.
    #[error("read the chain's database: {0}")]
    Storage(String),
    /// A call that execution refuses before it starts, in geth's words.
    #[error("{0}")]
    InvalidCall(String),
    /// The state after this block is no longer kept, or there is no such block yet.
    #[error("state of block {asked} is not kept; the oldest is that of block {oldest}")]
    StateNotKept {
        /// The block.
        asked: Height,
        /// The oldest block whose state is kept.
        oldest: Height,
    },
}

/// The transactions that wait in a node's pool, each sender's in nonce order.
#[derive(Clone, Debug, Default)]
pub struct PoolContent {
    /// Those that could run now: gapless from the account's nonce on.
    pub pending: Vec<RecoveredTransaction>,
    /// Those that wait for one before them.
    pub queued: Vec<RecoveredTransaction>,
}

/// Why a transaction was refused, in geth's words, which clients match on.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SubmitError {
    /// Not a transaction.
    #[error("rlp: {0}")]
    Decode(String),
    /// The signature gives no sender.
    #[error("invalid sender")]
    InvalidSender,
    /// Signed for another chain, or without a chain id.
    #[error("invalid chain id for signer: have {have} want {want}")]
    WrongChain {
        /// The transaction's chain id; 0 when it has none.
        have: u64,
        /// This network's.
        want: u64,
    },
    /// Blobs have no place in a permissioned chain of final blocks.
    #[error("transaction type not supported")]
    UnsupportedType,
    /// Already waiting here.
    #[error("already known")]
    AlreadyKnown,
    /// The nonce is spent.
    #[error("nonce too low: next nonce {next}, tx nonce {got}")]
    NonceTooLow {
        /// The account's nonce.
        next: u64,
        /// The transaction's.
        got: u64,
    },
    /// Too far ahead of the account's nonce.
    #[error("nonce too high: next nonce {next}, tx nonce {got}")]
    NonceTooHigh {
        /// The account's nonce.
        next: u64,
        /// The transaction's.
        got: u64,
    },
    /// The balance does not cover value and gas.
    #[error("insufficient funds for gas * price + value: balance {balance}, tx cost {cost}")]
    InsufficientFunds {
        /// The sender's balance in wei.
        balance: U256,
        /// Gas limit x fee cap + value, in wei.
        cost: U256,
    },
    /// Gas below what the transaction costs before it runs.
    #[error("intrinsic gas too low: have {have}, want {want}")]
    IntrinsicGas {
        /// The transaction's gas limit.
        have: u64,
        /// The least.
        want: u64,
    },
    /// More gas than a block has.
    #[error("exceeds block gas limit")]
    GasLimit,
    /// More gas than one transaction may use (EIP-7825).
    #[error("transaction gas limit too high (cap: {cap}, tx: {have})")]
    TransactionGas {
        /// The most.
        cap: u64,
        /// The transaction's gas limit.
        have: u64,
    },
    /// The tip is above the fee cap.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFeeCap,
    /// The fee cap is below the base fee.
    #[error("max fee per gas less than block base fee: maxFeePerGas: {cap}, baseFee: {base}")]
    Underpriced {
        /// The transaction's fee cap in wei.
        cap: u128,
        /// The newest block's base fee in wei.
        base: u64,
    },
    /// Same sender and nonce, without a tenth more fee.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// Larger than the pool takes.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Bytes of the encoded transaction.
        size: usize,
        /// The most.
        limit: usize,
    },
    /// The pool is full, and nothing in it may go for this one.
    #[error("txpool is full")]
    PoolFull,
    /// The pool is full, and whoever pays least in it would have to be outbid by a tenth.
    #[error("transaction underpriced")]
    PoolUnderpriced,
    /// The sender's share of the pool is full.
    #[error("account limit exceeded")]
    AccountLimit,
    /// The node could not keep it.
    #[error("store the transaction: {0}")]
    Storage(String),
}

/// The chain: what it holds, and the way into it. Implemented by `chain`, used by `rpc`, `clinical`'s anchoring,
/// `market` and the consents. Reads are of the newest executed state, which is final.
#[async_trait]
pub trait Ledger: Send + Sync + 'static {
    /// The network's genesis document.
    fn genesis(&self) -> &Genesis;

    /// The newest block.
    fn head(&self) -> Arc<StoredBlock>;

    /// Ticks with the newest block's height.
    fn heads(&self) -> watch::Receiver<Height>;

    /// The block at `height`.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn block(&self, height: Height) -> Result<Option<Arc<StoredBlock>>, LedgerError>;

    /// The height of the block with this hash.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn height_of(&self, block_hash: B256) -> Result<Option<Height>, LedgerError>;

    /// The receipts of the block at `height`, in order.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn receipts(&self, height: Height) -> Result<Option<Arc<Vec<StoredReceipt>>>, LedgerError>;

    /// The logs of the block at `height` that `query` asks for, in their order; nothing where there is no such block. A
    /// chain that keeps receipts as bytes reads no more of them than it must.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn logs(&self, height: Height, query: &LogQuery) -> Result<Option<Vec<FoundLog>>, LedgerError> {
        let Some(block) = self.block(height)? else { return Ok(None) };
        if block.transactions.is_empty() || !query.may_be_in(&block.header.logs_bloom) {
            return Ok(Some(Vec::new()));
        }
        Ok(self.receipts(height)?.map(|receipts| FoundLog::find(&block, &receipts, query)))
    }

    /// What the block at `height` has beside its transactions; nothing on a network of BXP.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn outside_body(&self, height: Height) -> Result<Option<Arc<OutsideBody>>, LedgerError> {
        let _ = height;
        Ok(None)
    }

    /// The n - t attestations of the block at `height`; none while they are being collected.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn certificate(&self, height: Height) -> Result<Option<Certificate>, LedgerError>;

    /// Where an included transaction stands.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn locate(&self, transaction: B256) -> Result<Option<TransactionLocation>, LedgerError>;

    /// A transaction that waits in this node's pool.
    fn pending(&self, transaction: B256) -> Option<RecoveredTransaction>;

    /// Why a transaction that consensus ordered was left out of its block.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn dropped(&self, transaction: B256) -> Result<Option<String>, LedgerError>;

    /// An account.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn account(&self, address: Address) -> Result<AccountState, LedgerError>;

    /// The nonce after the account's transactions that wait in this node's pool.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn pending_nonce(&self, address: Address) -> Result<u64, LedgerError>;

    /// A contract's runtime code; empty where there is none.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn code(&self, address: Address) -> Result<Bytes, LedgerError>;

    /// One storage slot.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn storage(&self, address: Address, slot: U256) -> Result<U256, LedgerError>;

    /// Runs a call without changing anything.
    ///
    /// # Errors
    /// [`LedgerError::InvalidCall`] before it starts, [`LedgerError::Storage`].
    fn call(&self, request: &CallRequest) -> Result<CallOutcome, LedgerError>;

    /// The state after the block at `height`.
    ///
    /// # Errors
    /// [`LedgerError::StateNotKept`] where it is pruned or not there yet, [`LedgerError::Storage`].
    fn state(&self, height: Height) -> Result<Box<dyn StateReader + '_>, LedgerError>;

    /// The blocks from `from` to `to` that may hold a log that `query` asks for, in order, and the height up to which
    /// this was looked up: above it, nothing is known. At most `max` blocks; then the height is that of the last one.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn log_blocks(
        &self,
        query: &LogQuery,
        from: Height,
        to: Height,
        max: usize,
    ) -> Result<(Vec<Height>, Option<Height>), LedgerError>;

    /// The blocks from `from` to `to` with a transaction that `account` sent, that was sent to it or that made it: at
    /// most `max`, the newest first or the oldest first.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn account_blocks(
        &self,
        account: Address,
        from: Height,
        to: Height,
        newest_first: bool,
        max: usize,
    ) -> Result<Vec<Height>, LedgerError>;

    /// What waits in this node's pool: of one sender, or of all, at most `max` transactions.
    fn pool(&self, sender: Option<Address>, max: usize) -> PoolContent;

    /// What this node would propose next, in the order of execution, with transactions of `bytes_max` bytes at most.
    fn proposable(&self, bytes_max: usize) -> Vec<RecoveredTransaction> {
        // No transaction has fewer bytes than this.
        const TRANSACTION_BYTES_MIN: usize = 100;
        self.pool(None, bytes_max / TRANSACTION_BYTES_MIN).pending
    }

    /// How many transactions wait in this node's pool: those that could run now, and those that wait for one before.
    fn pool_size(&self) -> (usize, usize);

    /// Hashes of transactions as this node takes them into its pool. A reader that is too slow loses the oldest.
    fn arrivals(&self) -> broadcast::Receiver<B256>;

    /// The base fee of the next block in wei.
    fn next_base_fee(&self) -> u64;

    /// Takes a signed transaction in EIP-2718 encoding. When this returns, the transaction is on disk.
    ///
    /// # Errors
    /// [`SubmitError`] says why it was refused.
    async fn submit(&self, raw: Bytes) -> Result<B256, SubmitError>;
    /// Takes several transactions in this order, and answers each, in order. What one is refused for does not touch the
    /// others. A ledger that writes to disk writes them together.
    async fn submit_many(&self, raws: Vec<Bytes>) -> Vec<Result<B256, SubmitError>> {
        let mut answers = Vec::with_capacity(raws.len());
        for raw in raws {
            answers.push(self.submit(raw).await);
        }
        answers
    }
}
