//! Writing versions and their index, many in one transaction.

use crate::{
    StoreError,
    body::{self, Body},
    database::{Database, Pairs, Row, Value as Sql, values},
    extract::{Extracted, extract},
    index::{self, Entries},
    parameters::{Kind, ParameterId, Parameters},
    schema,
    sealing::{Domain, Place},
    search::{Query, Selection},
};
use sonic_rs::Value;
use std::{borrow::Cow, collections::HashMap};

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
        let text = sonic_rs::to_string(resource);
        let text = text.map_err(|_| StoreError::Unusable("a resource cannot be encoded"))?;
        Self::of_text(kind, resource, &text)
    }

    /// As [`Prepared::new`], of a resource whose `text`, without spaces, is there already.
    ///
    /// # Errors
    /// As [`Prepared::new`].
    pub fn of_text(kind: Kind, resource: &Value, text: &str) -> Result<Self, StoreError> {
        Ok(Self { body: Body::new(text)?, extracted: extract(kind, resource) })
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

/// Makes a connection anew, after a server was away.
pub(crate) type Reconnect = Box<dyn Fn() -> Result<Database, StoreError> + Send>;

/// The one connection that writes.
pub struct Writer {
    database: Database,
    reconnect: Option<Reconnect>,
    concepts: HashMap<String, i64>,
    resources: HashMap<(Kind, String), i64>,
    next_rid: i64,
    next_seq: i64,
    next_cid: i64,
    last_ms: i64,
    open: bool,
    /// What was forgotten may still lie in the log; the next checkpoint empties it.
    log_due: bool,
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
    pub(crate) fn new(database: Database, reconnect: Option<Reconnect>) -> Result<Self, StoreError> {
        let (concepts, resources) = (HashMap::new(), HashMap::new());
        let mut made = Self {
            database,
            reconnect,
            concepts,
            resources,
            next_rid: 1,
            next_seq: 1,
            next_cid: 1,
            last_ms: 0,
            open: false,
            log_due: false,
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
            self.database.one::<i64>(&text, &[])
        };
        (self.next_rid, self.next_seq, self.next_cid) =
            (next("rid", "resource")?, next("seq", "version")?, next("cid", "concept")?);
        let last = "SELECT updated_ms FROM version ORDER BY seq DESC LIMIT 1";
        self.last_ms = self.database.first(last, &[], |row| row.get(0))?.unwrap_or(0);
        Ok(())
    }

    /// Begins a transaction, unless one is open. To a server that was away, a new connection is made.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn begin(&mut self) -> Result<(), StoreError> {
        if !self.open {
            if self.database.is_lost()
                && let Some(reconnect) = &self.reconnect
            {
                self.database = reconnect()?;
                self.remember_nothing()?;
            }
            self.database.begin()?;
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
        let run = |writer: &Self, text: &str| writer.database.run(text).map_err(E::from);
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
    /// [`Writer::checkpoint`]; on a server, also the machine.
    ///
    /// # Errors
    /// [`StoreError::Database`]; then nothing of it is there.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if !self.open {
            return Ok(());
        }
        self.open = false;
        if let Err(error) = self.database.commit() {
            self.undo()?;
            return Err(error);
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
        self.database.roll_back()?;
        if self.database.is_lost() {
            // It is all read anew with the next connection.
            return Ok(());
        }
        self.remember_nothing()
    }

    /// Syncs everything that was committed. Tells whether it could: a long reader holds it up.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn checkpoint(&mut self) -> Result<bool, StoreError> {
        if self.log_due && !self.open {
            self.log_due = !self.database.empty_log()?;
        }
        self.database.checkpoint()
    }

    /// The number up to which the gate's work is here.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn applied(&self) -> Result<Option<u64>, StoreError> {
        Ok(schema::note(&self.database, schema::APPLIED)?.and_then(|number| u64::try_from(number).ok()))
    }

    /// Notes the number up to which the gate's work is here, with the open transaction.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn set_applied(&mut self, number: u64) -> Result<(), StoreError> {
        schema::set_note(&self.database, schema::APPLIED, i64::try_from(number).unwrap_or(i64::MAX))
    }

    /// The newest version of a resource, deletions included; none if it was never here.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn current(&self, kind: Kind, id: &str) -> Result<Option<Current>, StoreError> {
        Ok(current(&self.database, kind, id)?.filter(|found| found.seq > 0))
    }

    /// The first resource that a query finds, and whether there is another: for conditional interactions.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::TooCostly`].
    pub fn matches(&self, query: &Query) -> Result<(Option<String>, bool), StoreError> {
        let page = Selection::new(&self.database, None).page(query, 2, None)?;
        let id = match page.numbers.first() {
            Some(number) => Some(id_of(&self.database, query.kind, *number)?),
            None => None,
        };
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
        let before = current(&self.database, new.kind, new.id)?;
        let rid = before.map_or(self.next_rid, |before| before.rid);
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
        let place = Place { seq, rid, kind: new.kind, version, updated_ms };
        self.insert_version(new, &place, method)?;
        let present = new.content.map_or(0, |content| self.present(&content.extracted));
        let subject = self.database.hidden_bytes(Domain::Subject, &new.subject)?;
        if before.is_some() {
            let text = "UPDATE resource SET version = ?2, seq = ?3, deleted = ?4, present = ?5, subject = ?6 WHERE rid = ?1";
            self.database
                .execute(text, values![rid, version, seq, new.content.is_none(), present, subject])?;
        } else {
            self.next_rid += 1;
            let text = "INSERT INTO resource (rid, kind, id, version, seq, deleted, present, subject) \
                        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
            let id = self.database.hidden(Domain::Id(new.kind), new.id)?;
            let deleted = new.content.is_none();
            self.database
                .execute(text, values![rid, new.kind.0, id, version, seq, deleted, present, subject])?;
            self.resources.insert((new.kind, new.id.to_owned()), rid);
        }
        if let Some(content) = new.content {
            self.index(new.kind, rid, &content.extracted)?;
        }
        Ok(Put { version, updated_ms, created: stood.is_none() })
    }

    fn insert_version(&self, new: &NewVersion<'_>, place: &Place, method: Method) -> Result<(), StoreError> {
        let database = &self.database;
        let body = match new.content {
            Some(content) => Some(database.sealed(place, new.subject, new.id, &content.body.0)?),
            None => None,
        };
        let record = match &new.record {
            Some(record) => database.hidden_bytes(Domain::Record, record)?,
            None => Sql::Bytes(None),
        };
        let text = "INSERT INTO version (seq, rid, kind, version, method, updated_ms, record, body) \
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
        let Place { seq, rid, kind, version, updated_ms } = *place;
        let values =
            values![seq, rid, kind.0, version, method.number(), updated_ms, record, Sql::Bytes(body)];
        database.execute(text, values)
    }

    /// Which parameters have a value: for a server, the resource alone says so.
    fn present(&self, extracted: &Extracted) -> i64 {
        if self.database.sealer().is_some() { 0 } else { extracted.present }
    }

    /// Forgets every version of every resource of a patient: their texts and index are gone from the file, once it is
    /// checkpointed; ids remain, as deleted. Gives the number of resources.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Damaged`].
    pub fn forget_subject(&mut self, subject: [u8; 16]) -> Result<usize, StoreError> {
        let text = "SELECT rid, kind, seq, version, deleted FROM resource WHERE subject = ?1";
        let hidden = self.database.hidden_bytes(Domain::Subject, &subject)?;
        let found: Vec<(Kind, Current)> = self.database.all(text, &[hidden], |row| {
            let kind = Kind(row.get(1)?);
            let (rid, seq) = (row.get(0)?, row.get(2)?);
            Ok((kind, Current { version: row.get(3)?, deleted: row.get(4)?, rid, seq, subject }))
        })?;
        for (kind, current) in &found {
            if current.seq > 0 && !current.deleted {
                self.unindex(*kind, current)?;
            }
            let rid = current.rid;
            self.database.execute("UPDATE version SET body = NULL WHERE rid = ?1", values![rid])?;
            let text = "UPDATE resource SET deleted = 1, present = 0 WHERE rid = ?1";
            self.database.execute(text, values![rid])?;
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
        let hidden = self.database.hidden_bytes(Domain::Record, &record)?;
        let found = self.database.first(text, &[hidden], |row| {
            let (rid, seq) = (row.get(1)?, row.get(3)?);
            let current = Current { version: row.get(4)?, deleted: row.get(5)?, rid, seq, subject: [0; 16] };
            Ok((row.get::<i64>(0)?, Kind(row.get(2)?), current))
        })?;
        let Some((seq, kind, current)) = found else { return Ok(()) };
        if seq == current.seq && !current.deleted {
            self.unindex(kind, &current)?;
            let text = "UPDATE resource SET deleted = 1, present = 0 WHERE rid = ?1";
            self.database.execute(text, values![current.rid])?;
        }
        self.database.execute("UPDATE version SET body = NULL WHERE seq = ?1", values![seq])
    }

    /// Empties the log of the last transactions, so that what was forgotten is not in it either. Tells whether it could: a
    /// reader and an open transaction hold it up, and the next checkpoint does it. A server's tables are vacuumed; its own log and its backups are the operator's (ADR 71).
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn empty_log(&mut self) -> Result<bool, StoreError> {
        // Within a transaction neither database can.
        self.log_due = self.open || !self.database.empty_log()?;
        Ok(!self.log_due)
    }

    /// Makes the index of all resources again, after the table of search parameters has changed.
    pub(crate) fn index_again(&mut self) -> Result<(), StoreError> {
        self.begin()?;
        self.database.run("DELETE FROM posting")?;
        for table in self.value_tables() {
            self.database.run(&format!("DELETE FROM {table}"))?;
        }
        let mut after = 0_i64;
        loop {
            let text = "SELECT v.seq, v.rid, v.kind, v.version, v.updated_ms, v.body FROM resource r \
                        JOIN version v ON v.seq = r.seq WHERE r.rid > ?1 AND r.deleted = 0 ORDER BY r.rid LIMIT 500";
            let read = |row: &Row<'_>| Ok((place(row)?, content(&self.database, row)?));
            let portion: Vec<(Place, Option<Value>)> = self.database.all(text, values![after], read)?;
            let Some((last, _)) = portion.last() else { break };
            after = last.rid;
            for (Place { rid, kind, .. }, value) in portion {
                let Some(value) = value else { continue };
                let extracted = extract(kind, &value);
                let text = "UPDATE resource SET present = ?2 WHERE rid = ?1";
                self.database.execute(text, values![rid, self.present(&extracted)])?;
                self.index(kind, rid, &extracted)?;
            }
        }
        schema::set_note(&self.database, schema::PARAMETERS, Parameters::digest())?;
        self.commit()
    }

    /// The number of a resource, also where it is only referred to.
    fn resource_number(&mut self, kind: Kind, id: &str) -> Result<i64, StoreError> {
        if let Some(known) = self.resources.get(&(kind, id.to_owned())) {
            return Ok(*known);
        }
        let rid = match current(&self.database, kind, id)? {
            Some(found) => found.rid,
            None => {
                let rid = self.next_rid;
                self.next_rid += 1;
                let text = "INSERT INTO resource (rid, kind, id, version, seq, deleted, present, subject) \
                            VALUES (?1, ?2, ?3, 0, 0, 1, 0, ?4)";
                let id = self.database.hidden(Domain::Id(kind), id)?;
                self.database
                    .execute(text, values![rid, kind.0, id, Sql::Bytes(Some(Cow::Borrowed(&[])))])?;
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
        let cid = match index::concept(&self.database, system, code, label)? {
            Some(cid) => cid,
            None => {
                let cid = self.next_cid;
                self.next_cid += 1;
                let text = "INSERT INTO concept (cid, code, system, label) VALUES (?1, ?2, ?3, ?4)";
                let names = [(Domain::Code, code), (Domain::System, system), (Domain::Label, label)];
                let [code, system, label] = names.map(|(domain, name)| self.database.hidden(domain, name));
                self.database.execute(text, values![cid, code?, system?, label?])?;
                cid
            }
        };
        self.concepts.insert(name, cid);
        Ok(cid)
    }

    fn entries(&mut self, extracted: &Extracted) -> Result<Entries, StoreError> {
        let sealer = self.database.shared_sealer();
        Entries::of(extracted, sealer.as_deref(), &mut |name| match name {
            index::Name::Concept { system, code, label } => {
                self.concept_number(system, code, label).map(Some)
            }
            index::Name::Resource(kind, id) => self.resource_number(kind, id).map(Some),
        })
    }

    fn index(&mut self, kind: Kind, rid: i64, extracted: &Extracted) -> Result<(), StoreError> {
        let mut entries = self.entries(extracted)?;
        entries.postings.push((index::all_of(kind), 0));
        self.database.for_each_pair(Pairs::Insert, rid, &entries.postings)?;
        entries.insert_values(&self.database, rid)
    }

    /// The tables of values, which a server has not.
    fn value_tables(&self) -> &'static [&'static str] {
        if self.database.sealer().is_some() { &[] } else { &["span", "amount", "words"] }
    }

    /// Takes the index entries of a version out again; they follow from its text.
    fn unindex(&mut self, kind: Kind, stood: &Current) -> Result<(), StoreError> {
        let text =
            "SELECT v.seq, v.rid, v.kind, v.version, v.updated_ms, v.body FROM version v WHERE v.seq = ?1";
        let read = |row: &Row<'_>| content(&self.database, row);
        if let Some(value) = self.database.first(text, values![stood.seq], read)?.flatten() {
            let mut entries = self.entries(&extract(kind, &value))?;
            entries.postings.push((index::all_of(kind), 0));
            self.database.for_each_pair(Pairs::Delete, stood.rid, &entries.postings)?;
        }
        for table in self.value_tables() {
            self.database.execute(&format!("DELETE FROM {table} WHERE rid = ?1"), values![stood.rid])?;
        }
        Ok(())
    }
}

/// The place of a version, from a row that begins with it.
pub(crate) fn place(row: &Row<'_>) -> Result<Place, StoreError> {
    let (seq, rid, kind) = (row.get(0)?, row.get(1)?, Kind(row.get(2)?));
    Ok(Place { seq, rid, kind, version: row.get(3)?, updated_ms: row.get(4)? })
}

/// The content of a version, from a row that has its place and then its body; none for a deletion.
pub(crate) fn content(database: &Database, row: &Row<'_>) -> Result<Option<Value>, StoreError> {
    let Some(written) = row.bytes(5)? else { return Ok(None) };
    let place = place(row)?;
    let opened = database.opened(&place, written)?;
    let text = body::text(&opened.body, Parameters::r4().name(place.kind), "x", 1, 0)?;
    sonic_rs::from_str(&text).map(Some).map_err(|_| StoreError::Damaged("a resource's text"))
}

/// The id of resource `number`, which is of `kind`.
pub(crate) fn id_of(database: &Database, kind: Kind, number: i64) -> Result<String, StoreError> {
    let text = "SELECT id FROM resource WHERE rid = ?1";
    let found = database.first(text, values![number], |row| database.shown(row, 0, Domain::Id(kind)))?;
    found.ok_or(StoreError::Damaged("the number of a resource"))
}

/// The newest version of a resource, also of one that is only referred to.
pub(crate) fn current(database: &Database, kind: Kind, id: &str) -> Result<Option<Current>, StoreError> {
    let text = "SELECT rid, version, seq, deleted, subject FROM resource WHERE kind = ?1 AND id = ?2";
    let id = database.hidden(Domain::Id(kind), id)?;
    database.first(text, values![kind.0, id], |row| {
        let subject = database.shown_bytes(row, 4, Domain::Subject)?.unwrap_or_default();
        let (rid, version, seq) = (row.get(0)?, row.get(1)?, row.get(2)?);
        Ok(Current { version, deleted: row.get(3)?, rid, seq, subject })
    })
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
