//! Messages that no honest node would send, or not then: noise, garbage, and what was heard before.

use bxp_consensus::wire::{Envelope, Message};
use bxp_consensus::{Bitmask, Values, Vote, Votes};
use bxp_types::{Height, ValidatorIndex};
use bytes::Bytes;
use rand::seq::IndexedRandom;
use rand::{Rng, RngCore};
use rand_chacha::ChaCha8Rng;

use super::Adversary;

/// Messages that a replayer remembers.
const REMEMBERED_MAX: usize = 60;

impl Adversary {
    pub(super) fn noise(
        &mut self,
        from: usize,
        message: &Bytes,
        rng: &mut ChaCha8Rng,
    ) -> Vec<(usize, Bytes)> {
        if let Some(Envelope { message: Message::Votes(votes), .. }) = self.decode(message) {
            let digests = votes.iter().filter_map(|(_, vote)| match vote {
                Vote::Echo(digest) | Vote::Ready(digest) => Some(digest),
                _ => None,
            });
            self.digests.extend(digests);
        }
        let mut sends = Vec::new();
        for _ in 0..rng.random_range(0..3) {
            if !self.may_make_noise() {
                break;
            }
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

    /// Says what it heard before as its own words, at the height where it was said or at another one.
    pub(super) fn replay(&mut self, from: usize, heard: &Bytes, rng: &mut ChaCha8Rng) -> Vec<(usize, Bytes)> {
        if self.remembered.len() < REMEMBERED_MAX {
            self.remembered.push(heard.clone());
        } else {
            let at = rng.random_range(0..REMEMBERED_MAX);
            self.remembered[at] = heard.clone();
        }
        let now = self.decode(heard).map(|envelope| envelope.height);
        let Some(old) = self.remembered.choose(rng).cloned().filter(|_| self.may_make_noise()) else {
            return Vec::new();
        };
        let replayed = match (self.decode(&old), now) {
            (Some(envelope), Some(height)) if rng.random() => Envelope { height, ..envelope }.encode(),
            _ => old,
        };
        vec![(from, replayed)]
    }

    /// Asks for everything, all the time.
    pub(super) fn spam(&mut self, from: usize, heard: &Bytes, rng: &mut ChaCha8Rng) -> Vec<(usize, Bytes)> {
        let Some(Envelope { height, message }) = self.decode(heard).filter(|_| self.may_make_noise()) else {
            return Vec::new();
        };
        if let Message::Init { body } = &message {
            self.digests.push(bxp_types::Digest::of(body));
        }
        let pull = Message::Pull { held: Bitmask::new(self.validators) };
        let digest = *self.digests.choose(rng).unwrap();
        let fetch = Message::Fetch { proposer: self.any_instance(rng), digest };
        let body = Message::Body { proposer: self.any_instance(rng), body: Bytes::from_static(b"unasked") };
        let messages = [pull.clone(), pull, fetch.clone(), fetch, body];
        messages.into_iter().map(|message| (from, Envelope { height, message }.encode())).collect()
    }

    /// Speaks of heights and rounds that nobody has reached.
    pub(super) fn far_ahead(
        &mut self,
        from: usize,
        heard: &Bytes,
        rng: &mut ChaCha8Rng,
    ) -> Vec<(usize, Bytes)> {
        let Some(Envelope { height, .. }) = self.decode(heard).filter(|_| self.may_make_noise()) else {
            return Vec::new();
        };
        let rounds = [5, 17, 40, u32::MAX];
        let mut votes = Votes::new(self.validators);
        for round in rounds {
            votes.insert(self.any_instance(rng), Vote::Estimate { round, value: rng.random() });
            votes.insert(self.any_instance(rng), Vote::Auxiliary { round, values: Values::BOTH });
        }
        let ahead = Height(height.0.saturating_add(*[0, 1, 3, 4, 5, 100, u64::MAX].choose(rng).unwrap()));
        let body = Bytes::from(format!("far {ahead}"));
        [Message::Votes(votes), Message::Init { body }]
            .into_iter()
            .map(|message| (from, Envelope { height: ahead, message }.encode()))
            .collect()
    }

    pub(super) const fn may_make_noise(&mut self) -> bool {
        let may = self.noise_left > 0;
        self.noise_left = self.noise_left.saturating_sub(1);
        may
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
