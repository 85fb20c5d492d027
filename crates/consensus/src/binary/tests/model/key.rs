//! What makes two states of the model one.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::{AnySchedule, BYZANTINE, CORRECT, Network, Node, Step, What, index};
use crate::round::Round;
use crate::votes::{Kind, Values};

impl PartialEq for Network {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Hash for Network {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl Node {
    /// All of the node that others can notice or that may matter later, seen with validators renamed.
    fn key(&self, round: u32, renaming: &[usize; CORRECT]) -> u64 {
        let mut bits = Bits::default();
        let instance = &self.instance;
        // 0, 1 or 2: who is further behind has another key, and nobody is two rounds ahead.
        bits.push(u64::from(instance.current + 1 - round), 2);
        bits.push(u64::from(instance.estimate), 1);
        bits.push(instance.decision.map_or(0, |value| 1 + u64::from(value)), 2);
        bits.push(u64::from(instance.halted), 1);
        bits.push(code(if round == 1 { self.inputs } else { Values::NONE }), 2);
        bits.push(code(self.said(Kind::Estimate, round)), 2);
        bits.push(code(self.said(Kind::Coordinator, round)), 2);
        bits.push(code(self.said(Kind::Auxiliary, round)), 2);
        let heard =
            instance.rounds.get(&round).filter(|_| instance.current <= round || instance.decision.is_none());
        bits.push(heard.map_or(0, |heard| heard.key(renaming)), 15);
        bits.word
    }
}

impl Round {
    /// What matters later of the votes heard: 15 bits. A wait that is over and a coordinator's value that has come are
    /// used up in the step that brings them.
    fn key(&self, renaming: &[usize; CORRECT]) -> u64 {
        let mut bits = Bits::default();
        bits.push(code(self.delivered), 2);
        let [zero, one, both] = self.auxiliary_counts();
        for count in [zero, one, both] {
            bits.push(u64::try_from(count).unwrap().min(7), 3);
        }
        for old in renaming {
            bits.push(u64::from(self.has_said_auxiliary(index(*old))), 1);
        }
        bits.push(u64::from(self.has_said_auxiliary(BYZANTINE)), 1);
        bits.word
    }
}

/// Small numbers side by side.
#[derive(Default)]
struct Bits {
    word: u64,
    used: u32,
}

impl Bits {
    fn push(&mut self, value: u64, bits: u32) {
        assert!(value < 1 << bits && self.used + bits <= 64, "the key is too narrow");
        self.word |= value << self.used;
        self.used += bits;
    }
}

fn code(values: Values) -> u64 {
    u64::from(values.contains(false)) + 2 * u64::from(values.contains(true))
}

/// Rounds from 3 on look alike four rounds later: n = 4 coordinators take turns, and parities.
const fn phase(round: u32) -> u32 {
    if round < 3 { round } else { 3 + (round - 3) % 4 }
}

impl AnySchedule {
    /// A state of these nodes, with its key.
    pub(super) fn network(&self, nodes: Vec<Arc<Node>>, round: u32) -> Network {
        let mut network = Network { nodes, round, key: Vec::new() };
        let inputs = [false, true].map(|value| network.nodes.iter().any(|node| node.inputs.contains(value)));
        let late: Vec<Option<u64>> = (0..CORRECT)
            .map(|node| self.is_late(&network, node).then(|| self.outcomes(&network, node)))
            .collect();
        let renamed = self.renamings.iter().map(|renaming| {
            let node = |old: &usize| match late[*old] {
                Some(outcomes) => {
                    let node = &network.nodes[*old];
                    let decision = node.instance.decision.map_or(0, |value| 1 + u64::from(value));
                    let bin = code(node.bin(round));
                    let said = code(node.said(Kind::Estimate, round));
                    1 << 63 | decision << 20 | outcomes << 8 | bin << 4 | said
                }
                None if network.nodes[*old].instance.current + 1 < round => {
                    u64::MAX - network.nodes[*old].instance.decision.map_or(0, |value| 1 + u64::from(value))
                }
                None => network.nodes[*old].key(round, renaming),
            };
            renaming.iter().map(node).collect::<Vec<u64>>()
        });
        let mut key = renamed.min().unwrap();
        key.push(u64::from(phase(round)) << 2 | u64::from(inputs[0]) << 1 | u64::from(inputs[1]));
        network.key = key;
        network
    }

    /// Whether this node is in the round before, where nothing new is said any more.
    pub(super) fn is_late(&self, network: &Network, node: usize) -> bool {
        network.round > 1 && network.nodes[node].instance.current + 1 == network.round
    }

    /// How a late node may leave its round, as a set.
    fn outcomes(&self, network: &Network, node: usize) -> u64 {
        // Who has decided waits until somebody, maybe the Byzantine one, goes on.
        let mut whats = vec![What::Estimate(network.round, false), What::Estimate(network.round, true)];
        self.auxiliary_steps(network, node, network.round - 1, &mut whats);
        let mut outcomes = 0;
        for what in whats {
            let after = self.after(network, &Step { node, what });
            if after.instance.current == network.round {
                let decision = after.instance.decision.map_or(0, |value| 1 + u64::from(value));
                outcomes |= 1_u64 << (3 * u64::from(after.instance.estimate) + decision);
            }
        }
        outcomes
    }
}
