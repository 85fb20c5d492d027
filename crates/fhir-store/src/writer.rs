//! Writing versions and their index, many in one transaction.

mod forget;
mod indexing;
#[cfg(test)]
mod tests;
mod version;

use crate::{
    StoreError, body,
    database::{Database, Row, Value as Sql, values},
    parameters::{Kind, Parameters},
    schema,
    sealing::{Domain, Place},
    search::{Query, Selection},
};
use sonic_rs::Value;
use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicBool},
};
pub use version::{Current, Method, NewVersion, Prepared, Put, Rebuilding, Standing};

/// Numbers of concepts and resources that the writer remembers; then it forgets all.
const REMEMBERED_MAX: usize = 400_000;

/// Numbers by names. The hasher's seed is drawn at each start: a sender may choose names.
type Numbers = HashMap<String, i64, foldhash::fast::RandomState>;

/// Makes a connection anew, after a server was away.
pub(crate) type Reconnect = Box<dyn Fn() -> Result<Database, StoreError> + Send>;

/// The one connection that writes.
pub struct Writer {
    database: Database,
    reconnect: Option<Reconnect>,
    concepts: Numbers,
    resources: HashMap<Kind, Numbers>,
    /// The name of the concept that is looked for; its memory is used again.
    name: String,
    next_rid: i64,
    next_seq: i64,
    next_cid: i64,
    last_ms: i64,
    open: bool,
    /// An attempt did not end, or the database ended the transaction under it: the transaction must not be committed.
    broken: bool,
    /// What was forgotten may still lie in a file's log; the next checkpoint empties it.
    log_due: bool,
    /// Set where a server's tables may have what was forgotten.
    traces: Arc<AtomicBool>,
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
    pub(crate) fn new(
        database: Database,
        reconnect: Option<Reconnect>,
        traces: Arc<AtomicBool>,
    ) -> Result<Self, StoreError> {
        // A crash may have come before the log of a file was emptied.
        let log_due = database.sealer().is_none();
        let mut made = Self {
            database,
            reconnect,
            concepts: Numbers::default(),
            resources: HashMap::new(),
            name: String::new(),
            next_rid: 1,
            next_seq: 1,
            next_cid: 1,
            last_ms: 0,
            open: false,
            broken: false,
            log_due,
            traces,
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

    /// Whether the open transaction can only be undone: what is written into it is lost.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.broken
    }

    /// Whether a transaction is open.
    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    /// Begins a transaction, unless one is open. To a server that was away, a new connection is made.
    ///
    /// # Errors
    /// [`StoreError::Database`]; [`StoreError::Undone`] where the open one is broken.
    pub fn begin(&mut self) -> Result<(), StoreError> {
        if self.broken {
            return Err(StoreError::Undone);
        }
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

    /// Does `work` wholly or not at all, within the open transaction. Where that cannot be, because `work` panics or the
    /// database ends the whole transaction over it (a disk that is full), the transaction is broken from then on.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Database`]; [`StoreError::Undone`] where the transaction is broken.
    pub fn attempt<T, E: From<StoreError>>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, E>,
    ) -> Result<T, E> {
        if self.broken {
            return Err(StoreError::Undone.into());
        }
        self.database.run("SAVEPOINT attempt")?;
        self.broken = true;
        let done = work(self);
        let ended = match &done {
            Ok(_) => self.database.run("RELEASE attempt"),
            Err(_) => {
                let undone = self.database.run("ROLLBACK TO attempt; RELEASE attempt");
                undone.and_then(|()| self.remember_nothing())
            }
        };
        self.broken = ended.is_err();
        // Why the work failed says more than that it could not be undone by itself.
        let done = done?;
        ended?;
        Ok(done)
    }

    /// Commits the open transaction. It survives the process when this returns, and the machine after
    /// [`Writer::checkpoint`]; on a server, also the machine.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Undone`]; then nothing of it is there.
    pub fn commit(&mut self) -> Result<(), StoreError> {
        if !self.open {
            return Ok(());
        }
        let committed = if self.broken { Err(StoreError::Undone) } else { self.database.commit() };
        self.open = false;
        if let Err(error) = committed {
            self.undo()?;
            return Err(error);
        }
        let resources: usize = self.resources.values().map(Numbers::len).sum();
        if self.concepts.len() + resources > REMEMBERED_MAX {
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
        (self.open, self.broken) = (false, false);
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
        let emptied = self.empty_log();
        // What could not be emptied keeps nobody from syncing.
        let synced = self.database.checkpoint()?;
        emptied?;
        Ok(synced)
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

    /// How far a lost store has been made again.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn rebuilding(&self) -> Result<Rebuilding, StoreError> {
        Ok(match schema::note(&self.database, schema::REBUILT)?.map(u64::try_from) {
            None => Rebuilding::Never,
            Some(Ok(number)) => Rebuilding::UpTo(number),
            Some(Err(_)) => Rebuilding::Done,
        })
    }

    /// Notes that with the open transaction.
    ///
    /// # Errors
    /// [`StoreError::Database`].
    pub fn set_rebuilding(&mut self, how_far: Rebuilding) -> Result<(), StoreError> {
        let number = match how_far {
            Rebuilding::UpTo(number) => i64::try_from(number).unwrap_or(i64::MAX),
            Rebuilding::Never | Rebuilding::Done => -1,
        };
        schema::set_note(&self.database, schema::REBUILT, number)
    }

    /// Resources that are not deleted, by their numbers, after number `after`; those alone whose newest version has a record.
    ///
    /// # Errors
    /// [`StoreError::Database`], [`StoreError::Damaged`].
    pub fn standing(&self, after: i64, limit: usize) -> Result<Vec<Standing>, StoreError> {
        let text = "SELECT r.rid, r.kind, r.id, v.record FROM resource r JOIN version v ON v.seq = r.seq \
                    WHERE r.rid > ?1 AND r.deleted = 0 AND v.record IS NOT NULL ORDER BY r.rid LIMIT ?2";
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.database.all(text, values![after, limit], |row| {
            let kind = Kind(row.get(1)?);
            let record = self.database.shown_bytes(row, 3, Domain::Record)?;
            let record = record.ok_or(StoreError::Damaged("a version of a resource"))?;
            Ok(Standing {
                number: row.get(0)?,
                kind,
                id: self.database.shown(row, 2, Domain::Id(kind))?,
                record,
            })
        })
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
        let known = before.filter(|before| before.seq > 0);
        let stood = known.filter(|known| !known.deleted);
        if let Some(stood) = stood {
            self.unindex(new.kind, &stood)?;
        }
        // A deletion says nothing of whose the resource is.
        let subject = match &known {
            Some(known) if new.content.is_none() => known.subject,
            _ => new.subject,
        };
        if let Some(known) = known.filter(|known| known.subject != subject) {
            self.note_move(&known)?;
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
        let subject = self.database.hidden_bytes(Domain::Subject, &subject)?;
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
            self.remember(new.kind, new.id, rid);
        }
        if let Some(content) = new.content {
            self.index(new.kind, rid, &content.extracted)?;
        }
        Ok(Put { version, updated_ms, created: stood.is_none() })
    }

    /// Notes whose a resource's versions are until now: the next one is another patient's.
    fn note_move(&self, until_now: &Current) -> Result<(), StoreError> {
        let subject = self.database.hidden_bytes(Domain::Subject, &until_now.subject)?;
        let text = "INSERT INTO moved (rid, upto, subject) VALUES (?1, ?2, ?3)";
        self.database.execute(text, values![until_now.rid, until_now.version, subject])
    }

    fn remember(&mut self, kind: Kind, id: &str, rid: i64) {
        self.resources.entry(kind).or_default().insert(id.to_owned(), rid);
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
