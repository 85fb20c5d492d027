//! Schedules of one binary instance, message by message: n = 4, validators 0 to 2 are correct, 3 is Byzantine.

use bxp_types::{Height, NetworkId, ValidatorIndex};

use super::{Instance, ROUNDS_AHEAD};
use crate::config::{Config, Settings};
use crate::interface::{Effect, RoundStep, Timer};
use crate::mutant::{self, Mutant};
use crate::turn::{Outbox, Turn, Voice};
use crate::votes::{Values, Vote};

mod model;

const BYZANTINE: ValidatorIndex = ValidatorIndex(3);
const INSTANCE: ValidatorIndex = ValidatorIndex(1);

struct Node {
    settings: Settings,
    instance: Instance,
    voice: Voice,
    outbox: Outbox,
    /// The votes of this node that [`hand_out`] has handed out.
    heard: Vec<Vote>,
}

impl Node {
    fn new(me: u16) -> Self {
        Self::of(me, 4)
    }

    fn of(me: u16, validators: u16) -> Self {
        let config = Config::new(ValidatorIndex(me), validators.into(), NetworkId([0; 32]));
        Self {
            settings: Settings::new(config).unwrap(),
            instance: Instance::new(INSTANCE, validators),
            voice: Voice::new(validators),
            outbox: Outbox::default(),
            heard: Vec::new(),
        }
    }

