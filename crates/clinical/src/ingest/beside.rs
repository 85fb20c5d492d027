//! Two things at the same time.

/// Entries from which a thread costs less than it gives.
const BESIDE_ENTRIES_MIN: usize = 64;

/// Does both, at the same time where there are many entries. It is no work for the pool of threads: who waits for it holds
/// the gate, and others' checks would come first there.
pub(super) fn both<A: Send, B>(
    entries: usize,
    beside: impl FnOnce() -> A + Send,
    here: impl FnOnce() -> B,
) -> (A, B) {
    if entries < BESIDE_ENTRIES_MIN {
        return (beside(), here());
    }
    std::thread::scope(|scope| {
        let beside = scope.spawn(beside);
        let here = here();
        match beside.join() {
            Ok(beside) => (beside, here),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::current;

    #[test]
    fn many_entries_are_worth_a_thread_and_few_are_not() {
        let (other, here) = both(BESIDE_ENTRIES_MIN, || current().id(), || current().id());
        assert_ne!(other, here);
        let (same, here) = both(BESIDE_ENTRIES_MIN - 1, || current().id(), || current().id());
        assert_eq!(same, here);
    }
}
