//! What becomes of an honest engine's messages on their way out.

use bxp_consensus::wire::{Envelope, Message};
use bxp_consensus::{Values, Vote, Votes};
use bxp_types::Digest;
use bytes::Bytes;

use super::{Adversary, Role};

impl Adversary {
    /// The roles whose distortion depends on the message and the peer alone.
    pub(super) fn distort_by_role(&self, to: usize, message: Bytes) -> Vec<Bytes> {
        let (me, upper_half) = (self.index(), to >= usize::from(self.validators) / 2);
        match self.role {
            Role::Miser | Role::Forger => self.keep_bodies(upper_half, message),
            Role::Selective => self.select(to, &message),
            Role::Equivocator if upper_half => self.other_proposal(&message),
            Role::ForBoth => {
                [vec![message.clone()], self.change_votes(&message, |vote| vec![contrary(vote)])].concat()
            }
            Role::EchoMiser => self.change_votes_of(&message, |instance, vote| match vote {
                Vote::Echo(_) if !self.tells(&format!("echo {instance}"), to) => vec![],
                _ => vec![vote],
            }),
            Role::FalseInvalid => self.change_votes_of(&message, |instance, vote| match vote {
                Vote::Echo(digest) if instance != me => vec![Vote::Invalid(digest)],
                _ => vec![vote],
            }),
            Role::TwoReports => self.change_votes_of(&message, |instance, vote| match vote {
                Vote::Echo(digest) if instance != me && self.tells(&format!("report {instance}"), to) => {
                    vec![Vote::Invalid(digest)]
                }
                _ => vec![vote],
            }),
            Role::SilentVerifier => self.change_votes_of(&message, |instance, vote| match vote {
                Vote::Echo(_) if instance != me => vec![],
                _ => vec![vote],
            }),
            Role::DecidedLiar => self.change_votes(&message, |vote| match vote {
                Vote::Echo(_) => vec![vote, Vote::Decided(upper_half)],
                Vote::Decided(_) => vec![],
                _ => vec![vote],
            }),
            Role::CoordinatorLiar => self.change_votes(&message, |vote| match vote {
                Vote::Coordinator { round, .. } => vec![Vote::Coordinator { round, value: upper_half }],
                Vote::Auxiliary { round, .. } if round > 2 => {
                    vec![Vote::Auxiliary { round, values: Values::only(upper_half) }]
                }
                _ => vec![vote],
            }),
            _ => vec![message],
        }
    }

    /// The message with its votes changed.
    pub(super) fn change_votes(
        &self,
        message: &Bytes,
        mut change: impl FnMut(Vote) -> Vec<Vote>,
    ) -> Vec<Bytes> {
        self.change_votes_of(message, |_, vote| change(vote))
    }

    fn change_votes_of(
        &self,
        message: &Bytes,
        mut change: impl FnMut(bxp_types::ValidatorIndex, Vote) -> Vec<Vote>,
    ) -> Vec<Bytes> {
        let Some(Envelope { height, message: Message::Votes(votes) }) = self.decode(message) else {
            return vec![message.clone()];
        };
        let mut changed = Votes::new(self.validators);
        for (instance, vote) in votes.iter() {
            for vote in change(instance, vote) {
                changed.insert(instance, vote);
            }
        }
        if changed.is_empty() {
            return Vec::new();
        }
        vec![Envelope { height, message: Message::Votes(changed) }.encode()]
    }

    fn keep_bodies(&self, upper_half: bool, message: Bytes) -> Vec<Bytes> {
        match self.decode(&message) {
            Some(Envelope { message: Message::Init { .. }, .. }) if upper_half => vec![],
            Some(Envelope { message: Message::Body { .. }, .. }) if self.role == Role::Miser => vec![],
            Some(Envelope { height, message: Message::Body { proposer, .. } }) => {
                let body = Bytes::from_static(b"bad forgery");
                vec![Envelope { height, message: Message::Body { proposer, body } }.encode()]
            }
            _ => vec![message],
        }
    }

    fn select(&self, to: usize, message: &Bytes) -> Vec<Bytes> {
        let Some(Envelope { height, message: content }) = self.decode(message) else { return Vec::new() };
        if matches!(content, Message::Votes(_)) {
            return self.change_votes_of(message, |instance, vote| {
                let tells = self.tells(&format!("{instance} {vote:?} {height}"), to);
                if tells { vec![vote] } else { vec![] }
            });
        }
        self.tells(&format!("{content:?} {height}"), to).then(|| message.clone()).into_iter().collect()
    }

    /// The message as if the proposal were another one.
    fn other_proposal(&self, message: &Bytes) -> Vec<Bytes> {
        let other = |height| Bytes::from(format!("another proposal by {} at {height}", self.me));
        match self.decode(message) {
            Some(Envelope { height, message: Message::Init { .. } }) => {
                vec![Envelope { height, message: Message::Init { body: other(height) } }.encode()]
            }
            Some(Envelope { height, message: Message::Votes(_) }) => {
                self.change_votes_of(message, |instance, vote| match vote {
                    Vote::Echo(_) if instance == self.index() => vec![Vote::Echo(Digest::of(&other(height)))],
                    Vote::Ready(_) if instance == self.index() => {
                        vec![Vote::Ready(Digest::of(&other(height)))]
                    }
                    _ => vec![vote],
                })
            }
            _ => vec![message.clone()],
        }
    }
}

/// The same vote for the other value, where there is one.
fn contrary(vote: Vote) -> Vote {
    match vote {
        Vote::Estimate { round, value } => Vote::Estimate { round, value: !value },
        Vote::Coordinator { round, value } => Vote::Coordinator { round, value: !value },
        Vote::Auxiliary { round, values } => {
            let other = if values.contains(false) { Values::only(true) } else { Values::only(false) };
            Vote::Auxiliary { round, values: other }
        }
        Vote::Decided(value) => Vote::Decided(!value),
        Vote::Echo(_) | Vote::Ready(_) | Vote::Invalid(_) => vote,
    }
}
