//! The tables, and how older ones become those of today.
//!
//! Plain SQL: numbers, texts and bytes, no triggers and no functions of one database. A server has the same tables with its
//! own names of types, its names sealed and therefore bytes, and without those of values, whose order would tell them.

use crate::{
    StoreError,
    database::{Database, values},
    parameters::Parameters,
};

/// The version of these tables.
pub(crate) const VERSION: i64 = 2;

/// One step from each version to the next.
const MIGRATIONS: [&[&str]; 2] = [&[SHARED, VALUES, NOTES], &[MOVED]];
/// The same for a server.
const SERVER_MIGRATIONS: [&[&str]; 2] = [&[SHARED, NOTES], &[MOVED]];

/// What both databases have.
const SHARED: &str = "
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
";

/// Values that are looked up by range, in the order of their values: in a file alone, whose pages are encrypted.
pub(crate) const VALUES: &str = "
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
";

/// Whose the earlier versions are of resources that were put right: they stood with the wrong patient.
const MOVED: &str = "
-- Versions up to this one, and after that of the row before, are the subject's; those after the last row are of the subject
-- of the resource.
CREATE TABLE moved (
    rid BIGINT NOT NULL,
    upto BIGINT NOT NULL,
    subject BLOB NOT NULL,
    PRIMARY KEY (rid, upto)
) WITHOUT ROWID;
CREATE INDEX moved_from ON moved (subject);
";

/// A few numbers by name.
const NOTES: &str = "
CREATE TABLE note (
    name TEXT NOT NULL PRIMARY KEY,
    value BIGINT NOT NULL
) WITHOUT ROWID;
";

/// The note that says which table of search parameters the index was made by.
pub(crate) const PARAMETERS: &str = "parameters";
/// The note that says up to which number the gate's work is in the store.
pub(crate) const APPLIED: &str = "applied";
/// The note that says up to which of the vault's records a lost store is made again; -1 where nothing is to be.
pub(crate) const REBUILT: &str = "rebuilt";
/// The note of a server that says how often something was forgotten there.
pub(crate) const FORGOTTEN: &str = "forgotten";
/// The note of a server that says how many of these the tables are vacuumed of.
pub(crate) const VACUUMED: &str = "vacuumed";
/// The note of a server that says the version of its tables; a file has a place of its own for it.
const SCHEMA: &str = "schema";
/// The note of a server by which the key is recognised.
const KEY: &str = "key";

/// Brings the tables up to date. Tells whether the index must be made again.
pub(crate) fn migrate(database: &mut Database) -> Result<bool, StoreError> {
    if let Some(connection) = database.as_file() {
        migrate_file(connection)?;
    } else {
        migrate_server(database)?;
    }
    let digest = Parameters::digest();
    let indexed = note(database, PARAMETERS)?;
    if indexed.is_none() {
        set_note(database, PARAMETERS, digest)?;
    }
    Ok(indexed.is_some_and(|indexed| indexed != digest))
}

/// The steps that are still to be done; refused where a later program has done more.
fn steps(
    found: i64,
    all: &'static [&'static [&'static str]],
) -> Result<impl Iterator<Item = (i64, String)>, StoreError> {
    if found > VERSION {
        return Err(StoreError::LaterSchema { found, known: VERSION });
    }
    let done = usize::try_from(found).unwrap_or(0);
    Ok((1_i64..).zip(all).skip(done).map(|(number, parts)| (number, parts.concat())))
}

fn migrate_file(connection: &mut rusqlite::Connection) -> Result<(), StoreError> {
    let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (number, step) in steps(found, &MIGRATIONS)? {
        let transaction = connection.transaction()?;
        transaction.execute_batch(&step)?;
        transaction.pragma_update(None, "user_version", number)?;
        transaction.commit()?;
    }
    Ok(())
}

fn migrate_server(database: &Database) -> Result<(), StoreError> {
    database.run("CREATE SCHEMA IF NOT EXISTS bxp")?;
    let tables: i64 = database.one(
        "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'bxp' AND table_name = 'note'",
        &[],
    )?;
    let found = if tables == 0 { 0 } else { note(database, SCHEMA)?.unwrap_or(0) };
    let key = database.sealer().map_or(0, |sealer| sealer.bucket(0, KEY.as_bytes()));
    if found > 0 && note(database, KEY)? != Some(key) {
        return Err(StoreError::OtherKey);
    }
    for (number, step) in steps(found, &SERVER_MIGRATIONS)? {
        database.begin()?;
        database.run(&for_server(&step))?;
        set_note(database, SCHEMA, number)?;
        set_note(database, KEY, key)?;
        database.commit()?;
    }
    Ok(())
}

/// The statements as a server takes them.
fn for_server(step: &str) -> String {
    let names = ["id TEXT", "code TEXT", "system TEXT", "label TEXT"];
    let sealed =
        names.iter().fold(step.to_owned(), |text, name| text.replace(name, &name.replace("TEXT", "BYTEA")));
    sealed.replace(" WITHOUT ROWID", "").replace(" INTEGER ", " BIGINT ").replace(" BLOB", " BYTEA")
}

pub(crate) fn note(database: &Database, name: &str) -> Result<Option<i64>, StoreError> {
    database.first("SELECT value FROM note WHERE name = ?1", values![name], |row| row.get(0))
}

pub(crate) fn set_note(database: &Database, name: &str, value: i64) -> Result<(), StoreError> {
    let text = "INSERT INTO note (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    database.execute(text, values![name, value])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_an_earlier_version_gets_what_is_new() {
        let mut connection = rusqlite::Connection::open_in_memory().unwrap();
        connection.execute_batch(&MIGRATIONS[0].concat()).unwrap();
        connection.pragma_update(None, "user_version", 1).unwrap();
        migrate_file(&mut connection).unwrap();
        migrate_file(&mut connection).unwrap();
        let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        let moved: i64 = connection.query_row("SELECT count(*) FROM moved", [], |row| row.get(0)).unwrap();
        assert_eq!((version, moved), (VERSION, 0));
    }

    #[test]
    fn a_server_is_told_nothing_of_sqlites_own() {
        let text = for_server(&SERVER_MIGRATIONS.concat().concat());
        assert!(!text.contains("ROWID") && !text.contains("BLOB") && !text.contains("INTEGER"));
        assert!(
            text.contains("id BYTEA NOT NULL")
                && text.contains("name TEXT NOT NULL")
                && !text.contains("words")
        );
    }
}
