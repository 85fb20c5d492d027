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
mod market;
mod net;
mod search;
mod secrecy;
mod show;
mod transaction;
