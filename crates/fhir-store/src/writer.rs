//! Writing versions and their index, many in one transaction.

use crate::{
    StoreError,
    body::{self, Body},
    extract::{Extracted, extract},
    index::{self, Entries},
    parameters::{Kind, ParameterId, Parameters},
    schema,
    search::{Query, Selection},
};
use rusqlite::{Connection, OptionalExtension, params};
use sonic_rs::Value;
use std::collections::HashMap;

/// Numbers of concepts and resources that the writer remembers; then it forgets all.
const REMEMBERED_MAX: usize = 400_000;

/// What was done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Its first version.
    Create,
    /// A later version.
    Update,
    /// It was deleted.
    Delete,
}

impl Method {
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Create => 0,
            Self::Update => 1,
            Self::Delete => 2,
        }
    }

    pub(crate) const fn numbered(number: i64) -> Self {
        match number {
            0 => Self::Create,
            1 => Self::Update,
            _ => Self::Delete,
        }
    }
}

/// A resource's text and index, made before its turn to be written comes.
#[derive(Clone, Debug)]
pub struct Prepared {
    body: Body,
    extracted: Extracted,
}

impl Prepared {
    /// Takes a resource of `kind` apart for the store.
    ///
    /// # Errors
    /// [`StoreError::Unusable`].
    pub fn new(kind: Kind, resource: &Value) -> Result<Self, StoreError> {
        Ok(Self { body: Body::new(resource)?, extracted: extract(kind, resource) })
    }
}

/// A version to be written.
#[derive(Debug)]
pub struct NewVersion<'a> {
    /// The resource's type.
    pub kind: Kind,
    /// Its id.
    pub id: &'a str,
    /// When, in milliseconds since the epoch.
    pub updated_ms: i64,
    /// The vault's record that seals this version; none for a deletion.
    pub record: Option<[u8; 16]>,
    /// Whose record it is.
    pub subject: [u8; 16],
    /// The content; none for a deletion.
    pub content: Option<&'a Prepared>,
}

/// A version that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its number, from 1.
    pub version: i64,
    /// When, in milliseconds since the epoch.
    pub updated_ms: i64,
    /// The resource was not there before, or deleted.
    pub created: bool,
}

/// The newest version of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its number, from 1.
    pub version: i64,
    /// Whether it is a deletion.
    pub deleted: bool,
    pub(crate) rid: i64,
    pub(crate) seq: i64,
    subject: [u8; 16],
}

impl Current {
    /// Whose record it is.
    #[must_use]
    pub const fn subject(&self) -> [u8; 16] {
        self.subject
    }
}

/// The one connection that writes.
pub struct Writer {
    pub(crate) connection: Connection,
    concepts: HashMap<String, i64>,
    resources: HashMap<(Kind, String), i64>,
    next_rid: i64,
    next_seq: i64,
    next_cid: i64,
    last_ms: i64,
    open: bool,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("next_seq", &self.next_seq)
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl Writer {
    pub(crate) fn new(connection: Connection) -> Result<Self, StoreError> {
        let (concepts, resources) = (HashMap::new(), HashMap::new());
        let mut made = Self {
            connection,
            concepts,
            resources,
            next_rid: 1,
            next_seq: 1,
            next_cid: 1,
            last_ms: 0,
            open: false,
        };
        made.remember_nothing()?;
        Ok(made)
    }

    /// What was remembered may have been undone.
    fn remember_nothing(&mut self) -> Result<(), StoreError> {
        self.concepts.clear();
        self.resources.clear();
        let next = |column: &str, table: &str| {
            let text = format!("SELECT coalesce(max({column}), 0) + 1 FROM {table}");
            self.connection.query_row(&text, [], |row| row.get::<_, i64>(0))
        };
        (self.next_rid, self.next_seq, self.next_cid) =
            (next("rid", "resource")?, next("seq", "version")?, next("cid", "concept")?);
        let last = "SELECT updated_ms FROM version ORDER BY seq DESC LIMIT 1";
        self.last_ms = self.connection.query_row(last, [], |row| row.get(0)).optional()?.unwrap_or(0);
        Ok(())
    }

    /// Begins a transaction, unless one is open.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn begin(&mut self) -> Result<(), StoreError> {
        if !self.open {
            self.connection.execute_batch("BEGIN IMMEDIATE")?;
            self.open = true;
        }
        Ok(())
    }

