//! What one call of [`crate::Engine::handle`] gathers: votes to say, records to write, effects to hand out.

use std::time::Duration;

use bxp_types::{Height, ValidatorIndex};
use bytes::Bytes;

use crate::config::{Settings, Verification};
use crate::interface::{Effect, Timer};
use crate::mutant::Mutant;
use crate::patience::Patience;
use crate::record;
use crate::votes::{Vote, Votes};
use crate::wire::{Envelope, Message, SECTIONS_MAX};

/// What a node has said at one height, and what of it has not left yet.
#[derive(Clone, Debug)]
pub(crate) struct Voice {
    pub(crate) said: Votes,
    fresh: Votes,
    /// G2, G4: the fresh votes wait no longer.
    due: bool,
}

impl Voice {
    pub(crate) const fn new(validators: u16) -> Self {
        Self { said: Votes::new(validators), fresh: Votes::new(validators), due: false }
    }

    /// Lets what is fresh leave with the effects of this call.
    pub(crate) const fn hurry(&mut self) {
        self.due = true;
    }

    pub(crate) const fn is_due(&self) -> bool {
        self.due
    }

    pub(crate) fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    /// Hands the fresh votes over: first to the log, then to everybody, in as few frames as possible.
    pub(crate) fn flush(&mut self, height: Height, settings: &Settings, outbox: &mut Outbox) {
        self.due = false;
        let fresh = std::mem::replace(&mut self.fresh, Votes::new(settings.validators));
        for votes in fresh.split(SECTIONS_MAX) {
            let (record, message) =
                record::encode(settings, &Envelope { height, message: Message::Votes(votes) });
            let late = settings.mutated(Mutant::SaidBeforeLogged);
            outbox.votes.push(Effect::Broadcast { message });
            let place = if late { &mut outbox.rest } else { &mut outbox.records };
            place.push(Effect::Persist(record));
        }
    }
}

/// Effects in the order in which they must be carried out: records before whatever was said, votes before the rest.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    records: Vec<Effect>,
    votes: Vec<Effect>,
    rest: Vec<Effect>,
    pub(crate) patience: Patience,
    /// Bodies that are being checked, of all heights.
    checks: u32,
}

impl Outbox {
    pub(crate) fn push(&mut self, effect: Effect) {
        self.rest.push(effect);
    }

    pub(crate) const fn check_begins(&mut self) {
        self.checks = self.checks.saturating_add(1);
    }

    pub(crate) const fn check_ends(&mut self) {
        self.checks = self.checks.saturating_sub(1);
    }

    pub(crate) const fn is_checking(&self) -> bool {
        self.checks > 0
    }

    /// Takes back the superblocks of heights that are final elsewhere by now.
    pub(crate) fn settle(&mut self, height: Height) {
        self.rest
            .retain(|effect| !matches!(effect, Effect::Decided(superblock) if superblock.height <= height));
    }

    pub(crate) fn take(&mut self) -> Vec<Effect> {
        let mut effects = std::mem::take(&mut self.records);
        effects.append(&mut self.votes);
        effects.append(&mut self.rest);
        effects
    }
}

/// What one call works with, whatever the height.
pub(crate) struct Desk<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) outbox: &'a mut Outbox,
}

impl Desk<'_> {
    /// The desk with the voice of one height.
    pub(crate) fn turn<'a>(&'a mut self, height: Height, voice: &'a mut Voice) -> Turn<'a> {
        Turn { height, settings: self.settings, voice, outbox: self.outbox }
    }
}

/// What the parts of one height work with.
pub(crate) struct Turn<'a> {
    pub(crate) height: Height,
    pub(crate) settings: &'a Settings,
    pub(crate) voice: &'a mut Voice,
    pub(crate) outbox: &'a mut Outbox,
}

impl Turn<'_> {
    /// Says a vote. Returns false if it was said before or contradicts what was said: then nothing is said.
    pub(crate) fn say(&mut self, instance: ValidatorIndex, vote: Vote) -> bool {
        let new = self.voice.said.insert(instance, vote);
        if new {
            self.voice.fresh.insert(instance, vote);
            if self.is_awaited(vote) {
                self.voice.hurry(); // G2
            }
        }
        new
    }

    /// G2: whether there is nothing more to wait for after this vote.
    fn is_awaited(&self, vote: Vote) -> bool {
        let said = &self.voice.said;
        match vote {
            Vote::Invalid(_) | Vote::Coordinator { .. } => true,
            // Each validator is a first verifier of t + 1 proposals; the others wait for its reports.
            Vote::Echo(_) if self.settings.config.verification == Verification::Sharded => {
                said.echoes.len() == self.settings.one_correct() || said.completes(vote)
            }
            Vote::Decided(_) if self.settings.mutated(Mutant::DecidedBeforeLogged) => false,
            _ => said.completes(vote),
        }
    }

    pub(crate) fn persist(&mut self, message: Message) -> Bytes {
        let (record, message) = record::encode(self.settings, &Envelope { height: self.height, message });
        self.outbox.records.push(Effect::Persist(record));
        message
    }

    pub(crate) fn send(&mut self, to: ValidatorIndex, message: Message) {
        let message = self.encode(message);
        self.outbox.push(Effect::Send { to, message });
    }

    pub(crate) fn broadcast(&mut self, message: Bytes) {
        self.outbox.push(Effect::Broadcast { message });
    }

    pub(crate) fn timer(&mut self, timer: Timer, after: Duration) {
        self.outbox.push(Effect::SetTimer { timer, after });
    }

    pub(crate) fn encode(&self, message: Message) -> Bytes {
        Envelope { height: self.height, message }.encode()
    }
}
