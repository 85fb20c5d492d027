//! What a simulated run is to be like.

use std::time::Duration;

use bxp_consensus::Verification;

use super::adversary::Role;

/// Who checks proposals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checks {
    All,
    Sharded,
    /// Every second node is of either kind.
    Mixed,
}

impl Checks {
    pub(crate) const fn of(self, node: usize) -> Verification {
        match self {
            Self::Mixed if node.is_multiple_of(2) => Verification::All,
            Self::All => Verification::All,
            Self::Sharded | Self::Mixed => Verification::Sharded,
        }
    }
}

/// What a run is to be like.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) validators: usize,
    pub(crate) heights: u64,
    /// Roles of the last validators; the others are correct.
    pub(crate) byzantine: Vec<Role>,
    /// Message delays in microseconds: the least, and the most while faults last and after.
    pub(crate) delay_us: (u64, u64, u64),
    /// Until when connections break, nodes crash and delays are long.
    pub(crate) faults_until: Duration,
    /// How many connections break and how many crashes happen until then.
    pub(crate) cuts: usize,
    pub(crate) crashes: usize,
    /// How often all correct nodes crash at nearly the same time.
    pub(crate) blackouts: usize,
    /// Of a hundred messages, how many vanish from living connections while faults last: channels that overflow.
    pub(crate) loss_percent: u32,
    /// Heights are settled when all have decided them, or as soon as n-t have; who is behind then must sync.
    pub(crate) settle_early: bool,
    pub(crate) verification: Checks,
    /// How long votes wait for others.
    pub(crate) gather: Duration,
}

impl Plan {
    pub(crate) fn new(validators: usize, heights: u64) -> Self {
        Self {
            validators,
            heights,
            byzantine: Vec::new(),
            delay_us: (10_000, 10_000, 10_000),
            faults_until: Duration::ZERO,
            cuts: 0,
            crashes: 0,
            blackouts: 0,
            loss_percent: 0,
            settle_early: false,
            verification: Checks::All,
            gather: Duration::ZERO,
        }
    }

    /// Random delays that reorder, for `seconds` of trouble.
    pub(crate) fn rough(mut self, seconds: u64) -> Self {
        self.delay_us = (500, 1_500_000, 40_000);
        self.faults_until = Duration::from_secs(seconds);
        self
    }

    pub(crate) fn faults(&self) -> usize {
        (self.validators - 1) / 3
    }
}
