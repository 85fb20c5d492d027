//! Byzantine validators.

use std::collections::BTreeSet;

use bxp_consensus::wire::{Envelope, Message};
use bxp_consensus::{Values, Vote, Votes};
use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;
use rand::Rng;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::Plan;

mod distort;
mod noise;

/// How a Byzantine validator behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Says nothing, ever.
    Silent,
    /// Two engines with one name: each talks to its own part of the network, about its own proposals.
    Twins,
    /// An honest engine whose votes are turned around, differently for each peer.
    Flipper,
    /// No engine: random votes, bodies, mutations and garbage, to anybody at any time.
    Chaos,
    /// Proposes what is invalid, to everybody, and echoes it.
    Invalid,
    /// Takes part, but sends its proposal to few, and never hands a body over.
    Miser,
    /// Takes part, but tells each peer only half of what it says, and sticks to that.
    Selective,
    /// Proposes one body to one half and another one to the other, and vouches for each where it was sent.
    Equivocator,
    /// Says every binary vote and its contrary.
    ForBoth,
    /// Says nothing to some, ever.
    Mute,
    /// Says everything much later.
    Late,
    /// Sends its proposal to few, and wrong bodies to those who ask for right ones.
    Forger,
    /// Echoes only some proposals, and others to each peer.
    EchoMiser,
    /// Vouches for everything, and proposes what is invalid.
    FalseValid,
    /// Reports every proposal of others as invalid.
    FalseInvalid,
    /// Reports each proposal as valid to some and as invalid to others.
    TwoReports,
    /// Checks nobody's proposal.
    SilentVerifier,
    /// Says what others said, as its own words, at any height.
    Replayer,
    /// Takes part, and asks everybody for everything all the time.
    Spammer,
    /// Says at once that everything is decided, one way to some and the other way to others.
    DecidedLiar,
    /// As coordinator and in late rounds, says another value to each half.
    CoordinatorLiar,
    /// Takes part, and speaks of heights and rounds that nobody has reached.
    FarAhead,
    /// READY and AUX for every proposal before anybody could have echoed it, and no ECHO.
    ReadyFirst,
}

pub(crate) const ROLES: [Role; 23] = [
    Role::Silent,
    Role::Twins,
    Role::Flipper,
    Role::Chaos,
    Role::Invalid,
    Role::Miser,
    Role::Selective,
    Role::Equivocator,
    Role::ForBoth,
    Role::Mute,
    Role::Late,
    Role::Forger,
    Role::EchoMiser,
    Role::FalseValid,
    Role::FalseInvalid,
    Role::TwoReports,
    Role::SilentVerifier,
    Role::Replayer,
    Role::Spammer,
    Role::DecidedLiar,
    Role::CoordinatorLiar,
    Role::FarAhead,
    Role::ReadyFirst,
];

/// Those that lie about what they checked.
pub(crate) const VERIFIER_ROLES: [Role; 8] = [
    Role::Silent,
    Role::FalseValid,
    Role::FalseInvalid,
    Role::TwoReports,
    Role::SilentVerifier,
    Role::EchoMiser,
    Role::Equivocator,
    Role::Invalid,
];

pub(crate) struct Adversary {
    role: Role,
    me: usize,
    validators: u16,
    heights: u64,
    /// For twins: whom each of the two talks to.
    audience: Vec<[bool; 2]>,
    /// Digests seen, to be named again in the wrong place.
    digests: Vec<Digest>,
    noise_left: u32,
    /// Makes the choices of roles that stick to them those of this run.
    salt: u64,
    /// For [`Role::Replayer`]: what was heard.
    remembered: Vec<Bytes>,
    /// For [`Role::Late`]: what is not said yet, and how many messages must come in before it is.
    held_back: Vec<(u32, usize, Bytes)>,
    /// Proposals answered, so that two adversaries do not answer each other for ever.
    answered: BTreeSet<(usize, Height)>,
}

impl Adversary {
    pub(crate) fn new(role: Role, me: usize, plan: &Plan, rng: &mut ChaCha8Rng) -> Self {
        let audience = (0..plan.validators)
            .map(|_| *[[true, false], [false, true], [true, true]].choose(rng).unwrap())
            .collect();
        let validators = u16::try_from(plan.validators).unwrap();
        Self {
            role,
            me,
            validators,
            heights: plan.heights,
            audience,
            digests: vec![Digest([0; 32])],
            noise_left: 3_000,
            salt: rng.random(),
            remembered: Vec::new(),
            held_back: Vec::new(),
            answered: BTreeSet::new(),
        }
    }

    /// How many honest engines it runs.
    pub(crate) const fn engines(&self) -> usize {
        match self.role {
            Role::Silent | Role::Chaos | Role::Invalid | Role::FalseValid | Role::ReadyFirst => 0,
            Role::Twins => 2,
            _ => 1,
        }
    }

