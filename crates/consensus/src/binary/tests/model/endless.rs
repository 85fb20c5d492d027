//! A schedule of the model that never ends: that of Bertrand et al. (DISC 2022), in the model's own steps.
//!
//! In each round, b being its parity, `x` begins with b, `y` and `z` with 1-b. At its end `y` has 1-b, `x` and `z` have
//! b: the same picture for the next round, with other roles. Correct coordinators speak, and nobody hears them in time.
//! What else is not heard here has no effect once its round is left.

use stateright::Model;

use super::{AnySchedule, CORRECT, INSTANCE, Network, Step, What};
use crate::votes::Values;

/// The first round whose states can come back.
const FIRST: u32 = 3;
/// Roles come back after three rounds, phases of the keys after four.
const LOOP: u32 = 12;
/// Twice round the loop.
const LAST: u32 = FIRST + 2 * LOOP;

/// One schedule, step by step.
struct Run<'a> {
    model: &'a AnySchedule,
    network: Network,
}

impl Run<'_> {
    /// Takes a step, which the model offers, which changes something, and which decides nothing.
    fn take(&mut self, node: usize, what: What) {
        let round = self.network.round;
        let step = Step { node, what };
        let mut offered = Vec::new();
        self.model.actions(&self.network, &mut offered);
        assert!(offered.contains(&step), "{step:?} is not offered in round {round}");
        let next = self.model.next_state(&self.network, step.clone());
        let Some(network) = next else { panic!("{step:?} changes nothing in round {round}") };
        let undecided = network.nodes.iter().all(|node| node.instance.decision.is_none());
        assert!(undecided, "{step:?} decides in round {round}");
        self.network = network;
    }

    /// A node delivers this value before the other one, and says so.
    fn deliver_first(&mut self, node: usize, value: bool) {
        let round = self.network.round;
        self.take(node, What::Estimate(round, value));
        let coordinator = usize::from(self.model.settings[0].coordinator(INSTANCE, round).0);
        // Nobody waits in rounds 1 and 2, and nobody for itself.
        if round >= FIRST && node != coordinator {
            self.take(node, What::CoordinatorWaitOver(round));
        }
        assert_eq!(self.network.nodes[node].auxiliary(round), Some(Values::only(value)), "round {round}");
    }

    /// A node hears AUX of another, and the same of the Byzantine one.
    fn hear_auxiliary(&mut self, node: usize, from: usize, value: bool, union_wait_over: bool) {
        let byzantine = vec![Values::only(value)];
        let round = self.network.round;
        self.take(node, What::Auxiliary { round, from: vec![from], byzantine, union_wait_over });
    }

    /// One round from the picture to the same picture. In round 1 inputs make the picture, and 1 is delivered by input.
    fn one_round(&mut self, [x, y, z]: [usize; CORRECT]) {
        let round = self.network.round;
        let b = round % 2 == 1;
        let waits = round >= FIRST;
        if round == 1 {
            self.take(x, What::Input(b));
            self.take(y, What::Input(!b));
            self.take(z, What::Input(!b));
        }
        self.deliver_first(y, !b);
        self.deliver_first(z, !b);
        self.hear_auxiliary(y, z, !b, false);
        for node in [y, z] {
            self.take(node, if round == 1 { What::Input(b) } else { What::Estimate(round, b) });
        }
        if round > 1 {
            self.deliver_first(x, b);
        }
        self.take(x, What::Estimate(round, !b));
        self.hear_auxiliary(z, x, b, waits);
        self.hear_auxiliary(x, z, !b, waits);
        self.take(0, What::NextRound);
        let estimates = [x, y, z].map(|node| self.network.nodes[node].instance.estimate);
        assert_eq!(estimates, [b, !b, b], "after round {round}");
    }
}

/// Goal: the model holds schedules that never decide, and finds out that they go round: without the coordinator's help
/// the state of round 3 is there again in round 15, and so for each later round, with nobody decided on the way.
#[test]
fn without_the_coordinator_a_schedule_comes_back_to_its_states() {
    let model = AnySchedule::new(LAST);
    let mut run = Run { model: &model, network: model.init_states().remove(0) };
    let mut roles = [0, 1, 2];
    let mut keys = Vec::new();
    for round in 1..LAST {
        run.one_round(roles);
        roles.rotate_left(1);
        assert_eq!(run.network.round, round + 1);
        if run.network.round >= FIRST {
            keys.push(run.network.key.clone());
        }
    }
    let (once, again) = keys.split_at(LOOP as usize);
    for (at, key) in once.iter().enumerate() {
        assert!(!once[..at].contains(key), "the loop is shorter than {LOOP} rounds");
    }
    for (at, key) in again.iter().enumerate() {
        assert_eq!(*key, once[at % once.len()], "{at} rounds after the first {LOOP}");
    }
}
