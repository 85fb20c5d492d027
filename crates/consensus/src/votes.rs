//! Votes, and the book of votes that is at once a message, a log record and a node's memory of what it has said.

use std::collections::BTreeMap;

use bxp_types::{Digest, ValidatorIndex};

use crate::bitmask::Bitmask;
use crate::digests::Digests;

/// A set of binary values: {}, {0}, {1} or {0, 1}.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Values(u8);

impl Values {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// {0, 1}.
    pub const BOTH: Self = Self(3);

    /// The set of one value.
    #[must_use]
    pub const fn only(value: bool) -> Self {
        Self(if value { 2 } else { 1 })
    }

    /// Whether `value` is in the set.
    #[must_use]
    pub const fn contains(self, value: bool) -> bool {
        self.0 & Self::only(value).0 != 0
    }

    /// Adds `value`. Returns whether it is new.
    pub const fn insert(&mut self, value: bool) -> bool {
        let new = !self.contains(value);
        self.0 |= Self::only(value).0;
        new
    }

    /// Whether nothing is in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of the set is in `other`.
    #[must_use]
    pub const fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }
}

/// What one validator says about one instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vote {
    /// "I hold a valid body with this digest" (R3).
    Echo(Digest),
    /// "Enough hold it" (R4, R5).
    Ready(Digest),
    /// INVALID: "I have checked the body with this digest, and it may not be decided" (V5).
    Invalid(Digest),
    /// EST: an estimate, own or relayed (B3, B5).
    Estimate {
        /// Round, from 1.
        round: u32,
        /// The estimate.
        value: bool,
    },
    /// COORD: the coordinator's value (B7).
    Coordinator {
        /// Round, from 1.
        round: u32,
        /// The value.
        value: bool,
    },
    /// AUX: the values a node has seen delivered (B8, B9).
    Auxiliary {
        /// Round, from 1.
        round: u32,
        /// The values; never empty.
        values: Values,
    },
    /// DECIDED: the instance's outcome (B15).
    Decided(bool),
}

/// The kinds of vote that carry binary values, in the order of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Estimate,
    Coordinator,
    Auxiliary,
    Decided,
}

/// For which instances 0 and for which 1 was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Masks {
    pub(crate) zeros: Bitmask,
    pub(crate) ones: Bitmask,
}

impl Masks {
    fn new(length: u16) -> Self {
        Self { zeros: Bitmask::new(length), ones: Bitmask::new(length) }
    }

    pub(crate) fn of(&self, instance: ValidatorIndex) -> Values {
        let mut values = Values::NONE;
        if self.zeros.contains(instance) {
            values.insert(false);
        }
        if self.ones.contains(instance) {
            values.insert(true);
        }
        values
    }

    fn insert(&mut self, instance: ValidatorIndex, values: Values) {
        if values.contains(false) {
            self.zeros.insert(instance);
        }
        if values.contains(true) {
            self.ones.insert(instance);
        }
    }
}

/// Votes of one validator at one height, for any number of instances and rounds, with no contradiction in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Votes {
    pub(crate) validators: u16,
    pub(crate) echoes: Digests,
    pub(crate) readies: Digests,
    pub(crate) invalids: Digests,
    /// By kind and round; DECIDED has round 0.
    pub(crate) binary: BTreeMap<(Kind, u32), Masks>,
}

impl Votes {
    /// An empty book for that many validators.
    #[must_use]
    pub const fn new(validators: u16) -> Self {
        Self {
            validators,
            echoes: Digests::new(),
            readies: Digests::new(),
            invalids: Digests::new(),
            binary: BTreeMap::new(),
        }
    }

