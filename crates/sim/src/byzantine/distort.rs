//! What becomes of a real node's messages on their way out of a Byzantine validator.

use super::{Behaviour, Byzantine, Sent};
use bxp_consensus::{
    Values, Vote, Votes,
    wire::{Envelope, Message},
};
use bxp_network::Channel;
use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;
use rand::{Rng, seq::IteratorRandom};
use std::time::Duration;

impl Byzantine {
    /// What is sent instead of this message.
    pub(crate) fn distort(&mut self, to: ValidatorIndex, channel: Channel, bytes: Bytes) -> Vec<Sent> {
        if channel == Channel::Attestation {
            return self.distort_attestation(to, bytes);
        }
        match self.behaviour {
            Behaviour::SilentToSome if self.is_favoured(to) => Vec::new(),
            Behaviour::Twins => {
                let audience = self.choice(u64::from(to.0), 3);
                let talks = audience == 2 || audience == self.twin;
                if talks { vec![Self::now(to, channel, bytes)] } else { Vec::new() }
            }
            Behaviour::Late => {
                let after = Duration::from_millis(self.rng.random_range(0..3_000));
                vec![Sent { to, channel, bytes, after }]
            }
            Behaviour::ReplaysOldHeights => self.replay(to, channel, bytes),
            _ => {
                let changed = self.change(to, &bytes);
                changed.map(|bytes| Self::now(to, channel, bytes)).into_iter().collect()
            }
        }
    }

    fn replay(&mut self, to: ValidatorIndex, channel: Channel, bytes: Bytes) -> Vec<Sent> {
        Self::remember(&mut self.said, &bytes);
        let mut sent = vec![Self::now(to, channel, bytes)];
        if self.words_left > 0
            && self.rng.random_ratio(1, 3)
            && let Some(old) = self.said.iter().choose(&mut self.rng)
        {
            self.words_left -= 1;
            sent.push(Self::now(to, channel, old.clone()));
        }
        sent
    }

    fn decode(&self, bytes: &Bytes) -> Option<Envelope> {
        Envelope::decode(bytes, self.validators, usize::MAX).ok()
    }

    /// The message that takes this one's place; none when nothing is sent.
    fn change(&mut self, to: ValidatorIndex, bytes: &Bytes) -> Option<Bytes> {
        let Some(Envelope { height, message }) = self.decode(bytes) else { return Some(bytes.clone()) };
        self.height = self.height.max(height);
        let changed = match message {
            Message::Init { body } => Message::Init { body: self.own_body(to, height, body)? },
            Message::Body { proposer, body } => {
                Message::Body { proposer, body: self.served_body(to, height, proposer, body)? }
            }
            Message::Votes(votes) => Message::Votes(self.votes(to, height, &votes)?),
            other => other,
        };
        Some(Envelope { height, message: changed }.encode())
    }

    fn own_body(&mut self, to: ValidatorIndex, height: Height, body: Bytes) -> Option<Bytes> {
        let far = usize::from(to.0) > usize::from(self.validators) / 2;
        match self.behaviour {
            Behaviour::NoBodies if far => None,
            _ => Some(self.replaced(to, height, body)),
        }
    }

    fn served_body(
        &mut self,
        to: ValidatorIndex,
        height: Height,
        proposer: ValidatorIndex,
        body: Bytes,
    ) -> Option<Bytes> {
        match self.behaviour {
            Behaviour::NoBodies => None,
            Behaviour::WrongBodies => {
                let mut wrong = body.to_vec();
                match wrong.last_mut() {
                    Some(last) => *last ^= 1,
                    None => wrong.push(0),
                }
                Some(wrong.into())
            }
            _ if proposer == self.me => Some(self.replaced(to, height, body)),
            _ => Some(body),
        }
    }

    /// The votes that take the place of these; none when there is nothing left to say.
    fn votes(&mut self, to: ValidatorIndex, height: Height, votes: &Votes) -> Option<Votes> {
        let mut changed = Votes::new(self.validators);
        for (instance, vote) in votes.iter() {
            for vote in self.vote(to, height, instance, vote) {
                changed.insert(instance, vote);
            }
        }
        (!changed.is_empty()).then_some(changed)
    }

