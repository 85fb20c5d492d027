//! The clinical manager as the node meets it: real vaults on disk, the real contracts in a real EVM.

mod anchoring;
mod canaries;
mod child;
mod erasing;
mod gate;
mod hl7v2;
mod ingesting;
mod keeping;
mod ledger;
mod networked;
mod node;
mod rebuilding;
mod registry;
mod replicating;
mod secrecy;
mod sending;
mod showing;
mod versions;
