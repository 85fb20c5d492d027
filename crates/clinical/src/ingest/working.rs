//! The working copy beside the vault: kept in step with it, synced in groups, and caught up after a crash.
//!
//! The vault's tables are written, buffered, with a row that says what the working copy must hold; beside them the working
//! copy, in a transaction that stays open for others who wait. While it is written, the next submission is named, split and
//! sealed upon the tables (ADR 101). When no one waits, one sync of the tables and then one commit acknowledge all. Rows are
//! removed once a checkpoint has synced the working copy, so that a crash at any point leaves either both or neither, or a
//! row by which the missing one is made good.

use super::{
    Inner,
    rebuild::rebuild,
    redo::{Forgotten, Note, Redo},
};
use crate::ClinicalError;
use bxp_fhir_store::{Store as FhirStore, StoreError, Writer};
use bxp_storage::{Batch, Durability, Store};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    cell::Cell,
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The most submissions that are synced together.
const GROUP_MAX: usize = 128;
/// Resources from which a group waits for no more: they are worth a sync of their own. Who hands much in would else be
/// acknowledged in step with all others, who then all check at the same time and all write at the same time.
const GROUP_RESOURCES: usize = 2_000;
/// Groups after which the working copy is synced and its rows are removed.
const GROUPS_UNTIL_CHECKPOINT: u64 = 64;
/// Bytes of the working copy's log after which it is synced, whatever the number of groups.
const RESOURCES_UNTIL_CHECKPOINT: usize = 20_000;
/// How long a member of a group waits before it looks whether it must commit by itself.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
/// How long who erases waits for readers, so that what was forgotten is not in the log either.
const TRACES_WITHIN: Duration = Duration::from_secs(30);
/// The longest rest in that time.
const REST_MAX: Duration = Duration::from_secs(1);
/// How often a commit looks whether it can empty the log, where readers held that up.
const LOG_EVERY: Duration = Duration::from_secs(5);
/// Failed groups whose members may still have to hear of it.
const FAILED_KEPT: usize = 1_024;

/// The working copy and the group that is being written.
#[derive(Debug)]
pub(crate) struct WorkingCopy {
    store: FhirStore,
    pub(super) redo: Redo,
    group: Mutex<Group>,
    waiting: AtomicUsize,
    committed: Condvar,
}

#[derive(Debug, Default)]
struct Group {
    /// The number of the group that is open.
    number: u64,
    members: usize,
    resources: usize,
    groups_since_checkpoint: u64,
    resources_since_checkpoint: usize,
    /// When it was tried to empty the log of what was forgotten.
    log_tried: Option<Instant>,
    failed: BTreeSet<u64>,
    /// The vault has what the working copy could not take.
    behind: bool,
}

impl WorkingCopy {
    /// Opens it and puts in what is missing; all of it, where it was lost.
    pub(super) fn open(inner: &Inner, store: FhirStore) -> Result<Self, ClinicalError> {
        let redo = Redo::open(&inner.store, inner.enclave.clone())?;
        let working = Self {
            store,
            redo,
            group: Mutex::new(Group::default()),
            waiting: AtomicUsize::new(0),
            committed: Condvar::new(),
        };
        let mut writer = working.store.writer();
        rebuild(inner, &working.redo, &mut writer)?;
        writer.begin()?;
        working.redo.again(inner, &mut writer)?;
        writer.commit()?;
        working.checkpoint(inner, &mut writer)?;
        drop(writer);
        Ok(working)
    }

    pub(super) const fn store(&self) -> &FhirStore {
        &self.store
    }

    /// Gives `job` a turn by itself, with no one named meanwhile, and waits until its group is on disk.
    pub(super) fn turn<T, E: From<ClinicalError>>(
        &self,
        inner: &Inner,
        job: impl FnOnce(&mut Writer) -> Result<T, E>,
    ) -> Result<T, E> {
        let coming = Coming::announce(&self.waiting);
        let writing = inner.writing.lock();
        let mut group = self.group.lock();
        drop(coming);
        let first = self.redo.next_number();
        let result = self.work(inner, &mut group, job);
        // The vault has taken what the working copy has not: it is made good before anything else.
        group.behind |= result.is_err() && self.redo.next_number() != first;
        drop(writing);
        self.acknowledge(inner, group, result)
    }

