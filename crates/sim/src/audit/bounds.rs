//! How much of each thing may wait in a correct node, whatever the others do.
//!
//! What the code itself bounds has that bound, where it is known here. What follows from how far heights may be apart has
//! [`MARGIN`] times what follows, so that a bound says that something grows, and not that it was counted wrongly.

use crate::host::POOL_TRANSACTIONS_MAX;
use bxp_chain::{Load, Machine, proposal::ProposalRules};
use bxp_types::{Genesis, Height};

/// How many times what follows from the rules of heights may wait.
const MARGIN: usize = 4;
/// Heights above its newest block that a node begins.
const BEGUN_MAX: usize = Machine::begun_max(Height(0)).0 as usize;
/// Heights above those that it listens to: `heights_ahead` of `Machine::open`.
const AHEAD_MAX: usize = BEGUN_MAX + 2;
/// Blocks without a certificate with which it begins no height: `UNCERTIFIED_MAX` of `crates/chain/src/machine/start.rs`.
const UNCERTIFIED_MAX: usize = 8;
/// Heights above the certified one whose attestations are kept: `WINDOW` of `crates/chain/src/certificates.rs`.
const ATTESTED_AHEAD_MAX: usize = 64;
/// Checked proposals that are kept at most: `CHECKED_MAX` of `crates/chain/src/checked.rs`.
const CHECKED_MAX: usize = 1_024;
/// Timers stay until they run out, those of heights that are past too: some for half a minute, and how many a height sets
/// depends on how many rounds it takes. No bound was derived: this is the one that all of these had.
const TIMERS_MAX: usize = 20_000;
/// Bodies that one proposal holds: its proposer's and another that was fetched.
const BODIES_MAX: usize = 2;

/// What the bounds depend on.
#[derive(Debug)]
pub(super) struct Bounds {
    validators: usize,
    body_bytes_max: usize,
}

impl Bounds {
    pub(super) fn new(genesis: &Genesis) -> Self {
        Self { validators: genesis.validator_count(), body_bytes_max: ProposalRules::of(genesis).bytes_max }
    }

    /// The bounds where the newest block of any correct node is that of height `newest`.
    pub(super) fn with_blocks(&self, newest: Height) -> Load {
        // A block is without a certificate, or its height is begun, or it is only listened to.
        let without_certificate = UNCERTIFIED_MAX + BEGUN_MAX;
        let heights = MARGIN * (without_certificate + AHEAD_MAX);
        Load {
            heights,
            timers: TIMERS_MAX,
            // A node that imports blocks begins no height, and until it does, keeps those that it has heard of: open ones,
            // and such as have blocks by now.
            wanted: heights.saturating_add(usize::try_from(newest.0).unwrap_or(usize::MAX)),
            // One import, and superblocks of heights that were begun.
            jobs: MARGIN * (1 + BEGUN_MAX),
            attestations: MARGIN * without_certificate,
            gathered: ATTESTED_AHEAD_MAX * self.validators,
            checked: CHECKED_MAX.min(heights * self.validators),
            pool: POOL_TRANSACTIONS_MAX,
            body_bytes: heights * self.validators * BODIES_MAX * self.body_bytes_max,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world;

    #[test]
    fn heights_have_bounds_far_below_those_of_queues() {
        let of = |validators| Bounds::new(&world::genesis(validators, std::iter::empty()));
        let (few, many) = (of(1).with_blocks(Height(0)), of(100).with_blocks(Height(1_000)));
        assert_eq!((few.heights, many.heights), (88, 88));
        assert_eq!((few.jobs, few.attestations, few.wanted, many.wanted), (28, 56, 88, 1_088));
        assert_eq!((few.gathered, many.gathered), (64, 6_400));
        assert_eq!((few.checked, many.checked), (88, CHECKED_MAX));
    }
}
