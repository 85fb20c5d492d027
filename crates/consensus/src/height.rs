//! One height: n broadcasts, n binary instances, and the superblock that they make (lines S1-S5).

use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;

use crate::binary::Instance;
use crate::bitmask::Bitmask;
use crate::broadcast::Broadcast;
use crate::config::Settings;
use crate::interface::{Effect, RoundStep, Timer};
use crate::mutant::Mutant;
use crate::resend::Answered;
use crate::superblock::{Proposal, Superblock};
use crate::turn::{Desk, Turn, Voice};
use crate::votes::{Vote, Votes};
use crate::wire::Message;

/// How far the chance of late proposals is (S3, S4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grace {
    NotYet,
    Running,
    Over,
}

/// The state of one height. Until it is started it only listens.
#[derive(Debug)]
pub(crate) struct HeightState {
    pub(crate) height: Height,
    pub(crate) started: bool,
    pub(crate) concluded: bool,
    pub(crate) broadcasts: Vec<Broadcast>,
    pub(crate) voice: Voice,
    pub(crate) answered: Answered,
    instances: Vec<Instance>,
    grace: Grace,
}

impl HeightState {
    pub(crate) fn new(height: Height, settings: &Settings) -> Self {
        let n = settings.validators;
        Self {
            height,
            started: false,
            concluded: false,
            broadcasts: settings.all().map(|proposer| Broadcast::new(proposer, n)).collect(),
            voice: Voice::new(n),
            answered: Answered::new(n),
            instances: settings.all().map(|proposer| Instance::new(proposer, n)).collect(),
            grace: Grace::NotYet,
        }
    }

    /// R1, S1: proposes `body` and acts on all that was heard before.
    pub(crate) fn start(&mut self, body: Bytes, desk: &mut Desk<'_>) {
        if let Some(own) = self.broadcasts.get_mut(index(desk.settings.me())) {
            own.vouch(body.clone());
        }
        let mut turn = self.turn(desk);
        let message = turn.persist(Message::Init { body });
        turn.broadcast(message);
        self.resume(desk);
    }

    /// Acts on all that was counted so far.
    pub(crate) fn resume(&mut self, desk: &mut Desk<'_>) {
        self.started = true;
        self.arm_tick(desk);
        for proposer in desk.settings.all() {
            self.progress_broadcast(proposer, desk);
        }
        let mut turn = desk.turn(self.height, &mut self.voice);
        for instance in &mut self.instances {
            instance.resume(&mut turn);
        }
        self.conclude(desk);
    }

    /// R2: the proposer's own message.
    pub(crate) fn receive_init(&mut self, from: ValidatorIndex, body: Bytes, desk: &mut Desk<'_>) {
        if let Some(broadcast) = self.broadcasts.get_mut(index(from)) {
            broadcast.offer(body);
        }
        self.progress_if_started(from, desk);
    }

    /// R9: the answer to a fetch.
    pub(crate) fn receive_body(
        &mut self,
        from: ValidatorIndex,
        proposer: ValidatorIndex,
        body: Bytes,
        desk: &mut Desk<'_>,
    ) {
        if let Some(broadcast) = self.broadcasts.get_mut(index(proposer)) {
            broadcast.receive(from, body, desk.settings);
        }
        self.progress_if_started(proposer, desk);
    }

    pub(crate) fn receive_votes(&mut self, from: ValidatorIndex, votes: &Votes, desk: &mut Desk<'_>) {
        votes.iter().for_each(|(proposer, vote)| {
            self.count(from, proposer, vote, desk.settings);
            if !self.started {
                return;
            }
            match vote {
                Vote::Echo(_) | Vote::Ready(_) | Vote::Invalid(_) => self.progress_broadcast(proposer, desk),
                Vote::Estimate { round, .. }
                | Vote::Coordinator { round, .. }
                | Vote::Auxiliary { round, .. } => {
                    self.progress_instance(proposer, round, desk);
                }
                Vote::Decided(_) => self.progress_instance(proposer, 1, desk),
            }
        });
        if self.started {
            self.conclude(desk);
        }
    }

    pub(crate) fn validated(
        &mut self,
        proposer: ValidatorIndex,
        digest: Digest,
        valid: bool,
        desk: &mut Desk<'_>,
    ) {
        if let Some(broadcast) = self.broadcasts.get_mut(index(proposer)) {
            broadcast.validated(digest, valid);
        }
        self.progress_if_started(proposer, desk);
    }

    /// Whether this height is over for everybody: then nothing that anybody says can be missed.
    pub(crate) fn is_over(&self) -> bool {
        self.concluded && self.instances.iter().all(Instance::is_halted)
    }

    /// S4: the proposals that have not been delivered by now are proposed to stay out.
    pub(crate) fn grace_fired(&mut self, desk: &mut Desk<'_>) {
        if self.grace != Grace::Running {
            return;
        }
        self.grace = Grace::Over;
        let mut turn = desk.turn(self.height, &mut self.voice);
        for instance in self.instances.iter_mut().filter(|instance| !instance.has_input()) {
            instance.input(false, &mut turn);
        }
        self.conclude(desk);
    }

    pub(crate) fn round_fired(
        &mut self,
        instance: ValidatorIndex,
        round: u32,
        step: RoundStep,
        desk: &mut Desk<'_>,
    ) {
        let mut turn = desk.turn(self.height, &mut self.voice);
        if let Some(instance) = self.instances.get_mut(index(instance)) {
            instance.timer_fired(round, step, &mut turn);
        }
        self.conclude(desk);
    }

