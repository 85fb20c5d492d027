//! What a peer has cost, over all its connections.

use super::Limits;
use parking_lot::Mutex;
use serde::Serialize;
use std::time::Instant;

/// One peer's account.
#[derive(Debug)]
pub(crate) struct Ledger(Mutex<Account>);

#[derive(Debug)]
struct Account {
    totals: LedgerView,
    wants: usize,
    unwanted_blocks: u32,
    messages: Allowance,
    bytes: Allowance,
}

/// The totals of a peer that is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LedgerView {
    /// Bytes of messages for the peer, counted as they begin to leave.
    pub sent_bytes: u64,
    /// Bytes of messages that came from the peer.
    pub received_bytes: u64,
    /// Blocks in those messages.
    pub sent_blocks: u64,
    /// Wants that were refused, because the block is not here or not the peer's to read.
    pub refused_wants: u64,
}

impl Ledger {
    pub(crate) fn new(limits: &Limits, now: Instant) -> Self {
        Self(Mutex::new(Account {
            totals: LedgerView::default(),
            wants: 0,
            unwanted_blocks: 0,
            messages: Allowance::new(limits.messages_per_second, limits.messages_burst, now),
            bytes: Allowance::new(
                limits.received_bytes_per_second,
                limits.received_bytes_per_second.saturating_mul(2),
                now,
            ),
        }))
    }

    /// Notes a message of the peer; says whether it was within the bounds.
    pub(crate) fn received(&self, bytes: usize, now: Instant) -> bool {
        let mut account = self.0.lock();
        account.totals.received_bytes += bytes as u64;
        let messages = account.messages.spend(1.0, now);
        // A message has at most a few megabytes, which a float counts exactly.
        #[allow(clippy::cast_precision_loss)]
        let bytes = account.bytes.spend(bytes as f64, now);
        messages && bytes
    }

    pub(crate) fn sent(&self, bytes: usize, blocks: usize, refused: usize) {
        let totals = &mut self.0.lock().totals;
        totals.sent_bytes += bytes as u64;
        totals.sent_blocks += blocks as u64;
        totals.refused_wants += refused as u64;
    }

    /// Notes a block that nobody asked for; says whether there were too many.
    pub(crate) fn unwanted_block(&self, limits: &Limits) -> bool {
        let mut account = self.0.lock();
        account.unwanted_blocks = account.unwanted_blocks.saturating_add(1);
        account.unwanted_blocks > limits.unwanted_blocks_max
    }

    /// How many wants the peer may still have.
    pub(crate) fn room(&self, limits: &Limits) -> usize {
        limits.wants_per_peer_max.saturating_sub(self.0.lock().wants)
    }

    /// A connection's wantlist has changed its length.
    pub(crate) fn wants_changed(&self, before: usize, after: usize) {
        let mut account = self.0.lock();
        account.wants = (account.wants + after).saturating_sub(before);
    }

    pub(crate) fn totals(&self) -> LedgerView {
        self.0.lock().totals
    }
}

/// So much a second on the average, and so much at once.
#[derive(Debug)]
struct Allowance {
    per_second: f64,
    most: f64,
    left: f64,
    at: Instant,
}

impl Allowance {
    fn new(per_second: u32, most: u32, now: Instant) -> Self {
        Self { per_second: per_second.into(), most: most.into(), left: most.into(), at: now }
    }

    fn spend(&mut self, amount: f64, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.left = (self.left + passed * self.per_second).min(self.most) - amount;
        self.left >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_is_above_the_bounds_and_a_slow_stream_is_not() {
        let (limits, now) = (Limits::default(), Instant::now());
        let ledger = Ledger::new(&limits, now);
        let burst = (0..limits.messages_burst).all(|_| ledger.received(10, now));
        assert!(burst && !ledger.received(10, now));
        let slow = Ledger::new(&limits, now);
        let spaced = |index: u32| now + Duration::from_millis(20) * index;
        assert!((0..10_000).all(|index| slow.received(1000, spaced(index))));
        assert!(!slow.received(usize::MAX >> 12, spaced(10_000)));
        assert!(slow.totals().received_bytes > 10_000_000);
    }

    #[test]
    fn wants_are_counted_over_all_connections() {
        let limits = Limits { wants_per_peer_max: 10, unwanted_blocks_max: 1, ..Limits::default() };
        let ledger = Ledger::new(&limits, Instant::now());
        ledger.wants_changed(0, 4);
        ledger.wants_changed(0, 5);
        assert_eq!(ledger.room(&limits), 1);
        ledger.wants_changed(5, 0);
        assert_eq!(ledger.room(&limits), 6);
        assert!(!ledger.unwanted_block(&limits) && ledger.unwanted_block(&limits));
    }
}
