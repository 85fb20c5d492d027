//! A node's own flow: inputs, turns, effects, disk flushes, pieces of work.

use super::{Event, World};
use crate::{host::Process, report::Failure, sabotage::Sabotage};
use bxp_chain::{ChainError, Effect, Input, Job};
use rand::Rng;
use std::time::Duration;

/// The most inputs that a node takes into one turn, as in the real driver.
const INPUTS_MAX: usize = 256;
/// What it takes a node to notice an input, in microseconds.
const NOTICE_US: std::ops::Range<u64> = 5..200;

impl World {
    pub(super) fn process(&mut self, host: usize, life: u32) -> Option<&mut Process> {
        let host = self.hosts.get_mut(host)?;
        if host.life == life { host.process.as_mut() } else { None }
    }

    /// Hands an input in; the node takes it at its next turn.
    pub(super) fn hand_in(&mut self, host: usize, input: Input) {
        let Some(process) = self.hosts[host].process.as_mut() else { return };
        process.inbox.push_back(input);
        self.wake(host);
    }

    /// The node has something to do.
    pub(super) fn wake(&mut self, host: usize) {
        let soon = self.now + self.between(NOTICE_US);
        self.turn_at(host, soon);
    }

    fn turn_at(&mut self, host: usize, at: Duration) {
        let at = at.max(self.hosts[host].paused_until).max(self.now);
        let life = self.hosts[host].life;
        let Some(process) = self.hosts[host].process.as_mut() else { return };
        if process.flushing || process.turn_at.is_some_and(|planned| planned <= at) {
            return;
        }
        process.turn_at = Some(at);
        process.turn_number += 1;
        let number = process.turn_number;
        self.at(at - self.now, Event::Turn { host, life, number });
    }

    pub(super) fn turn(&mut self, host: usize, life: u32, number: u64) -> Result<(), Failure> {
        let moment = self.hosts[host].moment(self.now);
        let paused_until = self.hosts[host].paused_until;
        let many = self.rng.random_range(1..=INPUTS_MAX);
        let now = self.now;
        let Some(process) = self.process(host, life).filter(|process| process.turn_number == number) else {
            return Ok(());
        };
        process.turn_at = None;
        if process.flushing {
            return Ok(());
        }
        if paused_until > now {
            self.turn_at(host, paused_until);
            return Ok(());
        }
        let mut inputs = 0;
        let outcome = (|| {
            for _ in 0..many {
                let Some(input) = process.inbox.pop_front() else { break };
                inputs += 1;
                process.machine.handle(input, moment)?;
            }
            process.machine.turn(moment)
        })();
        match outcome {
            Ok(effects) => {
                let count = effects.len();
                process.effects.extend(effects);
                self.trace.step(now, [host, inputs, count], || {
                    format!("host {host} takes {inputs} inputs: {count} effects")
                });
                self.carry_out(host, life)
            }
            Err(error) => self.stopped(host, &error),
        }
    }

    /// Carries effects out until the disk must be flushed.
    fn carry_out(&mut self, host: usize, life: u32) -> Result<(), Failure> {
        let speaks_too_early = self.sabotage == Some(Sabotage::SpeaksBeforeSyncing);
        loop {
            let Some(process) = self.process(host, life) else { return Ok(()) };
            let Some(effect) = process.effects.pop_front() else { break };
            let done = match effect {
                Effect::Append { begun, record } => process.journal.append(begun, &record),
                Effect::Settled(height) => process.journal.settled(height),
                Effect::Sync if speaks_too_early => Ok(()),
                Effect::Sync => {
                    process.flushing = true;
                    let takes = self.flush_time();
                    self.at(takes, Event::Flushed { host, life });
                    return Ok(());
                }
                other => {
                    self.outward(host, life, other)?;
                    Ok(())
                }
            };
            if let Err(error) = done {
                return self.stopped(host, &error);
            }
        }
        self.after_turn(host, life)
    }