    fn vote(
        &mut self,
        to: ValidatorIndex,
        height: Height,
        instance: ValidatorIndex,
        vote: Vote,
    ) -> Vec<Vote> {
        let favoured = self.is_favoured(to);
        match self.behaviour {
            Behaviour::TwoBodies
            | Behaviour::BodyForEach
            | Behaviour::EmptyProposals
            | Behaviour::ReplaysTransactions
            | Behaviour::InvalidProposals
            | Behaviour::OversizedBodies
            | Behaviour::LyingClock
            | Behaviour::FalseValid
            | Behaviour::WrongSenders
                if instance == self.me =>
            {
                vec![self.of_own_body(to, height, vote)]
            }
            Behaviour::FlippedVotes if self.rng.random_ratio(2, 3) => vec![turned(vote)],
            Behaviour::VotesForBoth => both(vote),
            Behaviour::SplitVotes => vec![saying(vote, favoured)],
            Behaviour::DeniesDecisions => match vote {
                Vote::Decided(value) => vec![Vote::Decided(!value)],
                vote => vec![vote],
            },
            Behaviour::FalseValid => match vote {
                Vote::Invalid(digest) => vec![Vote::Echo(digest)],
                vote => vec![vote],
            },
            Behaviour::FalseInvalid if instance != self.me => denied(vote),
            Behaviour::TwoReports if instance != self.me && favoured => denied(vote),
            Behaviour::SilentVerifier if instance != self.me && is_report(vote) => Vec::new(),
            Behaviour::SelectiveEchoes if favoured && matches!(vote, Vote::Echo(_) | Vote::Ready(_)) => {
                Vec::new()
            }
            Behaviour::SelectiveVotes => {
                let told = Digest::of(format!("{height} {to} {instance} {vote:?} {}", self.salt).as_bytes());
                if told.0[0] < 128 { vec![vote] } else { Vec::new() }
            }
            _ => vec![vote],
        }
    }

    /// A vote on the own proposal names the body that this peer was given.
    fn of_own_body(&self, to: ValidatorIndex, height: Height, vote: Vote) -> Vote {
        let variant = self.variant(to);
        let digest = self.bodies.get(&(height, variant)).map(|body| Digest::of(body));
        match (vote, digest) {
            (Vote::Echo(_), Some(digest)) => Vote::Echo(digest),
            (Vote::Ready(_), Some(digest)) => Vote::Ready(digest),
            (vote, _) => vote,
        }
    }

    /// Which of its bodies this peer gets.
    pub(super) fn variant(&self, to: ValidatorIndex) -> u16 {
        match self.behaviour {
            Behaviour::TwoBodies => u16::from(self.is_favoured(to)),
            Behaviour::BodyForEach => to.0,
            _ => 0,
        }
    }

    fn distort_attestation(&mut self, to: ValidatorIndex, bytes: Bytes) -> Vec<Sent> {
        let channel = Channel::Attestation;
        match self.behaviour {
            Behaviour::SilentToSome if self.is_favoured(to) => Vec::new(),
            Behaviour::Late => {
                let after = Duration::from_millis(self.rng.random_range(0..3_000));
                vec![Sent { to, channel, bytes, after }]
            }
            Behaviour::ForgedAttestations => {
                let forged = self.forged_attestations(to, &bytes);
                forged.into_iter().map(|bytes| Self::now(to, channel, bytes)).collect()
            }
            _ => vec![Self::now(to, channel, bytes)],
        }
    }
}

/// The contrary of a vote.
fn turned(vote: Vote) -> Vote {
    match vote {
        Vote::Echo(digest) => Vote::Ready(digest),
        Vote::Ready(_) => Vote::Ready(Digest([1; 32])),
        Vote::Estimate { round, value } => Vote::Estimate { round, value: !value },
        Vote::Coordinator { round, value } => Vote::Coordinator { round, value: !value },
        Vote::Auxiliary { round, values } if values.contains(true) => {
            Vote::Auxiliary { round, values: Values::only(false) }
        }
        Vote::Auxiliary { round, .. } => Vote::Auxiliary { round, values: Values::only(true) },
        Vote::Decided(value) => Vote::Decided(!value),
        Vote::Invalid(digest) => Vote::Echo(digest),
    }
}

/// Whether a vote says what its validator found when it verified (V3, V5).
const fn is_report(vote: Vote) -> bool {
    matches!(vote, Vote::Echo(_) | Vote::Invalid(_))
}

/// A report of a valid body as one of an invalid body.
fn denied(vote: Vote) -> Vec<Vote> {
    match vote {
        Vote::Echo(digest) => vec![Vote::Invalid(digest)],
        vote => vec![vote],
    }
}

/// A vote and its contrary, where one message may hold both.
fn both(vote: Vote) -> Vec<Vote> {
    match vote {
        Vote::Estimate { round, .. } => [false, true].map(|value| Vote::Estimate { round, value }).to_vec(),
        Vote::Auxiliary { round, .. } => vec![Vote::Auxiliary { round, values: Values::BOTH }],
        vote => vec![vote],
    }
}

/// A binary vote with this value in the place of its own.
fn saying(vote: Vote, value: bool) -> Vote {
    match vote {
        Vote::Estimate { round, .. } => Vote::Estimate { round, value },
        Vote::Coordinator { round, .. } => Vote::Coordinator { round, value },
        Vote::Auxiliary { round, .. } => Vote::Auxiliary { round, values: Values::only(value) },
        Vote::Decided(_) => Vote::Decided(value),
        vote => vote,
    }
}
