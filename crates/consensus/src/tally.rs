//! Counts who stands for which digest; each validator counts once, with the first digest it names.

use std::collections::BTreeMap;

use bxp_types::{Digest, ValidatorIndex};

use crate::bitmask::Bitmask;

/// Votes for digests. Holds at most one digest a validator.
#[derive(Debug)]
pub(crate) struct Tally {
    from: Bitmask,
    by_digest: BTreeMap<Digest, Bitmask>,
}

impl Tally {
    pub(crate) fn new(validators: u16) -> Self {
        Self { from: Bitmask::new(validators), by_digest: BTreeMap::new() }
    }

    /// Counts a vote, unless that validator has voted.
    pub(crate) fn count(&mut self, from: ValidatorIndex, digest: Digest) {
        if self.from.insert(from) {
            let length = self.from.length();
            self.by_digest.entry(digest).or_insert_with(|| Bitmask::new(length)).insert(from);
        }
    }

    pub(crate) fn has_voted(&self, validator: ValidatorIndex) -> bool {
        self.from.contains(validator)
    }

    /// The digest for which at least `threshold` stand, if there is one.
    pub(crate) fn reached(&self, threshold: usize) -> Option<Digest> {
        self.by_digest.iter().find(|(_, voters)| voters.count() >= threshold).map(|(digest, _)| *digest)
    }

    /// For what that validator stands.
    pub(crate) fn vote(&self, validator: ValidatorIndex) -> Option<Digest> {
        self.by_digest.iter().find(|(_, voters)| voters.contains(validator)).map(|(digest, _)| *digest)
    }

    /// Who stands for `digest`.
    pub(crate) fn voters(&self, digest: &Digest) -> impl Iterator<Item = ValidatorIndex> + '_ {
        self.by_digest.get(digest).into_iter().flat_map(Bitmask::iter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_votes_twice_counts_once() {
        let (one, two) = (Digest([1; 32]), Digest([2; 32]));
        let mut tally = Tally::new(4);
        tally.count(ValidatorIndex(0), one);
        tally.count(ValidatorIndex(0), one);
        tally.count(ValidatorIndex(0), two);
        tally.count(ValidatorIndex(7), one);
        assert_eq!(tally.reached(2), None);
        tally.count(ValidatorIndex(3), one);
        assert_eq!(tally.reached(2), Some(one));
        assert_eq!(tally.voters(&one).collect::<Vec<_>>(), [ValidatorIndex(0), ValidatorIndex(3)]);
        assert_eq!(tally.voters(&two).count(), 0);
        assert_eq!((tally.vote(ValidatorIndex(3)), tally.vote(ValidatorIndex(1))), (Some(one), None));
        assert!(tally.has_voted(ValidatorIndex(0)) && !tally.has_voted(ValidatorIndex(1)));
    }
}
