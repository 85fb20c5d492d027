//! One validator of the model: the real engine, and the driver around it that `bxp bench consensus` has; where transactions
//! are signed, with the chain's rules for beginning a height.

use super::{Pace, Setup};
use bxp_consensus::{Config, Engine, Input, Superblock, Timer, Verification};
use bxp_types::{Digest, Height, NetworkId, ValidatorIndex};
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

/// Heights that may be decided here and not everywhere, as in the driver.
const UNSETTLED_MAX: u64 = 64;
/// Bodies are given time to be checked by parts of this size (V4); the stand-in bodies are smaller.
const VERIFY_PART_BYTES: u64 = 256 << 10;

/// Transactions of one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handed {
    pub(super) at: Duration,
    pub(super) count: u64,
}

impl Handed {
    /// Parts the first `count` transactions of a batch from those after them.
    pub(super) fn part(batch: Vec<Self>, count: u64) -> (Vec<Self>, Vec<Self>) {
        let (mut first, mut rest, mut room) = (Vec::new(), Vec::new(), count);
        for handed in batch {
            let fits = handed.count.min(room);
            room -= fits;
            if fits > 0 {
                first.push(Self { count: fits, ..handed });
            }
            if fits < handed.count {
                rest.push(Self { count: handed.count - fits, ..handed });
            }
        }
        (first, rest)
    }
}

/// What the driver takes in.
#[derive(Debug)]
pub(super) enum Taken {
    /// A frame, and how many votes it holds.
    Frame {
        input: Input,
        votes: u32,
        hashed_bytes: u64,
    },
    /// Another validator has decided everything up to there.
    Reached(ValidatorIndex, Height),
    Validated {
        height: Height,
        proposer: ValidatorIndex,
        digest: Digest,
    },
    Timer(Timer),
    /// A reason to look whether a height may begin.
    Look,
}

/// A moment for each step of making a block.
#[derive(Clone, Copy, Default)]
pub(super) struct Steps {
    pub(super) running: Duration,
    pub(super) hashing: Duration,
    pub(super) writing: Duration,
    /// The database's own thread, and when it was done with the block before.
    pub(super) settling: Duration,
    pub(super) settled_before: Duration,
}

pub(super) struct Validator {
    pub(super) engine: Engine,
    pub(super) inbox: VecDeque<Taken>,
    /// When the driver is done with what it does.
    pub(super) driver_free: Duration,
    pub(super) turn_set: bool,
    /// When the flush of the log that is under way ends.
    pub(super) flushed_at: Duration,
    pub(super) wanted: BTreeSet<Height>,
    pub(super) started: Height,
    pub(super) started_at: Duration,
    /// When it is looked again whether a height may begin.
    pub(super) look_at: Duration,
    /// Own transactions under way.
    pub(super) ours: BTreeMap<Height, Vec<Handed>>,
    pub(super) early: BTreeMap<Height, Superblock>,
    /// All up to here are decided; and executed, where transactions are.
    pub(super) decided: Height,
    pub(super) head: Height,
    /// When each step of making blocks has given its last one away.
    pub(super) free: Steps,
    /// When the disk has taken what blocks wrote.
    pub(super) disk_free: Duration,
    /// For how long blocks have been made.
    pub(super) executing: Duration,
    reached: Vec<Height>,
    settled: Height,
    pool: VecDeque<Handed>,
    pub(super) waiting: u64,
}

impl Validator {
    pub(super) fn new(me: ValidatorIndex, setup: &Setup) -> Result<Self, bxp_consensus::ConsensusError> {
        let mut config = Config::new(me, setup.validators, NetworkId([7; 32]));
        config.heights_ahead = match setup.signed {
            Some(_) => setup.pace.heights_ahead(),
            None => 2 * setup.pace.open_heights_max + 2,
        };
        config.gather = setup.vote_gather.unwrap_or(config.gather);
        config.verification = setup.signed.unwrap_or(Verification::All);
        let parts = u32::try_from(setup.proposal_bytes() / VERIFY_PART_BYTES).unwrap_or(u32::MAX);
        config.verify_after = config.verify_after.saturating_mul(parts.saturating_add(1));
        Ok(Self {
            engine: Engine::new(config)?,
            inbox: VecDeque::new(),
            driver_free: Duration::ZERO,
            turn_set: false,
            flushed_at: Duration::ZERO,
            wanted: BTreeSet::new(),
            started: Height(0),
            started_at: Duration::ZERO,
            look_at: Duration::ZERO,
            ours: BTreeMap::new(),
            early: BTreeMap::new(),
            decided: Height(0),
            head: Height(0),
            free: Steps::default(),
            disk_free: Duration::ZERO,
            executing: Duration::ZERO,
            reached: vec![Height(0); setup.validators],
            settled: Height(0),
            pool: VecDeque::new(),
            waiting: 0,
        })
    }