    fn act(&mut self, act: impl FnOnce(&mut Instance, &mut Turn<'_>)) {
        let Self { settings, instance, voice, outbox, .. } = self;
        act(instance, &mut Turn { height: Height(1), settings, voice, outbox });
    }

    fn input(&mut self, value: bool) {
        self.act(|instance, turn| instance.input(value, turn));
    }

    fn hear(&mut self, from: ValidatorIndex, vote: Vote) {
        let round = match vote {
            Vote::Estimate { round, .. }
            | Vote::Auxiliary { round, .. }
            | Vote::Coordinator { round, .. } => round,
            _ => 1,
        };
        self.act(|instance, turn| {
            instance.count(from, vote, turn.settings);
            instance.progress(round, turn);
        });
    }

    fn hear_all(&mut self, from: &[u16], vote: Vote) {
        from.iter().for_each(|from| self.hear(ValidatorIndex(*from), vote));
    }

    fn fire(&mut self, round: u32, step: RoundStep) {
        self.act(|instance, turn| instance.timer_fired(round, step, turn));
    }

    fn has_said(&self, vote: Vote) -> bool {
        self.voice.said.iter().any(|said| said == (INSTANCE, vote))
    }

    fn auxiliary(&self, round: u32) -> Option<Vote> {
        let votes = self.voice.said.iter().map(|(_, vote)| vote);
        votes.into_iter().find(|vote| matches!(vote, Vote::Auxiliary { round: of, .. } if *of == round))
    }

    fn timers(&mut self) -> Vec<(Timer, std::time::Duration)> {
        let timer =
            |effect| if let Effect::SetTimer { timer, after } = effect { Some((timer, after)) } else { None };
        self.outbox.take().into_iter().filter_map(timer).collect()
    }
}

const fn estimate(round: u32, value: bool) -> Vote {
    Vote::Estimate { round, value }
}

const fn auxiliary(round: u32, value: bool) -> Vote {
    Vote::Auxiliary { round, values: Values::only(value) }
}

#[test]
fn delivered_proposals_are_decided_in_the_first_round_without_an_estimate() {
    let mut node = Node::new(0);
    node.input(true);
    assert_eq!(node.voice.said.iter().collect::<Vec<_>>(), [(INSTANCE, auxiliary(1, true))]);
    node.hear_all(&[1], auxiliary(1, true));
    assert_eq!(node.instance.decision(), None);
    node.hear_all(&[1, 1, 2], auxiliary(1, true));
    assert_eq!(node.instance.decision(), Some(true));
    assert!(node.has_said(Vote::Decided(true)));
    assert!(!node.has_said(estimate(2, true)), "nobody needs a second round");
    assert!(node.timers().is_empty());
}

#[test]
fn unanimous_zero_is_decided_in_the_second_round_without_a_timer() {
    let mut node = Node::new(0);
    node.input(false);
    for round in 1..=2 {
        node.hear_all(&[1, 2], estimate(round, false));
        node.hear_all(&[1, 2], auxiliary(round, false));
    }
    assert_eq!(node.instance.decision(), Some(false));
    assert!(node.timers().is_empty());
}

#[test]
fn t_byzantine_estimates_are_not_relayed_and_equal_ones_count_once() {
    let mut node = Node::new(0);
    node.input(true);
    for _ in 0..3 {
        node.hear(BYZANTINE, estimate(1, false));
    }
    assert!(!node.has_said(estimate(1, false)));
    node.hear_all(&[1], estimate(1, false));
    assert!(node.has_said(estimate(1, false)), "t+1 say it");
}

#[test]
fn an_estimate_is_relayed_at_t_plus_one_and_delivered_at_two_t_plus_one() {
    let mut node = Node::of(0, 7);
    node.input(true);
    node.hear_all(&[5, 6], estimate(1, false));
    assert!(!node.has_said(estimate(1, false)));
    node.hear_all(&[1], estimate(1, false));
    assert!(node.has_said(estimate(1, false)));
    assert!(!node.instance.rounds[&1].delivered.contains(false), "with the own one four of five");
    node.hear_all(&[2], estimate(1, false));
    assert!(node.instance.rounds[&1].delivered.contains(false));
}

#[test]
fn fewer_than_n_minus_t_auxiliary_decide_nothing() {
    let mut node = Node::of(0, 7);
    node.input(true);
    node.hear_all(&[1, 2, 3], auxiliary(1, true));
    assert_eq!(node.instance.decision(), None, "with the own one four of five");
    node.hear_all(&[4], auxiliary(1, true));
    assert_eq!(node.instance.decision(), Some(true));
}

#[test]
fn estimates_of_one_mean_nothing_in_round_one() {
    let mut node = Node::new(0);
    node.input(false);
    node.hear_all(&[1, 2, 3], estimate(1, true));
    assert_eq!(node.auxiliary(1), None, "only a delivery stands for 1");
}

#[test]
fn auxiliary_values_count_only_when_delivered_here_and_are_looked_at_again() {
    let mut node = Node::new(0);
    node.input(false);
    node.hear_all(&[1, 2, 3], auxiliary(1, true));
    assert_eq!(node.instance.decision(), None, "1 is not delivered");
    node.input(true);
    assert_eq!(node.instance.decision(), Some(true), "now it is");
}

#[test]
fn t_plus_one_decided_decide_and_two_t_plus_one_halt() {
    let mut node = Node::new(0);
    node.hear(BYZANTINE, Vote::Decided(false));
    node.hear(BYZANTINE, Vote::Decided(true));
    node.hear_all(&[1], Vote::Decided(true));
    assert_eq!(node.instance.decision(), None, "who says both counts with the first");
    node.hear_all(&[2], Vote::Decided(true));
    assert_eq!(node.instance.decision(), Some(true));
    assert!(node.has_said(Vote::Decided(true)));
    assert!(node.instance.halted, "the own one makes three");
    node.input(false);
    assert!(!node.instance.has_input(), "halted");
}

#[test]
fn a_decided_node_helps_whoever_goes_on() {
    let mut node = Node::new(0);
    node.input(true);
    node.hear_all(&[1, 2], auxiliary(1, true));
    assert!(!node.has_said(estimate(2, true)));
    node.hear_all(&[2], estimate(2, true));
    assert!(node.has_said(estimate(2, true)));
}

#[test]
fn a_late_auxiliary_still_decides_a_round_that_was_left() {
    let mut node = Node::new(0);
    node.input(true);
    node.hear_all(&[1, 2], estimate(1, false));
    node.hear_all(&[1], auxiliary(1, true));
    node.hear(BYZANTINE, auxiliary(1, false));
    assert!(node.has_said(estimate(2, true)), "both values: parity of round 1");
    assert_eq!(node.instance.decision(), None);
    node.hear_all(&[2], auxiliary(1, true));
    assert_eq!(node.instance.decision(), Some(true));
}

/// A node in round 3 with estimate 1, where the waits begin.
fn node_in_round_three(me: u16) -> Node {
    let mut node = Node::new(me);
    let others: Vec<u16> = (0..3).filter(|other| *other != me).collect();
    node.input(true);
    node.hear_all(&others, estimate(1, false));
    node.hear_all(&[others[0], BYZANTINE.0], auxiliary(1, false));
    node.hear_all(&[others[0], BYZANTINE.0], estimate(2, true));
    node.hear_all(&others, auxiliary(2, true));
    assert_eq!((node.instance.current, node.instance.decision()), (3, None));
    node
}

#[test]
fn from_round_three_the_coordinator_is_waited_for() {
    let coordinator = Node::new(0).settings.coordinator(INSTANCE, 3);
    assert_eq!(coordinator, ValidatorIndex(0));
    let mut node = node_in_round_three(2);
    let wait = node.settings.config.round_wait;
    let timer =
        Timer::Round { height: Height(1), instance: INSTANCE, round: 3, step: RoundStep::Coordinator };
    assert_eq!(node.timers(), [(timer, wait)]);
    node.hear_all(&[1, 3], estimate(3, true));
    node.hear(ValidatorIndex(1), Vote::Coordinator { round: 3, value: true });
    assert_eq!(node.auxiliary(3), None, "not the coordinator");
    node.hear(coordinator, Vote::Coordinator { round: 3, value: true });
    assert_eq!(node.auxiliary(3), Some(auxiliary(3, true)));
}

#[test]
fn a_coordinator_that_is_silent_or_lies_costs_a_wait() {
    let mut node = node_in_round_three(2);
    node.hear_all(&[1, 3], estimate(3, true));
    node.hear(ValidatorIndex(0), Vote::Coordinator { round: 3, value: false });
    assert_eq!(node.auxiliary(3), None, "0 is not delivered");
    node.fire(3, RoundStep::Coordinator);
    assert_eq!(node.auxiliary(3), Some(auxiliary(3, true)));
}

#[test]
fn the_coordinator_prefers_the_value_that_can_be_decided() {
    let mut node = node_in_round_three(0);
    node.hear_all(&[1, 3], estimate(3, true));
    assert!(node.has_said(Vote::Coordinator { round: 3, value: true }));
    let mut node = Node::new(0);
    for value in [false, true] {
        node.hear_all(&[1, 2, 3], estimate(3, value));
    }
    node.input(false);
    for round in 1..=2 {
        node.hear_all(&[1, 2], estimate(round, false));
        node.hear_all(&[1, 2], auxiliary(round, false));
    }
    assert_eq!(node.instance.current, 3, "others go on, so the decided node helps");
    assert!(node.has_said(Vote::Coordinator { round: 3, value: true }), "round 3 decides 1");
}

#[test]
fn a_mixed_union_waits_for_a_clear_one() {
    let mut node = node_in_round_three(2);
    node.hear_all(&[1, 3], estimate(3, true));
    node.hear_all(&[0, 1], estimate(3, false));
    node.fire(3, RoundStep::Coordinator);
    node.hear_all(&[1], auxiliary(3, false));
    node.hear(BYZANTINE, auxiliary(3, false));
    assert_eq!(node.instance.current, 3);
    node.fire(3, RoundStep::Union);
    assert_eq!(node.instance.current, 4);
    assert!(node.has_said(estimate(4, true)), "parity of round 3");
}

#[test]
fn a_lagging_node_stops_waiting_below_the_round_of_t_plus_one_others() {
    let mut node = node_in_round_three(2);
    node.timers();
    node.hear(BYZANTINE, auxiliary(9, true));
    assert!(node.timers().is_empty(), "one may lie");
    node.hear_all(&[1], auxiliary(8, true));
    let timer = Timer::Round { height: Height(1), instance: INSTANCE, round: 8, step: RoundStep::CatchUp };
    assert_eq!(node.timers(), [(timer, node.settings.round_wait(8) / 4)]);
    node.hear_all(&[1, 3], estimate(3, true));
    assert_eq!(node.auxiliary(3), None);
    node.fire(8, RoundStep::CatchUp);
    assert_eq!(node.auxiliary(3), Some(auxiliary(3, true)));
}

/// One round of the schedule of Bertrand et al. (DISC 2022), b = parity of the round. `x` begins with b, `y` and `z`
/// with 1-b. At the end `y` has 1-b, `x` and `z` have b: the same picture for the next round, with other roles.
fn adverse_round(nodes: &mut [Node], round: u32, [x, y, z]: [usize; 3]) {
    let b = round % 2 == 1;
    let name = |index: usize| ValidatorIndex(u16::try_from(index).unwrap());
    for (node, other) in [(y, z), (z, y)] {
        nodes[node].hear_all(&[name(other).0, BYZANTINE.0], estimate(round, !b));
        nodes[node].fire(round, RoundStep::Coordinator);
        assert_eq!(nodes[node].auxiliary(round), Some(auxiliary(round, !b)), "{node} first delivers 1-b");
    }
    nodes[y].hear_all(&[name(z).0, BYZANTINE.0], auxiliary(round, !b));
    assert!(nodes[y].has_said(estimate(round + 1, !b)), "y keeps 1-b");
    if round == 1 {
        nodes[y].input(true);
        nodes[z].input(true);
    } else {
        nodes[y].hear_all(&[name(x).0, BYZANTINE.0], estimate(round, b));
        nodes[z].hear_all(&[name(x).0, BYZANTINE.0], estimate(round, b));
        nodes[x].hear_all(&[name(y).0, name(z).0, BYZANTINE.0], estimate(round, b));
        nodes[x].fire(round, RoundStep::Coordinator);
    }
    assert_eq!(nodes[x].auxiliary(round), Some(auxiliary(round, b)), "x first delivers b");
    nodes[x].hear_all(&[name(y).0, name(z).0], estimate(round, !b));
    nodes[z].hear_all(&[name(x).0, BYZANTINE.0], auxiliary(round, b));
    nodes[x].hear_all(&[name(z).0, BYZANTINE.0], auxiliary(round, !b));
    for node in [x, z] {
        nodes[node].fire(round, RoundStep::Union);
        assert!(nodes[node].has_said(estimate(round + 1, b)), "{node} sees both and takes b");
    }
    nodes[x].hear(name(y), auxiliary(round, !b));
    nodes[z].hear(name(y), auxiliary(round, !b));
    nodes[y].hear(name(x), auxiliary(round, b));
}

/// All votes reach all correct nodes before any timer fires, whatever the Byzantine one says to each of them.
/// Returns the highest round that was needed.
fn calm(nodes: &mut [Node], from_round: u32) -> u32 {
    for round in from_round..from_round + 12 {
        for (index, node) in nodes.iter_mut().enumerate() {
            let value = (index + round as usize).is_multiple_of(2);
            node.hear(BYZANTINE, estimate(round, value));
            node.hear(BYZANTINE, auxiliary(round, value));
            node.hear(BYZANTINE, Vote::Coordinator { round, value });
        }
    }
    for _ in 0..1_000 {
        if nodes.iter().all(|node| node.instance.decision().is_some()) {
            return nodes.iter().map(|node| node.instance.current).max().unwrap();
        }
        if hand_out(nodes) {
            continue;
        }
        for node in nodes.iter_mut() {
            let round = node.instance.current;
            node.fire(round, RoundStep::Coordinator);
            node.fire(round, RoundStep::Union);
        }
    }
    panic!("no decision in a calm network");
}

/// Hands every vote that is new to all other correct nodes. Returns whether there was one.
fn hand_out(nodes: &mut [Node]) -> bool {
    hand_out_up_to(nodes, u32::MAX)
}

/// As [`hand_out`], votes of later rounds excepted.
fn hand_out_up_to(nodes: &mut [Node], round: u32) -> bool {
    let is_due = |vote: &Vote| match vote {
        Vote::Estimate { round: of, .. }
        | Vote::Auxiliary { round: of, .. }
        | Vote::Coordinator { round: of, .. } => *of <= round,
        _ => true,
    };
    let mut any = false;
    for from in 0..nodes.len() {
        let said: Vec<Vote> = nodes[from].voice.said.iter().map(|(_, vote)| vote).filter(is_due).collect();
        let fresh: Vec<Vote> =
            said.iter().copied().filter(|vote| !nodes[from].heard.contains(vote)).collect();
        any |= !fresh.is_empty();
        nodes[from].heard = said;
        for vote in fresh {
            for to in (0..nodes.len()).filter(|to| *to != from) {
                nodes[to].hear(ValidatorIndex(u16::try_from(from).unwrap()), vote);
            }
        }
    }
    any
}

/// Goal: the schedule that keeps the algorithm without a coordinator busy for ever does so here while coordinator
/// messages are late and all waits end early, and is over soon after the network calms down.
#[test]
fn the_disc_2022_schedule_ends_with_the_coordinator() {
    for adverse_rounds in [1, 2, 3, 7, 20, 41] {
        let mut nodes: Vec<Node> = (0..3).map(Node::new).collect();
        let mut roles = [0, 1, 2];
        nodes[0].input(true);
        nodes[1].input(false);
        nodes[2].input(false);
        for round in 1..=adverse_rounds {
            adverse_round(&mut nodes, round, roles);
            roles.rotate_left(1);
            assert!(nodes.iter().all(|node| node.instance.decision().is_none()), "round {round}");
        }
        let last = calm(&mut nodes, adverse_rounds + 1);
        let decisions: Vec<_> = nodes.iter().map(|node| node.instance.decision()).collect();
        assert!(decisions.windows(2).all(|pair| pair[0] == pair[1]), "{decisions:?}");
        assert!(last <= adverse_rounds + 8, "decided in round {last} after {adverse_rounds} adverse ones");
    }
}

/// Goal: it is the coordinator that ends the schedule. Without it the schedule goes on as long as anybody cares to
/// look, although whatever correct nodes say reaches all of them by the end of the round.
#[test]
fn the_disc_2022_schedule_never_ends_without_the_coordinator() {
    let mut nodes: Vec<Node> = mutant::with(Some(Mutant::NoCoordinator), || (0..3).map(Node::new).collect());
    let mut roles = [0, 1, 2];
    nodes[0].input(true);
    nodes[1].input(false);
    nodes[2].input(false);
    for round in 1..=300 {
        adverse_round(&mut nodes, round, roles);
        roles.rotate_left(1);
        hand_out_up_to(&mut nodes, round);
        assert!(nodes.iter().all(|node| node.instance.decision().is_none()), "round {round}");
    }
}

#[test]
fn rounds_beyond_the_window_take_no_memory() {
    let mut node = Node::new(0);
    node.input(true);
    for round in 1..10_000 {
        node.hear(BYZANTINE, estimate(round, false));
        node.hear(BYZANTINE, auxiliary(u32::MAX - round, true));
    }
    assert!(node.instance.rounds.len() <= ROUNDS_AHEAD as usize + 2);
}
