//! The hospital's working copy: whole FHIR R4 resources with every version, encrypted at rest and indexed for search.
//!
//! One file under SQLCipher: every page is encrypted and authenticated, the key is derived in the enclave and never on disk.
//! Or a PostgreSQL server, to which bodies and names go sealed (ADR 71). Neither leaves the node's country; what is replicated are the vault's sealed blocks. The gate (`clinical`) writes
//! here what the vault has sealed, many submissions in one transaction, and can do the last ones again after a crash.
//!
//! - [`Writer`]: versions in, with their index, in one transaction with others.
//! - [`Reader`]: resources, histories, searches, compartments out, as far as its permit opens them: there is no way to read
//!   around it.
//! - [`search`]: R4's search, with parameters compiled from HL7's definitions ([`Parameters`]).
//!
//! It refuses to know who may read, how records are sealed, what HTTP is, and whether a resource is valid.

mod body;
mod bucket;
mod database;
mod error;
pub mod extract;
mod index;
mod parameters;
mod read;
mod schema;
mod sealing;
pub mod search;
mod store;
pub mod value;
mod writer;

pub use body::Body;
pub use database::Server;
pub use error::StoreError;
pub use parameters::{Class, Component, Composite, Kind, Leaf, Parameter, ParameterId, Parameters, Path};
pub use read::{Everything, Reader, Resource, Scope};
pub use store::Store;
pub use writer::{Current, Method, NewVersion, Prepared, Put, Rebuilding, Standing, Writer};
