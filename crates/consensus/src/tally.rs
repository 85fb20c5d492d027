//! Counts who stands for which digest; each validator counts once, with the first digest it names.

use bxp_types::{Digest, ValidatorIndex};

use crate::bitmask::Bitmask;

/// Votes for digests. Holds at most one digest a validator. Digests are few, one where nobody lies, so they are a list.
#[derive(Debug)]
pub(crate) struct Tally {
    validators: u16,
    by_digest: Vec<(Digest, Bitmask)>,
}

impl Tally {
    pub(crate) const fn new(validators: u16) -> Self {
        Self { validators, by_digest: Vec::new() }
    }

    /// Counts a vote, unless that validator has voted.
    pub(crate) fn count(&mut self, from: ValidatorIndex, digest: Digest) {
        if from.0 >= self.validators || self.has_voted(from) {
            return;
        }
        if let Some((_, voters)) = self.by_digest.iter_mut().find(|(named, _)| *named == digest) {
            voters.insert(from);
            return;
        }
        let mut voters = Bitmask::new(self.validators);
        voters.insert(from);
        self.by_digest.reserve_exact(1);
        self.by_digest.push((digest, voters));
    }

    pub(crate) fn has_voted(&self, validator: ValidatorIndex) -> bool {
        self.by_digest.iter().any(|(_, voters)| voters.contains(validator))
    }

    /// The digest for which at least `threshold` stand, if there is one; the first one named if there are several.
    pub(crate) fn reached(&self, threshold: usize) -> Option<Digest> {
        self.by_digest.iter().find(|(_, voters)| voters.count() >= threshold).map(|(digest, _)| *digest)
    }

    /// For what that validator stands.
    pub(crate) fn vote(&self, validator: ValidatorIndex) -> Option<Digest> {
        self.by_digest.iter().find(|(_, voters)| voters.contains(validator)).map(|(digest, _)| *digest)
    }

    /// How many stand for `digest`.
    pub(crate) fn count_of(&self, digest: &Digest) -> usize {
        self.voters_mask(digest).map_or(0, Bitmask::count)
    }

    /// Who stands for `digest`.
    pub(crate) fn voters(&self, digest: &Digest) -> impl Iterator<Item = ValidatorIndex> + '_ {
        self.voters_mask(digest).into_iter().flat_map(Bitmask::iter)
    }

    fn voters_mask(&self, digest: &Digest) -> Option<&Bitmask> {
        self.by_digest.iter().find(|(named, _)| named == digest).map(|(_, voters)| voters)
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
        assert_eq!((tally.voters(&two).count(), tally.count_of(&one), tally.count_of(&two)), (0, 2, 0));
        assert_eq!((tally.vote(ValidatorIndex(3)), tally.vote(ValidatorIndex(1))), (Some(one), None));
        assert!(tally.has_voted(ValidatorIndex(0)) && !tally.has_voted(ValidatorIndex(1)));
    }
}
