//! What a run came to.

use crate::byzantine::Behaviour;
use serde::Serialize;

/// One run in numbers.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// The seed, which replays the run.
    pub seed: u64,
    /// Number of validators.
    pub validators: usize,
    /// How many of them run with sharded verification.
    pub sharding: usize,
    /// How those that are Byzantine behave.
    pub byzantine: Vec<Behaviour>,
    /// Faults planned.
    pub faults: usize,
    /// Times that a machine lost its power.
    pub crashes: u64,
    /// Blocks.
    pub heights: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Proposals that correct nodes decided, each of which was checked again.
    pub proposals_decided: usize,
    /// Transactions that correct nodes acknowledged.
    pub acknowledged: usize,
    /// How often the state of a block was held against the independent book.
    pub books_checked: u64,
    /// Events of the run.
    pub steps: u64,
    /// Virtual time in seconds.
    pub simulated_s: f64,
    /// From the healing until everything acknowledged was final everywhere, in seconds of virtual time.
    pub healed_within_s: Option<f64>,
    /// The most that waited in any queue of a correct node.
    pub waiting_most: usize,
    /// Equal for equal runs: 16 hexadecimal digits.
    pub fingerprint: String,
    /// What did not hold.
    pub failure: Option<Failure>,
}

/// A rule that was broken.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// Virtual time in seconds.
    pub at_s: f64,
    /// At which host.
    pub host: Option<usize>,
    /// What was broken.
    pub what: String,
    /// What happened before.
    pub last: Vec<String>,
}
