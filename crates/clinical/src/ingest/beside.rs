//! Two things at the same time.

use std::{
    io,
    panic::resume_unwind,
    thread::{self, Builder},
};

/// Entries from which a thread costs less than it gives.
const BESIDE_ENTRIES_MIN: usize = 64;

/// Does both, at the same time where there are many entries; else `here` first, behind which others wait. It is no work for
/// the pool of threads: who waits for it holds the gate, and others' checks would come first there.
///
/// # Errors
/// Where the system gives no thread; neither is done then.
pub(super) fn both<A: Send, B>(
    entries: usize,
    beside: impl FnOnce() -> A + Send,
    here: impl FnOnce() -> B,
) -> io::Result<(A, B)> {
    if entries < BESIDE_ENTRIES_MIN {
        let here = here();
        return Ok((beside(), here));
    }
    thread::scope(|scope| {
        let beside = Builder::new().spawn_scoped(scope, beside)?;
        let here = here();
        match beside.join() {
            Ok(beside) => Ok((beside, here)),
            Err(panic) => resume_unwind(panic),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread::current;

    #[test]
    fn many_entries_are_worth_a_thread_and_few_are_not() {
        let (other, here) = both(BESIDE_ENTRIES_MIN, || current().id(), || current().id()).unwrap();
        assert_ne!(other, here);
        let (same, here) = both(BESIDE_ENTRIES_MIN - 1, || current().id(), || current().id()).unwrap();
        assert_eq!(same, here);
    }
}
