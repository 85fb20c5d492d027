//! The order of what was found.

use super::{
    plan::{is_listed, served},
    query::{Query, Sort, SortBy},
};
use crate::{
    StoreError,
    database::{Database, values as sql},
    extract::values,
    parameters::{Class, Kind, Parameters},
    read::value_of,
    value::{Indexed, Target, text::fold},
    writer::id_of,
};
use std::cmp::Ordering;

/// By what a resource is sorted. What has no value comes last.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum SortValue {
    /// A time or a number of the order of changes.
    Whole(i64),
    /// A number.
    Real(f64),
    /// A text.
    Text(String),
    /// No value.
    None,
}

impl SortValue {
    fn compare(&self, other: &Self, descending: bool) -> Ordering {
        let order = match (self, other) {
            (Self::None, Self::None) => return Ordering::Equal,
            (Self::None, _) => return Ordering::Greater,
            (_, Self::None) => return Ordering::Less,
            (Self::Whole(a), Self::Whole(b)) => a.cmp(b),
            (Self::Real(a), Self::Real(b)) => a.total_cmp(b),
            (Self::Text(a), Self::Text(b)) => a.cmp(b),
            // One parameter has values of one kind.
            _ => Ordering::Equal,
        };
        if descending { order.reverse() } else { order }
    }
}

/// The order of two resources; equal ones by their age.
pub(super) fn compare(sort: &[Sort], a: &(Vec<SortValue>, i64), b: &(Vec<SortValue>, i64)) -> Ordering {
    let by_keys = sort.iter().zip(a.0.iter().zip(&b.0)).map(|(sort, (a, b))| a.compare(b, sort.descending));
    by_keys.fold(Ordering::Equal, Ordering::then).then(a.1.cmp(&b.1))
}

/// By what resource `number` is sorted.
pub(super) fn keys(database: &Database, query: &Query, number: i64) -> Result<Vec<SortValue>, StoreError> {
    query.sort.iter().map(|sort| key(database, query.kind, *sort, number)).collect()
}

fn key(database: &Database, kind: Kind, sort: Sort, number: i64) -> Result<SortValue, StoreError> {
    let parameter = match sort.by {
        SortBy::Id => {
            return Ok(SortValue::Text(id_of(database, kind, number)?));
        }
        SortBy::LastUpdated => {
            let text = "SELECT seq FROM resource WHERE rid = ?1";
            return Ok(SortValue::Whole(database.one(text, sql![number])?));
        }
        SortBy::Parameter(parameter) => Parameters::r4().get(parameter),
    };
    if is_listed(parameter.class) || database.sealer().is_some() {
        return key_of_content(database, parameter, sort.descending, number);
    }
    let text = text_of_key(parameter.class, sort.descending);
    let asked = sql![number, served(parameter.id).index()];
    let found = database.first(text, asked, |row| {
        Ok(match parameter.class {
            Class::Date => row.get::<Option<i64>>(0)?.map(SortValue::Whole),
            Class::Number | Class::Quantity => row.get::<Option<f64>>(0)?.map(SortValue::Real),
            _ => row.get::<Option<String>>(0)?.map(SortValue::Text),
        })
    })?;
    Ok(found.flatten().unwrap_or(SortValue::None))
}

/// How the least or the greatest value of a resource is read. The plus keeps SQLite from going through the index of all
/// resources' values in their order until it meets this one: it takes the table's own order, where they stand together.
const fn text_of_key(class: Class, descending: bool) -> &'static str {
    match (class, descending) {
        (Class::Date, false) => "SELECT min(low) FROM span WHERE rid = ?1 AND +param = ?2",
        (Class::Date, true) => "SELECT max(high) FROM span WHERE rid = ?1 AND +param = ?2",
        (Class::Number | Class::Quantity, false) => {
            "SELECT min(low) FROM amount WHERE rid = ?1 AND +param = ?2"
        }
        (Class::Number | Class::Quantity, true) => {
            "SELECT max(high) FROM amount WHERE rid = ?1 AND +param = ?2"
        }
        (_, false) => "SELECT min(folded) FROM words WHERE rid = ?1 AND +param = ?2",
        (_, true) => "SELECT max(folded) FROM words WHERE rid = ?1 AND +param = ?2",
    }
}

/// By what a resource is sorted where no table leads from it to its values: codes and references, and all that is on a server.
fn key_of_content(
    database: &Database,
    parameter: &crate::parameters::Parameter,
    descending: bool,
    number: i64,
) -> Result<SortValue, StoreError> {
    let resource = value_of(database, number)?;
    let keys = values(parameter.class, &parameter.paths, &resource, &resource).map(|value| match value {
        Indexed::Token { code, .. } => SortValue::Text(code),
        Indexed::Reference(Target::Local(kind, id)) => {
            SortValue::Text(format!("{}/{id}", Parameters::r4().name(kind)))
        }
        Indexed::Uri(text) | Indexed::Reference(Target::Elsewhere(text)) => SortValue::Text(text),
        Indexed::Date(span) => SortValue::Whole(if descending { span.high } else { span.low }),
        Indexed::Amount(amount) => SortValue::Real(if descending { amount.high } else { amount.low }),
        Indexed::Text(text) => SortValue::Text(fold(&text)),
        Indexed::ReferenceIdentifier { .. } | Indexed::Place { .. } => SortValue::Text(String::new()),
    });
    // The first in the order that is asked for.
    Ok(keys.min_by(|a, b| a.compare(b, descending)).unwrap_or(SortValue::None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema;

    #[test]
    fn what_a_resource_is_sorted_by_is_found_by_its_number() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(schema::VALUES).unwrap();
        for class in [Class::Date, Class::Number, Class::Quantity, Class::String] {
            for descending in [false, true] {
                let text = format!("EXPLAIN QUERY PLAN {}", text_of_key(class, descending));
                let plan: String = connection.query_row(&text, [1, 1], |row| row.get("detail")).unwrap();
                assert!(plan.contains("PRIMARY KEY (rid=?"), "{class:?}, {descending}: {plan}");
            }
        }
    }
}
