//! The routes, one file each.

pub(crate) mod consents;
pub(crate) mod content;
pub(crate) mod create;
pub(crate) mod disclosures;
pub(crate) mod erase;
pub(crate) mod hl7v2;
pub(crate) mod holdings;
pub(crate) mod ingest;
pub(crate) mod metadata;
pub(crate) mod patients;
pub(crate) mod privacy;
pub(crate) mod read;
pub(crate) mod records;
pub(crate) mod requests;
pub(crate) mod scrub;
pub(crate) mod transaction;
pub(crate) mod unknown;
pub(crate) mod verify;
