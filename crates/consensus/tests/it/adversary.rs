//! Byzantine validators.

use bxp_consensus::wire::{Envelope, Message};
use bxp_consensus::{Bitmask, Values, Vote, Votes};
use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};
use rand_chacha::ChaCha8Rng;

use crate::simulator::Plan;

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
}

pub(crate) const ROLES: [Role; 7] =
    [Role::Silent, Role::Twins, Role::Flipper, Role::Chaos, Role::Invalid, Role::Miser, Role::Selective];

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
    /// Makes the choices of [`Role::Selective`] those of this run.
    salt: u64,
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
        }
    }

    /// How many honest engines it runs.
    pub(crate) fn engines(&self) -> usize {
        match self.role {
            Role::Silent | Role::Chaos | Role::Invalid => 0,
            Role::Flipper | Role::Miser | Role::Selective => 1,
            Role::Twins => 2,
        }
    }

    /// What becomes of a message on its way from an honest engine to a peer.
    pub(crate) fn distort(
        &mut self,
        twin: usize,
        to: usize,
        message: Bytes,
        rng: &mut ChaCha8Rng,
    ) -> Option<Bytes> {
        match self.role {
            Role::Twins => self.audience[to][twin].then_some(message),
            Role::Flipper => Some(self.flip(&message, rng)),
            Role::Miser => {
                let envelope = self.decode(&message)?;
                let withheld = match envelope.message {
                    Message::Init { .. } => to > usize::from(self.validators) / 2,
                    Message::Body { .. } => true,
                    _ => false,
                };
                (!withheld).then_some(message)
            }
            Role::Selective => self.select(to, &message),
            Role::Silent | Role::Chaos | Role::Invalid => None,
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
            Role::Invalid => self.invalid(message),
            _ => Vec::new(),
        }
    }

    fn decode(&self, message: &Bytes) -> Option<Envelope> {
        Envelope::decode(message, self.validators, usize::MAX).ok()
    }

    fn select(&self, to: usize, message: &Bytes) -> Option<Bytes> {
        let Envelope { height, message: content } = self.decode(message)?;
        let tells =
            |what: String| Digest::of(format!("{what} {height} {to} {}", self.salt).as_bytes()).0[0] < 128;
        let Message::Votes(votes) = content else {
            return tells(format!("{content:?}")).then(|| message.clone());
        };
        let mut told = Votes::new(self.validators);
        for (instance, vote) in votes.iter().filter(|(instance, vote)| tells(format!("{instance} {vote:?}")))
        {
            told.insert(instance, vote);
        }
        (!told.is_empty()).then(|| Envelope { height, message: Message::Votes(told) }.encode())
    }

    fn flip(&self, message: &Bytes, rng: &mut ChaCha8Rng) -> Bytes {
        let Some(Envelope { height, message: Message::Votes(votes) }) = self.decode(message) else {
            return message.clone();
        };
        let mut flipped = Votes::new(self.validators);
        for (instance, vote) in votes.iter() {
            let vote = if rng.random_ratio(1, 3) { vote } else { turned(vote, rng) };
            flipped.insert(instance, vote);
        }
        Envelope { height, message: Message::Votes(flipped) }.encode()
    }

    fn invalid(&mut self, message: &Bytes) -> Vec<(usize, Bytes)> {
        let Some(Envelope { height, message: Message::Init { .. } }) = self.decode(message) else {
            return Vec::new();
        };
        let body = Bytes::from(format!("bad {height}"));
        let mut votes = Votes::new(self.validators);
        let me = self.index();
        votes.insert(me, Vote::Echo(Digest::of(&body)));
        votes.insert(me, Vote::Ready(Digest::of(&body)));
        votes.insert(me, Vote::Auxiliary { round: 1, values: Values::only(true) });
        votes.insert(me, Vote::Decided(true));
        let messages = [Message::Init { body }, Message::Votes(votes)];
        let peers = (0..usize::from(self.validators)).filter(|peer| *peer != self.me);
        let sends = peers.flat_map(|peer| {
            messages.iter().map(move |message| (peer, Envelope { height, message: message.clone() }.encode()))
        });
        sends.collect()
    }

    fn noise(&mut self, from: usize, message: &Bytes, rng: &mut ChaCha8Rng) -> Vec<(usize, Bytes)> {
        if let Some(Envelope { message: Message::Votes(votes), .. }) = self.decode(message) {
            let digests = votes.iter().filter_map(|(_, vote)| match vote {
                Vote::Echo(digest) | Vote::Ready(digest) => Some(digest),
                _ => None,
            });
            self.digests.extend(digests);
        }
        let mut sends = Vec::new();
        for _ in 0..rng.random_range(0..3) {
            if self.noise_left == 0 {
                break;
            }
            self.noise_left -= 1;
            let to = if rng.random() { from } else { rng.random_range(0..usize::from(self.validators)) };
            if to != self.me {
                sends.push((to, self.any_message(message, rng)));
            }
        }
        sends
    }

    fn any_message(&self, heard: &Bytes, rng: &mut ChaCha8Rng) -> Bytes {
        let height = match rng.random_range(0..20) {
            0 => Height(rng.random()),
            1 => Height(u64::MAX),
            _ => self
                .decode(heard)
                .map_or(Height(rng.random_range(0..=self.heights)), |envelope| envelope.height),
        };
        let message = match rng.random_range(0..10) {
            0 => return garbage(rng),
            1 => return mutated(heard, rng),
            2 => Message::Init { body: Bytes::from(format!("chaos {}", rng.random_range(0..3))) },
            3 => Message::Init { body: Bytes::from_static(b"bad") },
            4 => Message::Fetch {
                proposer: self.any_instance(rng),
                digest: *self.digests.choose(rng).unwrap(),
            },
            5 => Message::Body { proposer: self.any_instance(rng), body: Bytes::from_static(b"wrong") },
            6 => Message::Pull { held: Bitmask::new(self.validators) },
            _ => Message::Votes(self.any_votes(rng)),
        };
        Envelope { height, message }.encode()
    }

    fn any_votes(&self, rng: &mut ChaCha8Rng) -> Votes {
        let mut votes = Votes::new(self.validators);
        votes.insert(self.index(), Vote::Decided(rng.random()));
        for _ in 0..rng.random_range(1..12) {
            let round = match rng.random_range(0..20) {
                0 => u32::MAX,
                1 => rng.random(),
                _ => rng.random_range(1..6),
            };
            let value = rng.random();
            let digest = *self.digests.choose(rng).unwrap();
            let values = *[Values::only(false), Values::only(true), Values::BOTH].choose(rng).unwrap();
            let vote = match rng.random_range(0..6) {
                0 => Vote::Echo(digest),
                1 => Vote::Ready(digest),
                2 => Vote::Estimate { round, value },
                3 => Vote::Coordinator { round, value },
                4 => Vote::Auxiliary { round, values },
                _ => Vote::Decided(value),
            };
            votes.insert(self.any_instance(rng), vote);
        }
        votes
    }

    fn any_instance(&self, rng: &mut ChaCha8Rng) -> ValidatorIndex {
        ValidatorIndex(rng.random_range(0..self.validators))
    }

    fn index(&self) -> ValidatorIndex {
        ValidatorIndex(u16::try_from(self.me).unwrap())
    }
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
    }
}

fn garbage(rng: &mut ChaCha8Rng) -> Bytes {
    let mut bytes = vec![0; rng.random_range(0..80)];
    rng.fill_bytes(&mut bytes);
    Bytes::from(bytes)
}

fn mutated(message: &Bytes, rng: &mut ChaCha8Rng) -> Bytes {
    let mut bytes = message.to_vec();
    for _ in 0..rng.random_range(1..4) {
        if !bytes.is_empty() {
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << rng.random_range(0..8);
        }
    }
    bytes.truncate(bytes.len() - rng.random_range(0..=bytes.len().min(2)));
    Bytes::from(bytes)
}
