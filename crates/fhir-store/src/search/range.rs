//! Clauses over values that have an order: times, numbers, texts, and the time of the last change. Rows of values are in a
//! file alone; on a server, coarse lists and the resources themselves do their work.

use super::{
    plan::Check,
    query::{Prefix, Test, Window},
};
use crate::{
    StoreError,
    database::{Database, Value as Sql, values},
    parameters::Kind,
    value::{date::Span, text::fold},
};

/// A condition on the rows that a resource has in one table.
pub(super) struct Range(Vec<One>);

enum One {
    /// Rows of `table` of the parameter that meet a condition.
    Rows { table: &'static str, param: i64, condition: String, values: Vec<Sql<'static>> },
    /// The version that is current came in this window of the order of all versions.
    Changed { kind: Kind, low: i64, high: i64, outside: bool },
}

impl Range {
    pub(super) fn any_of(ranges: Vec<Self>) -> Self {
        Self(ranges.into_iter().flat_map(|range| range.0).collect())
    }

    pub(super) fn of(database: &Database, param: i64, test: &Test) -> Result<Self, StoreError> {
        let rows =
            |table, condition: String, values| Self(vec![One::Rows { table, param, condition, values }]);
        let text = |text: &str| Sql::Text(text.to_owned().into());
        Ok(match test {
            Test::Starts(start) => {
                let end = text(&format!("{start}\u{10ffff}"));
                rows("words", "folded >= ? AND folded < ?".to_owned(), vec![text(start), end])
            }
            Test::Contains(part) => {
                rows("words", "folded LIKE ? ESCAPE '!'".to_owned(), vec![text(&containing(part))])
            }
            Test::Exact(exact) => {
                rows("words", "folded = ? AND written = ?".to_owned(), vec![text(&fold(exact)), text(exact)])
            }
            Test::Date(prefix, span) => {
                let (low, high) = (Sql::Whole(span.low), Sql::Whole(span.high));
                let (condition, values) = compare(*prefix, low, high);
                rows("span", condition, values)
            }
            Test::Amount { prefix, window: Window { low, high }, system, unit } => {
                let prefix = match prefix {
                    Prefix::Sa => Prefix::Gt,
                    Prefix::Eb => Prefix::Lt,
                    other => *other,
                };
                let (mut condition, values) = compare(prefix, Sql::Real(*low), Sql::Real(*high));
                if system.is_some() || unit.is_some() {
                    let units = units(database, system.as_deref(), unit.as_deref())?;
                    let list: Vec<String> = units.iter().map(ToString::to_string).collect();
                    condition = format!("({condition}) AND unit IN ({})", list.join(","));
                }
                rows("amount", condition, values)
            }
            _ => Self(Vec::new()),
        })
    }

    /// The last change, as a window of the order of all versions: times never run backwards in it.
    pub(super) fn changed(
        database: &Database,
        kind: Kind,
        prefix: Prefix,
        span: Span,
    ) -> Result<Self, StoreError> {
        let first_from = |time_ms: i64| first_version(database, time_ms);
        let (from, after) = (first_from(span.low)?, first_from(span.high.saturating_add(1))?);
        let (low, high, outside) = match prefix {
            Prefix::Eq | Prefix::Ap => (from, after - 1, false),
            Prefix::Ne => (from, after - 1, true),
            Prefix::Gt | Prefix::Sa => (after, i64::MAX, false),
            Prefix::Ge => (from, i64::MAX, false),
            Prefix::Lt | Prefix::Eb => (0, from - 1, false),
            Prefix::Le => (0, after - 1, false),
        };
        Ok(Self(vec![One::Changed { kind, low, high, outside }]))
    }

    /// Whether the list has resources that have changed since.
    pub(super) fn needs_check(&self) -> bool {
        self.0.iter().any(|one| matches!(one, One::Changed { .. }))
    }

    /// The resources, if there are at most `most` rows.
    pub(super) fn list(&self, database: &Database, most: usize) -> Result<Option<Vec<i64>>, StoreError> {
        let limit = i64::try_from(most + 1).unwrap_or(i64::MAX);
        let mut numbers = Vec::new();
        for one in &self.0 {
            let before = numbers.len();
            let (text, values) = match one {
                One::Rows { table, param, condition, values } => {
                    let text =
                        format!("SELECT rid FROM {table} WHERE param = ? AND ({condition}) LIMIT {limit}");
                    (
                        text,
                        std::iter::once(Sql::Whole(*param)).chain(values.iter().cloned()).collect::<Vec<_>>(),
                    )
                }
                One::Changed { outside: true, .. } => return Ok(None),
                One::Changed { kind, low, high, .. } => {
                    let text = format!(
                        "SELECT rid FROM version WHERE kind = ?1 AND seq BETWEEN ?2 AND ?3 LIMIT {limit}"
                    );
                    (text, vec![Sql::Whole(i64::from(kind.0)), Sql::Whole(*low), Sql::Whole(*high)])
                }
            };
            numbers.extend(database.all(&text, &values, |row| row.get::<i64>(0))?);
            if numbers.len() - before > most {
                return Ok(None);
            }
        }
        Ok(Some(numbers))
    }

