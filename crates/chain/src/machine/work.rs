//! Blocks are made one after the other, each while the one below it is written (ADR 99); imports come in between.

use super::{Effect, Machine};
use crate::job::Job;
use bxp_execution::Unwritten;
use bxp_types::Height;
use std::sync::Arc;

impl Machine {
    /// Gives execution its next piece of work when it is free: blocks are made one at a time, in order, each while the one
    /// below it is written.
    pub(super) fn next_work(&mut self) {
        if self.writing.is_none()
            && let Some(made) = self.made.take()
        {
            self.writing = Some(Arc::new(Unwritten::from(&*made)));
            self.effects.push(Effect::Run(Job::Write(made)));
        }
        if self.working || self.made.is_some() {
            return;
        }
        let next = self.newest_made().next();
        // What an import has brought meanwhile needs no execution.
        self.decided = self.decided.split_off(&next);
        let above = self.writing.clone();
        let job = match self.decided.remove(&next) {
            Some(superblock) => Some(Job::Execute { superblock, above }),
            // An import begins where everything is written.
            None if above.is_none() => self.queue.pop_front(),
            None => None,
        };
        if let Some(job) = job {
            self.working = true;
            self.effects.push(Effect::Run(job));
        }
    }

    /// The newest block that was made, whether or not it is written.
    fn newest_made(&self) -> Height {
        let made = self.made.as_ref().map(|made| made.block.height());
        let writing = self.writing.as_ref().map(|writing| writing.height());
        made.or(writing).unwrap_or_else(|| self.shared.head.load().height())
    }

    /// Whether there is any work on blocks under way.
    pub(super) const fn is_working(&self) -> bool {
        self.working || self.writing.is_some() || self.made.is_some()
    }
}
