//! The one place where the two databases differ: how a statement is sent, how values are typed, what is sealed.
//!
//! Statements are plain SQL with numbered parameters (`?1`), which both understand once a server's are written `$1`. A file
//! under SQLCipher keeps everything as it is, because every page of it is encrypted; a server gets names and bodies sealed.

mod server;
mod value;

pub use server::Server;
pub(crate) use value::{Column, Row, Value, values};

use crate::{
    StoreError,
    sealing::{Domain, Opened, Place, Sealer},
    store::BUSY_TIMEOUT,
};
use server::Session;
use std::{borrow::Cow, sync::Arc, time::Duration};

/// How long the emptying of a file's log waits for readers.
const LOG_TIMEOUT: Duration = Duration::from_millis(200);

/// One connection.
pub(crate) struct Database {
    engine: Engine,
}

enum Engine {
    File(rusqlite::Connection),
    Server(Session, Arc<Sealer>),
}

impl Database {
    pub(crate) const fn file(connection: rusqlite::Connection) -> Self {
        Self { engine: Engine::File(connection) }
    }

    pub(crate) const fn server(session: Session, sealer: Arc<Sealer>) -> Self {
        Self { engine: Engine::Server(session, sealer) }
    }

    /// The keys under which names and bodies go to a server; none where every page is encrypted.
    pub(crate) fn sealer(&self) -> Option<&Sealer> {
        match &self.engine {
            Engine::File(_) => None,
            Engine::Server(_, sealer) => Some(sealer),
        }
    }

    /// The same keys, for who changes the connection's owner meanwhile.
    pub(crate) fn shared_sealer(&self) -> Option<Arc<Sealer>> {
        match &self.engine {
            Engine::File(_) => None,
            Engine::Server(_, sealer) => Some(Arc::clone(sealer)),
        }
    }

    /// The connection broke, and another one must be made.
    pub(crate) fn is_lost(&self) -> bool {
        matches!(&self.engine, Engine::Server(session, _) if session.is_closed())
    }

    /// Runs statements without parameters.
    pub(crate) fn run(&self, text: &str) -> Result<(), StoreError> {
        match &self.engine {
            Engine::File(connection) => Ok(connection.execute_batch(text)?),
            Engine::Server(session, _) => session.run(text),
        }
    }

    /// Commits; what a server has committed is on its disk.
    pub(crate) fn commit(&self) -> Result<(), StoreError> {
        match &self.engine {
            Engine::File(connection) => Ok(connection.execute_batch("COMMIT")?),
            // A server answers COMMIT of a failed transaction with a rollback and no error; the query before it fails then.
            Engine::Server(session, _) => session.run("SELECT 1; COMMIT"),
        }
    }

    /// Begins a transaction that writes.
    pub(crate) fn begin(&self) -> Result<(), StoreError> {
        self.run(match &self.engine {
            Engine::File(_) => "BEGIN IMMEDIATE",
            Engine::Server(..) => "BEGIN",
        })
    }

    /// Rolls back, where a transaction is open.
    pub(crate) fn roll_back(&self) -> Result<(), StoreError> {
        match &self.engine {
            Engine::File(connection) if connection.is_autocommit() => Ok(()),
            // With the connection, its transaction has gone.
            Engine::Server(session, _) if session.is_closed() => Ok(()),
            _ => self.run("ROLLBACK"),
        }
    }

