//! At most one digest for each instance: what ECHO, READY and INVALID say.

use bxp_types::{Digest, ValidatorIndex};

/// Digests by instance, in a list: they come in order from the wire, and one frame of a large network holds hundreds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Digests(Vec<(ValidatorIndex, Digest)>);

impl Digests {
    pub(crate) const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds the digest of an instance that has none. Returns whether it had none.
    pub(crate) fn insert(&mut self, instance: ValidatorIndex, digest: Digest) -> bool {
        if self.0.last().is_none_or(|(last, _)| *last < instance) {
            self.0.push((instance, digest));
            return true;
        }
        match self.0.binary_search_by_key(&instance, |(named, _)| *named) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, (instance, digest));
                true
            }
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, by instance.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (ValidatorIndex, Digest)> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instances_are_in_order_and_the_first_word_counts() {
        let mut digests = Digests::new();
        for (instance, byte, new) in [(3, 3, true), (1, 1, true), (7, 7, true), (3, 9, false), (2, 2, true)] {
            assert_eq!(digests.insert(ValidatorIndex(instance), Digest([byte; 32])), new);
        }
        let all: Vec<_> = digests.iter().map(|(instance, digest)| (instance.0, digest.0[0])).collect();
        assert_eq!((all, digests.len()), (vec![(1, 1), (2, 2), (3, 3), (7, 7)], 4));
    }
}
