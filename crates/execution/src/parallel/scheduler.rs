//! Who executes and validates what next: the collaborative scheduler of Block-STM (Gelashvili and others, "Block-STM",
//! PPoPP 2023, algorithms 4 and 5).
//!
//! Two indices go over the transactions of the block: one hands them out to be executed, one to be validated. Where a
//! transaction is found to have read what is no longer so, it is executed again, and the validation index goes back to
//! what follows it. All is done when both are at the end, no task is under way, and neither went back meanwhile.

use parking_lot::Mutex;
use std::sync::atomic::{
    AtomicBool, AtomicUsize,
    Ordering::{AcqRel, Acquire, SeqCst},
};

/// One execution of a transaction: the transaction's place in the block, and how often it was executed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) place: usize,
    pub(crate) incarnation: u32,
}

/// What a worker does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Execute(Version),
    Validate(Version),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Ready,
    Executing,
    Executed,
    /// It waits for another transaction, or is about to be executed again.
    Aborting,
}

#[derive(Debug)]
struct Status {
    incarnation: u32,
    phase: Phase,
}

/// The state of all transactions of a block.
#[derive(Debug)]
pub(crate) struct Scheduler {
    statuses: Vec<Mutex<Status>>,
    /// The transactions that wait for each.
    dependents: Vec<Mutex<Vec<usize>>>,
    execution_index: AtomicUsize,
    validation_index: AtomicUsize,
    /// How often an index went back.
    decreases: AtomicUsize,
    /// Tasks under way.
    active: AtomicUsize,
    is_done: AtomicBool,
    is_halted: AtomicBool,
}

impl Scheduler {
    pub(crate) fn new(count: usize) -> Self {
        let status = || Mutex::new(Status { incarnation: 0, phase: Phase::Ready });
        Self {
            statuses: (0..count).map(|_| status()).collect(),
            dependents: (0..count).map(|_| Mutex::default()).collect(),
            execution_index: AtomicUsize::new(0),
            validation_index: AtomicUsize::new(0),
            decreases: AtomicUsize::new(0),
            active: AtomicUsize::new(0),
            is_done: AtomicBool::new(count == 0),
            is_halted: AtomicBool::new(false),
        }
    }

    /// Whether nothing is left to do, or no more shall be done.
    pub(crate) fn is_done(&self) -> bool {
        self.is_done.load(Acquire)
    }

    /// Ends everything before it is done: what was executed is worth nothing.
    pub(crate) fn halt(&self) {
        self.is_halted.store(true, SeqCst);
        self.is_done.store(true, SeqCst);
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.is_halted.load(SeqCst)
    }

    /// The next task, where there is one at the moment.
    pub(crate) fn next(&self) -> Option<Task> {
        if self.validation_index.load(SeqCst) < self.execution_index.load(SeqCst) {
            self.next_to_validate().map(Task::Validate)
        } else {
            self.next_to_execute().map(Task::Execute)
        }
    }

    fn next_to_execute(&self) -> Option<Version> {
        if self.execution_index.load(SeqCst) >= self.statuses.len() {
            self.check_done();
            return None;
        }
        self.active.fetch_add(1, SeqCst);
        let place = self.execution_index.fetch_add(1, SeqCst);
        let version = self.try_incarnate(place);
        if version.is_none() {
            self.active.fetch_sub(1, SeqCst);
        }
        version
    }

    fn next_to_validate(&self) -> Option<Version> {
        if self.validation_index.load(SeqCst) >= self.statuses.len() {
            self.check_done();
            return None;
        }
        self.active.fetch_add(1, SeqCst);
        let place = self.validation_index.fetch_add(1, SeqCst);
        let version = self.statuses.get(place).and_then(|status| {
            let status = status.lock();
            (status.phase == Phase::Executed).then_some(Version { place, incarnation: status.incarnation })
        });
        if version.is_none() {
            self.active.fetch_sub(1, SeqCst);
        }
        version
    }

    fn try_incarnate(&self, place: usize) -> Option<Version> {
        let mut status = self.statuses.get(place)?.lock();
        if status.phase != Phase::Ready {
            return None;
        }
        status.phase = Phase::Executing;
        Some(Version { place, incarnation: status.incarnation })
    }

    fn check_done(&self) {
        let decreases = self.decreases.load(SeqCst);
        let lowest = self.execution_index.load(SeqCst).min(self.validation_index.load(SeqCst));
        if lowest >= self.statuses.len()
            && self.active.load(SeqCst) == 0
            && decreases == self.decreases.load(SeqCst)
        {
            self.is_done.store(true, SeqCst);
        }
    }

    fn decrease(&self, index: &AtomicUsize, to: usize) {
        index.fetch_min(to, AcqRel);
        self.decreases.fetch_add(1, SeqCst);
    }