    /// What becomes of a message on its way from an honest engine to a peer.
    pub(crate) fn distort(
        &mut self,
        twin: usize,
        to: usize,
        message: Bytes,
        rng: &mut ChaCha8Rng,
    ) -> Vec<Bytes> {
        match self.role {
            Role::Twins => self.audience[to][twin].then_some(message).into_iter().collect(),
            Role::Mute => self.tells("anything", to).then_some(message).into_iter().collect(),
            Role::Flipper => self.change_votes(&message, |vote| {
                vec![if rng.random_ratio(1, 3) { vote } else { turned(vote, rng) }]
            }),
            Role::Late => {
                self.held_back.push((rng.random_range(1..80), to, message));
                Vec::new()
            }
            _ => self.distort_by_role(to, message),
        }
    }

    /// What it says of itself when a message arrives.
    pub(crate) fn answer(
        &mut self,
        from: usize,
        message: &Bytes,
        rng: &mut ChaCha8Rng,
    ) -> Vec<(usize, Bytes)> {
        match self.role {
            Role::Chaos => self.noise(from, message, rng),
            Role::Invalid | Role::FalseValid | Role::ReadyFirst => self.answer_proposal(from, message),
            Role::Replayer => self.replay(from, message, rng),
            Role::Spammer => self.spam(from, message, rng),
            Role::FarAhead => self.far_ahead(from, message, rng),
            Role::Late => self.release(),
            _ => Vec::new(),
        }
    }

    fn decode(&self, message: &Bytes) -> Option<Envelope> {
        Envelope::decode(message, self.validators, usize::MAX).ok()
    }

    /// A choice that stays the same for the same words and peer.
    fn tells(&self, what: &str, to: usize) -> bool {
        Digest::of(format!("{what} {to} {}", self.salt).as_bytes()).0[0] < 128
    }

    fn answer_proposal(&mut self, from: usize, message: &Bytes) -> Vec<(usize, Bytes)> {
        let Some(Envelope { height, message: Message::Init { body } }) = self.decode(message) else {
            return Vec::new();
        };
        if !self.answered.insert((from, height)) {
            return Vec::new();
        }
        let digest = Digest::of(&body);
        match self.role {
            Role::FalseValid => [self.invalid(height), self.vouch(from, height, digest)].concat(),
            Role::ReadyFirst => self.ready_first(from, height, digest),
            _ => self.invalid(height),
        }
    }

    fn invalid(&self, height: Height) -> Vec<(usize, Bytes)> {
        let body = Bytes::from(format!("bad {height}"));
        let mut votes = self.vouching(self.index(), Digest::of(&body));
        votes.insert(self.index(), Vote::Decided(true));
        let init = Envelope { height, message: Message::Init { body } };
        let votes = Envelope { height, message: Message::Votes(votes) };
        [self.to_all(&init), self.to_all(&votes)].concat()
    }

    /// Vouches for whatever was proposed.
    fn vouch(&self, from: usize, height: Height, digest: Digest) -> Vec<(usize, Bytes)> {
        let votes = self.vouching(index(from), digest);
        self.to_all(&Envelope { height, message: Message::Votes(votes) })
    }

    fn ready_first(&self, from: usize, height: Height, digest: Digest) -> Vec<(usize, Bytes)> {
        let mut votes = Votes::new(self.validators);
        votes.insert(index(from), Vote::Ready(digest));
        votes.insert(index(from), Vote::Auxiliary { round: 1, values: Values::only(true) });
        self.to_all(&Envelope { height, message: Message::Votes(votes) })
    }

    fn release(&mut self) -> Vec<(usize, Bytes)> {
        self.held_back.iter_mut().for_each(|(left, ..)| *left = left.saturating_sub(1));
        let due = self.held_back.extract_if(.., |(left, ..)| *left == 0);
        due.map(|(_, to, message)| (to, message)).collect()
    }

    fn vouching(&self, instance: ValidatorIndex, digest: Digest) -> Votes {
        let mut votes = Votes::new(self.validators);
        votes.insert(instance, Vote::Echo(digest));
        votes.insert(instance, Vote::Ready(digest));
        votes.insert(instance, Vote::Auxiliary { round: 1, values: Values::only(true) });
        votes
    }

    fn to_all(&self, envelope: &Envelope) -> Vec<(usize, Bytes)> {
        let message = envelope.encode();
        let peers = (0..usize::from(self.validators)).filter(|peer| *peer != self.me);
        peers.map(|peer| (peer, message.clone())).collect()
    }

    fn index(&self) -> ValidatorIndex {
        index(self.me)
    }
}

fn index(node: usize) -> ValidatorIndex {
    ValidatorIndex(u16::try_from(node).unwrap())
}

/// The contrary of a vote, or one of several.
fn turned(vote: Vote, rng: &mut ChaCha8Rng) -> Vote {
    match vote {
        Vote::Echo(_) => Vote::Echo(Digest([rng.random_range(0..3); 32])),
        Vote::Ready(_) => Vote::Ready(Digest([rng.random_range(0..3); 32])),
        Vote::Estimate { round, value } => Vote::Estimate { round, value: !value },
        Vote::Coordinator { round, value } => Vote::Coordinator { round, value: !value },
        Vote::Auxiliary { round, .. } => {
            let values = *[Values::only(false), Values::only(true), Values::BOTH].choose(rng).unwrap();
            Vote::Auxiliary { round, values }
        }
        Vote::Decided(value) => Vote::Decided(!value),
        Vote::Invalid(digest) => Vote::Echo(digest),
    }
}
