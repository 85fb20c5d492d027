//! One binary consensus: does this proposer's body enter the superblock? (Lines B1-B19.)
//!
//! Tallying and acting are apart: [`Instance::count`] only counts, so that a height can be listened to before it is
//! started; [`Instance::progress`] does what the counts call for.

use bxp_types::ValidatorIndex;

use crate::bitmask::Bitmask;
use crate::config::Settings;
use crate::interface::{RoundStep, Timer};
use crate::mutant::Mutant;
use crate::round::{Reached, Round, Rounds};
use crate::turn::Turn;
use crate::votes::{Values, Vote};

/// How many rounds above the own one are listened to. What is beyond is asked for again by a pull (H6).
pub(crate) const ROUNDS_AHEAD: u32 = 16;
/// Rounds up to this one have no coordinator and never wait (B18): unanimous nodes decide within them.
const FAST_ROUNDS: u32 = 2;
/// A node that lags waits this fraction of a round's wait once, instead of the whole wait of each round (B19).
const CATCH_UP_DIVISOR: u32 = 4;

/// The state of one binary instance.
#[derive(Clone, Debug)]
pub(crate) struct Instance {
    proposer: ValidatorIndex,
    rounds: Rounds,
    /// The round one is in; 0 before the first input.
    current: u32,
    estimate: bool,
    decision: Option<bool>,
    decided_zero: Bitmask,
    decided_one: Bitmask,
    halted: bool,
    reached: Reached,
    catching_up: bool,
    /// Rounds below this one do not wait.
    hurry_below: u32,
}

impl Instance {
    pub(crate) fn new(proposer: ValidatorIndex, validators: u16) -> Self {
        Self {
            proposer,
            rounds: Rounds::default(),
            current: 0,
            estimate: false,
            decision: None,
            decided_zero: Bitmask::new(validators),
            decided_one: Bitmask::new(validators),
            halted: false,
            reached: Reached::default(),
            catching_up: false,
            hurry_below: 0,
        }
    }

    /// The outcome, once it is certain.
    pub(crate) const fn decision(&self) -> Option<bool> {
        self.decision
    }

    /// Whether nobody needs this node any more to come to the outcome (B17).
    pub(crate) const fn is_halted(&self) -> bool {
        self.halted
    }

    /// Whether a value was put in (B1).
    pub(crate) const fn has_input(&self) -> bool {
        self.current > 0
    }

    /// Counts a vote of `from`. Votes are counted at most once each; rounds too far ahead are left out.
    pub(crate) fn count(&mut self, from: ValidatorIndex, vote: Vote, settings: &Settings) {
        let (Vote::Estimate { round, .. } | Vote::Coordinator { round, .. } | Vote::Auxiliary { round, .. }) =
            vote
        else {
            return self.count_decided(from, vote);
        };
        if self.halted {
            return;
        }
        self.reached.note(from, round);
        let window = self.current.max(1).saturating_add(ROUNDS_AHEAD);
        if round > window && from != settings.me() {
            return;
        }
        let coordinator = settings.coordinator(self.proposer, round);
        let round_votes = self.round(round, settings);
        match vote {
            // B3: nobody correct says EST 1 in round 1, where a delivery stands for it.
            Vote::Estimate { round: 1, value: true } => {}
            Vote::Estimate { value, .. } => round_votes.count_estimate(from, value),
            Vote::Coordinator { value, .. } if from == coordinator => {
                round_votes.coordinator.get_or_insert(value);
            }
            Vote::Auxiliary { values, .. } => round_votes.count_auxiliary(from, values, settings),
            _ => {}
        }
    }

    fn count_decided(&mut self, from: ValidatorIndex, vote: Vote) {
        let Vote::Decided(value) = vote else { return };
        if self.decided_zero.contains(from) || self.decided_one.contains(from) {
            return;
        }
        if value {
            self.decided_one.insert(from)
        } else {
            self.decided_zero.insert(from)
        };
    }

    /// B1: puts a value in, unless one was. B2: 1 stands for a delivered proposal, whatever was put in before.
    pub(crate) fn input(&mut self, value: bool, turn: &mut Turn<'_>) {
        if self.halted {
            return;
        }
        if value {
            self.round(1, turn.settings).delivered.insert(true);
        }
        if self.current == 0 {
            self.estimate = value;
            self.enter(1, turn);
        }
        self.progress(1, turn);
    }

