//! Every schedule of one binary instance up to a number of rounds, by model checking of the code itself.
//!
//! n = 4, t = 1: validators 0 to 2 are correct and run [`Instance`]; validator 3 says anything to anybody. A state is
//! the three instances and what each has said. The network is the set of all that was said: any correct node may hear
//! any part of it at any time, or never; the Byzantine one needs no state, since it may say everything from the start.
//!
//! What is left out, and why nothing is missed:
//! - A step is one node hearing just enough to do something. Votes counted without effect could as well have been
//!   counted right before they had one, since tallies only grow and nobody sees another's tallies.
//! - Rounds come one after the other. What is said in a round speaks of that round, so any schedule can be reordered
//!   that way, but for one thing: who enters a round late may have heard EST of it before. Such a node may end its
//!   round while the others are in the next one; who is further behind says nothing that matters.
//! - Believing t+1 DECIDED copies a decision that is there; only that one alone is not believed is looked at.
//! - Validators without a coordinator's part are alike: states that differ by their names only count as one.
//!
//! A round ends with both values (B13) in two parts. First both are delivered, each by a step of its own. Then one step
//! brings the end of the wait for the union and the AUX that are missing. The wait ends first in it, which alone ends no
//! round: AUX are heard only by steps in which they do something, so n-t that differ have not been heard before.
//!
//! From round 3 on a state's key holds the phase of its round, not the round: coordinators come back after four rounds
//! and parities after two, so states that are four, eight or more rounds apart may be one. A schedule that comes back
//! to a state can go on for ever; `endless.rs` has one.

use std::sync::Arc;

use bxp_types::{NetworkId, ValidatorIndex};
use stateright::{Model, Property};

use super::{BYZANTINE, Instance};
use crate::config::{Config, Settings};
use crate::interface::RoundStep;
use crate::turn::{Outbox, Turn, Voice};
use crate::votes::{Kind, Values, Vote};

mod checks;
mod endless;
mod key;
mod mutants;

const CORRECT: usize = 3;
/// The instance whose first coordinator, that of round 3, is the Byzantine one.
const INSTANCE: ValidatorIndex = ValidatorIndex(0);
/// Rounds 1 and 2, and one turn of the four coordinators. States of later rounds have keys of rounds 3 to 6: the checker
/// may have seen them there and not look at them again, so a property that speaks of a round may speak of these only.
const DISTINCT_ROUNDS: u32 = 6;
const ALL_VALUES: [Values; 3] = [Values::only(false), Values::only(true), Values::BOTH];

/// The instance under any schedule of up to `rounds` rounds.
struct AnySchedule {
    rounds: u32,
    settings: Vec<Settings>,
    /// Renamings of the correct validators under which the rounds look the same.
    renamings: Vec<[usize; CORRECT]>,
}

#[derive(Clone, Debug)]
struct Node {
    instance: Instance,
    voice: Voice,
    /// Whether 0 was put in, and whether the proposal was delivered here.
    inputs: Values,
}

#[derive(Clone, Debug)]
struct Network {
    nodes: Vec<Arc<Node>>,
    /// The round that all steps are about.
    round: u32,
    /// What makes two states one, under the renaming that makes it smallest.
    key: Vec<u64>,
}

/// A step of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Step {
    node: usize,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    Input(bool),
    /// The Byzantine one says EST, and so does a correct one if there is one.
    Estimate(u32, bool),
    /// The wait for the union is over, if it is, and then come AUX of these others and of the Byzantine one, in this order.
    Auxiliary {
        round: u32,
        from: Vec<usize>,
        byzantine: Vec<Values>,
        union_wait_over: bool,
    },
    Coordinator(u32, bool),
    /// DECIDED of the Byzantine one.
    Decided(bool),
    /// The coordinator is waited for no longer.
    CoordinatorWaitOver(u32),
    /// No further step of this round.
    NextRound,
}

impl Node {
    fn said(&self, kind: Kind, round: u32) -> Values {
        self.voice.said.binary.get(&(kind, round)).map_or(Values::NONE, |masks| masks.of(INSTANCE))
    }

    fn auxiliary(&self, round: u32) -> Option<Values> {
        Some(self.said(Kind::Auxiliary, round)).filter(|values| !values.is_empty())
    }

    fn bin(&self, round: u32) -> Values {
        self.instance.rounds.get(&round).map_or(Values::NONE, |round| round.delivered)
    }

    /// Values that this node takes for some correct node's input.
    fn believed(&self) -> Values {
        let mut believed = Values::NONE;
        let auxiliary = self.voice.said.iter().filter_map(|(_, vote)| match vote {
            Vote::Auxiliary { values, .. } => Some(values),
            _ => None,
        });
        let bins = self.instance.rounds.values().map(|round| round.delivered);
        let estimate = (self.instance.current > 0).then(|| Values::only(self.instance.estimate));
        let decision = self.instance.decision.map(Values::only);
        for values in auxiliary.chain(bins).chain(estimate).chain(decision) {
            for value in [false, true] {
                if values.contains(value) {
                    believed.insert(value);
                }
            }
        }
        believed
    }
}

