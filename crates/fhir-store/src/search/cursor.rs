//! Lists of resource numbers, read in order and leapt through.

use crate::{
    StoreError,
    database::{Database, values},
};
use std::rc::Rc;

/// The first portion that a list reads, and the largest.
const PORTION_MIN: i64 = 32;
const PORTION_MAX: i64 = 4_096;

/// A list of resource numbers in ascending order.
pub(super) trait Cursor {
    /// The first number that is not less than `least`. Calls have to ascend.
    fn seek(&mut self, least: i64) -> Result<Option<i64>, StoreError>;
}

/// A list of the index.
pub(super) struct Posting<'c> {
    database: &'c Database,
    param: i64,
    key: i64,
    buffer: Vec<i64>,
    at: usize,
    portion: i64,
    /// Nothing stands behind the buffer.
    done: bool,
}

impl<'c> Posting<'c> {
    pub(super) fn new(database: &'c Database, param: i64, key: i64) -> Self {
        Self { database, param, key, buffer: Vec::new(), at: 0, portion: PORTION_MIN, done: false }
    }

    fn fill(&mut self, least: i64) -> Result<(), StoreError> {
        const TEXT: &str =
            "SELECT rid FROM posting WHERE param = ?1 AND key = ?2 AND rid >= ?3 ORDER BY rid LIMIT ?4";
        let asked = values![self.param, self.key, least, self.portion];
        self.buffer = self.database.all(TEXT, asked, |row| row.get(0))?;
        self.at = 0;
        self.done = i64::try_from(self.buffer.len()).unwrap_or(i64::MAX) < self.portion;
        Ok(())
    }
}

impl Cursor for Posting<'_> {
    fn seek(&mut self, least: i64) -> Result<Option<i64>, StoreError> {
        if self.buffer.last().is_none_or(|last| *last < least) {
            if self.done {
                return Ok(None);
            }
            // Who reads on reads more at a time; who leaps does not.
            let near = self.buffer.last().is_some_and(|last| least - last <= 64);
            self.portion = if near { (self.portion * 4).min(PORTION_MAX) } else { PORTION_MIN };
            self.fill(least)?;
        }
        self.at += self.buffer[self.at..].partition_point(|number| *number < least);
        Ok(self.buffer.get(self.at).copied())
    }
}

/// A list in memory.
pub(super) struct List {
    numbers: Rc<[i64]>,
    at: usize,
}

impl List {
    pub(super) fn new(mut numbers: Vec<i64>) -> Self {
        numbers.sort_unstable();
        numbers.dedup();
        Self { numbers: numbers.into(), at: 0 }
    }

    /// A list that is in order and that others read too.
    pub(super) fn shared(numbers: Rc<[i64]>) -> Self {
        Self { numbers, at: 0 }
    }
}

impl Cursor for List {
    fn seek(&mut self, least: i64) -> Result<Option<i64>, StoreError> {
        self.at += self.numbers[self.at..].partition_point(|number| *number < least);
        Ok(self.numbers.get(self.at).copied())
    }
}

/// What is in any of several lists.
pub(super) struct Union<'c> {
    parts: Vec<(Box<dyn Cursor + 'c>, Option<i64>)>,
}

impl<'c> Union<'c> {
    pub(super) fn new(parts: Vec<Box<dyn Cursor + 'c>>) -> Self {
        Self { parts: parts.into_iter().map(|part| (part, Some(i64::MIN))).collect() }
    }
}

impl Cursor for Union<'_> {
    fn seek(&mut self, least: i64) -> Result<Option<i64>, StoreError> {
        let mut first = None;
        for (part, head) in &mut self.parts {
            if head.is_some_and(|head| head < least) {
                *head = part.seek(least)?;
            }
            first = match (first, *head) {
                (Some(first), Some(head)) => Some(i64::min(first, head)),
                (first, head) => first.or(head),
            };
        }
        Ok(first)
    }
}

/// What is in all of several lists, at or after `least`.
pub(super) fn meet(parts: &mut [Box<dyn Cursor + '_>], mut least: i64) -> Result<Option<i64>, StoreError> {
    let mut agreed = 0;
    let mut at = 0;
    while agreed < parts.len() {
        let Some(found) = parts[at].seek(least)? else { return Ok(None) };
        agreed = if found == least { agreed + 1 } else { 1 };
        least = found;
        at = (at + 1) % parts.len();
    }
    Ok(Some(least))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_meet_where_they_share_numbers(lists in proptest::collection::vec(proptest::collection::vec(0_i64..60, 0..40), 1..5)) {
            let mut parts: Vec<Box<dyn Cursor>> =
                lists.iter().map(|list| Box::new(List::new(list.clone())) as Box<dyn Cursor>).collect();
            let (mut met, mut least) = (Vec::new(), 0);
            while let Some(found) = meet(&mut parts, least).unwrap() {
                met.push(found);
                least = found + 1;
            }
            let expected: Vec<i64> = (0..60).filter(|number| lists.iter().all(|list| list.contains(number))).collect();
            prop_assert_eq!(met, expected);
        }

        #[test]
        fn a_union_has_what_any_list_has(lists in proptest::collection::vec(proptest::collection::vec(0_i64..60, 0..20), 0..5)) {
            let parts = lists.iter().map(|list| Box::new(List::new(list.clone())) as Box<dyn Cursor>).collect();
            let mut union = Union::new(parts);
            let (mut found, mut least) = (Vec::new(), 0);
            while let Some(number) = union.seek(least).unwrap() {
                found.push(number);
                least = number + 1;
            }
            let expected: Vec<i64> = (0..60).filter(|number| lists.iter().any(|list| list.contains(number))).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
