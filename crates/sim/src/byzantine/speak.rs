//! What a Byzantine validator says of itself, when it hears something and from time to time.

use super::{Behaviour, Byzantine, Sent};
use bxp_consensus::{
    Bitmask, Values, Vote, Votes,
    wire::{Envelope, Message},
};
use bxp_network::Channel;
use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;
use rand::{Rng, RngCore, seq::IteratorRandom};

/// A height above this is somebody's invention.
const HEIGHT_MAX: u64 = 1_000_000;

impl Byzantine {
    /// It hears a message.
    pub(crate) fn hear(&mut self, from: ValidatorIndex, channel: Channel, bytes: &Bytes) -> Vec<Sent> {
        if channel != Channel::Attestation
            && let Ok(envelope) = Envelope::decode(bytes, self.validators, usize::MAX)
        {
            if envelope.height.0 < HEIGHT_MAX {
                self.height = self.height.max(envelope.height);
            }
            if let Message::Init { body } = &envelope.message
                && self.behaviour == Behaviour::ReplaysTransactions
            {
                Self::remember(&mut self.heard, body);
            }
        }
        match self.behaviour {
            Behaviour::MimicsOthers if self.rng.random_ratio(1, 2) => {
                let peers: Vec<_> = self.peers().filter(|peer| *peer != from).collect();
                peers.into_iter().filter_map(|peer| self.say(peer, channel, bytes.clone())).collect()
            }
            Behaviour::FalseValid => self.vouch_unseen(from, bytes),
            Behaviour::FarFuture if self.rng.random_ratio(1, 3) => {
                let message = self.of_the_future();
                self.say(from, Channel::Consensus, message).into_iter().collect()
            }
            Behaviour::FloodsRequests => self.requests(from),
            Behaviour::Chaos => {
                Self::remember(&mut self.heard, bytes);
                let to = if self.rng.random() { from } else { self.anyone() };
                let message = self.anything();
                self.say(to, Channel::Consensus, message).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Reports a body as valid to everybody before anyone can have looked at it.
    fn vouch_unseen(&mut self, from: ValidatorIndex, bytes: &Bytes) -> Vec<Sent> {
        let Ok(Envelope { height, message: Message::Init { body } }) =
            Envelope::decode(bytes, self.validators, usize::MAX)
        else {
            return Vec::new();
        };
        let mut votes = Votes::new(self.validators);
        votes.insert(from, Vote::Echo(Digest::of(&body)));
        let message = Envelope { height, message: Message::Votes(votes) }.encode();
        let peers: Vec<_> = self.peers().collect();
        peers.into_iter().filter_map(|peer| self.say(peer, Channel::Consensus, message.clone())).collect()
    }

    /// Time has passed.
    pub(crate) fn tick(&mut self) -> Vec<Sent> {
        let to = self.anyone();
        match self.behaviour {
            Behaviour::Garbage => (0..4)
                .filter_map(|_| {
                    let (to, channel) = (self.anyone(), self.any_channel());
                    let bytes = self.garbage();
                    self.say(to, channel, bytes)
                })
                .collect(),
            Behaviour::AttestsAnything => (0..4)
                .filter_map(|_| {
                    let (to, bytes) = (self.anyone(), self.baseless_attestation());
                    self.say(to, Channel::Attestation, bytes)
                })
                .collect(),
            Behaviour::Chaos => {
                let bytes = self.anything();
                self.say(to, Channel::Consensus, bytes).into_iter().collect()
            }
            Behaviour::FarFuture => {
                let bytes = self.of_the_future();
                self.say(to, Channel::Consensus, bytes).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    fn say(&mut self, to: ValidatorIndex, channel: Channel, bytes: Bytes) -> Option<Sent> {
        self.words_left = self.words_left.checked_sub(1)?;
        (to != self.me).then(|| Self::now(to, channel, bytes))
    }

    fn anyone(&mut self) -> ValidatorIndex {
        self.peers().choose(&mut self.rng).unwrap_or(self.me)
    }

    fn any_channel(&mut self) -> Channel {
        Channel::ALL.iter().choose(&mut self.rng).copied().unwrap_or(Channel::Consensus)
    }

    fn any_instance(&mut self) -> ValidatorIndex {
        ValidatorIndex(self.rng.random_range(0..self.validators))
    }

    fn garbage(&mut self) -> Bytes {
        let mut bytes = vec![0; self.rng.random_range(0..120)];
        self.rng.fill_bytes(&mut bytes);
        if let (Some(first), true) = (bytes.first_mut(), self.rng.random()) {
            *first = bxp_consensus::wire::VERSION;
        }
        bytes.into()
    }

    fn of_the_future(&mut self) -> Bytes {
        let ahead = *[0, 1, 3, 4, 5, 100, u64::MAX].iter().choose(&mut self.rng).unwrap_or(&1);
        let height = Height(self.height.0.saturating_add(ahead));
        let message = if self.rng.random_ratio(1, 4) {
            Message::Init { body: Bytes::from_static(b"of the future") }
        } else {
            let mut votes = Votes::new(self.validators);
            let round = *[2, 7, 1_000, u32::MAX].iter().choose(&mut self.rng).unwrap_or(&2);
            for instance in (0..self.validators).map(ValidatorIndex) {
                votes.insert(instance, Vote::Estimate { round, value: self.rng.random() });
                votes.insert(instance, Vote::Auxiliary { round, values: Values::BOTH });
                votes.insert(instance, Vote::Echo(Digest([self.rng.random(); 32])));
            }
            Message::Votes(votes)
        };
        Envelope { height, message }.encode()
    }

    fn requests(&mut self, to: ValidatorIndex) -> Vec<Sent> {
        let height = Height(self.height.0.saturating_sub(self.rng.random_range(0..3)));
        let fetch = Message::Fetch { proposer: self.any_instance(), digest: Digest([self.rng.random(); 32]) };
        let pull = Message::Pull { held: Bitmask::new(self.validators) };
        let messages = [fetch, pull].map(|message| Envelope { height, message }.encode());
        messages.into_iter().filter_map(|bytes| self.say(to, Channel::Consensus, bytes)).collect()
    }

    fn anything(&mut self) -> Bytes {
        let height = match self.rng.random_range(0..12) {
            0 => Height(self.rng.random()),
            1 => Height(u64::MAX),
            _ => Height(self.height.0 + self.rng.random_range(0..3)),
        };
        let message = match self.rng.random_range(0..9) {
            0 => return self.garbage(),
            1 => return self.mutated(),
            2 => Message::Init { body: Bytes::from(format!("chaos {}", self.rng.random_range(0..3))) },
            3 => Message::Init { body: bxp_chain::proposal::Proposal::default().encode().into() },
            4 => Message::Body { proposer: self.any_instance(), body: Bytes::from_static(b"wrong") },
            5 => Message::Pull { held: Bitmask::new(self.validators) },
            _ => Message::Votes(self.any_votes()),
        };
        Envelope { height, message }.encode()
    }

    fn any_votes(&mut self) -> Votes {
        let mut votes = Votes::new(self.validators);
        votes.insert(self.me, Vote::Decided(self.rng.random()));
        for _ in 0..self.rng.random_range(1..10) {
            let (round, value) = (self.rng.random_range(1..5), self.rng.random());
            let vote = match self.rng.random_range(0..6) {
                0 => Vote::Echo(self.any_digest()),
                1 => Vote::Ready(self.any_digest()),
                2 => Vote::Estimate { round, value },
                3 => Vote::Coordinator { round, value },
                4 => Vote::Auxiliary { round, values: Values::only(value) },
                _ => Vote::Decided(value),
            };
            votes.insert(self.any_instance(), vote);
        }
        votes
    }

    /// A digest that somebody has named, so that it meets the right ones in the wrong place.
    fn any_digest(&mut self) -> Digest {
        let heard = self.heard.iter().choose(&mut self.rng);
        let named = heard.and_then(|bytes| match Envelope::decode(bytes, self.validators, usize::MAX) {
            Ok(Envelope { message: Message::Votes(votes), .. }) => {
                votes.iter().find_map(|(_, vote)| match vote {
                    Vote::Echo(digest) | Vote::Ready(digest) => Some(digest),
                    _ => None,
                })
            }
            _ => None,
        });
        named.unwrap_or(Digest([3; 32]))
    }

    fn mutated(&mut self) -> Bytes {
        let Some(heard) = self.heard.iter().choose(&mut self.rng) else { return self.garbage() };
        let mut bytes = heard.to_vec();
        if !bytes.is_empty() {
            let at = self.rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << self.rng.random_range(0..8);
        }
        bytes.into()
    }
}
