//! Values that go into statements and come out of rows, the same for both databases.

use crate::StoreError;
use std::borrow::Cow;
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};

/// A value of a statement.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'a> {
    Whole(i64),
    Real(f64),
    Text(Cow<'a, str>),
    Bytes(Option<Cow<'a, [u8]>>),
}

impl Value<'_> {
    /// Its type on a server; statements are prepared with it, so that nothing is guessed.
    pub(super) const fn kind(&self) -> Type {
        match self {
            Self::Whole(_) => Type::INT8,
            Self::Real(_) => Type::FLOAT8,
            Self::Text(_) => Type::TEXT,
            Self::Bytes(_) => Type::BYTEA,
        }
    }
}

impl From<i64> for Value<'_> {
    fn from(whole: i64) -> Self {
        Self::Whole(whole)
    }
}

impl From<u16> for Value<'_> {
    fn from(whole: u16) -> Self {
        Self::Whole(whole.into())
    }
}

impl From<bool> for Value<'_> {
    fn from(yes: bool) -> Self {
        Self::Whole(yes.into())
    }
}

impl From<f64> for Value<'_> {
    fn from(real: f64) -> Self {
        Self::Real(real)
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(text.into())
    }
}

impl<'a> From<Cow<'a, [u8]>> for Value<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        Self::Bytes(Some(bytes))
    }
}

/// The values of a statement, in the order of their numbers.
macro_rules! values {
    ($($value:expr),* $(,)?) => { &[$($crate::database::Value::from($value)),*][..] };
}
pub(crate) use values;

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<rusqlite::types::ToSqlOutput<'_>> {
        use rusqlite::types::{ToSqlOutput, ValueRef};
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Whole(whole) => ValueRef::Integer(*whole),
            Self::Real(real) => ValueRef::Real(*real),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(Some(bytes)) => ValueRef::Blob(bytes),
            Self::Bytes(None) => ValueRef::Null,
        }))
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Whole(whole) => whole.to_sql(kind, out),
            Self::Real(real) => real.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.as_deref().to_sql(kind, out),
        }
    }

    fn accepts(kind: &Type) -> bool {
        [Type::INT8, Type::FLOAT8, Type::TEXT, Type::BYTEA].contains(kind)
    }

    to_sql_checked!();
}

/// A row of either database.
pub(crate) enum Row<'r> {
    File(&'r rusqlite::Row<'r>),
    Server(&'r tokio_postgres::Row),
}

impl Row<'_> {
    pub(crate) fn get<T: Column>(&self, place: usize) -> Result<T, StoreError> {
        T::of(self, place)
    }

    /// Bytes as they lie in the row.
    pub(crate) fn bytes(&self, place: usize) -> Result<Option<&[u8]>, StoreError> {
        match self {
            Self::File(row) => row
                .get_ref(place)?
                .as_blob_or_null()
                .map_err(|_| StoreError::Damaged("a version of a resource")),
            Self::Server(row) => Ok(row.try_get(place)?),
        }
    }
}

/// A type that a column is read as.
pub(crate) trait Column: Sized {
    fn of(row: &Row<'_>, place: usize) -> Result<Self, StoreError>;
}

macro_rules! column {
    ($($type:ty),*) => { $(
        impl Column for $type {
            fn of(row: &Row<'_>, place: usize) -> Result<Self, StoreError> {
                Ok(match row {
                    Row::File(row) => row.get(place)?,
                    Row::Server(row) => row.try_get(place)?,
                })
            }
        }
    )* };
}

column!(i64, Option<i64>, Option<f64>, String, Option<String>);

impl Column for bool {
    fn of(row: &Row<'_>, place: usize) -> Result<Self, StoreError> {
        Ok(i64::of(row, place)? != 0)
    }
}

impl Column for u16 {
    fn of(row: &Row<'_>, place: usize) -> Result<Self, StoreError> {
        let damaged = |_| StoreError::Damaged("a number in the FHIR store");
        Self::try_from(i64::of(row, place)?).map_err(damaged)
    }
}
