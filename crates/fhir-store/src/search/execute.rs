//! Carrying a query out.

use super::{
    cursor::{Cursor, List, Posting, Union, meet},
    plan::{Plan, Planner},
    query::{Query, SortBy},
    sort::{SortValue, compare, keys},
};
use crate::{
    StoreError,
    database::{Database, values},
    index::all_of,
    parameters::Kind,
};

/// Numbers up to which the lists are joined before ranges are looked at.
const FEW: usize = 2_000;
/// A range with more numbers than this is a test of single resources.
const RANGE_MAX: usize = 20_000;
/// The most resources that one search puts in order.
const SORTED_MAX: usize = 200_000;
/// The most resources that a chain passes through.
pub(super) const CHAINED_MAX: usize = 200_000;
/// Up to how many resources a total is counted.
pub const TOTAL_MAX: u64 = 100_000_000;

/// A page of what was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The resources' numbers, in the order that was asked for.
    pub numbers: Vec<i64>,
    /// Behind which the next page begins; none on the last.
    pub next: Option<(Vec<SortValue>, i64)>,
}

/// Searches over one connection.
#[derive(Clone, Copy)]
pub struct Selection<'c> {
    database: &'c Database,
    /// Resources with a greater number are newer than the search.
    upto: i64,
}

impl std::fmt::Debug for Selection<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Selection").field("upto", &self.upto).finish_non_exhaustive()
    }
}

impl<'c> Selection<'c> {
    /// Over what is there, or over what was there when `upto` was the greatest number.
    pub(crate) fn new(database: &'c Database, upto: Option<i64>) -> Self {
        Self { database, upto: upto.unwrap_or(i64::MAX) }
    }

    /// The first `limit` resources behind `after`.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::TooCostly`].
    pub fn page(
        &self,
        query: &Query,
        limit: usize,
        after: Option<&(Vec<SortValue>, i64)>,
    ) -> Result<Page, StoreError> {
        if !query.sort.is_empty() {
            return self.sorted(query, limit, after);
        }
        let first = after.map_or(i64::MIN, |(_, number)| number.saturating_add(1));
        let mut numbers = Vec::with_capacity(limit.min(1_000));
        self.visit(query, first, &mut |number| {
            numbers.push(number);
            numbers.len() <= limit
        })?;
        let more = numbers.len() > limit;
        numbers.truncate(limit);
        let next = numbers.last().filter(|_| more).map(|last| (Vec::new(), *last));
        Ok(Page { numbers, next })
    }

    /// How many there are, up to `most`.
    ///
    /// # Errors
    /// As [`Selection::page`].
    pub fn count(&self, query: &Query, most: u64) -> Result<u64, StoreError> {
        let mut count = 0;
        self.visit(query, i64::MIN, &mut |_| {
            count += 1;
            count < most
        })?;
        Ok(count)
    }

    /// All that a query finds, by age, if there are at most `most`.
    pub(super) fn all(&self, query: &Query, most: usize) -> Result<Vec<i64>, StoreError> {
        let mut numbers = Vec::new();
        self.visit(query, i64::MIN, &mut |number| {
            numbers.push(number);
            numbers.len() <= most
        })?;
        if numbers.len() > most {
            return Err(StoreError::TooCostly(
                "it passes through too many resources; narrow it by another parameter",
            ));
        }
        Ok(numbers)
    }