    /// The test of one resource.
    pub(super) fn check(self, database: &Database) -> Check<'_> {
        Box::new(move |number| {
            for one in &self.0 {
                if one.holds(database, number)? {
                    return Ok(true);
                }
            }
            Ok(false)
        })
    }
}

/// How one resource is tested. The plus keeps SQLite from going through the index of all resources' values in their order
/// until it meets this one: it takes the table's own order, where they stand together.
fn text_of_check(table: &str, condition: &str) -> String {
    format!("SELECT 1 FROM {table} WHERE rid = ? AND +param = ? AND ({condition}) LIMIT 1")
}

impl One {
    fn holds(&self, database: &Database, number: i64) -> Result<bool, StoreError> {
        match self {
            Self::Rows { table, param, condition, values } => {
                let text = text_of_check(table, condition);
                let own = [Sql::Whole(number), Sql::Whole(*param)];
                let all: Vec<Sql<'_>> = own.into_iter().chain(values.iter().cloned()).collect();
                Ok(database.first(&text, &all, |_| Ok(()))?.is_some())
            }
            Self::Changed { low, high, outside, .. } => {
                let seq: i64 = database.one("SELECT seq FROM resource WHERE rid = ?1", values![number])?;
                Ok((*low..=*high).contains(&seq) != *outside)
            }
        }
    }
}

/// The condition on `low` and `high` that a prefix makes; `test` says the same of single values.
fn compare(prefix: Prefix, low: Sql<'static>, high: Sql<'static>) -> (String, Vec<Sql<'static>>) {
    let (text, values) = match prefix {
        // The first two bounds say nothing new; by them the index is used, whichever end it begins with.
        Prefix::Eq => {
            ("high >= ? AND low <= ? AND low >= ? AND high <= ?", vec![low.clone(), high.clone(), low, high])
        }
        Prefix::Ne => ("NOT (low >= ? AND high <= ?)", vec![low, high]),
        Prefix::Gt => ("high > ?", vec![high]),
        Prefix::Lt => ("low < ?", vec![low]),
        Prefix::Ge => ("high >= ? AND (high > ? OR low >= ?)", vec![low.clone(), high, low]),
        Prefix::Le => ("low <= ? AND (low < ? OR high <= ?)", vec![high.clone(), low, high]),
        Prefix::Sa => ("low > ? AND high > ?", vec![high.clone(), high]),
        Prefix::Eb => ("high < ? AND low < ?", vec![low.clone(), low]),
        Prefix::Ap => ("low <= ? AND high >= ?", vec![high, low]),
    };
    (text.to_owned(), values)
}

/// The units that a search means.
fn units(database: &Database, system: Option<&str>, unit: Option<&str>) -> Result<Vec<i64>, StoreError> {
    let (text, values): (&str, Vec<String>) = match (system, unit) {
        (Some(system), Some(unit)) => (
            "SELECT cid FROM concept WHERE code = ?1 AND system = ?2",
            vec![unit.to_owned(), system.to_owned()],
        ),
        (None, Some(unit)) => (
            "SELECT cid FROM concept WHERE code = ?1 OR (label = ?2 AND label <> '')",
            vec![unit.to_owned(), fold(unit)],
        ),
        (Some(system), None) => ("SELECT cid FROM concept WHERE system = ?1", vec![system.to_owned()]),
        (None, None) => return Ok(Vec::new()),
    };
    let values: Vec<Sql<'_>> = values.iter().map(|value| Sql::from(value.as_str())).collect();
    database.all(text, &values, |row| row.get(0))
}

/// A pattern of LIKE for what has `text` in it.
pub(super) fn containing(text: &str) -> String {
    let mut pattern = String::from("%");
    for letter in text.chars() {
        if matches!(letter, '%' | '_' | '!') {
            pattern.push('!');
        }
        pattern.push(letter);
    }
    pattern.push('%');
    pattern
}

/// The first version that is not older than `time_ms`.
fn first_version(database: &Database, time_ms: i64) -> Result<i64, StoreError> {
    let last: Option<i64> = database.one("SELECT max(seq) FROM version", &[])?;
    let (mut low, mut high) = (1, last.unwrap_or(0) + 1);
    let text = "SELECT updated_ms FROM version WHERE seq >= ?1 ORDER BY seq LIMIT 1";
    while low < high {
        let middle = low + (high - low) / 2;
        let time: Option<i64> = database.first(text, values![middle], |row| row.get(0))?;
        if time.is_some_and(|time| time < time_ms) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn a_resource_is_tested_by_its_number() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(schema::VALUES).unwrap();
        for (table, condition) in [
            ("span", "high >= 5 AND low <= 4"),
            ("span", "high > 5"),
            ("amount", "low > 5.0"),
            ("words", "folded >= 'a' AND folded < 'b'"),
        ] {
            let text = format!("EXPLAIN QUERY PLAN {}", text_of_check(table, condition));
            let plan: String = connection.query_row(&text, [1, 1], |row| row.get("detail")).unwrap();
            assert!(plan.contains("PRIMARY KEY (rid=?"), "{table}, {condition}: {plan}");
        }
    }
}