    /// Whether nothing is in the book.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sections() == 0
    }

    /// Writes a vote down. Returns false, and changes nothing, if it is there already, contradicts what is there, or
    /// makes no sense (an instance beyond the validators, round 0, an empty AUX).
    pub fn insert(&mut self, instance: ValidatorIndex, vote: Vote) -> bool {
        if instance.0 >= self.validators {
            return false;
        }
        match vote {
            Vote::Echo(digest) => self.echoes.insert(instance, digest),
            Vote::Ready(digest) => self.readies.insert(instance, digest),
            Vote::Invalid(digest) => self.invalids.insert(instance, digest),
            Vote::Estimate { round, value } => {
                let masks = (round > 0).then(|| self.masks(Kind::Estimate, round));
                masks.is_some_and(|masks| {
                    let new = !masks.of(instance).contains(value);
                    masks.insert(instance, Values::only(value));
                    new
                })
            }
            Vote::Coordinator { round, value } => {
                round > 0 && self.insert_once(Kind::Coordinator, round, instance, Values::only(value))
            }
            Vote::Auxiliary { round, values } => {
                round > 0 && !values.is_empty() && self.insert_once(Kind::Auxiliary, round, instance, values)
            }
            Vote::Decided(value) => self.insert_once(Kind::Decided, 0, instance, Values::only(value)),
        }
    }

    /// Whether a vote of this kind, and round, is there for every instance.
    pub(crate) fn completes(&self, vote: Vote) -> bool {
        let named = match vote {
            Vote::Echo(_) => self.echoes.len(),
            Vote::Ready(_) => self.readies.len(),
            Vote::Invalid(_) => self.invalids.len(),
            Vote::Estimate { round, .. } => self.named(Kind::Estimate, round),
            Vote::Coordinator { round, .. } => self.named(Kind::Coordinator, round),
            Vote::Auxiliary { round, .. } => self.named(Kind::Auxiliary, round),
            Vote::Decided(_) => self.named(Kind::Decided, 0),
        };
        named == usize::from(self.validators)
    }

    /// For how many instances a vote of that kind and round is there.
    fn named(&self, kind: Kind, round: u32) -> usize {
        self.binary.get(&(kind, round)).map_or(0, |masks| masks.zeros.count_with(&masks.ones))
    }

    /// Adds all votes of `other`, as [`Self::insert`] would.
    pub fn merge(&mut self, other: &Self) {
        for (instance, vote) in other.iter() {
            self.insert(instance, vote);
        }
    }

    /// All votes: ECHO, READY, then EST, COORD and AUX by round, then DECIDED, then INVALID.
    pub fn iter(&self) -> impl Iterator<Item = (ValidatorIndex, Vote)> + '_ {
        let echoes = self.echoes.iter().map(|(instance, digest)| (instance, Vote::Echo(digest)));
        let readies = self.readies.iter().map(|(instance, digest)| (instance, Vote::Ready(digest)));
        let binary = self.binary.iter().flat_map(move |((kind, round), masks)| {
            let named = masks.zeros.iter_with(&masks.ones);
            named.flat_map(move |instance| binary_votes(*kind, *round, instance, masks.of(instance)))
        });
        let invalids = self.invalids.iter().map(|(instance, digest)| (instance, Vote::Invalid(digest)));
        echoes.chain(readies).chain(binary).chain(invalids)
    }

    /// The same votes in books of at most `sections_max` sections each: one message holds no more.
    #[must_use]
    pub fn split(&self, sections_max: usize) -> Vec<Self> {
        let mut parts = Vec::new();
        let mut part = Self { binary: BTreeMap::new(), ..self.clone() };
        for (key, masks) in &self.binary {
            if part.sections() >= sections_max {
                parts.push(std::mem::replace(&mut part, Self::new(self.validators)));
            }
            part.binary.insert(*key, masks.clone());
        }
        if !part.is_empty() {
            parts.push(part);
        }
        parts
    }

    /// How many sections the book takes on the wire.
    pub(crate) fn sections(&self) -> usize {
        let digests = [&self.echoes, &self.readies, &self.invalids];
        digests.iter().filter(|digests| !digests.is_empty()).count() + self.binary.len()
    }

    fn masks(&mut self, kind: Kind, round: u32) -> &mut Masks {
        let validators = self.validators;
        self.binary.entry((kind, round)).or_insert_with(|| Masks::new(validators))
    }

    fn insert_once(&mut self, kind: Kind, round: u32, instance: ValidatorIndex, values: Values) -> bool {
        let masks = self.masks(kind, round);
        let new = masks.of(instance).is_empty();
        if new {
            masks.insert(instance, values);
        }
        new
    }
}

