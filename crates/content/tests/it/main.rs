//! The content store as its users meet it: readers, peers over real sockets, CAR files, and crashes.

mod bitswap;
mod collecting;
mod gateway;
mod hostile;
mod killed;
mod kit;
mod publishing;
mod quota;
