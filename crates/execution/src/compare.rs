//! Holding one stored state against another, entry by entry.

use crate::{ExecutionError, State, tables::HEAD_KEY};
use alloy_primitives::hex;
use bxp_storage::{Entries, Snapshot, StorageError, Table};
use bxp_types::Height;
use std::{cmp::Ordering, fmt, iter::Peekable};

/// An entry that two states do not share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDifference {
    /// The table.
    pub table: &'static str,
    /// The entry's key in hex: an address, an address and a slot, a path, a height or a hash.
    pub key: String,
    /// How it differs.
    pub kind: DifferenceKind,
}

/// How an entry differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// It has another value.
    Value,
    /// It is not there.
    Missing,
    /// It should not be there.
    Surplus,
}

impl fmt::Display for DifferenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "another value",
            Self::Missing => "missing",
            Self::Surplus => "an entry too many",
        })
    }
}

impl State {
    /// The lowest block whose state is kept.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`], [`ExecutionError::Malformed`].
    pub fn oldest(&self) -> Result<Height, ExecutionError> {
        let view = self.view();
        self.tables().history.oldest(view.snapshot(), view.head()?.height)
    }

    /// Whether past states are kept in packs, as they are where only so many blocks are kept.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`].
    pub fn keeps_packs(&self) -> Result<bool, ExecutionError> {
        Ok(self.tables().history.is_packed(self.view().snapshot())?)
    }

    /// Reads every entry of this state's tables, past states included, and gives the first `max` that are not as in
    /// `right`, with the number of entries that were read. Equal chains kept equally far back have equal tables.
    ///
    /// # Errors
    /// [`ExecutionError::Storage`].
    pub fn differences(
        &self,
        right: &Self,
        max: usize,
    ) -> Result<(Vec<StateDifference>, u64), ExecutionError> {
        let (ours, theirs) = (self.view(), right.view());
        let (mut found, mut entries) = (Vec::new(), 0);
        let pairs = self.tables().named().into_iter().zip(right.tables().named());
        for ((name, ours_table), (_, theirs_table)) in pairs {
            let sides = (all(ours.snapshot(), ours_table), all(theirs.snapshot(), theirs_table));
            entries += compare(name, sides, max, &mut found)?;
        }
        if self.head()? != right.head()? && found.len() < max {
            let key = hex::encode(HEAD_KEY);
            found.push(StateDifference { table: "state.head", key, kind: DifferenceKind::Value });
        }
        Ok((found, entries))
    }
}

fn all(snapshot: &Snapshot, table: &Table) -> Peekable<Entries> {
    snapshot.iter_prefix(table, []).peekable()
}

/// Walks both tables in the order of their keys, to the end, so that every entry is read.
fn compare(
    table: &'static str,
    (mut ours, mut right): (Peekable<Entries>, Peekable<Entries>),
    max: usize,
    found: &mut Vec<StateDifference>,
) -> Result<u64, StorageError> {
    let mut entries = 0;
    loop {
        let order = match (ours.peek(), right.peek()) {
            (None, None) => return Ok(entries),
            (Some(Ok((mine, _))), Some(Ok((other, _)))) => mine.cmp(other),
            (Some(_), None) | (Some(Err(_)), _) => Ordering::Less,
            (None, Some(_)) | (_, Some(Err(_))) => Ordering::Greater,
        };
        let mine = if order.is_le() { ours.next().transpose()? } else { None };
        let other = if order.is_ge() { right.next().transpose()? } else { None };
        entries += u64::from(mine.is_some());
        let (key, kind) = match (mine, other) {
            (Some((_, value)), Some((_, wanted))) if value == wanted => continue,
            (Some((key, _)), Some(_)) => (key, DifferenceKind::Value),
            (Some((key, _)), None) => (key, DifferenceKind::Surplus),
            (None, Some((key, _))) => (key, DifferenceKind::Missing),
            (None, None) => return Ok(entries),
        };
        if found.len() < max {
            found.push(StateDifference { table, key: hex::encode(key), kind });
        }
    }
}
