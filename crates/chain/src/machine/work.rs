//! Blocks are made one after the other, each while the one below it is hashed and the one below that is written (ADR 99,
//! 102); imports come in between.

use super::{Effect, Machine};
use crate::job::{Job, MadeBlock};
use bxp_execution::{BegunBlock, Below, Ran, Unwritten};
use bxp_types::Height;
use std::sync::{Arc, Weak};

/// Blocks that are not on disk, the newest first.
#[derive(Default)]
pub(super) struct Making {
    /// Whether a block is run while the one below is hashed.
    pub(super) runs_ahead: bool,
    /// Whether a block is being run, or blocks are being imported.
    pub(super) working: bool,
    /// One has run, and waits to be hashed.
    pub(super) begun: Option<Box<BegunBlock>>,
    /// One is being hashed.
    pub(super) sealing: Option<Sealing>,
    /// One is hashed, and waits to be written.
    pub(super) made: Option<Box<MadeBlock>>,
    /// One is being written.
    pub(super) writing: Option<Arc<Unwritten>>,
}

/// A block that is being hashed.
pub(super) struct Sealing {
    height: Height,
    /// What the next one is run on meanwhile; gone where this one is hashed by now, or is run only now. It is large: who
    /// hashes and who runs drop it, and not this thread.
    ran: Weak<Ran>,
}

impl Making {
    /// The newest block of them that has begun, if there is any.
    fn newest(&self) -> Option<Height> {
        let begun = || self.begun.as_ref().map(|begun| begun.height());
        let sealing = || self.sealing.as_ref().map(|sealing| sealing.height);
        let made = || self.made.as_ref().map(|made| made.executed.block.height());
        let writing = || self.writing.as_ref().map(|writing| writing.height());
        begun().or_else(sealing).or_else(made).or_else(writing)
    }

    /// Blocks that wait for another's hash or writing.
    pub(super) fn waiting(&self) -> usize {
        usize::from(self.begun.is_some()) + usize::from(self.made.is_some())
    }

    /// Whether there is any.
    pub(super) fn is_some(&self) -> bool {
        self.working || self.newest().is_some()
    }

    /// What the next block can be run on now: the newest of these, or what is on disk. None where it has to wait.
    fn below(&self) -> Option<Option<Below>> {
        if self.begun.is_some() {
            return None;
        }
        let beneath = self.writing.clone();
        match (&self.sealing, &self.made) {
            (Some(_), _) if !self.runs_ahead => None,
            (Some(sealing), _) => sealing.ran.upgrade().map(|block| Some(Below::Ran { block, beneath })),
            // Above one that is hashed and not being written, two would lie between it and the disk.
            (None, Some(_)) => None,
            (None, None) => Some(beneath.map(Below::Unwritten)),
        }
    }
}

impl Machine {
    /// Gives execution its next pieces of work: one block is run, one is hashed and one is written at a time.
    pub(super) fn next_work(&mut self) {
        self.next_writing();
        self.next_sealing();
        if !self.making.working
            && let Some(job) = self.next_running()
        {
            self.making.working = true;
            self.effects.push(Effect::Run(job));
        }
    }

    fn next_writing(&mut self) {
        let making = &mut self.making;
        if making.writing.is_none()
            && let Some(made) = making.made.take()
        {
            making.writing = Some(Arc::new(Unwritten::from(&made.executed)));
            self.effects.push(Effect::Run(Job::Write(made)));
        }
    }

    fn next_sealing(&mut self) {
        let making = &mut self.making;
        if making.sealing.is_none()
            && making.made.is_none()
            && let Some(begun) = making.begun.take()
        {
            let ran = begun.ran().as_ref().map(Arc::downgrade).unwrap_or_default();
            making.sealing = Some(Sealing { height: begun.height(), ran });
            let below = making.writing.clone();
            self.effects.push(Effect::Run(Job::Seal { begun, below }));
        }
    }

    fn next_running(&mut self) -> Option<Job> {
        let newest = self.making.newest();
        let next = newest.unwrap_or_else(|| self.shared.head.load().height()).next();
        // What an import has brought meanwhile needs no execution.
        self.decided = self.decided.split_off(&next);
        if !self.decided.contains_key(&next) {
            // An import begins where everything is written.
            return if newest.is_none() { self.queue.pop_front() } else { None };
        }
        let below = self.making.below()?;
        self.decided.remove(&next).map(|superblock| Job::Run { superblock, below })
    }
}