    /// Does what the votes counted so far call for, after votes for round `touched` came in.
    pub(crate) fn progress(&mut self, touched: u32, turn: &mut Turn<'_>) {
        if self.halted {
            return;
        }
        self.relay(touched, turn);
        self.decide_if_clear(touched, turn);
        self.finish(turn);
        while !self.halted && self.step(turn) {}
        self.catch_up(turn);
    }

    /// After recovery or a late start: nothing that came before has been acted upon.
    pub(crate) fn resume(&mut self, turn: &mut Turn<'_>) {
        let rounds: Vec<u32> = self.rounds.keys().copied().collect();
        self.progress(1, turn);
        for round in rounds {
            self.progress(round, turn);
        }
    }

    /// A wait of this instance is over (B9, B13, B19).
    pub(crate) fn timer_fired(&mut self, round: u32, step: RoundStep, turn: &mut Turn<'_>) {
        if step == RoundStep::CatchUp {
            self.catching_up = false;
            self.hurry_below = self.hurry_below.max(round);
        } else if let Some(votes) = self.rounds.get_mut(&round) {
            match step {
                RoundStep::Coordinator => votes.coordinator_wait_over = true,
                RoundStep::Union | RoundStep::CatchUp => votes.union_wait_over = true,
            }
        }
        self.progress(self.current.max(1), turn);
    }

    fn relay(&mut self, round: u32, turn: &mut Turn<'_>) {
        let (proposer, me) = (self.proposer, turn.settings.me());
        let Some(votes) = self.rounds.get_mut(&round) else { return };
        for value in [false, true] {
            let heard = votes.estimates(value) >= turn.settings.relay_quorum();
            if heard && !votes.has_estimated(me, value) {
                turn.say(proposer, Vote::Estimate { round, value }); // B5
                votes.count_estimate(me, value);
            }
            if votes.estimates(value) >= turn.settings.bin_quorum() {
                votes.delivered.insert(value); // B6
            }
        }
    }

    /// Works on the current round. Returns whether it ended, so that the next one wants a look.
    fn step(&mut self, turn: &mut Turn<'_>) -> bool {
        let round = self.current;
        if round == 0 {
            return false;
        }
        self.relay(round, turn);
        self.coordinate(round, turn);
        if !self.say_auxiliary(round, turn) {
            return false;
        }
        self.decide_if_clear(round, turn);
        let parity = round % 2 == 1;
        let union_wait_over = self.wait_is_over(round, RoundStep::Union);
        let Some(votes) = self.rounds.get(&round) else { return false };
        let estimate = if votes.agrees_on(parity, turn.settings) {
            parity // B12, where B11 has decided
        } else if votes.agrees_on(!parity, turn.settings) {
            !parity // B12
        } else if votes.is_complete(turn.settings) && union_wait_over {
            parity != turn.settings.mutated(Mutant::WrongParity) // B13
        } else {
            return false;
        };
        let helps = !turn.settings.mutated(Mutant::NoHelpAfterDeciding);
        let others_go_on = helps && self.reached.beyond(round) > 0;
        if self.halted || (self.decision.is_some() && !others_go_on) {
            return false; // B14
        }
        self.estimate = estimate;
        self.enter(round.saturating_add(1), turn);
        true
    }

    fn enter(&mut self, round: u32, turn: &mut Turn<'_>) {
        self.current = round;
        let (value, me) = (self.estimate, turn.settings.me());
        if !(round == 1 && value) {
            turn.say(self.proposer, Vote::Estimate { round, value }); // B3
            self.round(round, turn.settings).count_estimate(me, value);
        }
        self.arm(round, RoundStep::Coordinator, turn); // B4
    }

    fn coordinate(&mut self, round: u32, turn: &mut Turn<'_>) {
        let (proposer, me) = (self.proposer, turn.settings.me());
        let Some(votes) = self.rounds.get_mut(&round) else { return };
        let silent = turn.settings.mutated(Mutant::NoCoordinator);
        let mine = turn.settings.coordinator(proposer, round) == me && !silent;
        if round <= FAST_ROUNDS || !mine || votes.delivered.is_empty() || votes.coordinator.is_some() {
            return;
        }
        let parity = round % 2 == 1;
        let value = if votes.delivered.contains(parity) { parity } else { !parity };
        turn.say(proposer, Vote::Coordinator { round, value }); // B7
        votes.coordinator = Some(value);
    }

