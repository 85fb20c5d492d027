//! The market on a real stack: a chain of one validator with the system contracts, a vault, an enclave, taken-in charts.

mod agent;
mod crashes;
mod holder;
mod ledger;
mod money;
mod publishing;
mod releasing;
mod serving;
mod stack;
