//! Blocks of Ethereum itself: the same machine under another chain's rules, held against what that chain says.
//!
//! [`EthereumGenesis`] is a genesis file in geth's format, [`State::open_ethereum`](crate::State::open_ethereum) builds
//! its state, and [`State::import`](crate::State::import) executes a block and checks every field of its header: roots,
//! receipts, gas, base fee, blobs, difficulty, ommers, withdrawals, requests. Proof of work, signatures of a beacon
//! chain and the blobs themselves are not checked: this proves the machine, and follows no network.
//!
//! Not known here: the DAO fork's irregular change, and Constantinople without Petersburg apart from what [`revm`] makes
//! of it.

mod ancestry;
mod chain_file;
mod difficulty;
mod genesis;
mod header;
mod import;
mod requests;
mod rewards;

pub use ancestry::Ancestry;
pub use genesis::EthereumGenesis;
pub use import::EthereumBlock;
