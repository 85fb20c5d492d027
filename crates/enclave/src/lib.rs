//! The enclave: every key of a node is made here, kept here, and used here.
//!
//! It holds the node's identity (Ed25519 for the network and attestations, X25519 for what other nodes seal to it,
//! secp256k1 for its account), the accounts of patients in custody, a key for each patient under which the data keys of
//! the patient's records are wrapped, and the master key under which everything else is. It seals, opens, wraps, signs; callers see addresses, ciphertexts and signatures. The one private key that
//! is handed out is the network key, because libp2p's handshake runs outside.
//!
//! It refuses to know what it signs or seals: no FHIR, no contract, no residency rule, no permit.
//!
//! On disk it is two folders of mode 0700 with files of mode 0600; see [`Enclave`] for the layout.

mod custody;
mod data_key;
mod ecdsa;
mod enclave;
mod error;
mod files;
mod identity;
mod master;
mod patients;
mod recipient;

pub use data_key::{DataKey, SEALED_OVERHEAD};
pub use enclave::{Enclave, PublicIdentity, Signed};
pub use error::EnclaveError;
pub use identity::Seeds;
pub use patients::PatientId;
pub use recipient::{HANDOVER_OVERHEAD, SealingKeypair, seal_to, wrap_all_for, wrap_for};
