//! The server over real HTTP, before real nodes: consensus and execution, vaults, folders and sockets on loopback.

mod amendment;
mod ccda;
mod client;
mod consents;
mod content;
mod device;
mod export;
mod fhir;
mod gate;
mod ingest;
mod left;
mod market;
mod net;
mod search;
mod secrecy;
#[path = "../../../fhir-store/tests/it/server.rs"]
#[allow(dead_code, reason = "the store's own tests ask more of the server")]
mod server;
mod show;
mod transaction;