    /// Does `work` wholly or not at all, within the open transaction.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Database`].
    pub fn attempt<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        let run = |writer: &Self, text: &str| {
            writer.connection.execute_batch(text).map_err(|error| E::from(StoreError::from(error)))
        };
        run(self, "SAVEPOINT attempt")?;
        match work(self) {
            Ok(done) => {
                run(self, "RELEASE attempt")?;
                Ok(done)
            }
            Err(error) => {
                run(self, "ROLLBACK TO attempt; RELEASE attempt")?;
                self.remember_nothing()?;
                Err(error)
            }
        }
    }

    /// Commits the open transaction. It survives the process when this returns, and the machine after
    /// [`Writer::checkpoint`].
    ///
    /// # Errors
    /// [`StoreError::Database`]; then nothing of it is there.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        if let Err(error) = self.connection.execute_batch("COMMIT") {
            self.undo()?;
            return Err(error.into());
        }
        if self.concepts.len() + self.resources.len() > REMEMBERED_MAX {
            self.concepts.clear();
            self.resources.clear();
        }
        Ok(())
    }

    /// Undoes the open transaction.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn undo(&mut self) -> Result<(), StoreError> {
        self.open = false;
        if !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        self.remember_nothing()
    }

    /// Syncs everything that was committed. Tells whether it could: a long reader holds it up.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn checkpoint(&mut self) -> Result<bool, StoreError> {
        let read = |row: &rusqlite::Row<'_>| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        };
        let (busy, logged, moved) = self.connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], read)?;
        Ok(busy == 0 && logged == moved)
    }

    /// The number up to which the gate's work is here.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn applied(&self) -> Result<Option<u64>, StoreError> {
        Ok(schema::note(&self.connection, schema::APPLIED)?.and_then(|number| u64::try_from(number).ok()))
    }

    /// Notes the number up to which the gate's work is here, with the open transaction.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn set_applied(&mut self, number: u64) -> Result<(), StoreError> {
        schema::set_note(&self.connection, schema::APPLIED, i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// The newest version of a resource, deletions included; none if it was never here.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn current(&self, kind: Kind, id: &str) -> Result<Option<Current>, StoreError> {
        Ok(current(&self.connection, kind, id)?.filter(|found| found.seq > 0))
    }

    /// The first resource that a query finds, and whether there is another: for conditional interactions.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::TooCostly`].
    pub fn matches(&self, query: &Query) -> Result<(Option<String>, bool), StoreError> {
        let page = Selection::new(&self.connection, None).page(query, 2, None)?;
        let mut statement = self.connection.prepare_cached("SELECT id FROM resource WHERE rid = ?1")?;
        let first = page.numbers.first();
        let id = first.map(|number| statement.query_row([number], |row| row.get(0))).transpose()?;
        Ok((id, page.numbers.len() > 1))
    }

    /// How many versions there are.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.next_seq.unsigned_abs() - 1
    }

    /// Writes a version with its index.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Damaged`].
    pub fn put(&mut self, new: &NewVersion<'_>) -> Result<Put, StoreError> {
        let before = current(&self.connection, new.kind, new.id)?;
        let rid = match before {
            Some(before) => before.rid,
            None => self.resource_number(new.kind, new.id)?,
        };
        let stood = before.filter(|before| before.seq > 0 && !before.deleted);
        if let Some(stood) = stood {
            self.unindex(new.kind, &stood)?;
        }
        let version = before.map_or(1, |before| before.version + 1);
        let method = match (new.content.is_some(), stood.is_some()) {
            (false, _) => Method::Delete,
            (true, true) => Method::Update,
            (true, false) if version == 1 => Method::Create,
            (true, false) => Method::Update,
        };
        let seq = self.next_seq;
        self.next_seq += 1;
        // A clock that was set back must not turn the order of changes round.
        let updated_ms = new.updated_ms.max(self.last_ms);
        self.last_ms = updated_ms;
        let body = new.content.map(|content| content.body.0.as_slice());
        let text = "INSERT INTO version (seq, rid, kind, version, method, updated_ms, record, body) \
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let values = params![seq, rid, new.kind.0, version, method.number(), updated_ms, new.record, body];
        self.connection.prepare_cached(text)?.execute(values)?;
        let present = new.content.map_or(0, |content| content.extracted.present);
        let text = "UPDATE resource SET version = ?2, seq = ?3, deleted = ?4, present = ?5, subject = ?6 WHERE rid = ?1";
        let values = params![rid, version, seq, new.content.is_none(), present, new.subject];
        self.connection.prepare_cached(text)?.execute(values)?;
        if let Some(content) = new.content {
            self.index(new.kind, rid, &content.extracted)?;
        }
        Ok(Put { version, updated_ms, created: stood.is_none() })
    }

    /// Forgets every version of every resource of a patient: their texts and index are gone from the file, once it is
    /// checkpointed; ids remain, as deleted. Gives the number of resources.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Damaged`].
    pub fn forget_subject(&mut self, subject: [u8; 16]) -> Result<usize, StoreError> {
        let mut statement = self
            .connection
            .prepare("SELECT rid, kind, seq, version, deleted FROM resource WHERE subject = ?1")?;
        let rows = statement.query_map([subject], |row| {
            let kind = Kind(row.get(1)?);
            let (rid, seq) = (row.get(0)?, row.get(2)?);
            Ok((kind, Current { version: row.get(3)?, deleted: row.get(4)?, rid, seq, subject }))
        })?;
        let found: Vec<(Kind, Current)> = rows.collect::<Result<_, _>>()?;
        drop(statement);
        for (kind, current) in &found {
            if current.seq > 0 && !current.deleted {
                self.unindex(*kind, current)?;
            }
            let rid = current.rid;
            self.connection
                .prepare_cached("UPDATE version SET body = NULL WHERE rid = ?1")?
                .execute([rid])?;
            let text = "UPDATE resource SET deleted = 1, present = 0 WHERE rid = ?1";
            self.connection.prepare_cached(text)?.execute([rid])?;
        }
        Ok(found.len())
    }

    /// Forgets the version that a record seals. Looks through all versions.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Damaged`].
    pub fn forget_record(&mut self, record: [u8; 16]) -> Result<(), StoreError> {
        let text = "SELECT v.seq, r.rid, r.kind, r.seq, r.version, r.deleted FROM version v \
                    JOIN resource r ON r.rid = v.rid WHERE v.record = ?1";
        let found = self.connection.query_row(text, [record], |row| {
            let (rid, seq) = (row.get(1)?, row.get(3)?);
            let current = Current { version: row.get(4)?, deleted: row.get(5)?, rid, seq, subject: [0; 16] };
            Ok((row.get::<_, i64>(0)?, Kind(row.get(2)?), current))
        });
        let Some((seq, kind, current)) = found.optional()? else { return Ok(()) };
        if seq == current.seq && !current.deleted {
            self.unindex(kind, &current)?;
            let text = "UPDATE resource SET deleted = 1, present = 0 WHERE rid = ?1";
            self.connection.prepare_cached(text)?.execute([current.rid])?;
        }
        self.connection.prepare_cached("UPDATE version SET body = NULL WHERE seq = ?1")?.execute([seq])?;
        Ok(())
    }

    /// Empties the log of the last transactions, so that what was forgotten is not in it either. Tells whether it could: a
    /// reader holds it up.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn empty_log(&mut self) -> Result<bool, StoreError> {
        Ok(self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0))? == 0)
    }

    /// Makes the index of all resources again, after the table of search parameters has changed.
    pub(crate) fn index_again(&mut self) -> Result<(), StoreError> {
        self.begin()?;
        for table in ["posting", "span", "amount", "words"] {
            self.connection.execute_batch(&format!("DELETE FROM {table}"))?;
        }
        let mut after = 0_i64;
        loop {
            let text = "SELECT r.rid, r.kind, r.id, r.version, v.updated_ms, v.body FROM resource r \
                        JOIN version v ON v.seq = r.seq WHERE r.rid > ?1 AND r.deleted = 0 ORDER BY r.rid LIMIT 500";
            let mut statement = self.connection.prepare_cached(text)?;
            let rows = statement.query_map([after], |row| {
                let id: String = row.get(2)?;
                Ok((row.get::<_, i64>(0)?, row.get::<_, u16>(1)?, id, row.get::<_, Vec<u8>>(5)?))
            })?;
            let portion: Vec<_> = rows.collect::<Result<_, _>>()?;
            drop(statement);
            let Some((last, ..)) = portion.last() else { break };
            after = *last;
            for (rid, kind, id, body) in portion {
                let kind = Kind(kind);
                let value = parse(&body::text(&body, Parameters::r4().name(kind), &id, 1, 0)?)?;
                let extracted = extract(kind, &value);
                let text = "UPDATE resource SET present = ?2 WHERE rid = ?1";
                self.connection.prepare_cached(text)?.execute(params![rid, extracted.present])?;
                self.index(kind, rid, &extracted)?;
            }
        }
        schema::set_note(&self.connection, schema::PARAMETERS, Parameters::digest())?;
        self.commit()
    }

    /// The number of a resource, also where it is only referred to.
    fn resource_number(&mut self, kind: Kind, id: &str) -> Result<i64, StoreError> {
        if let Some(known) = self.resources.get(&(kind, id.to_owned())) {
            return Ok(*known);
        }
        let rid = match current(&self.connection, kind, id)? {
            Some(found) => found.rid,
            None => {
                let rid = self.next_rid;
                self.next_rid += 1;
                let text = "INSERT INTO resource (rid, kind, id, version, seq, deleted, present, subject) \
                            VALUES (?1, ?2, ?3, 0, 0, 1, 0, ?4)";
                self.connection.prepare_cached(text)?.execute(params![rid, kind.0, id, [0_u8; 0]])?;
                rid
            }
        };
        self.resources.insert((kind, id.to_owned()), rid);
        Ok(rid)
    }

    fn concept_number(&mut self, system: &str, code: &str, label: &str) -> Result<i64, StoreError> {
        let name = index::concept_name(system, code, label);
        if let Some(known) = self.concepts.get(&name) {
            return Ok(*known);
        }
        let cid = match index::concept(&self.connection, system, code, label)? {
            Some(cid) => cid,
            None => {
                let cid = self.next_cid;
                self.next_cid += 1;
                let text = "INSERT INTO concept (cid, code, system, label) VALUES (?1, ?2, ?3, ?4)";
                self.connection.prepare_cached(text)?.execute(params![cid, code, system, label])?;
                cid
            }
        };
        self.concepts.insert(name, cid);
        Ok(cid)
    }

    fn entries(&mut self, extracted: &Extracted) -> Result<Entries, StoreError> {
        Entries::of(extracted, &mut |name| match name {
            index::Name::Concept { system, code, label } => {
                self.concept_number(system, code, label).map(Some)
            }
            index::Name::Resource(kind, id) => self.resource_number(kind, id).map(Some),
        })
    }

    fn index(&mut self, kind: Kind, rid: i64, extracted: &Extracted) -> Result<(), StoreError> {
        let entries = self.entries(extracted)?;
        let connection = &self.connection;
        let mut posting = connection.prepare_cached(
            "INSERT INTO posting (param, key, rid) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?;
        posting.execute(params![index::all_of(kind), 0, rid])?;
        for (param, key) in &entries.postings {
            posting.execute(params![param, key, rid])?;
        }
        entries.insert_values(connection, rid)
    }

    /// Takes the index entries of a version out again; they follow from its text.
    fn unindex(&mut self, kind: Kind, stood: &Current) -> Result<(), StoreError> {
        let mut statement = self.connection.prepare_cached("SELECT body FROM version WHERE seq = ?1")?;
        let body: Option<Vec<u8>> = statement.query_row([stood.seq], |row| row.get(0)).optional()?.flatten();
        drop(statement);
        if let Some(body) = body {
            let value = parse(&body::text(&body, Parameters::r4().name(kind), "x", 1, 0)?)?;
            let entries = self.entries(&extract(kind, &value))?;
            let text = "DELETE FROM posting WHERE param = ?1 AND key = ?2 AND rid = ?3";
            let mut posting = self.connection.prepare_cached(text)?;
            posting.execute(params![index::all_of(kind), 0, stood.rid])?;
            for (param, key) in &entries.postings {
                posting.execute(params![param, key, stood.rid])?;
            }
        }
        for table in ["span", "amount", "words"] {
            let text = format!("DELETE FROM {table} WHERE rid = ?1");
            self.connection.prepare_cached(&text)?.execute([stood.rid])?;
        }
        Ok(())
    }
}

fn parse(text: &str) -> Result<Value, StoreError> {
    sonic_rs::from_str(text).map_err(|_| StoreError::Damaged("a resource's text"))
}

/// The newest version of a resource, also of one that is only referred to.
pub(crate) fn current(connection: &Connection, kind: Kind, id: &str) -> Result<Option<Current>, StoreError> {
    let text = "SELECT rid, version, seq, deleted, subject FROM resource WHERE kind = ?1 AND id = ?2";
    let mut statement = connection.prepare_cached(text)?;
    let found = statement.query_row(params![kind.0, id], |row| {
        let subject: Vec<u8> = row.get(4)?;
        let subject = subject.try_into().unwrap_or_default();
        Ok(Current {
            rid: row.get(0)?,
            version: row.get(1)?,
            seq: row.get(2)?,
            deleted: row.get(3)?,
            subject,
        })
    });
    Ok(found.optional()?)
}

impl ParameterId {
    /// The number under which its values stand in the index.
    pub(crate) const fn index(self) -> i64 {
        self.0 as i64 * 2
    }

    /// The number under which the identifiers of its references stand in the index.
    pub(crate) const fn identifier_index(self) -> i64 {
        self.0 as i64 * 2 + 1
    }
}
