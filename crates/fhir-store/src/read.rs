//! Reading under a permit: one resource, its history, a search, a patient's compartment.

use crate::{
    StoreError, body,
    parameters::{Kind, Parameters},
    search::{Page, Query, Selection, SortValue},
    store::Pooled,
    writer::{Method, current},
};
use bxp_privacy::Permit;
use bxp_types::{RecordId, SubjectId};
use rusqlite::{Connection, OptionalExtension, Row, params};
use sonic_rs::Value;

mod compartment;
mod include;

pub use compartment::Everything;

/// A version of a resource.
#[derive(Clone, Debug)]
pub struct Resource {
    /// Its type.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// Its version, from 1.
    pub version: i64,
    /// When it was written, in milliseconds since the epoch.
    pub updated_ms: i64,
    /// What was done.
    pub method: Method,
    /// The vault's record that seals it; none for a deletion.
    pub record: Option<RecordId>,
    /// Whose record it is.
    pub subject: SubjectId,
    /// Its JSON; none for a deletion, and where it was forgotten.
    pub text: Option<String>,
    /// Its place in the order of all versions.
    pub(crate) seq: i64,
    pub(crate) number: i64,
}

impl Resource {
    /// `Type/id`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}/{}", Parameters::r4().name(self.kind), self.id)
    }

    /// Its place in the order of all versions: the `before` of the next page of a history.
    #[must_use]
    pub const fn place(&self) -> i64 {
        self.seq
    }

    /// Its number: the `after` of the next page of a listing by age.
    #[must_use]
    pub const fn number(&self) -> i64 {
        self.number
    }
}

/// Of what a history is asked.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// One resource.
    Instance(Kind, &'a str),
    /// A resource type.
    Kind(Kind),
    /// Everything.
    System,
}

/// Reads what its permit opens.
pub struct Reader {
    connection: Pooled,
    permit: Permit,
    now_ms: u64,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("permit", &self.permit).finish_non_exhaustive()
    }
}

const COLUMNS: &str =
    "r.kind, r.id, v.version, v.updated_ms, v.method, v.record, r.subject, v.body, v.seq, r.rid";

impl Reader {
    pub(crate) fn new(connection: Pooled, permit: Permit, now_ms: u64) -> Self {
        Self { connection, permit, now_ms }
    }

