//! The numbers under which records arrive: each is drawn when its record is staged, and counts once that is committed.

use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
};

/// Gives out the numbers, and knows up to which one nothing more will come.
#[derive(Debug)]
pub(crate) struct Arrivals {
    next: AtomicU64,
    /// The next number at the time when each staging began that has not ended, and how many began at it.
    open: Mutex<BTreeMap<u64, usize>>,
}

impl Arrivals {
    pub(crate) fn new(next: u64) -> Self {
        Self { next: AtomicU64::new(next), open: Mutex::default() }
    }

    /// A staging begins. Gives what [`Arrivals::end`] is told; no number that it draws is below that.
    pub(crate) fn begin(&self) -> u64 {
        let mut open = self.open.lock();
        let first = self.next();
        *open.entry(first).or_default() += 1;
        first
    }

    /// A staging has ended, committed or not.
    pub(crate) fn end(&self, first: u64) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&first) {
            *count -= 1;
            if *count == 0 {
                open.remove(&first);
            }
        }
    }

    /// The number of a record that is being staged. A staging that is never committed leaves a gap.
    pub(crate) fn draw(&self) -> u64 {
        self.next.fetch_add(1, Ordering::SeqCst)
    }

    /// The number of the next record to arrive.
    pub(crate) fn next(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }

    /// The number below which every record that will ever be is there.
    pub(crate) fn settled(&self) -> u64 {
        let open = self.open.lock();
        open.keys().next().copied().unwrap_or_else(|| self.next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_behind_an_open_staging_is_settled() {
        let arrivals = Arrivals::new(7);
        assert_eq!((arrivals.settled(), arrivals.next()), (7, 7));
        let (one, other) = (arrivals.begin(), arrivals.begin());
        assert_eq!((arrivals.draw(), arrivals.draw()), (7, 8));
        let late = arrivals.begin();
        assert_eq!((late, arrivals.settled()), (9, 7));
        arrivals.end(one);
        assert_eq!(arrivals.settled(), 7, "another one began there too");
        arrivals.end(other);
        assert_eq!((arrivals.draw(), arrivals.settled()), (9, 9));
        arrivals.end(late);
        assert_eq!(arrivals.settled(), 10);
    }
}
