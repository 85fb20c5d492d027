//! What an update does to the stored nodes.

use alloy_primitives::Bytes;
use alloy_trie::Nibbles;
use std::{cmp::Ordering, iter::Peekable};

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
    pub(crate) bytes: Vec<u8>,
    rows: Vec<Row>,
}

/// A path, and where its node begins and ends in the buffer. A row without bytes is none.
#[derive(Clone, Copy, Debug)]
struct Row {
    path: Nibbles,
    begins: usize,
    ends: usize,
}

/// Bytes of nodes that an update of a large trie changes, nearly, and the number of nodes.
const NODE_BYTES_AN_UPDATE: usize = 640;
const NODES_AN_UPDATE: usize = 3;

impl Rows {
    /// Rows that have room for what about so many updates change.
    pub(crate) fn with_room_for(updates: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(updates.saturating_mul(NODE_BYTES_AN_UPDATE)),
            rows: Vec::with_capacity(updates.saturating_mul(NODES_AN_UPDATE)),
        }
    }

    /// Begins a row, which stands before those that are begun later.
    pub(crate) fn begin(&mut self, path: Nibbles) -> usize {
        self.rows.push(Row { path, begins: 0, ends: 0 });
        self.rows.len() - 1
    }

    /// Gives a row its node: what stands in the buffer from `begins` on.
    pub(crate) fn end(&mut self, row: usize, begins: usize) {
        if let Some(row) = self.rows.get_mut(row) {
            (row.begins, row.ends) = (begins, self.bytes.len());
        }
    }

    /// A row's node.
    pub(crate) fn get(&self, row: usize) -> &[u8] {
        self.rows.get(row).and_then(|row| self.bytes.get(row.begins..row.ends)).unwrap_or_default()
    }

    pub(crate) const fn len(&self) -> usize {
        self.rows.len()
    }

    /// Adds a row with its node.
    pub(crate) fn push(&mut self, path: Nibbles, encode: impl FnOnce(&mut Vec<u8>)) {
        let (row, begins) = (self.begin(path), self.bytes.len());
        encode(&mut self.bytes);
        self.end(row, begins);
    }

    /// Adds the rows of others behind these.
    pub(crate) fn append(&mut self, others: &Self) {
        let moved = self.bytes.len();
        self.bytes.extend_from_slice(&others.bytes);
        self.rows.extend(others.rows.iter().map(|row| Row {
            path: row.path,
            begins: row.begins + moved,
            ends: row.ends + moved,
        }));
    }

    /// The rows as slices of one buffer.
    pub(crate) fn nodes(self) -> impl Iterator<Item = (Nibbles, Bytes)> {
        let bytes = Bytes::from(self.bytes);
        let present = self.rows.into_iter().filter(|row| row.begins < row.ends);
        present.map(move |row| (row.path, bytes.slice(row.begins..row.ends)))
    }
}

/// Changes in the order of their paths.
pub(crate) type Changes = Vec<(Nibbles, Change<Bytes>)>;

/// What the rows are before and after; both are in order.
pub(crate) fn difference_of_rows(before: Rows, after: Rows) -> Changes {
    let mut changes = Vec::with_capacity(before.len().max(after.len()));
    add_difference(before.nodes(), after.nodes(), &mut changes);
    changes
}

/// Puts changes together with those of `parts`. Each part has all changes below one path, and is in order.
pub(crate) fn together(others: Changes, mut parts: Vec<Changes>) -> Changes {
    parts.retain(|part| !part.is_empty());
    let first = |part: &Changes| part.first().map(|(path, _)| *path);
    if !parts.is_sorted_by_key(first) {
        parts.sort_by_key(first);
    }
    let mut all = Vec::with_capacity(others.len() + parts.iter().map(Vec::len).sum::<usize>());
    let mut others = others.into_iter().peekable();
    for part in parts {
        let begins = first(&part);
        while let Some(other) = others.next_if(|(path, _)| Some(*path) < begins) {
            all.push(other);
        }
        all.extend(part);
    }
    all.extend(others);
    all
}

/// The paths whose node differs from before, in order, with both.
pub(crate) fn difference(mut before: Vec<(Nibbles, Bytes)>, mut after: Vec<(Nibbles, Bytes)>) -> Changes {
    for side in [&mut before, &mut after] {
        // Nearly always they are.
        if !side.is_sorted_by_key(|(path, _)| *path) {
            side.sort_by_key(|(path, _)| *path);
        }
    }
    let mut changes = Vec::with_capacity(before.len().max(after.len()));
    add_difference(before.into_iter(), after.into_iter(), &mut changes);
    changes
}

/// Adds to `changes` what differs; both sides are in order.
fn add_difference(
    before: impl Iterator<Item = (Nibbles, Bytes)>,
    after: impl Iterator<Item = (Nibbles, Bytes)>,
    changes: &mut Changes,
) {
    let (mut before, mut after) = (before.peekable(), after.peekable());
    while let Some((path, change)) = next(&mut before, &mut after) {
        if change.before != change.after {
            changes.push((path, change));
        }
    }
}

/// The next path of either side.
fn next(
    before: &mut Peekable<impl Iterator<Item = (Nibbles, Bytes)>>,
    after: &mut Peekable<impl Iterator<Item = (Nibbles, Bytes)>>,
) -> Option<(Nibbles, Change<Bytes>)> {
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
        rows.begin(Nibbles::from_nibbles([2]));
        rows.bytes.push(3);
        rows.end(first, 2);
        assert_eq!(
            (rows.get(first), rows.get(1), rows.get(2)),
            ([3].as_slice(), [1, 2].as_slice(), [].as_slice())
        );
        let mut others = Rows::default();
        others.push(Nibbles::from_nibbles([3]), |bytes| bytes.push(4));
        rows.append(&others);
        let row = |path: &[u8], node: &[u8]| (Nibbles::from_nibbles(path), Bytes::copy_from_slice(node));
        assert_eq!(rows.nodes().collect::<Vec<_>>(), [row(&[], &[3]), row(&[1], &[1, 2]), row(&[3], &[4])]);
    }

    #[test]
    fn parts_are_put_between_the_others() {
        let change = |path: &[u8]| (Nibbles::from_nibbles(path), Change { before: None, after: None });
        let others = vec![change(&[]), change(&[1]), change(&[3])];
        let parts = vec![vec![change(&[4, 1])], vec![], vec![change(&[1, 2]), change(&[1, 2, 5])]];
        let all = together(others, parts);
        let paths: &[&[u8]] = &[&[], &[1], &[1, 2], &[1, 2, 5], &[3], &[4, 1]];
        assert_eq!(all, paths.iter().map(|path| change(path)).collect::<Vec<_>>());
    }
}
