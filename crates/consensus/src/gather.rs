//! When votes leave (lines G1-G4): in a large network they wait a little for others, to share a frame with them.
//!
//! A frame costs each of its receivers a decryption, a wake-up and a turn, whatever is in it. Of n validators each that
//! says one vote at a time to n - 1 others sends n frames a step where one would do. So votes wait until their step is
//! complete, which is when all instances have it; or, where some validator is silent or slow, for a bounded time. What
//! waits has not been said: it is not on disk, and nothing that follows from it may be seen outside.

use std::time::Duration;

use crate::engine::Engine;
use crate::interface::{Effect, Timer};

/// So many validators' frames are few: their votes leave at once.
const AT_ONCE_MAX: usize = 16;
/// What each validator beyond adds. Both ends of a frame take some 8 us (`docs/benchmarks.md`), so that one height's
/// frames take a validator about a tenth of one core.
const WAIT_EACH: Duration = Duration::from_micros(100);
/// A step never waits longer for its stragglers: less than half of the grace that late proposals have (S3).
const WAIT_MAX: Duration = Duration::from_millis(40);

/// How long votes wait at most among that many validators.
pub(crate) fn wait_among(validators: usize) -> Duration {
    let beyond = u32::try_from(validators.saturating_sub(AT_ONCE_MAX)).unwrap_or(u32::MAX);
    WAIT_EACH.saturating_mul(beyond).min(WAIT_MAX)
}

/// How far the wait is. There is one for all heights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Gathering {
    /// Nothing waits.
    #[default]
    Idle,
    /// [`Timer::Gather`] is set.
    Waiting,
    /// It has run out: everything leaves.
    Over,
}

impl Engine {
    /// Hands the votes over that may wait no longer, and sets the timer for the others.
    pub(crate) fn flush_votes(&mut self) {
        let wait = self.settings.config.gather;
        let all = wait.is_zero() || self.gathering == Gathering::Over; // G3
        let mut waiting = false;
        for (height, state) in &mut self.heights {
            if all || state.voice.is_due() {
                state.voice.flush(*height, &self.settings, &mut self.outbox);
            } else {
                waiting |= state.voice.has_fresh();
            }
        }
        self.gathering = match self.gathering {
            Gathering::Waiting => Gathering::Waiting,
            Gathering::Idle | Gathering::Over if waiting => {
                self.outbox.push(Effect::SetTimer { timer: Timer::Gather, after: wait });
                Gathering::Waiting
            }
            Gathering::Idle | Gathering::Over => Gathering::Idle,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_validators_do_not_wait_and_many_wait_within_a_bound() {
        assert!((0..=16).all(|validators| wait_among(validators).is_zero()));
        assert_eq!(wait_among(116), Duration::from_millis(10));
        assert_eq!(wait_among(usize::MAX), WAIT_MAX);
    }
}
