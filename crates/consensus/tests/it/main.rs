//! Consensus as its user sees it: whole networks in one process from one seed, recovery from logs, the wire format.

mod fault_free;
mod faults;
mod gathering;
mod interface;
mod network;
mod recovery;
mod verification;
mod wire;
