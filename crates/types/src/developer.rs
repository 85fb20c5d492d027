//! What a developer may do to a chain of their own, and to no other.

use crate::{LedgerError, SubmitError};
use alloy_consensus::TypedTransaction;
use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use std::time::Duration;

/// One change of an account that no transaction makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// The balance in wei.
    Balance(U256),
    /// The nonce.
    Nonce(u64),
    /// The runtime code.
    Code(Bytes),
    /// A storage slot and its value.
    Slot(U256, U256),
}

/// The controls of a developer's chain: one node, blocks at once or when told, a state that can be edited and a past
/// that can be taken back. No network of validators has them.
pub trait Developer: Send + Sync + 'static {
    /// The accounts whose keys the chain holds; the keys are no secret.
    fn accounts(&self) -> Vec<Address>;

    /// Signs a hash for one of [`Developer::accounts`]; none for another.
    fn sign(&self, account: Address, hash: B256) -> Option<Signature>;

    /// Sends a transaction of an account whose key the chain holds or that is impersonated.
    ///
    /// # Errors
    /// [`SubmitError`]; [`SubmitError::InvalidSender`] for another account.
    fn send(&self, from: Address, transaction: TypedTransaction) -> Result<B256, SubmitError>;

    /// From now on, takes transactions from `account` without a signature, or no longer.
    fn impersonate(&self, account: Address, on: bool);

    /// Impersonates every account, or only those named.
    fn impersonate_all(&self, on: bool);

    /// Changes an account.
    ///
    /// # Errors
    /// [`LedgerError::Storage`]; [`LedgerError::InvalidCall`] for code that cannot be.
    fn edit(&self, account: Address, edit: Edit) -> Result<(), LedgerError>;

    /// Makes `blocks` blocks, the pool's transactions in the first, with these seconds between them.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn mine(&self, blocks: u64, seconds_between: u64) -> Result<(), LedgerError>;

    /// Whether a block follows each transaction at once.
    fn automine(&self) -> bool;

    /// Whether a block is to follow each transaction at once.
    fn set_automine(&self, on: bool);

    /// Makes a block at each interval; none ends that.
    fn set_interval(&self, interval: Option<Duration>);

    /// Moves the clock; gives by how many seconds it is moved altogether.
    fn increase_time(&self, seconds: u64) -> u64;

    /// Gives the next block this time, in seconds since the epoch, from which the clock then goes on.
    ///
    /// # Errors
    /// [`LedgerError::InvalidCall`] for a time that is not after the newest block's.
    fn set_next_time(&self, seconds: u64) -> Result<(), LedgerError>;

    /// Gives the next block this base fee in wei.
    fn set_next_base_fee(&self, wei: u64);

    /// Gives the next block this `mixHash`.
    fn set_next_mix_hash(&self, hash: B256);

    /// Forgets a transaction that waits; false if there is none.
    fn drop_transaction(&self, hash: B256) -> bool;

    /// Remembers the chain as it is; gives the number under which.
    fn snapshot(&self) -> u64;

    /// Takes everything back that came after the snapshot, which is forgotten with all later ones; false if there is
    /// none.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn revert(&self, snapshot: u64) -> Result<bool, LedgerError>;

    /// Takes everything back.
    ///
    /// # Errors
    /// [`LedgerError::Storage`].
    fn reset(&self) -> Result<(), LedgerError>;
}