/// The votes that a pair of masks holds for one instance: none, one, or two EST.
fn binary_votes(
    kind: Kind,
    round: u32,
    instance: ValidatorIndex,
    values: Values,
) -> impl Iterator<Item = (ValidatorIndex, Vote)> {
    let vote = move |value| match kind {
        Kind::Estimate => Vote::Estimate { round, value },
        Kind::Coordinator => Vote::Coordinator { round, value },
        Kind::Auxiliary => Vote::Auxiliary { round, values },
        Kind::Decided => Vote::Decided(value),
    };
    let first = [false, true].into_iter().find(|value| values.contains(*value));
    let second = (kind == Kind::Estimate && values == Values::BOTH).then_some(true);
    first.into_iter().chain(second).map(move |value| (instance, vote(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const K: ValidatorIndex = ValidatorIndex(1);

    #[test]
    fn a_book_never_holds_a_contradiction() {
        let mut votes = Votes::new(4);
        let (one, two) = (Digest([1; 32]), Digest([2; 32]));
        assert!(votes.insert(K, Vote::Echo(one)) && !votes.insert(K, Vote::Echo(two)));
        assert!(votes.insert(K, Vote::Ready(two)) && !votes.insert(K, Vote::Ready(one)));
        assert!(votes.insert(K, Vote::Invalid(two)) && !votes.insert(K, Vote::Invalid(one)));
        assert!(votes.insert(K, Vote::Auxiliary { round: 3, values: Values::only(true) }));
        assert!(!votes.insert(K, Vote::Auxiliary { round: 3, values: Values::BOTH }));
        assert!(votes.insert(K, Vote::Coordinator { round: 3, value: false }));
        assert!(!votes.insert(K, Vote::Coordinator { round: 3, value: true }));
        assert!(votes.insert(K, Vote::Decided(true)) && !votes.insert(K, Vote::Decided(false)));
        assert!(votes.insert(K, Vote::Estimate { round: 3, value: false }));
        assert!(votes.insert(K, Vote::Estimate { round: 3, value: true }), "both may be relayed");
        assert!(!votes.insert(K, Vote::Estimate { round: 3, value: true }));
        assert_eq!(votes.iter().count(), 8);
    }

    #[test]
    fn a_book_refuses_what_makes_no_sense() {
        let mut votes = Votes::new(4);
        assert!(!votes.insert(ValidatorIndex(4), Vote::Decided(true)));
        assert!(!votes.insert(K, Vote::Estimate { round: 0, value: true }));
        assert!(!votes.insert(K, Vote::Coordinator { round: 0, value: true }));
        assert!(!votes.insert(K, Vote::Auxiliary { round: 0, values: Values::BOTH }));
        assert!(!votes.insert(K, Vote::Auxiliary { round: 1, values: Values::NONE }));
        assert!(votes.is_empty());
    }

    #[test]
    fn splitting_and_merging_give_the_same_book() {
        let mut votes = Votes::new(4);
        votes.insert(K, Vote::Echo(Digest([1; 32])));
        votes.insert(ValidatorIndex(3), Vote::Invalid(Digest([2; 32])));
        for round in 1..10 {
            votes.insert(K, Vote::Estimate { round, value: round % 2 == 0 });
            votes.insert(ValidatorIndex(2), Vote::Auxiliary { round, values: Values::BOTH });
        }
        let parts = votes.split(4);
        assert_eq!(parts.len(), 5);
        assert!(parts.iter().all(|part| part.sections() <= 4));
        let mut whole = Votes::new(4);
        parts.iter().for_each(|part| whole.merge(part));
        assert_eq!(whole, votes);
        assert!(Votes::new(4).split(4).is_empty());
    }
}
