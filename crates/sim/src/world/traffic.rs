//! Messages and requests between hosts.

use super::{Event, World};
use crate::{
    byzantine::{Behaviour, Sent},
    said::said,
};
use bxp_chain::{
    Input,
    sync::{SyncRequest, SyncResponse},
};
use bxp_network::Channel;
use bxp_types::ValidatorIndex;
use bytes::Bytes;
use rand::Rng;
use std::time::Duration;

/// How long a node waits for an answer, as the real network does.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

impl World {
    /// A node sends; what a Byzantine one makes of it is on its way instead.
    pub(super) fn send(&mut self, host: usize, to: ValidatorIndex, channel: Channel, bytes: Bytes) {
        match self.hosts[host].byzantine.as_mut() {
            None => self.transmit(host, to, channel, bytes, Duration::ZERO),
            Some(byzantine) => {
                let sent = byzantine.distort(to, channel, bytes);
                self.transmit_all(host, sent);
            }
        }
    }

    fn transmit_all(&mut self, host: usize, sent: Vec<Sent>) {
        for Sent { to, channel, bytes, after } in sent {
            self.transmit(host, to, channel, bytes, after);
        }
    }

    fn transmit(&mut self, from: usize, to: ValidatorIndex, channel: Channel, bytes: Bytes, after: Duration) {
        let targets: Vec<usize> =
            (0..self.hosts.len()).filter(|host| *host != from && self.hosts[*host].validator == to).collect();
        for target in targets {
            self.transmit_to(from, target, channel, bytes.clone(), after);
        }
    }

    fn transmit_to(&mut self, from: usize, to: usize, channel: Channel, bytes: Bytes, after: Duration) {
        let Some(link) = self.links.number(from, to) else { return };
        let calm = self.is_calm();
        if !calm && self.chance(self.plan.losses_permille) {
            return;
        }
        let copies = if !calm && self.chance(self.plan.duplicates_permille) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = self.delay();
            let at = self.now + delay + after;
            let at = self.links.arrival(from, to, channel, at, self.plan.ordered);
            let event = Event::Deliver { from, to, link, channel, bytes: bytes.clone() };
            self.at(at - self.now, event);
        }
    }

    fn chance(&mut self, permille: u32) -> bool {
        permille > 0 && self.rng.random_ratio(permille, 1_000)
    }

    fn delay(&mut self) -> Duration {
        let range = if self.is_calm() { self.plan.calm_delay_us.clone() } else { self.plan.delay_us.clone() };
        // Most messages are fast; some take as long as any may.
        let delay = self.between(range.clone());
        if self.rng.random_ratio(3, 4) { delay / 8 + Duration::from_micros(range.start) } else { delay }
    }

    pub(super) fn deliver(&mut self, from: usize, to: usize, link: u32, channel: Channel, bytes: Bytes) {
        if self.links.number(from, to) != Some(link) {
            return;
        }
        let validators = u16::try_from(self.plan.validators).unwrap_or(u16::MAX);
        self.trace.step(self.now, [from, to, bytes.len()], || {
            let said = said(channel, &bytes, validators);
            format!("{from} -> {to} {} {} bytes: {said}", channel.name(), bytes.len())
        });
        let validator = self.hosts[from].validator;
        if let Some(byzantine) = self.hosts[to].byzantine.as_mut() {
            let sent = byzantine.hear(validator, channel, &bytes);
            self.transmit_all(to, sent);
        }
        self.hand_in(to, Input::Message { from: validator, channel, bytes });
    }

    pub(super) fn tick(&mut self, host: usize) {
        self.at(super::TICK, Event::Tick { host });
        let Some(byzantine) = self.hosts[host].byzantine.as_mut() else { return };
        let (sent, behaviour) = (byzantine.tick(), byzantine.behaviour);
        self.transmit_all(host, sent);
        if behaviour == Behaviour::Flapper && self.rng.random_ratio(1, 6) {
            let other = self.rng.random_range(0..self.hosts.len());
            let down = self.between(1_000..900_000);
            self.cut(host, other, down);
        }
        if behaviour == Behaviour::Amnesiac && !self.is_calm() && self.rng.random_ratio(1, 12) {
            let down = self.between(10_000..600_000);
            self.crash(host, down);
        }
    }

    /// A node asks for certified blocks. Some event answers in any case.
    pub(super) fn ask(&mut self, host: usize, life: u32, of: ValidatorIndex, request: Bytes) {
        let Some(process) = self.process(host, life) else { return };
        process.fetch_number += 1;
        process.fetch_open = true;
        let number = process.fetch_number;
        let connected: Vec<usize> = (0..self.hosts.len())
            .filter(|other| self.hosts[*other].validator == of && self.links.number(host, *other).is_some())
            .collect();
        let none = Event::Answered { host, life, number, from: of, answer: None };
        let Some(&to) = connected.get(self.rng.random_range(0..connected.len().max(1))) else {
            return self.at(Duration::from_millis(1), none);
        };
        self.at(ANSWER_WITHIN, none);
        let delay = self.delay();
        self.at(delay, Event::Asked { from: host, to, life, number, request });
    }

    pub(super) fn asked(&mut self, from: usize, to: usize, life: u32, number: u64, request: &Bytes) {
        let of = self.hosts[to].validator;
        let delay = self.delay();
        let connected = self.links.number(from, to).is_some();
        let process = self.hosts[to].process.as_ref().filter(|_| connected);
        let honest = process.and_then(|process| SyncRequest::answer(request, process.shared.blocks()).ok());
        let honest = honest.map(Bytes::from);
        let answer = match self.hosts[to].byzantine.as_mut() {
            None if honest.is_none() => None,
            None => honest,
            // One that does not answer is waited for until the time is over.
            Some(byzantine) => match byzantine.answer(honest) {
                None => return,
                some => some,
            },
        };
        self.at(delay, Event::Answered { host: from, life, number, from: of, answer });
    }

    pub(super) fn answered(
        &mut self,
        host: usize,
        life: u32,
        number: u64,
        from: ValidatorIndex,
        answer: Option<Bytes>,
    ) {
        let chain_id = self.genesis.chain_id;
        let Some(process) = self.process(host, life) else { return };
        if !process.fetch_open || process.fetch_number != number {
            return;
        }
        process.fetch_open = false;
        let answer = answer.and_then(|bytes| SyncResponse::decode(&bytes, chain_id).ok());
        self.hand_in(host, Input::Fetched { from, answer });
    }
}
