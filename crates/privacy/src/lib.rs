//! The privacy manager: what may be opened, and what may leave (white paper rows A6, A12, F1).
//!
//! [`decide`] turns a request and the node's facts into a [`Permit`] or a [`Denial`]; the vault opens nothing without a
//! permit, and permits are made here only. [`split`] takes a FHIR R4 resource apart by default deny: what is on the list of
//! `rules/safe-harbor-r4.txt` goes to the de-identified side, everything else to the identity side, and [`join`]
//! puts both together again exactly. [`release`] makes a copy ready to leave under a declared profile, [`risk`] measures
//! how well a release hides its patients, and [`scan`] looks for identifiers that should not be there.
//!
//! The crate is pure: no clock, no randomness, no I/O. It knows nothing of consensus, storage or the network.

pub mod identifier;
pub mod join;
mod json;
mod patch;
pub mod permit;
pub mod release;
pub mod remainder;
pub mod risk;
mod rules;
pub mod scan;
pub mod split;
mod tape;

pub use identifier::{IdentifierKind, Removed};
pub use join::{JoinError, join};
pub use json::DEPTH_MAX;
pub use permit::{
    ContractFacts, CopyFacts, Denial, Facts, PERMIT_LIFETIME_MS, Permit, Purpose, Request, Scope, decide,
    decide_copy,
};
pub use release::{DAY_OFFSET_URL, DayAnchor, Profile, release};
pub use remainder::Remainder;
pub use rules::{RULES_VERSION, rules_digest};
pub use split::{Split, SplitContext, SplitError, SplitText, split, split_text};