    /// Has `name` done while the one before is written, then `write`, and waits until the group is on disk. `write` is given
    /// the lock under which it was named, and lets it go when the vault's tables have what was named: whoever comes next
    /// stands on that.
    pub(super) fn pass<N, T, E: From<ClinicalError>>(
        &self,
        inner: &Inner,
        name: impl FnOnce() -> Result<N, E>,
        write: impl FnOnce(&mut Writer, N, MutexGuard<'_, ()>) -> Result<T, E>,
    ) -> Result<T, E> {
        let coming = Coming::announce(&self.waiting);
        let writing = inner.writing.lock();
        let first = self.redo.next_number();
        let named = name();
        let noted = self.redo.next_number() != first;
        // Under the lock of the names, so that all are written in the order in which they were named.
        let mut group = self.group.lock();
        drop(coming);
        let result =
            named.and_then(|named| self.work(inner, &mut group, |writer| write(writer, named, writing)));
        group.behind |= result.is_err() && noted;
        self.acknowledge(inner, group, result)
    }

    /// Waits until the group is on disk, and sees to that where no one else comes.
    fn acknowledge<T, E: From<ClinicalError>>(
        &self,
        inner: &Inner,
        mut group: MutexGuard<'_, Group>,
        result: Result<T, E>,
    ) -> Result<T, E> {
        group.members += 1;
        let mine = group.number;
        let full = group.members >= GROUP_MAX || group.resources >= GROUP_RESOURCES;
        if !full && self.waiting.load(Ordering::SeqCst) > 0 {
            while group.number == mine {
                let late = self.committed.wait_for(&mut group, LOOK_AGAIN).timed_out();
                if late && group.number == mine && self.waiting.load(Ordering::SeqCst) == 0 {
                    self.commit(inner, &mut group);
                }
            }
        } else {
            self.commit(inner, &mut group);
        }
        if group.failed.contains(&mine) {
            // Who made it fail knows better why.
            result?;
            return Err(ClinicalError::Group("the disk failed; is there room on it?".to_owned()).into());
        }
        result
    }

    /// Forgets `what`, in the tables and in a file's log, when `erase` has erased it elsewhere. That is given a way to note it,
    /// and writes the note in one step with all that it erases: from then on nothing keeps it back, neither a crash nor an
    /// error.
    pub(crate) fn forget<T>(
        &self,
        inner: &Inner,
        what: &[Forgotten],
        erase: impl FnOnce(Note<'_>) -> Result<T, ClinicalError>,
    ) -> Result<T, ClinicalError> {
        let noted = Cell::new(None);
        let note = |batch: &mut Batch| {
            for one in what {
                noted.set(Some(self.redo.note_forgotten(batch, *one)?));
            }
            Ok(())
        };
        let erased = self.pass(
            inner,
            || erase(&note),
            |writer, erased, named| {
                drop(named);
                if let Some(number) = noted.get() {
                    what.iter().try_for_each(|one| one.carry_out(writer))?;
                    writer.set_applied(number)?;
                }
                Ok::<_, ClinicalError>(erased)
            },
        );
        if erased.is_err() {
            // It may be erased all the same, now or before, and only what comes after that has failed. A turn does what is noted.
            if let Err(error) = self.catch_up(inner) {
                tracing::error!(%error, "what was erased stands in the working copy until the next write");
            }
        }
        self.leave_no_trace();
        erased
    }

    /// Does what is noted and is not done yet, as every turn does first.
    fn catch_up(&self, inner: &Inner) -> Result<(), ClinicalError> {
        self.turn(inner, |_| Ok(()))
    }

    /// Has what was forgotten leave a file's log, where the commit of its group could not, or a server's tables.
    fn leave_no_trace(&self) {
        let deadline = Instant::now() + TRACES_WITHIN;
        let mut rest = LOOK_AGAIN;
        loop {
            match self.store.leave_no_trace() {
                Ok(true) => return,
                Ok(false) if Instant::now() < deadline => {}
                Ok(false) => {
                    tracing::warn!(
                        "readers keep what was forgotten in the working copy's log; a later commit empties it"
                    );
                    return;
                }
                Err(error) => {
                    tracing::error!(%error, "what was forgotten may still lie in what the database keeps of it");
                    return;
                }
            }
            thread::sleep(rest);
            rest = (rest * 2).min(REST_MAX);
        }
    }

    /// Does what could not be done when it was due: what is noted, where a write has failed, and what was forgotten.
    pub(super) fn look_after(&self, inner: &Inner) {
        let behind = self.group.try_lock().is_some_and(|group| group.behind);
        if behind && let Err(error) = self.catch_up(inner) {
            tracing::warn!(%error, "bring the working copy up to date; trying again");
        }
        if self.store.has_traces()
            && let Err(error) = self.store.leave_no_trace()
        {
            tracing::warn!(%error, "take what was forgotten out of what the database keeps; trying again");
        }
    }

    /// Does `job` in the group's transaction, behind what was noted and is not there yet. The lock of the names is held until
    /// the job lets it go, so that no later note is among that.
    fn work<T, E: From<ClinicalError>>(
        &self,
        inner: &Inner,
        group: &mut MutexGuard<'_, Group>,
        job: impl FnOnce(&mut Writer) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut writer = self.store.writer();
        if writer.is_broken() {
            // It failed over the work of another member, and nothing of it is left.
            drop(writer);
            self.commit(inner, group);
            writer = self.store.writer();
        }
        writer.begin().map_err(ClinicalError::from)?;
        if group.behind {
            writer.attempt(|writer| self.redo.again(inner, writer))?;
            group.behind = false;
        }
        let before = writer.written();
        let done = writer.attempt(|writer| job(writer).map_err(Attempt)).map_err(|attempt| attempt.0)?;
        group.resources += usize::try_from(writer.written().saturating_sub(before)).unwrap_or(0);
        Ok(done)
    }

    /// Syncs the group and tells its members.
    fn commit(&self, inner: &Inner, group: &mut MutexGuard<'_, Group>) {
        let mut writer = self.store.writer();
        let synced = sync(&inner.store);
        let committed = synced.and_then(|()| writer.commit().map_err(ClinicalError::from));
        if let Err(error) = committed {
            tracing::error!(error = %error, "commit a group of submissions");
            let number = group.number;
            group.failed.insert(number);
            while group.failed.len() > FAILED_KEPT {
                group.failed.pop_first();
            }
            group.behind = true;
            if let Err(error) = writer.undo() {
                tracing::error!(error = %error, "undo a group of submissions");
            }
        } else if group.resources > 0 {
            inner.work.send_modify(|tick| *tick = tick.wrapping_add(1));
        }
        group.groups_since_checkpoint += u64::from(group.resources > 0);
        group.resources_since_checkpoint += group.resources;
        (group.members, group.resources) = (0, 0);
        group.number += 1;
        self.committed.notify_all();
        let due = group.groups_since_checkpoint >= GROUPS_UNTIL_CHECKPOINT
            || group.resources_since_checkpoint >= RESOURCES_UNTIL_CHECKPOINT
            || writer.is_log_due() && group.log_tried.is_none_or(|tried| tried.elapsed() >= LOG_EVERY);
        if due {
            (group.groups_since_checkpoint, group.resources_since_checkpoint) = (0, 0);
            group.log_tried = writer.is_log_due().then(Instant::now);
            if let Err(error) = self.checkpoint(inner, &mut writer) {
                tracing::error!(error = %error, "sync the working copy");
            }
        }
    }

    fn checkpoint(&self, inner: &Inner, writer: &mut Writer) -> Result<(), ClinicalError> {
        if writer.checkpoint()? {
            self.redo.forget(&inner.store, writer.applied()?)?;
        }
        Ok(())
    }
}

/// Who is on the way into the group, and may be named meanwhile: the group waits for it.
struct Coming<'a>(&'a AtomicUsize);

impl<'a> Coming<'a> {
    fn announce(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::SeqCst);
        Self(waiting)
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// An error of a job, which the store hands through.
struct Attempt<E>(E);

impl<E: From<ClinicalError>> From<StoreError> for Attempt<E> {
    fn from(error: StoreError) -> Self {
        Self(ClinicalError::from(error).into())
    }
}

/// Everything that was committed to the tables is on disk when this returns.
fn sync(store: &Store) -> Result<(), ClinicalError> {
    Ok(store.batch().commit(Durability::Synced)?)
}
