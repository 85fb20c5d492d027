//! The Ethereum state machine: blocks of transactions in, a new state with its root and receipts out.
//!
//! [`State`] holds the accounts, storage and code of the newest block in tables of a [`bxp_storage::Store`], with the
//! nodes of the Merkle-Patricia tries that give the state root. [`State::execute`] runs a block through revm without
//! writing anything; [`State::commit`] puts what it found into the caller's batch, so that block and state reach the
//! disk together. [`State::call`] reads, [`State::verify_and_execute`] checks a block that was made elsewhere.
//!
//! # The rules of this chain
//! - The fork is Osaka from block 0 on ([`FORK`]): transactions of types 0, 1, 2 and 4, at most 2^24 gas each
//!   (EIP-7825). Blob transactions are dropped; a transaction without a chain id is dropped, since it could be played
//!   again from another chain.
//! - A transaction that cannot enter (nonce, funds, gas left in the block) is dropped with a [`DropReason`] and never
//!   fails the block. Dropped transactions leave no trace in the state.
//! - The header is a plain Ethereum header: difficulty 0, no ommers, no withdrawals, no blobs, no requests.
//! - Nothing is burnt: base fee and priority fee both go to the beneficiary, the treasury, once at the end of the
//!   block. Contracts therefore see the treasury's balance without the fees of the current block.
//! - The system calls of EIP-2935 and EIP-4788 are made at the start of a block if, and only if, genesis has their
//!   contracts. Those of EIP-7002 and EIP-7251 are not made: there are no staking validators to withdraw.
//! - Batch payments are a contract of the machine ([`PAYMENTS`]).
//!
//! This crate does not know of consensus, the network or health data.

mod bare;
mod before;
mod begun;
mod block;
mod call;
mod chain_spec;
mod changes;
mod code_cache;
mod commit;
mod compare;
mod developer;
mod drop_reason;
pub mod environment;
mod error;
mod ethereum;
mod evm;
mod execute;
mod fees;
mod genesis;
mod header;
mod history;
mod hot;
mod known_tries;
mod memory;
mod overlay;
mod overlay_accounts;
mod overlay_slots;
mod packs;
mod parallel;
mod payments;
mod precompiles;
mod ran;
mod read;
mod reader;
mod ready;
mod receipts;
mod root;
mod run;
mod seal;
mod shortcut;
mod state;
mod state_test;
mod state_view;
mod system_calls;
mod tables;
mod unwritten;
mod verify;
mod view;

pub use bare::{BareRevm, BareTransactions};
pub use begun::{BegunBlock, Below};
pub use block::{BlockInput, ExecutedBlock};
pub use chain_spec::{ChainSpec, Fees, Rules};
pub use changes::StateChanges;
pub use compare::{DifferenceKind, StateDifference};
pub use developer::AccountEdit;
pub use drop_reason::DropReason;
pub use environment::{FORK, TRANSACTION_GAS_MAX};
pub use error::{ExecutionError, VerifyError};
pub use ethereum::{Ancestry, EthereumBlock, EthereumGenesis};
pub use fees::next_base_fee;
pub use history::Retention;
pub use payments::{NEW_ACCOUNT_GAS, PAYMENT_GAS, PAYMENTS, payment_count};
pub use precompiles::Precompiles;
pub use ran::Ran;
pub use ready::ReadyRows;
pub use run::RanBlock;
pub use state::{Head, State};
pub use state_test::{StateTestResult, run_state_tests};
pub use state_view::StateView;
pub use unwritten::Unwritten;
