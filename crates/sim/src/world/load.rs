//! The clients' side of a run.

use super::{Event, World};
use crate::{clients::Submission, sabotage::Sabotage};
use alloy_primitives::B256;
use bxp_types::SubmitError;
use bytes::Bytes;
use std::time::Duration;

impl World {
    /// Some client does something, and another will later.
    pub(super) fn submit(&mut self) {
        if self.is_calm() {
            return;
        }
        let next = self.plan.submit_every * 2;
        let next = self.between(0..u64::try_from(next.as_micros()).unwrap_or(1));
        self.at(next, Event::Submit);
        let submissions = self.clients.act(self.hosts.len(), &mut self.audit, &mut self.rng);
        self.send_all(submissions);
    }

    fn send_all(&mut self, submissions: Vec<Submission>) {
        for Submission { host, signed } in submissions {
            let delay = self.between(100..20_000);
            self.at(delay, Event::Submitted { host, raw: signed.raw, hash: signed.hash });
        }
    }

    /// A submission arrives. It is acknowledged when it is on the disk, together with others that came meanwhile.
    pub(super) fn submitted(&mut self, host: usize, raw: &Bytes, hash: B256) {
        let Some(process) = self.hosts[host].process.as_mut() else { return };
        match process.shared.admit(raw) {
            Ok(admitted) => {
                if self.sabotage == Some(Sabotage::AcknowledgesTooEarly) && self.hosts[host].is_correct() {
                    self.audit.acknowledge(hash, host);
                }
                let Some(process) = self.hosts[host].process.as_mut() else { return };
                process.keeping.push((admitted, hash));
                let first = process.keeping.len() == 1;
                let life = self.hosts[host].life;
                if first {
                    let takes = self.between(100..5_000);
                    self.at(takes, Event::Kept { host, life });
                }
            }
            // That is how a client learns that its transaction waits already, kept on disk or about to be.
            Err(SubmitError::AlreadyKnown) => {}
            Err(error) => {
                self.trace
                    .step(self.now, [host, raw.len(), 0], || format!("host {host} refuses {hash}: {error}"));
            }
        }
    }

    pub(super) fn kept(&mut self, host: usize, life: u32) {
        let Some(process) = self.process(host, life) else { return };
        let waiting = std::mem::take(&mut process.keeping);
        if process.shared.keep(waiting.iter().map(|(admitted, _)| admitted)).is_err() {
            waiting.iter().for_each(|(_, hash)| process.shared.forget(*hash));
            return;
        }
        if self.hosts[host].is_correct() {
            waiting.iter().for_each(|(_, hash)| self.audit.acknowledge(*hash, host));
        }
        self.wake(host);
    }

    /// After the healing: what never reached a correct node is sent again, and a fresh transaction to each node.
    pub(super) fn probe(&mut self) {
        let correct = self.correct();
        let probes = self.clients.probes(&correct, &mut self.audit);
        self.probes = probes
            .iter()
            .map(|(submission, hash)| (submission.host, *hash, submission.signed.raw.clone()))
            .collect();
    }

    /// What no correct node has acknowledged is sent to one, as a client does that was never answered.
    pub(super) fn send_unacknowledged(&mut self) {
        let again = self.clients.all_again(&self.correct(), &self.audit, &mut self.rng);
        self.send_all(again);
    }

    /// Probes that are in no block yet are sent once more, as a client would whose node was down.
    pub(super) fn submit_again(&mut self) {
        let missing: Vec<(usize, B256, Bytes)> =
            self.probes.iter().filter(|(_, hash, _)| !self.audit.is_included(*hash)).cloned().collect();
        for (host, hash, raw) in missing {
            self.at(Duration::from_millis(5), Event::Submitted { host, raw, hash });
        }
    }
}
