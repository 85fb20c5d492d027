//! Validators that broke the protocol, and until when they are left alone.

use crate::Limits;
use bxp_types::ValidatorIndex;
use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// The longest ban, as a power of two of the first.
const DOUBLINGS_MAX: u32 = 10;

/// One validator's record. Bans double with every breach, and a breach is forgotten for every hour without one.
#[derive(Clone, Copy, Debug)]
struct Record {
    breaches: u32,
    until: Instant,
}

/// The bans of all validators.
#[derive(Debug)]
pub(crate) struct Bans {
    first: Duration,
    records: Vec<Mutex<Option<Record>>>,
}

/// A breach is forgotten after this time.
const FORGET_AFTER: Duration = Duration::from_secs(3_600);

impl Bans {
    pub(crate) fn new(validators: usize, limits: &Limits) -> Self {
        Self { first: limits.ban_min, records: (0..validators).map(|_| Mutex::default()).collect() }
    }

    /// Bans a validator that broke the protocol, and tells for how long.
    pub(crate) fn breach(&self, peer: ValidatorIndex, now: Instant) -> Duration {
        let Some(record) = self.records.get(usize::from(peer.0)) else { return Duration::ZERO };
        let mut record = record.lock();
        let earlier = record.map_or(0, |record| {
            let forgotten = now.saturating_duration_since(record.until).as_secs() / FORGET_AFTER.as_secs();
            record.breaches.saturating_sub(u32::try_from(forgotten).unwrap_or(u32::MAX))
        });
        let ban = self.first.saturating_mul(1 << earlier.min(DOUBLINGS_MAX));
        *record = Some(Record { breaches: earlier.saturating_add(1), until: now + ban });
        ban
    }

    /// When a banned validator may come back; nothing where it is not banned.
    pub(crate) fn until(&self, peer: ValidatorIndex, now: Instant) -> Option<Instant> {
        let record = (*self.records.get(usize::from(peer.0))?.lock())?;
        (record.until > now).then_some(record.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bans_double_end_and_are_forgotten() {
        let limits = Limits { ban_min: Duration::from_secs(10), ..Limits::default() };
        let bans = Bans::new(2, &limits);
        let (honest, other, begun) = (ValidatorIndex(0), ValidatorIndex(1), Instant::now());
        let at = |seconds| begun + Duration::from_secs(seconds);
        assert_eq!(bans.breach(other, at(0)), Duration::from_secs(10));
        assert!(bans.until(other, at(9)).is_some() && bans.until(honest, at(9)).is_none());
        assert!(bans.until(other, at(10)).is_none());
        assert_eq!(bans.breach(other, at(11)), Duration::from_secs(20));
        assert_eq!(bans.breach(other, at(31)), Duration::from_secs(40));
        assert_eq!(bans.breach(other, at(71 + 3 * 3_600)), Duration::from_secs(10));
        assert_eq!(bans.breach(ValidatorIndex(9), at(0)), Duration::ZERO, "nobody");
    }
}