    fn sorted(
        &self,
        query: &Query,
        limit: usize,
        after: Option<&(Vec<SortValue>, i64)>,
    ) -> Result<Page, StoreError> {
        if let ([sort], []) = (query.sort.as_slice(), query.clauses.as_slice())
            && sort.by == SortBy::LastUpdated
        {
            return self.by_change(query.kind, sort.descending, limit, after);
        }
        let mut numbers = Vec::new();
        self.visit(query, i64::MIN, &mut |number| {
            numbers.push(number);
            numbers.len() <= SORTED_MAX
        })?;
        if numbers.len() > SORTED_MAX {
            return Err(StoreError::TooCostly("it finds too many resources to put them in order; narrow it"));
        }
        let mut rows = Vec::with_capacity(numbers.len());
        for number in numbers {
            rows.push((keys(self.database, query, number)?, number));
        }
        if let Some(after) = after {
            rows.retain(|row| compare(&query.sort, row, after).is_gt());
        }
        if rows.len() > limit {
            // The rest need not be in order.
            rows.select_nth_unstable_by(limit, |a, b| compare(&query.sort, a, b));
            rows.truncate(limit + 1);
        }
        rows.sort_unstable_by(|a, b| compare(&query.sort, a, b));
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).cloned();
        Ok(Page { numbers: rows.into_iter().map(|(_, number)| number).collect(), next })
    }

    /// All of a kind in the order of their last change, along the list of versions.
    fn by_change(
        &self,
        kind: Kind,
        descending: bool,
        limit: usize,
        after: Option<&(Vec<SortValue>, i64)>,
    ) -> Result<Page, StoreError> {
        let from = match after.and_then(|(keys, _)| keys.first()) {
            Some(SortValue::Whole(seq)) => *seq,
            _ if descending => i64::MAX,
            _ => 0,
        };
        let text = if descending {
            "SELECT r.rid, r.seq FROM version v JOIN resource r ON r.rid = v.rid AND r.seq = v.seq AND r.deleted = 0 \
             WHERE v.kind = ?1 AND v.seq < ?2 AND r.rid <= ?4 ORDER BY v.seq DESC LIMIT ?3"
        } else {
            "SELECT r.rid, r.seq FROM version v JOIN resource r ON r.rid = v.rid AND r.seq = v.seq AND r.deleted = 0 \
             WHERE v.kind = ?1 AND v.seq > ?2 AND r.rid <= ?4 ORDER BY v.seq LIMIT ?3"
        };
        let most = i64::try_from(limit + 1).unwrap_or(i64::MAX);
        let asked = values![kind.0, from, most, self.upto];
        let mut rows: Vec<(i64, i64)> =
            self.database.all(text, asked, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(number, seq)| (vec![SortValue::Whole(*seq)], *number));
        Ok(Page { numbers: rows.into_iter().map(|(number, _)| number).collect(), next })
    }

    /// Calls `found` for each match from `first` on, in the order of numbers, until it says no.
    pub(super) fn visit(
        &self,
        query: &Query,
        first: i64,
        found: &mut dyn FnMut(i64) -> bool,
    ) -> Result<(), StoreError> {
        // Numbers begin with 1, and lists begin before it.
        let first = first.max(1);
        let Some(plan) = Planner::new(self.database, *self, query.kind).plan(query)? else { return Ok(()) };
        let Plan { mut lists, mut without, mut checks, ranges } = plan;
        if !ranges.is_empty() && !lists.is_empty() {
            let few = self.few(&mut lists, first)?;
            if let Some(few) = few {
                lists = vec![Box::new(List::new(few))];
            } else {
                // The lists were read from the start; they are made anew, and ranges help where they are short.
                let Some(again) = Planner::new(self.database, *self, query.kind).plan(query)? else {
                    return Ok(());
                };
                lists = again.lists;
            }
        }
        let driven = !lists.is_empty();
        for range in ranges {
            let short = if driven { None } else { range.list(self.database, RANGE_MAX)? };
            match short {
                Some(numbers) => {
                    lists.push(Box::new(List::new(numbers)));
                    if range.needs_check() {
                        checks.push(range.check(self.database));
                    }
                }
                None => checks.push(range.check(self.database)),
            }
        }
        if lists.is_empty() {
            lists.push(Box::new(Posting::new(self.database, all_of(query.kind), 0)));
        }
        let mut least = first;
        'candidates: while let Some(number) = meet(&mut lists, least)? {
            if number > self.upto {
                break;
            }
            least = number + 1;
            for other in &mut without {
                if other.seek(number)? == Some(number) {
                    continue 'candidates;
                }
            }
            for check in &mut checks {
                if !check(number)? {
                    continue 'candidates;
                }
            }
            if !found(number) {
                break;
            }
        }
        Ok(())
    }

    /// What all lists share, if it is little.
    fn few(&self, lists: &mut [Box<dyn Cursor + 'c>], first: i64) -> Result<Option<Vec<i64>>, StoreError> {
        let (mut few, mut least) = (Vec::new(), first);
        while let Some(number) = meet(lists, least)? {
            if number > self.upto {
                break;
            }
            if few.len() == FEW {
                return Ok(None);
            }
            few.push(number);
            least = number + 1;
        }
        Ok(Some(few))
    }
}

/// One list of several.
pub(super) fn either<'c>(mut lists: Vec<Box<dyn Cursor + 'c>>) -> Box<dyn Cursor + 'c> {
    match lists.len() {
        1 => lists.remove(0),
        _ => Box::new(Union::new(lists)),
    }
}
