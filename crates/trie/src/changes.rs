//! What an update does to the stored nodes.

use alloy_primitives::Bytes;
use alloy_trie::Nibbles;
use std::{cmp::Ordering, iter::Peekable, vec::IntoIter};

/// What one entry was before and is after; none where there is no entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change<T> {
    /// What was stored.
    pub before: Option<T>,
    /// What is to be stored; none deletes.
    pub after: Option<T>,
}

/// Nodes by their paths, written into one buffer: there are too many of them to ask for memory one by one.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    bytes: Vec<u8>,
    /// Each row's path, and where it begins and ends in the buffer. A row without bytes is none.
    places: Vec<(Nibbles, usize, usize)>,
}

/// A row whose node is not yet known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row(usize);

/// Bytes of nodes that an update of a large trie changes, nearly, and the number of nodes.
const NODE_BYTES_AN_UPDATE: usize = 640;
const NODES_AN_UPDATE: usize = 3;

impl Rows {
    /// Rows that have room for what about so many updates change.
    pub(crate) fn with_room_for(updates: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(updates.saturating_mul(NODE_BYTES_AN_UPDATE)),
            places: Vec::with_capacity(updates.saturating_mul(NODES_AN_UPDATE)),
        }
    }

    /// Begins a row, which stands before those that are begun later.
    pub(crate) fn begin(&mut self, path: Nibbles) -> Row {
        self.places.push((path, 0, 0));
        Row(self.places.len() - 1)
    }

    /// Gives a row its node, as `encode` writes it, and returns that.
    pub(crate) fn fill(&mut self, row: Row, encode: impl FnOnce(&mut Vec<u8>)) -> &[u8] {
        let begins = self.bytes.len();
        encode(&mut self.bytes);
        if let Some(place) = self.places.get_mut(row.0) {
            (place.1, place.2) = (begins, self.bytes.len());
        }
        self.bytes.get(begins..).unwrap_or_default()
    }

    /// How many rows have been begun.
    pub(crate) const fn begun(&self) -> usize {
        self.places.len()
    }

    /// A row's node.
    pub(crate) fn get(&self, row: Row) -> &[u8] {
        let place = self.places.get(row.0);
        place.and_then(|(_, begins, ends)| self.bytes.get(*begins..*ends)).unwrap_or_default()
    }

    /// Makes a row one that has no node.
    pub(crate) fn hide(&mut self, row: Row) {
        if let Some(place) = self.places.get_mut(row.0) {
            (place.1, place.2) = (0, 0);
        }
    }

    /// Brings the rows from the one at `begun` on into the order of their paths. Those who hold one of them must not use it
    /// any more.
    pub(crate) fn sort_from(&mut self, begun: usize) {
        self.places.get_mut(begun..).unwrap_or_default().sort_unstable_by_key(|(path, ..)| *path);
    }

    /// Takes the node out of the row that was filled last.
    pub(crate) fn clear(&mut self, row: Row) {
        if let Some(place) = self.places.get_mut(row.0) {
            self.bytes.truncate(place.1);
            (place.1, place.2) = (0, 0);
        }
    }

    /// Adds a row with its node.
    pub(crate) fn push(&mut self, path: Nibbles, encode: impl FnOnce(&mut Vec<u8>)) {
        let row = self.begin(path);
        self.fill(row, encode);
    }

    /// The rows as slices of one buffer.
    pub(crate) fn into_nodes(self, nodes: &mut Vec<(Nibbles, Bytes)>) {
        let bytes = Bytes::from(self.bytes);
        let present = self.places.into_iter().filter(|(_, begins, ends)| begins < ends);
        nodes.extend(present.map(|(path, begins, ends)| (path, bytes.slice(begins..ends))));
    }
}

/// The paths whose node differs from before, in order, with both.
pub(crate) fn difference(
    mut before: Vec<(Nibbles, Bytes)>,
    mut after: Vec<(Nibbles, Bytes)>,
) -> Vec<(Nibbles, Change<Bytes>)> {
    for side in [&mut before, &mut after] {
        // Nearly always they are.
        if !side.is_sorted_by_key(|(path, _)| *path) {
            side.sort_by_key(|(path, _)| *path);
        }
    }
    let mut changes = Vec::with_capacity(before.len().max(after.len()));
    let (mut before, mut after) = (before.into_iter().peekable(), after.into_iter().peekable());
    while let Some((path, change)) = next(&mut before, &mut after) {
        if change.before != change.after {
            changes.push((path, change));
        }
    }
    changes
}

type Nodes = Peekable<IntoIter<(Nibbles, Bytes)>>;

/// The next path of either side.
fn next(before: &mut Nodes, after: &mut Nodes) -> Option<(Nibbles, Change<Bytes>)> {
    let order = match (before.peek(), after.peek()) {
        (Some((one, _)), Some((other, _))) => one.cmp(other),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => return None,
    };
    let (before, after) = (before.next_if(|_| order.is_le()), after.next_if(|_| order.is_ge()));
    let path = before.as_ref().or(after.as_ref())?.0;
    Some((path, Change { before: before.map(|(_, node)| node), after: after.map(|(_, node)| node) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_differs_in_order() {
        let node = |path: &[u8], byte: u8| (Nibbles::from_nibbles(path), Bytes::from(vec![byte]));
        let before = vec![node(&[2], 1), node(&[1], 1), node(&[3], 1)];
        let after = vec![node(&[], 9), node(&[1], 2), node(&[3], 1)];
        let found = difference(before, after);
        let change = |path: &[u8], before: Option<u8>, after: Option<u8>| {
            let bytes = |byte: Option<u8>| byte.map(|byte| Bytes::from(vec![byte]));
            (Nibbles::from_nibbles(path), Change { before: bytes(before), after: bytes(after) })
        };
        assert_eq!(
            found,
            [change(&[], None, Some(9)), change(&[1], Some(1), Some(2)), change(&[2], Some(1), None)]
        );
    }

    #[test]
    fn rows_keep_the_order_in_which_they_were_begun() {
        let mut rows = Rows::default();
        let first = rows.begin(Nibbles::new());
        rows.push(Nibbles::from_nibbles([1]), |bytes| bytes.extend([1, 2]));
        let empty = rows.begin(Nibbles::from_nibbles([2]));
        assert_eq!(rows.fill(empty, |bytes| bytes.push(5)), [5]);
        rows.clear(empty);
        assert_eq!(rows.fill(first, |bytes| bytes.push(3)), [3]);
        let mut nodes = Vec::new();
        rows.into_nodes(&mut nodes);
        assert_eq!(
            nodes,
            [(Nibbles::new(), Bytes::from(vec![3])), (Nibbles::from_nibbles([1]), Bytes::from(vec![1, 2]))]
        );
    }
}
