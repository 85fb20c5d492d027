//! What one peer may send in a second. A peer above its budget is read more slowly; the others do not notice.

use crate::Limits;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// One peer's budget over all channels of its connection: a bucket of messages and one of bytes, each of which holds
/// what comes in in one second.
#[derive(Debug)]
pub(crate) struct Budget {
    messages: Mutex<Bucket>,
    bytes: Mutex<Bucket>,
}

#[derive(Debug)]
struct Bucket {
    per_second: f64,
    /// Below zero after a message above what was left: the next one waits longer.
    left: f64,
    filled_at: Instant,
}

impl Budget {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            messages: Mutex::new(Bucket::new(limits.peer_messages_per_second_max, now)),
            bytes: Mutex::new(Bucket::new(limits.peer_bytes_per_second_max, now)),
        }
    }

    /// Spends one message of that many bytes. The next one may be read after the time that is returned.
    pub(crate) fn spend(&self, bytes: usize, now: Instant) -> Duration {
        self.messages.lock().spend(1, now).max(self.bytes.lock().spend(bytes, now))
    }
}

impl Bucket {
    fn new(per_second: usize, now: Instant) -> Self {
        let per_second = per_second as f64;
        Self { per_second, left: per_second, filled_at: now }
    }

    /// Takes `amount` out and tells how long it is until something is left again.
    fn spend(&mut self, amount: usize, now: Instant) -> Duration {
        let came_in = now.saturating_duration_since(self.filled_at).as_secs_f64() * self.per_second;
        self.filled_at = now;
        self.left = (self.left + came_in).min(self.per_second) - amount as f64;
        Duration::from_secs_f64((-self.left / self.per_second).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_above_a_second_s_budget_waits_for_it() {
        let limits = Limits {
            peer_messages_per_second_max: 100,
            peer_bytes_per_second_max: 1_000_000,
            ..Limits::default()
        };
        let begun = Instant::now();
        let budget = Budget::new(&limits, begun);
        for _ in 0..100 {
            assert_eq!(budget.spend(1, begun), Duration::ZERO, "a burst of one second is free");
        }
        let about = |wait: Duration, seconds: f64| (wait.as_secs_f64() - seconds).abs() < 1e-6;
        assert!(about(budget.spend(1, begun), 0.01));
        assert!(about(budget.spend(1, begun), 0.02), "every further one waits for its place");
        let later = begun + Duration::from_secs(10);
        assert_eq!(budget.spend(1, later), Duration::ZERO);
        assert!(about(budget.spend(3_000_000, later), 2.000_001), "two million above the budget");
    }
}
