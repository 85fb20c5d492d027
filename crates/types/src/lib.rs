//! The ground of BXP: the words every other room speaks.
//!
//! Typed ids, amounts, jurisdictions, the genesis document, blocks with their certificates, the wrappers that keep
//! identifying data and secrets out of logs ([`Phi`], [`Secret`]), the reading of fixed forms ([`fields`]), and the
//! [`Ledger`] trait by which upper rooms see the chain. It knows nothing above itself: no consensus rule, no storage,
//! no FHIR.

pub mod amount;
pub mod block;
pub mod content;
pub mod developer;
pub mod fields;
pub mod genesis;
pub mod guarded;
pub mod ids;
pub mod jurisdiction;
pub mod ledger;
pub mod logs;
pub mod state_reader;

pub use amount::{Amount, ParseAmountError};
pub use block::{
    Attestation, Certificate, OutsideBody, RecoveredTransaction, StoredBlock, StoredReceipt, Transaction,
    TransactionLocation,
};
pub use content::{BlockClass, SealedBlock};
pub use developer::{Developer, Edit};
pub use genesis::{Genesis, GenesisAccount, GenesisError, ValidatorEntry};
pub use guarded::{Phi, Secret};
pub use ids::{Digest, Height, NetworkId, ParseIdError, RecordId, SubjectId, ValidatorIndex};
pub use jurisdiction::{Jurisdiction, ParseJurisdictionError};
pub use ledger::{AccountState, CallOutcome, CallRequest, Ledger, LedgerError, PoolContent, SubmitError};
pub use logs::{FoundLog, LogQuery};
pub use state_reader::{AccountDiff, StateDiff, StateReader};

pub use alloy_primitives::{self as primitives, Address, B256, Bytes, U256, keccak256};
