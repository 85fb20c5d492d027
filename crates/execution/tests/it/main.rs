//! Blocks through the state machine: what they do to accounts, contracts, roots and receipts, and what they refuse.

mod above;
mod contracts;
mod dropped;
mod fees;
mod history;
mod kit;
mod parallel;
mod payments;
mod payments_in_solidity;
mod pinned;
mod restart;
mod roots;
mod state_tests;
mod transfers;
mod types;
mod verify;
