//! The tables, and how an older file becomes one of today.
//!
//! Plain SQL: numbers, texts and bytes, no triggers and no functions of SQLite's own. `WITHOUT ROWID` alone is of SQLite: it
//! says that a table lies in the order of its primary key.

use crate::{StoreError, parameters::Parameters};
use rusqlite::{Connection, OptionalExtension};

/// The version of these tables.
pub(crate) const VERSION: i64 = 1;

/// One step from each version to the next.
const MIGRATIONS: [&str; 1] = [FIRST];

const FIRST: &str = "
-- A resource over all its versions. Also what is only referred to: then seq is 0.
CREATE TABLE resource (
    rid BIGINT NOT NULL PRIMARY KEY,
    kind INTEGER NOT NULL,
    id TEXT NOT NULL,
    version BIGINT NOT NULL,
    seq BIGINT NOT NULL,
    deleted INTEGER NOT NULL,
    present BIGINT NOT NULL,
    subject BLOB NOT NULL,
    UNIQUE (kind, id)
) WITHOUT ROWID;
-- Every version, in the order in which they came; a deletion is one without a body.
CREATE TABLE version (
    seq BIGINT NOT NULL PRIMARY KEY,
    rid BIGINT NOT NULL,
    kind INTEGER NOT NULL,
    version BIGINT NOT NULL,
    method INTEGER NOT NULL,
    updated_ms BIGINT NOT NULL,
    record BLOB,
    body BLOB
) WITHOUT ROWID;
CREATE UNIQUE INDEX version_of_resource ON version (rid, version);
CREATE INDEX version_of_kind ON version (kind, seq);
-- Each code, identifier and URI once.
CREATE TABLE concept (
    cid BIGINT NOT NULL PRIMARY KEY,
    code TEXT NOT NULL,
    system TEXT NOT NULL,
    label TEXT NOT NULL,
    UNIQUE (code, system, label)
) WITHOUT ROWID;
-- Resources by parameter and concept or referenced resource, in the order of their numbers.
CREATE TABLE posting (
    param INTEGER NOT NULL,
    key BIGINT NOT NULL,
    rid BIGINT NOT NULL,
    PRIMARY KEY (param, key, rid)
) WITHOUT ROWID;
-- Times, from and to.
CREATE TABLE span (
    rid BIGINT NOT NULL,
    param INTEGER NOT NULL,
    low BIGINT NOT NULL,
    high BIGINT NOT NULL,
    PRIMARY KEY (rid, param, low, high)
) WITHOUT ROWID;
CREATE INDEX span_by_end ON span (param, high, low);
-- Numbers and quantities.
CREATE TABLE amount (
    rid BIGINT NOT NULL,
    param INTEGER NOT NULL,
    low DOUBLE PRECISION NOT NULL,
    high DOUBLE PRECISION NOT NULL,
    unit BIGINT NOT NULL,
    PRIMARY KEY (rid, param, low, high, unit)
) WITHOUT ROWID;
CREATE INDEX amount_by_value ON amount (param, low, high);
-- Texts, as they are compared and as they stand.
CREATE TABLE words (
    rid BIGINT NOT NULL,
    param INTEGER NOT NULL,
    folded TEXT NOT NULL,
    written TEXT NOT NULL,
    PRIMARY KEY (rid, param, folded, written)
) WITHOUT ROWID;
CREATE INDEX words_by_text ON words (param, folded);
CREATE TABLE note (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) WITHOUT ROWID;
";

/// The note that says which table of search parameters the index was made by.
pub(crate) const PARAMETERS: &str = "parameters";
/// The note that says up to which number the gate's work is in the store.
pub(crate) const APPLIED: &str = "applied";

/// Brings the tables up to date. Tells whether the index must be made again.
pub(crate) fn migrate(connection: &mut Connection) -> Result<bool, StoreError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found > VERSION {
        return Err(StoreError::LaterSchema { found, known: VERSION });
    }
    let start = usize::try_from(found).unwrap_or(0);
    for (number, step) in (1_i64..).zip(MIGRATIONS).skip(start) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    let digest = Parameters::digest();
    let indexed = note(connection, PARAMETERS)?;
    if indexed.is_none() {
        set_note(connection, PARAMETERS, digest)?;
    }
    Ok(indexed.is_some_and(|indexed| indexed != digest))
}

pub(crate) fn note(connection: &Connection, name: &str) -> Result<Option<i64>, StoreError> {
    let mut statement = connection.prepare_cached("SELECT value FROM note WHERE name = ?1")?;
    Ok(statement.query_row([name], |row| row.get(0)).optional()?)
}

pub(crate) fn set_note(connection: &Connection, name: &str, value: i64) -> Result<(), StoreError> {
    let text = "INSERT INTO note (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    connection.prepare_cached(text)?.execute(rusqlite::params![name, value])?;
    Ok(())
}
