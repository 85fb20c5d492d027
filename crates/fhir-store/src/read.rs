//! Reading under a permit: one resource, its history, a search, a patient's compartment.

use crate::{
    StoreError, body,
    database::{Database, Row, Value as Sql, values},
    parameters::{Kind, Parameters},
    sealing::Domain,
    search::{Page, Query, Selection, SortValue},
    store::Pooled,
    writer::{Method, content, current, place},
};
use bxp_privacy::Permit;
use bxp_types::{RecordId, SubjectId};
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
    database: Pooled,
    permit: Permit,
    now_ms: u64,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader").field("permit", &self.permit).finish_non_exhaustive()
    }
}

/// The place of a version and its body come first, as everywhere; then comes whose it is.
const COLUMNS: &str = "v.seq, v.rid, v.kind, v.version, v.updated_ms, v.body, v.method, v.record, r.id";
/// Whose the newest version is.
const NEWEST: &str = "r.subject";
/// Whose any version is: an earlier one may be of another patient, with whom the resource stood then.
const ANY: &str = "coalesce((SELECT m.subject FROM moved m WHERE m.rid = v.rid AND m.upto >= v.version \
                   ORDER BY m.upto LIMIT 1), r.subject)";

impl Reader {
    pub(crate) fn new(database: Pooled, permit: Permit, now_ms: u64) -> Self {
        Self { database, permit, now_ms }
    }

    /// The newest version of a resource, also where it is a deletion; none if it was never here or is not permitted.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Damaged`].
    pub fn read(&self, kind: Kind, id: &str) -> Result<Option<Resource>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS}, {NEWEST} FROM resource r JOIN version v ON v.seq = r.seq WHERE r.kind = ?1 AND r.id = ?2"
        );
        self.one(&text, values![kind.0, self.database.hidden(Domain::Id(kind), id)?])
    }

    /// One version.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn version(&self, kind: Kind, id: &str, version: i64) -> Result<Option<Resource>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS}, {ANY} FROM resource r JOIN version v ON v.rid = r.rid AND v.version = ?3 \
             WHERE r.kind = ?1 AND r.id = ?2"
        );
        self.one(&text, values![kind.0, self.database.hidden(Domain::Id(kind), id)?, version])
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
            Scope::Instance(kind, id) => match current(&self.database, kind, id)? {
                Some(found) => found.rid,
                None => return Ok(Vec::new()),
            },
            Scope::Kind(kind) => i64::from(kind.0),
            Scope::System => 0,
        };
        let order = if matches!(scope, Scope::Instance(..)) { "v.version" } else { "v.seq" };
        let text = format!(
            "SELECT {COLUMNS}, {ANY} FROM version v JOIN resource r ON r.rid = v.rid \
             WHERE v.seq < ?1 AND v.updated_ms >= ?2 AND {condition} ORDER BY {order} DESC LIMIT ?3"
        );
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = values![before.unwrap_or(i64::MAX), since_ms, limit, of];
        let found = self.database.all(&text, values, |row| self.permitted(row))?;
        Ok(found.into_iter().flatten().collect())
    }

    /// The number of the newest resource: a search up to it does not see what comes later.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn newest(&self) -> Result<i64, StoreError> {
        let newest: Option<i64> = self.database.one("SELECT max(rid) FROM resource", &[])?;
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
        let page = Selection::new(&self.database, Some(upto)).page(query, limit, after)?;
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
        Selection::new(&self.database, Some(upto)).count(query, crate::search::TOTAL_MAX)
    }

    /// The newest version of resource `number`, unless it is deleted.
    pub(crate) fn numbered(&self, number: i64) -> Result<Option<Resource>, StoreError> {
        let text = format!(
            "SELECT {COLUMNS}, {NEWEST} FROM resource r JOIN version v ON v.seq = r.seq WHERE r.rid = ?1 AND r.deleted = 0"
        );
        self.one(&text, values![number])
    }

    fn one(&self, text: &str, values: &[Sql<'_>]) -> Result<Option<Resource>, StoreError> {
        Ok(self.database.first(text, values, |row| self.permitted(row))?.flatten())
    }

    /// The resource of a row, if the permit opens it.
    fn permitted(&self, row: &Row<'_>) -> Result<Option<Resource>, StoreError> {
        const DAMAGED: StoreError = StoreError::Damaged("a version of a resource");
        let place = place(row)?;
        let kind = place.kind;
        let subject = SubjectId(self.database.shown_bytes(row, 9, Domain::Subject)?.ok_or(DAMAGED)?);
        let record = self.database.shown_bytes(row, 7, Domain::Record)?.map(RecordId);
        // A deletion is of no record; whose it was decides.
        let asked = record.unwrap_or(RecordId([0; 16]));
        let opens = |subject| self.permit.opens(asked, subject, self.permit.class(), self.now_ms);
        if !opens(subject) {
            return Ok(None);
        }
        let id = self.database.shown(row, 8, Domain::Id(kind))?;
        let text = match row.bytes(5)? {
            None => None,
            Some(written) => {
                let opened = self.database.opened(&place, written)?;
                if let Some((sealed_subject, sealed_id)) = opened.said {
                    // What a server says of a body counts only where the body says the same of itself.
                    if sealed_id != id {
                        return Err(DAMAGED);
                    }
                    if !opens(SubjectId(sealed_subject)) {
                        return Ok(None);
                    }
                }
                let name = Parameters::r4().name(kind);
                Some(body::text(&opened.body, name, &id, place.version, place.updated_ms)?)
            }
        };
        let (method, version, updated_ms) = (Method::numbered(row.get(6)?), place.version, place.updated_ms);
        let (seq, number) = (place.seq, place.rid);
        Ok(Some(Resource { kind, id, version, updated_ms, method, record, subject, text, seq, number }))
    }
}

/// The content of resource `number`, for searches that have to look into it.
pub(crate) fn value_of(database: &Database, number: i64) -> Result<Value, StoreError> {
    let text = "SELECT v.seq, v.rid, v.kind, v.version, v.updated_ms, v.body FROM resource r \
                JOIN version v ON v.seq = r.seq WHERE r.rid = ?1";
    let found = database.first(text, values![number], |row| content(database, row))?;
    Ok(found.flatten().unwrap_or_else(Value::new_object))
}
