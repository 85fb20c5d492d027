//! Consensus as its user sees it: whole networks in one process from one seed, recovery from logs, the wire format.

mod adversary;
mod audit;
mod fault_free;
mod faults;
mod interface;
mod recovery;
mod simulator;
mod wire;
