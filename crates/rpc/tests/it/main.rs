//! The server over real HTTP and WebSocket, before a ledger in memory.

mod blocks;
mod bxp;
mod calls;
mod client;
mod dev;
mod developer;
mod fees;
mod filters;
mod hostile;
mod ledger;
mod limits;
mod logs;
mod network;
mod otterscan;
mod proofs;
mod server;
mod simulation;
mod state;
mod submit;
mod subscriptions;
mod traces;
mod transactions;
mod txpool;
