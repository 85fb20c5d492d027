//! The vault: content-addressed sealed records in residency partitions (white paper rows A12, F1, F2).
//!
//! One version of one FHIR resource is a *record*: an identity side and a de-identified side, each sealed under a
//! fresh key of its own and named by the CID of its ciphertext. The vault keeps the sealed blocks, the wrapped keys,
//! and a [`RecordEntry`] that ties them together; it groups records into Merkle batches for anchoring, hands sealed
//! blocks to replicas, releases keys, accounts for disclosures, and erases.
//!
//! What it guarantees:
//! - Nothing is opened, and no key is released, without a matching [`bxp_privacy::Permit`].
//! - An identity block of another country is never stored here ([`VaultError::Residency`]), nor one that placement gives
//!   to other nodes of the country ([`VaultError::NotPlaced`]).
//! - A copy that this node is to keep no more goes only after all that keep one have vouched for theirs.
//! - A disclosure is on disk before the data is returned.
//! - What a peer sends is checked (hash, form, country, holder, key) before any of it is staged.
//!
//! It refuses to know who may read (that is `privacy`), what a record says (plaintexts are bytes), how blocks travel
//! (`network`), and what stands on the chain (`chain` tells it).

mod accept;
mod arrivals;
mod batches;
mod bury;
mod clock;
mod copy;
mod departure;
mod directory;
mod disclosure;
mod encoding;
mod entry;
mod envelope;
mod erase;
mod error;
pub mod fuzz;
mod holdings;
mod keeping;
mod keys;
mod manifest;
mod open;
mod padding;
mod receipt;
mod replica;
mod scrub;
mod seal;
mod statement;
mod tables;
mod vault;

pub use accept::Accepted;
pub use batches::{Anchor, MerkleBatch, PendingBatch, Placement};
pub use bury::Sealing;
pub use clock::Clock;
pub use copy::Copy;
pub use departure::{DeletionProof, Departure};
pub use directory::{Directory, Member};
pub use disclosure::Disclosure;
pub use entry::{ENTRY_VERSION, RecordEntry};
pub use envelope::{cid_of, decode_class};
pub use erase::{TOMBSTONE_DOMAIN, Tombstone};
pub use error::VaultError;
pub use holdings::Holding;
pub use keeping::Misplaced;
pub use keys::open_released;
pub use manifest::MANIFEST_RECORDS_MAX;
pub use padding::{BUCKET_BYTES, PLAINTEXT_BYTES_MAX};
pub use receipt::{RECEIPT_DOMAIN, Receipt};
pub use replica::{Recipient, Replica};
pub use scrub::Scrubbed;
pub use seal::{NewRecord, SealedRecord};
pub use statement::{STATEMENT_BLOCKS_MAX, STATEMENT_DOMAIN, Statement};
pub use vault::Vault;