fn index(node: usize) -> ValidatorIndex {
    ValidatorIndex(u16::try_from(node).unwrap())
}

impl AnySchedule {
    fn new(rounds: u32) -> Self {
        let settings: Vec<Settings> = (0..CORRECT)
            .map(|me| Settings::new(Config::new(index(me), CORRECT + 1, NetworkId([0; 32]))).unwrap())
            .collect();
        let special: Vec<usize> = (3..=rounds.min(DISTINCT_ROUNDS))
            .map(|round| usize::from(settings[0].coordinator(INSTANCE, round).0))
            .filter(|coordinator| *coordinator < CORRECT)
            .collect();
        let all = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
        let keeps = |renaming: &[usize; CORRECT]| special.iter().all(|node| renaming[*node] == *node);
        Self { rounds, settings, renamings: all.into_iter().filter(keeps).collect() }
    }

    /// Lets a node act, with all that it says counted for itself as the engine does.
    fn act(&self, node: usize, state: &mut Node, act: impl FnOnce(&mut Instance, &mut Turn<'_>)) {
        let Node { instance, voice, .. } = state;
        let mut outbox = Outbox::default();
        let turn = &mut Turn {
            height: bxp_types::Height(1),
            settings: &self.settings[node],
            voice,
            outbox: &mut outbox,
        };
        act(instance, turn);
    }

    /// The node of a step after it.
    fn after(&self, network: &Network, step: &Step) -> Node {
        let mut after = Node::clone(&network.nodes[step.node]);
        match step.what {
            What::Input(value) => {
                after.inputs.insert(value);
                self.act(step.node, &mut after, |instance, turn| instance.input(value, turn));
            }
            What::CoordinatorWaitOver(round) => self.act(step.node, &mut after, |instance, turn| {
                instance.timer_fired(round, RoundStep::Coordinator, turn);
            }),
            _ => {
                if let What::Auxiliary { round, union_wait_over: true, .. } = step.what {
                    self.act(step.node, &mut after, |instance, turn| {
                        instance.timer_fired(round, RoundStep::Union, turn);
                    });
                }
                let (round, votes) = self.votes(network, step);
                self.hear(step.node, &mut after, round, &votes);
            }
        }
        after
    }

    fn hear(&self, node: usize, state: &mut Node, round: u32, votes: &[(ValidatorIndex, Vote)]) {
        self.act(node, state, |instance, turn| {
            for (from, vote) in votes {
                instance.count(*from, *vote, turn.settings);
            }
            instance.progress(round, turn);
        });
    }

    /// The votes that a step makes its node hear.
    fn votes(&self, network: &Network, step: &Step) -> (u32, Vec<(ValidatorIndex, Vote)>) {
        let others = || (0..CORRECT).filter(|other| *other != step.node);
        match &step.what {
            What::Estimate(round, value) => {
                let said =
                    |other: &usize| network.nodes[*other].said(Kind::Estimate, *round).contains(*value);
                let correct = others().find(said).map(index);
                let vote = Vote::Estimate { round: *round, value: *value };
                (*round, [Some(BYZANTINE), correct].into_iter().flatten().map(|from| (from, vote)).collect())
            }
            What::Auxiliary { round, from, byzantine, .. } => {
                let said = |other: &usize| {
                    let values = network.nodes[*other].auxiliary(*round).unwrap_or(Values::NONE);
                    (index(*other), Vote::Auxiliary { round: *round, values })
                };
                let lies = byzantine
                    .iter()
                    .map(|values| (BYZANTINE, Vote::Auxiliary { round: *round, values: *values }));
                // Somebody speaks of the next round: who has decided goes on only then.
                let next = Vote::Estimate { round: network.round, value: false };
                let next = (network.round > *round).then_some((BYZANTINE, next));
                (*round, next.into_iter().chain(from.iter().map(said)).chain(lies).collect())
            }
            What::Coordinator(round, value) => {
                let coordinator = self.settings[0].coordinator(INSTANCE, *round);
                (*round, vec![(coordinator, Vote::Coordinator { round: *round, value: *value })])
            }
            What::Decided(value) => (1, vec![(BYZANTINE, Vote::Decided(*value))]),
            What::Input(_) | What::CoordinatorWaitOver(_) | What::NextRound => (1, Vec::new()),
        }
    }

    /// Others' AUX of this round that the node has not heard, with all that the Byzantine one may say.
    fn auxiliary_steps(&self, network: &Network, node: usize, round: u32, whats: &mut Vec<What>) {
        let heard = network.nodes[node].instance.rounds.get(&round);
        let unheard: Vec<usize> = (0..CORRECT)
            .filter(|other| *other != node && network.nodes[*other].auxiliary(round).is_some())
            .filter(|other| heard.is_none_or(|heard| !heard.has_said_auxiliary(index(*other))))
            .collect();
        let mut lies = vec![Vec::new()];
        lies.extend(ALL_VALUES.map(|values| vec![values]));
        if heard.is_none_or(|heard| !heard.has_said_auxiliary(BYZANTINE)) {
            lies.extend(ALL_VALUES.map(|values| vec![values, values]));
        }
        let counted: usize = heard.map_or(0, |heard| heard.auxiliary_counts().iter().sum());
        let waits = round > 2 && heard.is_some_and(|heard| heard.has_said_auxiliary(index(node)));
        for lie in lies {
            for some in 0..1_usize << unheard.len() {
                let from = unheard.iter().enumerate().filter(|(at, _)| some >> at & 1 == 1);
                let from: Vec<usize> = from.map(|(_, other)| *other).collect();
                // Two AUX are one less than what must be needed.
                if counted + from.len() + lie.len() > 1 {
                    let step = |union_wait_over| What::Auxiliary {
                        round,
                        from: from.clone(),
                        byzantine: lie.clone(),
                        union_wait_over,
                    };
                    whats.push(step(false));
                    if waits {
                        whats.push(step(true));
                    }
                }
            }
        }
    }

    fn steps_of_round(&self, network: &Network, node: usize, round: u32, whats: &mut Vec<What>) {
        let bin = network.nodes[node].bin(round);
        let missing = [false, true].into_iter().filter(|value| !bin.contains(*value));
        whats.extend(missing.map(|value| What::Estimate(round, value)));
        if self.is_late(network, node) {
            return self.auxiliary_steps(network, node, round - 1, whats);
        }
        self.auxiliary_steps(network, node, round, whats);
        if round > 2 {
            let coordinator = usize::from(self.settings[0].coordinator(INSTANCE, round).0);
            for value in [false, true] {
                let said = |node: &Arc<Node>| node.said(Kind::Coordinator, round).contains(value);
                if network.nodes.get(coordinator).is_none_or(said) {
                    whats.push(What::Coordinator(round, value));
                }
            }
            whats.push(What::CoordinatorWaitOver(round));
        }
    }
}

impl Model for AnySchedule {
    type State = Network;
    type Action = Step;