    /// Runs a statement that gives no rows.
    pub(crate) fn execute(&self, text: &str, values: &[Value<'_>]) -> Result<(), StoreError> {
        match &self.engine {
            Engine::File(connection) => {
                connection.prepare_cached(text)?.execute(rusqlite::params_from_iter(values))?;
                Ok(())
            }
            Engine::Server(session, _) => session.execute(text, values),
        }
    }

    /// The first row, if there is one.
    pub(crate) fn first<T>(
        &self,
        text: &str,
        values: &[Value<'_>],
        read: impl FnOnce(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match &self.engine {
            Engine::File(connection) => {
                let mut statement = connection.prepare_cached(text)?;
                let mut rows = statement.query(rusqlite::params_from_iter(values))?;
                rows.next()?.map(|row| read(&Row::File(row))).transpose()
            }
            Engine::Server(session, _) => {
                session.query(text, values)?.first().map(|row| read(&Row::Server(row))).transpose()
            }
        }
    }

    /// The one row that an aggregate gives.
    pub(crate) fn one<T: Column>(&self, text: &str, values: &[Value<'_>]) -> Result<T, StoreError> {
        self.first(text, values, |row| row.get(0))?.ok_or(StoreError::Damaged("a row of the FHIR store"))
    }

    /// All rows.
    pub(crate) fn all<T>(
        &self,
        text: &str,
        values: &[Value<'_>],
        mut read: impl FnMut(&Row<'_>) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        match &self.engine {
            Engine::File(connection) => {
                let mut statement = connection.prepare_cached(text)?;
                let mut rows = statement.query(rusqlite::params_from_iter(values))?;
                let mut found = Vec::new();
                while let Some(row) = rows.next()? {
                    found.push(read(&Row::File(row))?);
                }
                Ok(found)
            }
            Engine::Server(session, _) => {
                session.query(text, values)?.iter().map(|row| read(&Row::Server(row))).collect()
            }
        }
    }

    /// A statement that is run for each of `rows`, which have the same two columns of numbers after `first`. A server gets them
    /// at once.
    pub(crate) fn for_each_pair(
        &self,
        pairs: Pairs,
        rid: i64,
        rows: &[(i64, i64)],
    ) -> Result<(), StoreError> {
        match &self.engine {
            Engine::File(connection) => {
                let mut statement = connection.prepare_cached(pairs.for_one())?;
                for (param, key) in rows {
                    statement.execute(rusqlite::params![param, key, rid])?;
                }
                Ok(())
            }
            Engine::Server(session, _) => session.pairs(pairs.for_many(), rid, rows),
        }
    }

    /// A name as it is written and looked up.
    pub(crate) fn hidden<'a>(&self, domain: Domain, name: &'a str) -> Result<Value<'a>, StoreError> {
        Ok(match self.sealer() {
            None => Value::Text(name.into()),
            Some(sealer) => Value::Bytes(Some(sealer.hidden(domain, name.as_bytes())?.into())),
        })
    }

    /// A random name of bytes as it is written and looked up.
    pub(crate) fn hidden_bytes<'a>(&self, domain: Domain, name: &'a [u8]) -> Result<Value<'a>, StoreError> {
        Ok(Value::Bytes(Some(match self.sealer() {
            None => name.into(),
            Some(sealer) => sealer.hidden(domain, name)?.into(),
        })))
    }

    /// A name that was written.
    pub(crate) fn shown(&self, row: &Row<'_>, place: usize, domain: Domain) -> Result<String, StoreError> {
        const DAMAGED: StoreError = StoreError::Damaged("a name in the FHIR store");
        match self.sealer() {
            None => row.get(place),
            Some(sealer) => {
                let sealed = row.bytes(place)?.ok_or(DAMAGED)?;
                String::from_utf8(sealer.shown(domain, sealed)?).map_err(|_| DAMAGED)
            }
        }
    }

    /// A random name of 16 bytes that was written; none where there is none.
    pub(crate) fn shown_bytes(
        &self,
        row: &Row<'_>,
        place: usize,
        domain: Domain,
    ) -> Result<Option<[u8; 16]>, StoreError> {
        let Some(written) = row.bytes(place)?.filter(|written| !written.is_empty()) else { return Ok(None) };
        let name = match self.sealer() {
            None => Cow::Borrowed(written),
            Some(sealer) => Cow::Owned(sealer.shown(domain, written)?),
        };
        let damaged = |_| StoreError::Damaged("a version of a resource");
        name.as_ref().try_into().map(Some).map_err(damaged)
    }

    /// A body as it is written.
    pub(crate) fn sealed<'a>(
        &self,
        place: &Place,
        subject: [u8; 16],
        id: &str,
        body: &'a [u8],
    ) -> Result<Cow<'a, [u8]>, StoreError> {
        Ok(match self.sealer() {
            None => body.into(),
            Some(sealer) => sealer.seal(place, subject, id, body)?.into(),
        })
    }

    /// A body that was written, and, from a server, what was sealed into it.
    pub(crate) fn opened<'r>(&self, place: &Place, written: &'r [u8]) -> Result<OpenedBody<'r>, StoreError> {
        Ok(match self.sealer() {
            None => OpenedBody { body: written.into(), said: None },
            Some(sealer) => {
                let Opened { subject, id, body } = sealer.open(place, written)?;
                OpenedBody { body: body.into(), said: Some((subject, id)) }
            }
        })
    }

    /// Everything that was committed is synced. Tells whether it could: a long reader of a file holds it up.
    pub(crate) fn checkpoint(&self) -> Result<bool, StoreError> {
        match &self.engine {
            Engine::File(connection) => {
                let read = |row: &rusqlite::Row<'_>| {
                    Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
                };
                let (busy, logged, moved) =
                    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], read)?;
                Ok(busy == 0 && logged == moved)
            }
            // Each commit was on the disk before it was answered; the start has made sure of it.
            Engine::Server(..) => Ok(true),
        }
    }

    /// What was forgotten leaves the log of a file. Tells whether it could: a reader holds it up, and who writes must not wait
    /// for that long. A server keeps its log itself.
    pub(crate) fn empty_log(&self) -> Result<bool, StoreError> {
        match &self.engine {
            Engine::File(connection) => {
                connection.busy_timeout(LOG_TIMEOUT)?;
                let busy = |row: &rusqlite::Row<'_>| row.get::<_, i64>(0);
                let emptied = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], busy);
                connection.busy_timeout(BUSY_TIMEOUT)?;
                Ok(emptied? == 0)
            }
            Engine::Server(..) => Ok(true),
        }
    }

    /// What was forgotten leaves the tables of a server. Others read and write meanwhile.
    pub(crate) fn vacuum(&self) -> Result<(), StoreError> {
        // Of the index too, however little of it there is.
        let vacuum = |table: &&str| self.run(&format!("VACUUM (INDEX_CLEANUP ON) {table}"));
        ["resource", "version", "posting"].iter().try_for_each(vacuum)
    }

    /// The file's connection, for what is SQLite's own.
    pub(crate) fn as_file(&mut self) -> Option<&mut rusqlite::Connection> {
        match &mut self.engine {
            Engine::File(connection) => Some(connection),
            Engine::Server(..) => None,
        }
    }
}

/// A body, and the subject and id that were sealed into it.
pub(crate) struct OpenedBody<'r> {
    pub(crate) body: Cow<'r, [u8]>,
    pub(crate) said: Option<([u8; 16], String)>,
}

/// What is done with many pairs of list and key of one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pairs {
    /// They enter the index.
    Insert,
    /// They leave it.
    Delete,
}

impl Pairs {
    const fn for_one(self) -> &'static str {
        match self {
            Self::Insert => {
                "INSERT INTO posting (param, key, rid) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING"
            }
            Self::Delete => "DELETE FROM posting WHERE param = ?1 AND key = ?2 AND rid = ?3",
        }
    }

    const fn for_many(self) -> &'static str {
        match self {
            Self::Insert => {
                "INSERT INTO posting (param, key, rid) SELECT p, k, ?3 FROM unnest(?1, ?2) AS pairs (p, k) \
                 ON CONFLICT DO NOTHING"
            }
            Self::Delete => {
                "DELETE FROM posting USING unnest(?1, ?2) AS pairs (p, k) \
                 WHERE param = p AND key = k AND rid = ?3"
            }
        }
    }
}
