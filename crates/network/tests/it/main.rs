//! The network over real sockets on loopback: honest nodes, and peers that speak the protocol wrongly on purpose.

mod blocks;
mod budgets;
mod channels;
mod connections;
mod fence;
mod hostile;
mod requests;
mod support;
mod wide_area;
