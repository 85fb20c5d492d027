//! What one peer may send and ask for in a second. A peer above its budget is read more slowly; the others do not
//! notice.

use crate::Limits;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// One peer's budget, over all channels of its connection or over all of its exchanges: a bucket of messages and one of
/// bytes, each of which holds what comes in in one second.
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
    /// What a peer may send on its channels.
    pub(crate) fn of_channels(limits: &Limits, now: Instant) -> Self {
        Self::new(limits.peer_messages_per_second_max, limits.peer_bytes_per_second_max, now)
    }

    /// What a peer's exchanges may cost: each of them one message, and the bytes that it has this node read and send.
    pub(crate) fn of_exchanges(limits: &Limits, now: Instant) -> Self {
        Self::new(limits.peer_exchanges_per_second_max, limits.peer_exchange_bytes_per_second_max, now)
    }

    fn new(messages_per_second: usize, bytes_per_second: usize, now: Instant) -> Self {
        Self {
            messages: Mutex::new(Bucket::new(messages_per_second, now)),
            bytes: Mutex::new(Bucket::new(bytes_per_second, now)),
        }
    }

    /// Spends one message of that many bytes. The next one may be read after the time that is returned.
    pub(crate) fn spend(&self, bytes: usize, now: Instant) -> Duration {
        self.messages.lock().spend(1, now).max(self.bytes.lock().spend(bytes, now))
    }

    /// Spends bytes that belong to a message which was spent before: whoever comes next waits for them.
    pub(crate) fn spend_bytes(&self, bytes: usize, now: Instant) {
        self.bytes.lock().spend(bytes, now);
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
        let budget = Budget::of_channels(&limits, begun);
        for _ in 0..100 {
            assert_eq!(budget.spend(1, begun), Duration::ZERO, "a burst of one second is free");
        }
        assert!(about(budget.spend(1, begun), 0.01));
        assert!(about(budget.spend(1, begun), 0.02), "every further one waits for its place");
        let later = begun + Duration::from_secs(10);
        assert_eq!(budget.spend(1, later), Duration::ZERO);
        assert!(about(budget.spend(3_000_000, later), 2.000_001), "two million above the budget");
    }

    /// Goal: what an answer has cost is waited for by the next requests, one wait for all, and none of it twice.
    #[test]
    fn the_next_exchange_waits_for_what_the_answers_before_it_cost() {
        let limits = Limits {
            peer_exchanges_per_second_max: 10,
            peer_exchange_bytes_per_second_max: 8_000_000,
            ..Limits::default()
        };
        let begun = Instant::now();
        let budget = Budget::of_exchanges(&limits, begun);
        assert_eq!(budget.spend(0, begun), Duration::ZERO);
        budget.spend_bytes(8_000_000, begun);
        assert_eq!(budget.spend(0, begun), Duration::ZERO, "a second's bytes are free");
        budget.spend_bytes(4_000_000, begun);
        for _ in 0..3 {
            assert!(about(budget.spend(0, begun), 0.5));
        }
        let later = begun + Duration::from_millis(500);
        assert_eq!(budget.spend(0, later), Duration::ZERO, "it is paid");
        for _ in 0..9 {
            budget.spend(0, later);
        }
        assert!(about(budget.spend(0, later), 0.1), "the price of an exchange, whatever its answer");
    }

    fn about(wait: Duration, seconds: f64) -> bool {
        (wait.as_secs_f64() - seconds).abs() < 1e-6
    }
}
