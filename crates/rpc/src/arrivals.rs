//! The newest arrivals in the pool, for filters that ask for them now and then.

use alloy_primitives::B256;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::broadcast::{Receiver, error::TryRecvError};

/// Arrivals that are kept; a filter that is polled too rarely misses older ones.
const KEPT: usize = 16_384;

/// Hashes of transactions in the order in which the pool took them.
#[derive(Debug)]
pub(crate) struct Arrivals(Mutex<Kept>);

#[derive(Debug)]
struct Kept {
    source: Receiver<B256>,
    hashes: VecDeque<B256>,
    /// Arrivals so far: the number of the next one.
    next: u64,
}

impl Arrivals {
    /// Keeps what comes from `source`.
    pub(crate) fn new(source: Receiver<B256>) -> Self {
        Self(Mutex::new(Kept { source, hashes: VecDeque::new(), next: 0 }))
    }

    /// The number of the next arrival.
    pub(crate) fn next(&self) -> u64 {
        let mut kept = self.0.lock();
        kept.take_in();
        kept.next
    }

    /// The arrivals from number `from` on that are still kept, and the number of the next one.
    pub(crate) fn since(&self, from: u64) -> (Vec<B256>, u64) {
        let mut kept = self.0.lock();
        kept.take_in();
        let oldest = kept.next.saturating_sub(kept.hashes.len() as u64);
        let skip = usize::try_from(from.saturating_sub(oldest)).unwrap_or(usize::MAX);
        (kept.hashes.iter().skip(skip).copied().collect(), kept.next)
    }
}

impl Kept {
    fn take_in(&mut self) {
        loop {
            match self.source.try_recv() {
                Ok(hash) => {
                    if self.hashes.len() >= KEPT {
                        self.hashes.pop_front();
                    }
                    self.hashes.push_back(hash);
                    self.next += 1;
                }
                Err(TryRecvError::Lagged(lost)) => {
                    // What is kept has to end at the newest without a gap.
                    self.hashes.clear();
                    self.next = self.next.saturating_add(lost);
                }
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::broadcast;

    #[test]
    fn each_arrival_is_told_once() {
        let (sender, receiver) = broadcast::channel(8);
        let arrivals = Arrivals::new(receiver);
        let start = arrivals.next();
        sender.send(B256::repeat_byte(1)).unwrap();
        sender.send(B256::repeat_byte(2)).unwrap();
        let (told, next) = arrivals.since(start);
        assert_eq!(told, [B256::repeat_byte(1), B256::repeat_byte(2)]);
        sender.send(B256::repeat_byte(3)).unwrap();
        assert_eq!(arrivals.since(next).0, [B256::repeat_byte(3)]);
        assert!(arrivals.since(arrivals.next()).0.is_empty());
    }
}
