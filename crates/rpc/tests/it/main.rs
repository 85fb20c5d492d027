//! The server over real HTTP and WebSocket, before a ledger in memory.

mod blocks;
mod bxp;
mod calls;
mod client;
mod fees;
mod filters;
mod hostile;
mod ledger;
mod logs;
mod network;
mod server;
mod state;
mod submit;
mod subscriptions;
mod transactions;