    /// Returns whether AUX of this round is said, now or before.
    fn say_auxiliary(&mut self, round: u32, turn: &mut Turn<'_>) -> bool {
        let (proposer, me) = (self.proposer, turn.settings.me());
        let wait_over = self.wait_is_over(round, RoundStep::Coordinator);
        let unchecked = turn.settings.mutated(Mutant::CoordinatorUnchecked);
        let Some(votes) = self.rounds.get_mut(&round) else { return false };
        if votes.has_said_auxiliary(me) {
            return true;
        }
        let values = match votes.coordinator {
            Some(value) if votes.delivered.contains(value) || unchecked => Values::only(value), // B8
            _ if wait_over && !votes.delivered.is_empty() => votes.delivered,                   // B9
            _ => return false,
        };
        turn.say(proposer, Vote::Auxiliary { round, values });
        votes.count_auxiliary(me, values, turn.settings);
        self.arm(round, RoundStep::Union, turn); // B10
        true
    }

    /// B11 holds for any round, also one not reached yet or left long ago: n-t AUX bind everybody's next estimate.
    fn decide_if_clear(&mut self, round: u32, turn: &mut Turn<'_>) {
        let parity = round % 2 == 1;
        if self.rounds.get(&round).is_some_and(|votes| votes.agrees_on(parity, turn.settings)) {
            self.decide(parity, turn);
        }
        if turn.settings.mutated(Mutant::ParityIgnored)
            && self.rounds.get(&round).is_some_and(|votes| votes.agrees_on(!parity, turn.settings))
        {
            self.decide(!parity, turn);
        }
    }

    fn decide(&mut self, value: bool, turn: &mut Turn<'_>) {
        if self.decision.is_some() {
            return;
        }
        self.decision = Some(value);
        if !turn.settings.mutated(Mutant::NoHelpAfterDeciding) {
            turn.say(self.proposer, Vote::Decided(value)); // B15
        }
        self.count_decided(turn.settings.me(), Vote::Decided(value));
        self.finish(turn);
    }

    fn finish(&mut self, turn: &mut Turn<'_>) {
        for value in [false, true] {
            let count = if value { self.decided_one.count() } else { self.decided_zero.count() };
            if count >= turn.settings.decided_quorum() && self.decision.is_none() {
                return self.decide(value, turn); // B16
            }
            if count >= turn.settings.most_correct() {
                self.halted = true; // B17
                self.rounds = Rounds::default();
            }
        }
    }

    fn catch_up(&mut self, turn: &mut Turn<'_>) {
        if self.catching_up || self.halted {
            return;
        }
        if self.reached.beyond(self.current.max(FAST_ROUNDS)) < turn.settings.one_correct() {
            return;
        }
        let reached = self.reached.by(turn.settings.one_correct());
        let Some(round) = reached.filter(|round| *round > self.hurry_below) else { return };
        self.catching_up = true;
        let wait = turn.settings.round_wait(round) / CATCH_UP_DIVISOR;
        turn.timer(self.timer(round, RoundStep::CatchUp, turn), wait); // B19
    }

    fn wait_is_over(&self, round: u32, step: RoundStep) -> bool {
        let fired = self.rounds.get(&round).is_some_and(|votes| match step {
            RoundStep::Coordinator => votes.coordinator_wait_over,
            RoundStep::Union | RoundStep::CatchUp => votes.union_wait_over,
        });
        fired || round <= FAST_ROUNDS || round < self.hurry_below
    }

    fn arm(&self, round: u32, step: RoundStep, turn: &mut Turn<'_>) {
        if !self.wait_is_over(round, step) {
            turn.timer(self.timer(round, step, turn), turn.settings.round_wait(round)); // B18
        }
    }

    const fn timer(&self, round: u32, step: RoundStep, turn: &Turn<'_>) -> Timer {
        Timer::Round { height: turn.height, instance: self.proposer, round, step }
    }

    fn round(&mut self, round: u32, settings: &Settings) -> &mut Round {
        self.rounds.entry(round).or_insert_with(|| Box::new(Round::new(settings.validators)))
    }
}

#[cfg(test)]
mod tests;
