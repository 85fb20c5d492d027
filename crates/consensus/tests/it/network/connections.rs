//! Connections that delay, repeat and lose, and nodes that crash and come back.

use std::time::Duration;

use bxp_consensus::{Effect, Input};
use bxp_types::ValidatorIndex;
use bytes::Bytes;
use rand::Rng;

use super::{Event, Simulator};

impl Simulator {
    pub(super) fn send(&mut self, from: usize, to: usize, message: Bytes) {
        let (link, up) = self.link(from, to);
        if !up {
            return;
        }
        let faults_last = self.now < self.plan.faults_until;
        if faults_last && self.rng.random_ratio(self.plan.loss_percent, 100) {
            return;
        }
        let (least, rough, calm) = self.plan.delay_us;
        // Most messages are quick even in rough times; a few are very late.
        let rough_now = faults_last && self.rng.random_ratio(1, 5);
        let most = if rough_now { rough } else { calm };
        let copies = if faults_last && self.rng.random_ratio(1, 30) { 2 } else { 1 };
        for _ in 0..copies {
            let delay = Duration::from_micros(self.rng.random_range(least..=most));
            self.schedule(delay, Event::Deliver { from, to, link, message: message.clone() });
        }
    }

    pub(super) fn link(&self, a: usize, b: usize) -> (u32, bool) {
        self.links.get(&(a.min(b), a.max(b))).copied().unwrap_or((0, true))
    }

    pub(super) fn cut(&mut self, a: usize, b: usize, down: Duration) {
        let (number, up) = self.link(a, b);
        if a != b && up {
            self.links.insert((a.min(b), a.max(b)), (number + 1, false));
            self.schedule(down, Event::Reconnect { a, b });
        }
    }

    pub(super) fn reconnect(&mut self, a: usize, b: usize) {
        if self.nodes[a].engines.is_empty() || self.nodes[b].engines.is_empty() {
            return; // A restart connects.
        }
        let (number, up) = self.link(a, b);
        if up {
            return;
        }
        self.links.insert((a.min(b), a.max(b)), (number + 1, true));
        for (node, peer) in [(a, b), (b, a)] {
            let peer = ValidatorIndex(u16::try_from(peer).unwrap());
            for twin in 0..self.nodes[node].engines.len() {
                self.input(node, twin, None, Input::PeerConnected(peer));
            }
        }
    }

    pub(super) fn crash(&mut self, node: usize) {
        let crashed = &mut self.nodes[node];
        crashed.engines.clear();
        crashed.crash_after_effects = None;
        crashed.life += 1;
        crashed.decided_in_life.clear();
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            let (number, _) = self.link(node, peer);
            self.links.insert((node.min(peer), node.max(peer)), (number + 1, false));
        }
        let down = Duration::from_millis(self.rng.random_range(0..4_000));
        self.schedule(down, Event::Restart { node });
    }

    pub(super) fn restart(&mut self, node: usize) {
        let mut engine = self.engine(node);
        if let Err(error) = engine.recover(self.nodes[node].log.iter().cloned()) {
            panic!("{}: recover node {node}: {error}", self.state());
        }
        if self.rng.random() {
            let records = engine.records();
            for record in &records {
                self.audit.effect(node, &Effect::Persist(record.clone()), self.seed);
            }
            self.nodes[node].log = records;
        }
        let (life, settled) = (self.nodes[node].life, self.nodes[node].settled);
        self.nodes[node].engines = vec![engine];
        self.input(node, 0, Some(life), Input::Settled(settled));
        self.start(node, 0, life, settled.next());
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            self.reconnect(node, peer);
        }
    }
}
