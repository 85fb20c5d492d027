//! Saying things again (lines R8, H4-H6): to peers that reconnected, that ask, or that miss a body. Everything is
//! idempotent: whoever has heard it counts it no second time.

use std::collections::BTreeSet;

use bxp_types::{Digest, ValidatorIndex};

use crate::bitmask::Bitmask;
use crate::broadcast::Broadcast;
use crate::height::{HeightState, index};
use crate::interface::Timer;
use crate::mutant::Mutant;
use crate::turn::Desk;
use crate::wire::{Message, SECTIONS_MAX};

/// The longest tick, as a power of two of the first.
const TICK_DOUBLINGS_MAX: u32 = 4;

/// Answers given since the last tick: each peer gets each body, and a repetition of the votes, once a tick.
#[derive(Debug)]
pub(crate) struct Answered {
    bodies: BTreeSet<(ValidatorIndex, ValidatorIndex)>,
    pulls: Bitmask,
    ticks: u32,
}

impl Answered {
    pub(crate) fn new(validators: u16) -> Self {
        Self { bodies: BTreeSet::new(), pulls: Bitmask::new(validators), ticks: 0 }
    }
}

impl HeightState {
    /// R8: hands a body over.
    pub(crate) fn serve(
        &mut self,
        to: ValidatorIndex,
        proposer: ValidatorIndex,
        digest: Digest,
        desk: &mut Desk<'_>,
    ) {
        let body = self.broadcasts.get(index(proposer)).and_then(|broadcast| broadcast.body(digest)).cloned();
        if let Some(body) = body
            && self.answered.bodies.insert((to, proposer))
        {
            self.turn(desk).send(to, Message::Body { proposer, body });
        }
    }

    /// H6: repeats what was said.
    pub(crate) fn answer_pull(&mut self, to: ValidatorIndex, held: &Bitmask, desk: &mut Desk<'_>) {
        if self.started && self.answered.pulls.insert(to) {
            self.repeat(to, !held.contains(desk.settings.me()), desk);
        }
    }

    /// H4: sends all own messages of this height again.
    pub(crate) fn repeat(&mut self, to: ValidatorIndex, with_body: bool, desk: &mut Desk<'_>) {
        if !self.started || desk.settings.mutated(Mutant::NothingRepeated) {
            return;
        }
        self.voice.hurry(); // G4
        let own = self.broadcasts.get(index(desk.settings.me())).and_then(Broadcast::vouched);
        let own = own.map(|(_, body)| body.clone());
        let parts = self.voice.said.split(SECTIONS_MAX);
        let mut turn = self.turn(desk);
        if let Some(body) = own.filter(|_| with_body) {
            turn.send(to, Message::Init { body });
        }
        for votes in parts {
            turn.send(to, Message::Votes(votes));
        }
    }

    /// H6: asks one peer, or all of them, to repeat what they said.
    pub(crate) fn pull(&mut self, from: Option<ValidatorIndex>, desk: &mut Desk<'_>) {
        let mut held = Bitmask::new(desk.settings.validators);
        for (proposer, broadcast) in desk.settings.all().zip(&self.broadcasts) {
            if broadcast.holds_body() {
                held.insert(proposer);
            }
        }
        let mut turn = self.turn(desk);
        let message = Message::Pull { held };
        if let Some(peer) = from {
            turn.send(peer, message);
        } else {
            let message = turn.encode(message);
            turn.broadcast(message);
        }
    }

    /// H5: peers may be answered again; a height that is not over asks for what was missed. That goes for a decided
    /// one, too: others may have asked for help in a later round, unheard.
    pub(crate) fn tick(&mut self, desk: &mut Desk<'_>) {
        self.answered.bodies.clear();
        self.answered.pulls.clear();
        self.voice.hurry();
        self.answered.ticks = self.answered.ticks.saturating_add(1);
        self.arm_tick(desk);
        if !self.is_over() {
            self.pull(None, desk);
        }
    }

    /// Ticks while the height is open, ever more slowly.
    pub(crate) fn arm_tick(&mut self, desk: &mut Desk<'_>) {
        let doublings = self.answered.ticks.min(TICK_DOUBLINGS_MAX);
        let after = desk.settings.config.pull_after.saturating_mul(1 << doublings);
        let timer = Timer::Tick { height: self.height };
        self.turn(desk).timer(timer, after);
    }
}
