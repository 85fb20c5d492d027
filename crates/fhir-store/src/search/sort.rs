//! The order of what was found.

use super::{
    plan::{is_listed, served},
    query::{Query, Sort, SortBy},
};
use crate::{
    StoreError,
    extract::values,
    parameters::{Class, Parameters},
    read::value_of,
    value::{Indexed, Target},
};
use rusqlite::{Connection, OptionalExtension, params};
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
pub(super) fn keys(
    connection: &Connection,
    query: &Query,
    number: i64,
) -> Result<Vec<SortValue>, StoreError> {
    query.sort.iter().map(|sort| key(connection, *sort, number)).collect()
}

fn key(connection: &Connection, sort: Sort, number: i64) -> Result<SortValue, StoreError> {
    let parameter = match sort.by {
        SortBy::Id => {
            let mut statement = connection.prepare_cached("SELECT id FROM resource WHERE rid = ?1")?;
            return Ok(SortValue::Text(statement.query_row([number], |row| row.get(0))?));
        }
        SortBy::LastUpdated => {
            let mut statement = connection.prepare_cached("SELECT seq FROM resource WHERE rid = ?1")?;
            return Ok(SortValue::Whole(statement.query_row([number], |row| row.get(0))?));
        }
        SortBy::Parameter(parameter) => Parameters::r4().get(parameter),
    };
    if is_listed(parameter.class) {
        return text_key(connection, parameter, sort.descending, number);
    }
    let text = match (parameter.class, sort.descending) {
        (Class::Date, false) => "SELECT min(low) FROM span WHERE rid = ?1 AND param = ?2",
        (Class::Date, true) => "SELECT max(high) FROM span WHERE rid = ?1 AND param = ?2",
        (Class::Number | Class::Quantity, false) => {
            "SELECT min(low) FROM amount WHERE rid = ?1 AND param = ?2"
        }
        (Class::Number | Class::Quantity, true) => {
            "SELECT max(high) FROM amount WHERE rid = ?1 AND param = ?2"
        }
        (_, false) => "SELECT min(folded) FROM words WHERE rid = ?1 AND param = ?2",
        (_, true) => "SELECT max(folded) FROM words WHERE rid = ?1 AND param = ?2",
    };
    let mut statement = connection.prepare_cached(text)?;
    let found = statement.query_row(params![number, served(parameter.id).index()], |row| {
        Ok(match row.get_ref(0)? {
            rusqlite::types::ValueRef::Integer(whole) => SortValue::Whole(whole),
            rusqlite::types::ValueRef::Real(real) => SortValue::Real(real),
            rusqlite::types::ValueRef::Text(_) => SortValue::Text(row.get(0)?),
            _ => SortValue::None,
        })
    });
    Ok(found.optional()?.unwrap_or(SortValue::None))
}

/// Codes and references: their lists lead from the value to the resource only, so the resource is asked.
fn text_key(
    connection: &Connection,
    parameter: &crate::parameters::Parameter,
    descending: bool,
    number: i64,
) -> Result<SortValue, StoreError> {
    let resource = value_of(connection, number)?;
    let texts = values(parameter.class, &parameter.paths, &resource, &resource).map(|value| match value {
        Indexed::Token { code, .. } => code,
        Indexed::Reference(Target::Local(kind, id)) => format!("{}/{id}", Parameters::r4().name(kind)),
        Indexed::Uri(text) | Indexed::Reference(Target::Elsewhere(text)) => text,
        _ => String::new(),
    });
    let found = if descending { texts.max() } else { texts.min() };
    Ok(found.map_or(SortValue::None, SortValue::Text))
}
