//! What goes wrong, and how it heals.

use super::{Event, World};
use crate::{plan::Fault, report::Failure, sabotage::Sabotage};
use bxp_chain::Input;
use rand::Rng;
use std::time::Duration;

/// A connection that hears nothing for so long is closed, as by the real network's pulse.
const SILENCE_MAX: Duration = Duration::from_secs(15);

impl World {
    pub(super) fn fault(&mut self, fault: Fault) {
        self.trace.note(self.now, format_args!("{fault:?}"));
        match fault {
            Fault::Crash { host, down } => self.crash(host, down),
            Fault::PowerFailsAtWrite { host, writes } => self.hosts[host].disk.fail_power_after(writes),
            Fault::Blackout { down } => {
                for host in 0..self.hosts.len() {
                    let down = down + self.between(0..50_000);
                    self.crash(host, down);
                }
            }
            Fault::Cut { a, b, down } => self.cut(a, b, down),
            Fault::Partition { side, lasts, breaks } => self.partition(&side, lasts, breaks),
            Fault::OneWay { from, to, lasts } => self.one_way(from, to, lasts),
            Fault::ClockJump { host, by_ms } => self.hosts[host].clock.offset_ms += by_ms,
            Fault::Pause { host, lasts } => {
                let until = self.now + lasts;
                let paused = &mut self.hosts[host].paused_until;
                *paused = until.max(*paused);
            }
        }
    }

    fn partition(&mut self, side: &[bool], lasts: Duration, breaks: bool) {
        let apart = |a: usize, b: usize| side.get(a) != side.get(b);
        for a in 0..self.hosts.len() {
            for b in (a + 1..self.hosts.len()).filter(|b| apart(a, *b)) {
                if breaks {
                    self.cut(a, b, lasts);
                } else {
                    self.one_way(a, b, lasts);
                    self.one_way(b, a, lasts);
                }
            }
        }
    }

    fn one_way(&mut self, from: usize, to: usize, lasts: Duration) {
        if from == to {
            return;
        }
        self.links.stall(from, to, self.now + lasts);
        if lasts > SILENCE_MAX {
            self.cut(from, to, lasts);
        }
    }

    /// Breaks a connection; both ends notice a little later, and connect again some time after.
    pub(super) fn cut(&mut self, a: usize, b: usize, down: Duration) {
        if a == b {
            return;
        }
        if self.links.cut(a, b, self.now + down) {
            let (of_a, of_b) = (self.hosts[a].validator, self.hosts[b].validator);
            self.hand_in(a, Input::Disconnected(of_b));
            self.hand_in(b, Input::Disconnected(of_a));
        }
        self.connect_later(a, b);
    }

    fn connect_later(&mut self, a: usize, b: usize) {
        let retry = self.between(1_000..250_000);
        let wait = self.links.down_until(a, b).saturating_sub(self.now);
        self.at(wait + retry, Event::Connect { a, b });
    }

    pub(super) fn connect(&mut self, a: usize, b: usize) {
        if self.links.down_until(a, b) > self.now {
            return self.connect_later(a, b);
        }
        let runs = |host: usize| {
            let host = &self.hosts[host];
            let speaks = host.byzantine.as_ref().is_some_and(|byzantine| !byzantine.behaviour.runs_a_node());
            host.process.is_some() || speaks
        };
        if !runs(a) || !runs(b) || self.hosts[a].validator == self.hosts[b].validator {
            return;
        }
        if self.links.connect(a, b) {
            let (of_a, of_b) = (self.hosts[a].validator, self.hosts[b].validator);
            self.hand_in(a, Input::Connected(of_b));
            self.hand_in(b, Input::Connected(of_a));
        }
    }

    /// The machine loses its power: what runs ends where it is, and the disk keeps what a disk keeps.
    pub(super) fn crash(&mut self, host: usize, down: Duration) {
        let at = self.now;
        let rng = &mut self.rng;
        self.hosts[host].process = None;
        self.hosts[host].life += 1;
        self.hosts[host].disk.crash(|bound| if bound == 0 { 0 } else { rng.random_range(0..bound) });
        self.crashes += 1;
        self.trace.note(at, format_args!("host {host} crashes"));
        for other in (0..self.hosts.len()).filter(|other| *other != host).collect::<Vec<_>>() {
            if self.links.cut(host, other, at) {
                let of_host = self.hosts[host].validator;
                self.hand_in(other, Input::Disconnected(of_host));
            }
        }
        self.at(down, Event::Start { host });
    }

    pub(super) fn start(&mut self, host: usize) -> Result<(), Failure> {
        if self.hosts[host].process.is_some() {
            return Ok(());
        }
        if self.hosts[host].byzantine.as_ref().is_none_or(|byzantine| byzantine.behaviour.runs_a_node()) {
            if self.sabotage == Some(Sabotage::ForgetsItsJournal) {
                self.hosts[host].forget_journal();
            }
            let (genesis, interval, now) = (self.genesis.clone(), self.plan.block_interval, self.now);
            if let Err(error) = self.hosts[host].boot(&genesis, interval, now) {
                self.hosts[host].process = None;
                return self.stopped(host, &error);
            }
            self.trace.note(now, format_args!("host {host} starts"));
            if self.hosts[host].is_correct()
                && let Some(process) = self.hosts[host].process.as_mut()
            {
                process.checked = bxp_types::Height(0);
                let restarted =
                    self.audit.look(process).and_then(|()| self.audit.check_restart(host, process));
                restarted.map_err(|what| self.failure(Some(host), &what))?;
            }
            self.wake(host);
        }
        for other in (0..self.hosts.len()).filter(|other| *other != host).collect::<Vec<_>>() {
            self.connect_later(host, other);
        }
        Ok(())
    }

    /// From here on the network is calm and every machine has power.
    pub(super) fn heal(&mut self) {
        self.healed_at = Some(self.now);
        self.trace.note(self.now, format_args!("heal"));
        for host in 0..self.hosts.len() {
            self.hosts[host].disk.fail_power_after(u64::MAX);
            self.hosts[host].paused_until = self.now;
            if self.hosts[host].disk.is_off() {
                self.crash(host, Duration::from_millis(10));
            }
            self.at(Duration::from_millis(20), Event::Start { host });
            self.wake(host);
        }
        self.probe();
    }
}