    fn outward(&mut self, host: usize, life: u32, effect: Effect) -> Result<(), Failure> {
        match effect {
            Effect::Send { to, channel, bytes } => self.send(host, to, channel, bytes),
            Effect::Broadcast { channel, bytes } => {
                let me = self.hosts[host].validator.0;
                for to in
                    (0..self.plan.validators).filter_map(|to| u16::try_from(to).ok()).filter(|to| *to != me)
                {
                    self.send(host, bxp_types::ValidatorIndex(to), channel, bytes.clone());
                }
            }
            Effect::Run(job) => {
                if let (Job::Run { superblock, .. }, true) = (&job, self.hosts[host].is_correct()) {
                    let checked = self.audit.decided(superblock);
                    checked.map_err(|what| self.failure(Some(host), &what))?;
                }
                let mut takes = self.between(self.plan.work_us.clone());
                if matches!(job, Job::Write(_) | Job::Import { .. }) {
                    takes += self.flush_time();
                }
                self.at(takes, Event::JobDone { host, life, job: Box::new(job) });
            }
            Effect::Fetch { from, request } => self.ask(host, life, from, request),
            // Connections go on, which is harder for who bans; but nobody may ban a correct validator.
            Effect::Ban(peer) => {
                let mut of_peer = self.hosts.iter().filter(|host| host.validator == peer);
                if self.hosts[host].is_correct() && of_peer.all(crate::host::Host::is_correct) {
                    return Err(self.failure(Some(host), "a correct validator is banned"));
                }
            }
            Effect::Append { .. } | Effect::Sync | Effect::Settled(_) => {}
        }
        Ok(())
    }

    fn flush_time(&mut self) -> Duration {
        let calm = 50..400;
        let range = if self.is_calm() { calm } else { self.plan.flush_us.clone() };
        self.between(range)
    }

    pub(super) fn flushed(&mut self, host: usize, life: u32) -> Result<(), Failure> {
        let Some(process) = self.process(host, life) else { return Ok(()) };
        process.flushing = false;
        match process.journal.sync() {
            Ok(()) => self.carry_out(host, life),
            Err(error) => self.stopped(host, &error),
        }
    }

    pub(super) fn job_done(&mut self, host: usize, life: u32, job: Job) {
        let Some(process) = self.process(host, life) else { return };
        let input = job.run(&process.shared);
        self.hand_in(host, input);
    }

    /// The effects are carried out: looks at the node, and sees when its next turn is.
    fn after_turn(&mut self, host: usize, life: u32) -> Result<(), Failure> {
        let moment = self.hosts[host].moment(self.now);
        let (correct, now) = (self.hosts[host].is_correct(), self.now);
        if self.hosts[host].life != life {
            return Ok(());
        }
        let Some(process) = self.hosts[host].process.as_mut() else { return Ok(()) };
        if correct {
            let before = process.checked;
            if let Err(what) = self.audit.look(process) {
                // A node whose power has just failed cannot be read.
                return if self.hosts[host].disk.is_off() {
                    Ok(())
                } else {
                    Err(self.failure(Some(host), &what))
                };
            }
            if process.checked > before {
                let height = process.checked;
                self.trace.note(now, format_args!("host {host} is at block {height}"));
            }
        }
        let Some(process) = self.hosts[host].process.as_ref() else { return Ok(()) };
        if process.inbox.is_empty() {
            let wake_at = process.machine.wake_at(moment);
            let at = self.hosts[host].time_of(wake_at);
            self.turn_at(host, at);
        } else {
            self.wake(host);
        }
        Ok(())
    }

    /// The node has ended by itself: that is what it must do when its power fails, and must never do otherwise.
    pub(super) fn stopped(&mut self, host: usize, error: &ChainError) -> Result<(), Failure> {
        if self.hosts[host].disk.is_off() || !self.hosts[host].is_correct() {
            let down = self.between(10_000..3_000_000);
            self.crash(host, down);
            return Ok(());
        }
        let mut what = format!("a correct node stops: {error}");
        let mut source = std::error::Error::source(error);
        while let Some(cause) = source {
            what = format!("{what}: {cause}");
            source = cause.source();
        }
        Err(self.failure(Some(host), &what))
    }
}