    fn init_states(&self) -> Vec<Network> {
        let node =
            || Node { instance: Instance::new(INSTANCE, 4), voice: Voice::new(4), inputs: Values::NONE };
        vec![self.network((0..CORRECT).map(|_| Arc::new(node())).collect(), 1)]
    }

    fn actions(&self, network: &Network, steps: &mut Vec<Step>) {
        let round = network.round;
        let takes_part = |node: &Node| !node.instance.halted && node.instance.current + 1 >= round;
        for (node, state) in network.nodes.iter().enumerate().filter(|(_, state)| takes_part(state)) {
            let mut whats = Vec::new();
            if round == 1 && !state.instance.has_input() {
                whats.push(What::Input(false));
            }
            if round == 1 && !state.inputs.contains(true) {
                whats.push(What::Input(true));
            }
            self.steps_of_round(network, node, round, &mut whats);
            if state.instance.decision.is_none() {
                whats.extend([What::Decided(false), What::Decided(true)]);
            }
            steps.extend(whats.into_iter().map(|what| Step { node, what }));
        }
        if round < self.rounds {
            steps.push(Step { node: 0, what: What::NextRound });
        }
    }

    fn next_state(&self, network: &Network, step: Step) -> Option<Network> {
        if step.what == What::NextRound {
            let goes_on =
                |node: &Arc<Node>| node.instance.current > network.round || node.instance.decision.is_some();
            return network
                .nodes
                .iter()
                .any(goes_on)
                .then(|| self.network(network.nodes.clone(), network.round + 1));
        }
        let before = &network.nodes[step.node];
        let after = self.after(network, &step);
        let bins = |node: &Node| [0, 1, 2].map(|ahead| node.bin(network.round - 1 + ahead));
        let changed = before.voice.said != after.voice.said
            || before.inputs != after.inputs
            || before.instance.current != after.instance.current
            || before.instance.decision != after.instance.decision
            || before.instance.halted != after.instance.halted
            || bins(before) != bins(&after);
        changed.then(|| {
            let mut nodes = network.nodes.clone();
            nodes[step.node] = Arc::new(after);
            self.network(nodes, network.round)
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("agreement", |_, network: &Network| {
                let decisions: Vec<bool> =
                    network.nodes.iter().filter_map(|node| node.instance.decision).collect();
                decisions.windows(2).all(|pair| pair[0] == pair[1])
            }),
            Property::always("validity", |_, network: &Network| {
                let put_in = |value| network.nodes.iter().any(|node| node.inputs.contains(value));
                let believed = |value| network.nodes.iter().any(|node| node.believed().contains(value));
                [false, true].into_iter().all(|value| put_in(value) || !believed(value))
            }),
            Property::sometimes("the last round is reached undecided", |model: &Self, network: &Network| {
                let last = model.rounds.min(DISTINCT_ROUNDS);
                let there =
                    |node: &Arc<Node>| node.instance.current == last && node.instance.decision.is_none();
                network.nodes.iter().all(there)
            }),
            Property::sometimes("all decide 0", |_, network: &Network| {
                network.nodes.iter().all(|node| node.instance.decision == Some(false))
            }),
            Property::sometimes("all decide 1", |_, network: &Network| {
                network.nodes.iter().all(|node| node.instance.decision == Some(true))
            }),
        ]
    }
}
