//! The system contracts on a real EVM: what they promise, and what they refuse.

mod chain;
mod consent;
mod conservation;
mod fixture;
mod nodes;
mod records;
mod request;
mod settlement;