    /// The newest version of a resource, also where it is a deletion; none if it was never here or is not permitted.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Damaged`].
    pub fn read(&self, kind: Kind, id: &str) -> Result<Option<Resource>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS} FROM resource r JOIN version v ON v.seq = r.seq WHERE r.kind = ?1 AND r.id = ?2"
        );
        self.one(&text, params![kind.0, id])
    }

    /// One version.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn version(&self, kind: Kind, id: &str, version: i64) -> Result<Option<Resource>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS} FROM resource r JOIN version v ON v.rid = r.rid AND v.version = ?3 \
             WHERE r.kind = ?1 AND r.id = ?2"
        );
        self.one(&text, params![kind.0, id, version])
    }

    /// Versions before place `before`, newest first, that are not older than `since_ms`.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn history(
        &self,
        scope: Scope<'_>,
        before: Option<i64>,
        since_ms: i64,
        limit: usize,
    ) -> Result<Vec<Resource>, StoreError> {
        let condition = match scope {
            Scope::Instance(..) => "v.rid = ?4",
            Scope::Kind(_) => "v.kind = ?4",
            Scope::System => "?4 = 0",
        };
        let of = match scope {
            Scope::Instance(kind, id) => match current(&self.connection, kind, id)? {
                Some(found) => found.rid,
                None => return Ok(Vec::new()),
            },
            Scope::Kind(kind) => i64::from(kind.0),
            Scope::System => 0,
        };
        let order = if matches!(scope, Scope::Instance(..)) { "v.version" } else { "v.seq" };
        let text = format!(
            "SELECT {COLUMNS} FROM version v JOIN resource r ON r.rid = v.rid \
             WHERE v.seq < ?1 AND v.updated_ms >= ?2 AND {condition} ORDER BY {order} DESC LIMIT ?3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let mut statement = self.connection.prepare_cached(&text)?;
        let mut rows = statement.query(params![before.unwrap_or(i64::MAX), since_ms, limit, of])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.extend(self.permitted(row)?);
        }
        Ok(found)
    }

    /// The number of the newest resource: a search up to it does not see what comes later.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn newest(&self) -> Result<i64, StoreError> {
        let newest: Option<i64> =
            self.connection.query_row("SELECT max(rid) FROM resource", [], |row| row.get(0))?;
        Ok(newest.unwrap_or(0))
    }

    /// A page of what `query` finds among the resources up to number `upto`.
    ///
    /// # Errors
    /// As [`Reader::read`]; [`StoreError::TooCostly`].
    pub fn search(
        &self,
        query: &Query,
        limit: usize,
        after: Option<&(Vec<SortValue>, i64)>,
        upto: i64,
    ) -> Result<(Vec<Resource>, Page), StoreError> {
        let page = Selection::new(&self.connection, Some(upto)).page(query, limit, after)?;
        let mut found = Vec::with_capacity(page.numbers.len());
        for number in &page.numbers {
            found.extend(self.numbered(*number)?);
        }
        Ok((found, page))
    }

    /// How many resources `query` finds.
    ///
    /// # Errors
    /// As [`Reader::search`].
    pub fn count(&self, query: &Query, upto: i64) -> Result<u64, StoreError> {
        Selection::new(&self.connection, Some(upto)).count(query, crate::search::TOTAL_MAX)
    }

    /// The newest version of resource `number`, unless it is deleted.
    pub(crate) fn numbered(&self, number: i64) -> Result<Option<Resource>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS} FROM resource r JOIN version v ON v.seq = r.seq WHERE r.rid = ?1 AND r.deleted = 0"
        );
        self.one(&text, params![number])
    }

    fn one(&self, text: &str, values: impl rusqlite::Params) -> Result<Option<Resource>, StoreError> {
        let mut statement = self.connection.prepare_cached(text)?;
        let mut rows = statement.query(values)?;
        match rows.next()? {
            Some(row) => self.permitted(row),
            None => Ok(None),
        }
    }

    /// The resource of a row, if the permit opens it.
    fn permitted(&self, row: &Row<'_>) -> Result<Option<Resource>, StoreError> {
        const DAMAGED: StoreError = StoreError::Damaged("a version of a resource");
        let kind = Kind(row.get(0)?);
        let subject: Vec<u8> = row.get(6)?;
        let subject = SubjectId(subject.try_into().map_err(|_| DAMAGED)?);
        let record: Option<Vec<u8>> = row.get(5)?;
        let record = record.map(<[u8; 16]>::try_from).transpose().map_err(|_| DAMAGED)?.map(RecordId);
        // A deletion is of no record; whose it was decides.
        let asked = record.unwrap_or(RecordId([0; 16]));
        if !self.permit.opens(asked, subject, self.permit.class(), self.now_ms) {
            return Ok(None);
        }
        let (id, version, updated_ms): (String, i64, i64) = (row.get(1)?, row.get(2)?, row.get(3)?);
        let stored = row.get_ref(7)?.as_blob_or_null().map_err(|_| DAMAGED)?;
        let name = Parameters::r4().name(kind);
        let text = stored.map(|stored| body::text(stored, name, &id, version, updated_ms)).transpose()?;
        let (method, seq, number) = (Method::numbered(row.get(4)?), row.get(8)?, row.get(9)?);
        Ok(Some(Resource { kind, id, version, updated_ms, method, record, subject, text, seq, number }))
    }
}

/// The content of resource `number`, for searches that have to look into it.
pub(crate) fn value_of(connection: &Connection, number: i64) -> Result<Value, StoreError> {
    let text = "SELECT r.kind, v.body FROM resource r JOIN version v ON v.seq = r.seq WHERE r.rid = ?1";
    let mut statement = connection.prepare_cached(text)?;
    let found =
        statement.query_row([number], |row| Ok((Kind(row.get(0)?), row.get::<_, Option<Vec<u8>>>(1)?)));
    let Some((kind, Some(body))) = found.optional()? else { return Ok(Value::new_object()) };
    let text = body::text(&body, Parameters::r4().name(kind), "x", 1, 0)?;
    sonic_rs::from_str(&text).map_err(|_| StoreError::Damaged("a resource's text"))
}
