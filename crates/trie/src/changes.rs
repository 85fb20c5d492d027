//! What an update does to the stored nodes.

use alloy_primitives::Bytes;
use alloy_trie::Nibbles;

/// What one entry was before and is after; none where there is no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// What was stored.
    pub before: Option<T>,
    /// What is to be stored; none deletes.
    pub after: Option<T>,
}

/// What an update took out and put in, each with its path, in the order of the walk.
#[derive(Debug, Default)]
pub(crate) struct Changes(Vec<(Nibbles, Change<Bytes>)>);

impl Changes {
    /// Takes the stored node at `path` out. It is deleted unless a node is put there again.
    pub(crate) fn take(&mut self, path: Nibbles, rlp: Bytes) {
        self.0.push((path, Change { before: Some(rlp), after: None }));
    }

    /// Puts a node at `path`.
    pub(crate) fn put(&mut self, path: Nibbles, rlp: Bytes) {
        self.0.push((path, Change { before: None, after: Some(rlp) }));
    }

    /// Adds the changes of another part of the trie.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// The paths whose node differs from before, in order, with both.
    pub(crate) fn into_difference(mut self) -> Vec<(Nibbles, Change<Bytes>)> {
        self.0.sort_by_key(|(path, _)| *path);
        let mut changed: Vec<(Nibbles, Change<Bytes>)> = Vec::with_capacity(self.0.len());
        for (path, change) in self.0 {
            match changed.last_mut() {
                // A path is taken once and put once at most.
                Some((last, known)) if *last == path => {
                    known.before = known.before.take().or(change.before);
                    known.after = change.after.or(known.after.take());
                }
                _ => changed.push((path, change)),
            }
        }
        changed.retain(|(_, change)| change.before != change.after);
        changed
    }
}