    /// Clients have handed transactions in.
    pub(super) fn submit(&mut self, handed: Handed) {
        self.waiting += handed.count;
        self.pool.push_back(handed);
    }

    /// Transactions that a superblock left out come first.
    pub(super) fn again(&mut self, batch: Vec<Handed>) {
        for handed in batch.into_iter().rev() {
            self.waiting += handed.count;
            self.pool.push_front(handed);
        }
    }

    /// The next proposal's transactions.
    pub(super) fn next_batch(&mut self, count_max: u64) -> Vec<Handed> {
        let (mut batch, mut room) = (Vec::new(), count_max);
        while room > 0
            && let Some(handed) = self.pool.pop_front()
        {
            let count = handed.count.min(room);
            room -= count;
            self.waiting -= count;
            batch.push(Handed { count, ..handed });
            if count < handed.count {
                self.pool.push_front(Handed { count: handed.count - count, ..handed });
            }
        }
        batch
    }

    /// Whether a height may begin now, and if not, whether time alone will let it.
    pub(super) fn may_begin(&self, now: Duration, full: u64, setup: &Setup) -> (bool, Option<Duration>) {
        match setup.signed {
            Some(_) => self.may_begin_block(now, setup.pace),
            None => self.may_begin_order(now, full, setup.pace),
        }
    }

    /// As the chain decides: whatever the reason is, no sooner after the height before than the pause, and a proposal that
    /// would be full is none.
    fn may_begin_block(&self, now: Duration, pace: Pace) -> (bool, Option<Duration>) {
        let open = self.started.0.saturating_sub(self.head.0);
        let wanted = open < pace.lag_max() && self.wanted.last().is_some_and(|wanted| *wanted > self.started);
        let own = self.waiting > 0
            && open < pace.open_heights_max
            && self.started.0 < self.settled.0 + UNSETTLED_MAX;
        if !wanted && !own {
            return (false, None);
        }
        let spreads = !wanted && open > 0 && !self.ours.is_empty();
        let wait = if spreads { pace.pause.max(pace.spread) } else { pace.pause };
        let at = self.started_at + wait;
        if now >= at { (true, None) } else { (false, Some(at)) }
    }

    /// As the driver of `bxp bench consensus` decides.
    fn may_begin_order(&self, now: Duration, full: u64, pace: Pace) -> (bool, Option<Duration>) {
        if self.wanted.last().is_some_and(|wanted| *wanted > self.started) {
            return (true, None);
        }
        let open = self.started.0 < self.head.0 + pace.open_heights_max
            && self.started.0 < self.settled.0 + UNSETTLED_MAX;
        if !open || self.waiting == 0 {
            return (false, None);
        }
        let wait = if self.ours.is_empty() { pace.pause } else { pace.spread };
        let at = self.started_at + wait;
        if self.waiting >= full || now >= at { (true, None) } else { (false, Some(at)) }
    }

    /// Heights that all have decided are forgotten.
    pub(super) fn reach(&mut self, validator: ValidatorIndex, height: Height) {
        if let Some(reached) = self.reached.get_mut(usize::from(validator.0)) {
            *reached = height.max(*reached);
        }
        let settled = self.reached.iter().min().copied().unwrap_or_default().min(self.decided);
        if settled > self.settled {
            self.settled = settled;
            self.engine.take_in(Input::Settled(settled));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_parted_where_the_gas_ends_and_nothing_is_lost() {
        let handed = |ms, count| Handed { at: Duration::from_millis(ms), count };
        let counts = |batch: &[Handed]| -> Vec<(u128, u64)> {
            batch.iter().map(|handed| (handed.at.as_millis(), handed.count)).collect()
        };
        let batch = || vec![handed(1, 3), handed(2, 4)];
        for (room, first, rest) in [
            (0, vec![], vec![(1, 3), (2, 4)]),
            (3, vec![(1, 3)], vec![(2, 4)]),
            (5, vec![(1, 3), (2, 2)], vec![(2, 2)]),
            (u64::MAX, vec![(1, 3), (2, 4)], vec![]),
        ] {
            let (in_block, left) = Handed::part(batch(), room);
            assert_eq!((counts(&in_block), counts(&left)), (first, rest), "room for {room}");
        }
    }
}