    /// Lets the transaction at `place`, which is being executed, wait for the one at `blocking`; false where that one has
    /// been executed by now, so that there is nothing to wait for.
    pub(crate) fn wait_for(&self, place: usize, blocking: usize) -> bool {
        let (Some(dependents), Some(other)) = (self.dependents.get(blocking), self.statuses.get(blocking))
        else {
            return false;
        };
        let mut dependents = dependents.lock();
        if other.lock().phase == Phase::Executed {
            return false;
        }
        if let Some(status) = self.statuses.get(place) {
            status.lock().phase = Phase::Aborting;
        }
        dependents.push(place);
        drop(dependents);
        self.active.fetch_sub(1, SeqCst);
        true
    }

    fn make_ready(&self, place: usize) {
        if let Some(status) = self.statuses.get(place) {
            let mut status = status.lock();
            status.incarnation += 1;
            status.phase = Phase::Ready;
        }
    }

    /// Says that an execution has ended, and whether it wrote where the one before it did not. Gives a task that follows.
    pub(crate) fn executed(&self, version: Version, wrote_elsewhere: bool) -> Option<Task> {
        let Version { place, .. } = version;
        if let Some(status) = self.statuses.get(place) {
            status.lock().phase = Phase::Executed;
        }
        let waiting = self.dependents.get(place).map(|dependents| std::mem::take(&mut *dependents.lock()));
        let waiting = waiting.unwrap_or_default();
        for dependent in &waiting {
            self.make_ready(*dependent);
        }
        if let Some(first) = waiting.iter().min() {
            self.decrease(&self.execution_index, *first);
        }
        if self.validation_index.load(SeqCst) > place {
            if !wrote_elsewhere {
                return Some(Task::Validate(version));
            }
            self.decrease(&self.validation_index, place);
        }
        self.active.fetch_sub(1, SeqCst);
        None
    }

    /// Claims the right to abort an execution that was found to be invalid; one of several validators gets it.
    pub(crate) fn try_abort(&self, version: Version) -> bool {
        let Some(status) = self.statuses.get(version.place) else { return false };
        let mut status = status.lock();
        let is_this = status.incarnation == version.incarnation && status.phase == Phase::Executed;
        if is_this {
            status.phase = Phase::Aborting;
        }
        is_this
    }

    /// Says that a validation has ended. Gives a task that follows.
    pub(crate) fn validated(&self, place: usize, is_aborted: bool) -> Option<Task> {
        if is_aborted {
            self.make_ready(place);
            self.decrease(&self.validation_index, place + 1);
            if self.execution_index.load(SeqCst) > place
                && let Some(version) = self.try_incarnate(place)
            {
                return Some(Task::Execute(version));
            }
        }
        self.active.fetch_sub(1, SeqCst);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(place: usize, incarnation: u32) -> Version {
        Version { place, incarnation }
    }

    #[test]
    fn one_worker_executes_then_validates_all() {
        let scheduler = Scheduler::new(2);
        assert_eq!(scheduler.next(), Some(Task::Execute(version(0, 0))));
        assert_eq!(scheduler.executed(version(0, 0), true), None);
        assert_eq!(scheduler.next(), Some(Task::Validate(version(0, 0))));
        assert_eq!(scheduler.validated(0, false), None);
        assert_eq!(scheduler.next(), Some(Task::Execute(version(1, 0))));
        // The block is at its end, but not validated.
        assert_eq!(scheduler.next(), None);
        assert!(!scheduler.is_done());
        assert_eq!(
            scheduler.executed(version(1, 0), true),
            Some(Task::Validate(version(1, 0))).filter(|_| false)
        );
        assert_eq!(scheduler.next(), Some(Task::Validate(version(1, 0))));
        assert_eq!(scheduler.validated(1, false), None);
        assert_eq!((scheduler.next(), scheduler.is_done()), (None, true));
    }

    #[test]
    fn what_waits_is_executed_after_what_it_waits_for() {
        let scheduler = Scheduler::new(2);
        assert_eq!(scheduler.next(), Some(Task::Execute(version(0, 0))));
        // Nothing can be validated yet, so that the second is handed out after a fruitless look.
        let second = scheduler.next().or_else(|| scheduler.next());
        assert_eq!(second, Some(Task::Execute(version(1, 0))));
        assert!(scheduler.wait_for(1, 0));
        assert_eq!(scheduler.executed(version(0, 0), false), Some(Task::Validate(version(0, 0))));
        assert_eq!(scheduler.validated(0, false), None);
        let mut next = None;
        for _ in 0..3 {
            next = next.or_else(|| scheduler.next());
        }
        assert_eq!(next, Some(Task::Execute(version(1, 1))));
        assert!(!scheduler.wait_for(1, 0), "it has been executed");
    }

    #[test]
    fn an_invalid_execution_is_aborted_once_and_done_again() {
        let scheduler = Scheduler::new(1);
        assert_eq!(scheduler.next(), Some(Task::Execute(version(0, 0))));
        scheduler.executed(version(0, 0), true);
        assert!(scheduler.try_abort(version(0, 0)));
        assert!(!scheduler.try_abort(version(0, 0)));
        scheduler.active.fetch_add(1, SeqCst);
        assert_eq!(scheduler.validated(0, true), Some(Task::Execute(version(0, 1))));
        assert!(!scheduler.is_done());
    }
}
