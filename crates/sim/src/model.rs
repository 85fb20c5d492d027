//! Throughput and latency of the real consensus engine in virtual time: its decisions, its frames as they are encoded, over a
//! model of links, distances and processors (ADR 51). Where transactions are signed, heights begin and blocks fill as the
//! chain's do (ADR 96).
//!
//! Bodies are stand-ins of a few bytes whose declared size is what links and processors are charged for. Everybody is
//! correct: what goes wrong is the business of [`crate::run`].

mod costs;
mod driver;
mod network;
mod pace;
mod place;
mod report;
mod server;
mod validator;

use bxp_consensus::{ConsensusError, Verification};
use std::time::Duration;

pub use costs::Costs;
pub use pace::Pace;
pub use place::Place;
pub use report::{Limit, Report};

/// Bytes that a proposal holds for each transaction beside it: its length.
const LENGTH_BYTES: u64 = 4;
/// And its sender, which is named where verification is sharded.
const SENDER_BYTES: u64 = 20;
/// Gas of a plain transfer, whatever its bytes: its calldata is not charged for.
const TRANSFER_GAS: u64 = 21_000;

/// What is modelled.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Where the validators stand.
    pub place: Place,
    /// How many.
    pub validators: usize,
    /// Bytes of each transaction.
    pub tx_bytes: u64,
    /// Cores of each validator; on [`Place::Local`] of the one machine.
    pub cores: u16,
    /// What each validator's link takes in each direction, in Gb/s.
    pub gigabits: f64,
    /// Transactions are signed transfers, checked so and executed; without it they are opaque and only ordered.
    pub signed: Option<Verification>,
    /// Gas of a block. What finds none stays in its validator's pool. Counts where transactions are signed.
    pub gas_max: u64,
    /// Whether what is said waits for the disk, and blocks do.
    pub durable: bool,
    /// The largest proposal in bytes.
    pub proposal_bytes_max: u64,
    /// When heights begin.
    pub pace: Pace,
    /// Transactions under way at each validator: its clients send the next one when one is answered.
    pub in_flight: u64,
    /// How long a vote may wait to share a frame with others; without it as long as nodes of such a network let it.
    pub vote_gather: Option<Duration>,
    /// Superblocks that are not measured, and that are.
    pub warm_up: u64,
    /// See [`Self::warm_up`].
    pub superblocks: u64,
    /// What the delays vary by.
    pub seed: u64,
    /// What work costs.
    pub costs: Costs,
}

impl Setup {
    /// How many transactions a full proposal holds, at least one. Nobody proposes more than a block may hold.
    fn transactions_max(&self) -> u64 {
        (self.proposal_bytes_max / self.body_bytes(1)).clamp(1, self.block_transactions_max())
    }

    /// How many transactions a block holds, at least one: as many as there is gas for. Ordering knows no gas.
    fn block_transactions_max(&self) -> u64 {
        self.signed.map_or(u64::MAX, |_| (self.gas_max / TRANSFER_GAS).max(1))
    }

    /// The bytes of a body with that many transactions.
    fn body_bytes(&self, transactions: u64) -> u64 {
        let sender = if self.signed == Some(Verification::Sharded) { SENDER_BYTES } else { 0 };
        transactions * (self.tx_bytes + LENGTH_BYTES + sender)
    }

    /// The bytes of a full proposal.
    fn proposal_bytes(&self) -> u64 {
        self.body_bytes(self.transactions_max())
    }

    /// Transactions a second that the links allow at the best: each body goes once to every other validator.
    #[must_use]
    pub fn bandwidth_bound_per_second(&self) -> f64 {
        let others = self.validators as f64 - 1.0;
        self.gigabits * 1e9 / 8.0 / self.tx_bytes as f64 * self.validators as f64 / others.max(1e-9)
    }
}

/// Why there is nothing to report.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The validators are too few or too many.
    #[error("set up the model's validators")]
    Setup(#[from] ConsensusError),
    /// Nothing happens any more, or it goes on for ever.
    #[error(
        "run the model: only {decided} superblocks are decided by most after {events} events and {seconds} s"
    )]
    Stuck {
        /// Superblocks decided by more than half.
        decided: u64,
        /// Events until then.
        events: u64,
        /// Virtual seconds until then.
        seconds: u64,
    },
}

/// Runs the model. Equal setups give equal reports.
///
/// # Errors
/// If the setup is impossible, or the network decides nothing.
pub fn model(setup: &Setup) -> Result<Report, ModelError> {
    network::Network::new(setup)?.run()
}