    /// R7: a proposal that is decided 0 needs no body.
    pub(crate) fn fetch_fired(&mut self, proposer: ValidatorIndex, desk: &mut Desk<'_>) {
        let excluded = |instance: &Instance| instance.decision() == Some(false);
        if self.concluded || self.instances.get(index(proposer)).is_none_or(excluded) {
            return;
        }
        let mut turn = desk.turn(self.height, &mut self.voice);
        if let Some(broadcast) = self.broadcasts.get_mut(index(proposer)) {
            broadcast.fetch(&mut turn);
        }
    }

    /// V4: the first verifiers have had their time.
    pub(crate) fn verify_fired(&mut self, proposer: ValidatorIndex, desk: &mut Desk<'_>) {
        if let Some(broadcast) = self.broadcasts.get_mut(index(proposer)) {
            broadcast.time_out_first_verifiers();
        }
        self.progress_if_started(proposer, desk);
    }

    /// Counts a vote without acting on it.
    pub(crate) fn count(
        &mut self,
        from: ValidatorIndex,
        proposer: ValidatorIndex,
        vote: Vote,
        settings: &Settings,
    ) {
        let index = index(proposer);
        let (Some(broadcast), Some(instance)) =
            (self.broadcasts.get_mut(index), self.instances.get_mut(index))
        else {
            return;
        };
        match vote {
            Vote::Echo(digest) => broadcast.count_echo(from, digest),
            Vote::Ready(digest) => broadcast.count_ready(from, digest),
            Vote::Invalid(digest) => broadcast.count_invalid(from, digest),
            _ => instance.count(from, vote, settings),
        }
    }

    /// The valid bodies that are decided 0, but for `me`'s.
    pub(crate) fn left_out(&self, me: ValidatorIndex) -> impl Iterator<Item = (Digest, &Bytes)> {
        let all = self.broadcasts.iter().zip(&self.instances).enumerate();
        all.filter(move |(proposer, (_, instance))| {
            *proposer != index(me) && instance.decision() == Some(false)
        })
        .filter_map(|(_, (broadcast, _))| broadcast.vouched())
    }

    pub(crate) fn turn<'a>(&'a mut self, desk: &'a mut Desk<'_>) -> Turn<'a> {
        desk.turn(self.height, &mut self.voice)
    }

    fn progress_if_started(&mut self, proposer: ValidatorIndex, desk: &mut Desk<'_>) {
        if self.started {
            self.progress_broadcast(proposer, desk);
            self.conclude(desk);
        }
    }

    /// S2: what is delivered goes into its instance with 1.
    fn progress_broadcast(&mut self, proposer: ValidatorIndex, desk: &mut Desk<'_>) {
        let index = index(proposer);
        let mut turn = desk.turn(self.height, &mut self.voice);
        let (Some(broadcast), Some(instance)) =
            (self.broadcasts.get_mut(index), self.instances.get_mut(index))
        else {
            return;
        };
        let before = broadcast.delivered();
        broadcast.progress(&mut turn);
        if before.is_none() && broadcast.delivered().is_some() {
            instance.input(true, &mut turn);
        }
    }

    fn progress_instance(&mut self, proposer: ValidatorIndex, round: u32, desk: &mut Desk<'_>) {
        let mut turn = desk.turn(self.height, &mut self.voice);
        if let Some(instance) = self.instances.get_mut(index(proposer)) {
            instance.progress(round, &mut turn);
        }
    }

    /// S3, S5: looks at the outcomes as a whole.
    fn conclude(&mut self, desk: &mut Desk<'_>) {
        if self.concluded {
            return;
        }
        let accepted = self.instances.iter().filter(|instance| instance.decision() == Some(true)).count();
        let enough =
            if desk.settings.mutated(Mutant::ZeroTooEarly) { 1 } else { desk.settings.all_but_faults() };
        if self.grace == Grace::NotYet && accepted >= enough {
            self.grace = Grace::Running;
            let (timer, grace) = (Timer::Grace { height: self.height }, desk.settings.config.grace);
            self.turn(desk).timer(timer, grace);
        }
        if let Some(superblock) = self.superblock(desk.settings) {
            self.concluded = true;
            if !desk.settings.mutated(Mutant::DecidedBeforeLogged) {
                // G4: it rests on own votes. DECIDED of all instances is complete, so that G2 lets them leave as well; but
                // speed may change, and this may not.
                self.voice.hurry();
            }
            desk.outbox.push(Effect::Decided(superblock));
        }
    }

    /// The superblock, once all instances are decided and all bodies are there.
    fn superblock(&self, settings: &Settings) -> Option<Superblock> {
        if self.instances.iter().any(|instance| instance.decision().is_none()) {
            return None;
        }
        let mut bitmask = Bitmask::new(settings.validators);
        let mut proposals = Vec::new();
        for ((proposer, broadcast), instance) in settings.all().zip(&self.broadcasts).zip(&self.instances) {
            if instance.decision() == Some(true) {
                let digest = broadcast.delivered()?;
                let body = broadcast.body(digest)?.clone();
                bitmask.insert(proposer);
                proposals.push(Proposal { proposer, digest, body });
            }
        }
        Some(Superblock { height: self.height, bitmask, proposals })
    }
}

/// A validator's place in a list by validator.
pub(crate) fn index(validator: ValidatorIndex) -> usize {
    usize::from(validator.0)
}
