//! The time of the next block.

use std::time::{SystemTime, UNIX_EPOCH};

/// The machine's clock, moved as the developer wishes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    /// Milliseconds by which the chain's time is ahead of the machine's; negative behind.
    offset_ms: i64,
    /// What the developer has moved the clock by, in seconds.
    moved_seconds: u64,
    /// The next block's time in seconds since the epoch, where it is named.
    next_seconds: Option<u64>,
}

impl Clock {
    /// Moves the clock on; gives by how many seconds it is moved altogether.
    pub(crate) fn increase(&mut self, seconds: u64) -> u64 {
        self.moved_seconds = self.moved_seconds.saturating_add(seconds);
        let ms = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        self.offset_ms = self.offset_ms.saturating_add(ms);
        self.moved_seconds
    }

    /// Names the next block's time.
    pub(crate) const fn set_next(&mut self, seconds: u64) {
        self.next_seconds = Some(seconds);
    }

    /// The time in milliseconds since the epoch of a block after the one at `parent_seconds`: always a later second,
    /// as developers' tools expect. The clock goes on from there.
    pub(crate) fn take_next(&mut self, parent_seconds: u64) -> u64 {
        let least_ms = parent_seconds.saturating_add(1).saturating_mul(1_000);
        let machine_ms = machine_ms();
        let time_ms = match self.next_seconds.take() {
            Some(named) => named.saturating_mul(1_000).max(least_ms),
            // Blocks that come faster than one a second run ahead of the machine, and the clock goes on from them.
            None => machine_ms.saturating_add_signed(self.offset_ms).max(least_ms),
        };
        let difference = i128::from(time_ms) - i128::from(machine_ms);
        self.offset_ms = i64::try_from(difference).unwrap_or(i64::MAX);
        time_ms
    }
}

fn machine_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_on_and_jumps_where_told() {
        let mut clock = Clock::default();
        let now = clock.take_next(0);
        assert_eq!(clock.increase(1_000), 1_000);
        let later = clock.take_next(now / 1_000);
        assert!((now + 1_000_000..now + 1_100_000).contains(&later), "{later} after {now}");
        let named = later / 1_000 + 500;
        clock.set_next(named);
        assert_eq!(clock.take_next(later / 1_000), named * 1_000);
        assert!(clock.take_next(named) > named * 1_000, "the next block is later");
        let ahead = (0..60).fold(named + 1, |parent, _| clock.take_next(parent) / 1_000);
        clock.increase(100);
        assert!(clock.take_next(ahead) >= (ahead + 100) * 1_000, "from where the chain is, not the machine");
    }
}
