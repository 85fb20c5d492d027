//! Bulk exports on disk (ADR 68): what was asked for, and the list of versions that it gives out.
//!
//! An export keeps no copy of a resource. It lists the versions of its moment, which the working copy holds encrypted and
//! gives out under a permit as a file is fetched; an erasure therefore reaches what an export would give, and the list
//! loses the erased rows too. Rows are sealed, since the ids of resources may identify. An export goes after its term, when
//! its client ends it, and when newer ones need the room; one that a stop or a crash interrupted is prepared again.

mod lines;
mod prepare;

pub(crate) use lines::Line;
pub(crate) use prepare::prepare;

use crate::outcome::Failure;
use bxp_enclave::Enclave;
use bxp_storage::{Durability, Store, Table};
use bxp_types::{RecordId, SubjectId};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Exports that are kept; the oldest goes when another comes.
const EXPORTS_MAX: usize = 32;
/// How long an export is kept, in milliseconds.
pub(crate) const KEPT_MS: i64 = 24 * 3_600_000;
/// Rows that are removed in one batch.
const REMOVED_AT_ONCE: usize = 1_000;

/// Of what an export is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Scope {
    /// All resources of its types.
    Kinds,
    /// The patients of the Group of this id, with what belongs to them.
    Group(String),
}

/// A file of an export that is ready: a resource type with its number of resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct File {
    pub(crate) kind: String,
    pub(crate) count: u64,
}

/// An export as it lies on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Export {
    pub(crate) id: String,
    /// The address that was asked.
    pub(crate) request: String,
    pub(crate) scope: Scope,
    /// Names of resource types.
    pub(crate) kinds: Vec<String>,
    pub(crate) since_ms: i64,
    /// The newest resource of its moment.
    pub(crate) upto: i64,
    /// Its moment, in milliseconds since the epoch.
    pub(crate) began_ms: i64,
    /// The parameter `purpose`.
    pub(crate) purpose: Option<String>,
    /// None while it is prepared.
    pub(crate) files: Option<Vec<File>>,
}

/// What an erasure takes away.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Forgotten {
    Record(RecordId),
    Subject(SubjectId),
}

impl Forgotten {
    fn is(self, line: &Line) -> bool {
        match self {
            Self::Record(record) => line.record == record.0,
            Self::Subject(subject) => line.subject == subject.0,
        }
    }
}

/// All exports.
pub(crate) struct Exports {
    store: Store,
    enclave: Enclave,
    /// Id -> sealed [`Export`].
    states: Table,
    /// Id || resource type (u16 BE) || number of the row (u32 BE) -> sealed lines.
    lines: Table,
    all: Mutex<BTreeMap<String, Export>>,
    /// Held by who prepares an export or takes lines away, so that its counts are those of its rows.
    writing: Mutex<()>,
}

fn failed(action: &'static str) -> impl Fn(bxp_storage::StorageError) -> Failure {
    move |error| Failure::internal(action, &error)
}

fn damaged() -> Failure {
    Failure::internal("read an export", &std::io::Error::other("a row is damaged"))
}

impl Exports {
    /// Opens the exports of `store`.
    pub(crate) fn open(store: &Store, enclave: Enclave) -> Result<Self, Failure> {
        let table = |name| store.table(name).map_err(failed("open the exports"));
        let (states, lines) = (table("fhir.exports")?, table("fhir.export-lines")?);
        let (all, writing) = (Mutex::default(), Mutex::default());
        let exports = Self { store: store.clone(), enclave, states, lines, all, writing };
        for row in exports.states.iter() {
            let (key, sealed) = row.map_err(failed("read an export"))?;
            let export: Export =
                serde_json::from_slice(&exports.opened(&key, &sealed)?).map_err(|_| damaged())?;
            exports.all.lock().insert(export.id.clone(), export);
        }
        Ok(exports)
    }

    fn sealed(&self, key: &[u8], text: &[u8]) -> Result<Vec<u8>, Failure> {
        let sealed = self.enclave.seal_at_rest(text, &context(key));
        sealed.map_err(|error| Failure::internal("seal an export", &error))
    }

    fn opened(&self, key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Failure> {
        self.enclave.open_at_rest(sealed, &context(key)).map_err(|_| damaged())
    }

    fn put(&self, export: &Export) -> Result<(), Failure> {
        self.put_among(&mut self.all.lock(), export)
    }

    /// Keeps what an export has become, if it was not ended meanwhile; tells which.
    fn put_again(&self, export: &Export) -> Result<bool, Failure> {
        let mut all = self.all.lock();
        let is_there = all.contains_key(&export.id);
        if is_there {
            self.put_among(&mut all, export)?;
        }
        Ok(is_there)
    }

    /// Whoever changes an export has all of them until it is on disk: one that is ended never comes back.
    fn put_among(&self, all: &mut BTreeMap<String, Export>, export: &Export) -> Result<(), Failure> {
        let text = serde_json::to_vec(export).map_err(Failure::encoding)?;
        let mut batch = self.store.batch();
        batch.put(&self.states, export.id.as_bytes(), self.sealed(export.id.as_bytes(), &text)?);
        batch.commit(Durability::Synced).map_err(failed("keep an export"))?;
        all.insert(export.id.clone(), export.clone());
        Ok(())
    }

    /// Keeps a new export; the oldest goes where there are too many.
    pub(crate) fn add(&self, export: &Export) -> Result<(), Failure> {
        self.expire(export.began_ms)?;
        let oldest = {
            let all = self.all.lock();
            let by_age = all.values().map(|one| (one.began_ms, one.id.clone())).min();
            by_age.filter(|_| all.len() >= EXPORTS_MAX)
        };
        if let Some((_, id)) = oldest {
            self.remove(&id)?;
        }
        self.put(export)
    }

    /// The export of an id, within its term.
    pub(crate) fn find(&self, id: &str, now_ms: i64) -> Result<Export, Failure> {
        let found = self.all.lock().get(id).cloned().filter(|one| now_ms - one.began_ms < KEPT_MS);
        found.ok_or_else(|| Failure::not_found("there is no such export here; kick it off again"))
    }

    /// Exports that are not ready: those that were kicked off before a restart.
    pub(crate) fn unready(&self) -> Vec<Export> {
        self.all.lock().values().filter(|one| one.files.is_none()).cloned().collect()
    }

    /// Removes what is past its term.
    pub(crate) fn expire(&self, now_ms: i64) -> Result<(), Failure> {
        let is_old = |one: &&Export| now_ms - one.began_ms >= KEPT_MS;
        let old: Vec<String> = self.all.lock().values().filter(is_old).map(|one| one.id.clone()).collect();
        old.iter().try_for_each(|id| self.remove(id))
    }

    /// Removes an export with its lines.
    pub(crate) fn remove(&self, id: &str) -> Result<(), Failure> {
        let mut all = self.all.lock();
        all.remove(id);
        let mut batch = self.store.batch();
        batch.remove(&self.states, id.as_bytes());
        batch.commit(Durability::Synced).map_err(failed("end an export"))?;
        drop(all);
        self.remove_lines(id)
    }

    fn remove_lines(&self, id: &str) -> Result<(), Failure> {
        loop {
            let (mut batch, mut count) = (self.store.batch(), 0);
            for row in self.lines.iter_prefix(id.as_bytes()).take(REMOVED_AT_ONCE) {
                let (key, _) = row.map_err(failed("end an export"))?;
                batch.remove(&self.lines, &*key);
                count += 1;
            }
            batch.commit(Durability::Synced).map_err(failed("end an export"))?;
            if count < REMOVED_AT_ONCE {
                return Ok(());
            }
        }
    }

    /// Takes what was erased out of every export.
    pub(crate) fn forget(&self, erased: Forgotten) -> Result<(), Failure> {
        let _writing = self.writing.lock();
        let all: Vec<Export> = self.all.lock().values().cloned().collect();
        for mut export in all {
            let mut gone = BTreeMap::<u16, u64>::new();
            for row in self.lines.iter_prefix(export.id.as_bytes()) {
                let (key, sealed) = row.map_err(failed("read an export"))?;
                let lines = Line::read(&self.opened(&key, &sealed)?).ok_or_else(damaged)?;
                let before = lines.len() as u64;
                let kept: Vec<Line> = lines.into_iter().filter(|line| !erased.is(line)).collect();
                let lost = before - kept.len() as u64;
                if lost > 0 {
                    let mut batch = self.store.batch();
                    batch.put(&self.lines, &*key, self.sealed(&key, &Line::write(&kept))?);
                    batch.commit(Durability::Synced).map_err(failed("keep an export"))?;
                    *gone.entry(lines::kind_of(&key).ok_or_else(damaged)?).or_default() += lost;
                }
            }
            if let (Some(files), false) = (&mut export.files, gone.is_empty()) {
                for file in files.iter_mut() {
                    let number = lines::number_of(&file.kind).unwrap_or(u16::MAX);
                    file.count = file.count.saturating_sub(gone.get(&number).copied().unwrap_or(0));
                }
                files.retain(|file| file.count > 0);
                self.put_again(&export)?;
            }
        }
        Ok(())
    }

    /// The lines of row `number` of a file; none behind the last.
    pub(crate) fn row(&self, id: &str, kind: &str, number: u32) -> Result<Option<Vec<Line>>, Failure> {
        let Some(key) = lines::key(id, kind, number) else { return Ok(None) };
        let Some(sealed) = self.lines.get(&key).map_err(failed("read an export"))? else { return Ok(None) };
        Line::read(&self.opened(&key, &sealed)?).map(Some).ok_or_else(damaged)
    }

    /// Writes row `number` of a file.
    fn put_row(&self, id: &str, kind: &str, number: u32, lines: &[Line]) -> Result<(), Failure> {
        let key = lines::key(id, kind, number).ok_or_else(damaged)?;
        let mut batch = self.store.batch();
        batch.put(&self.lines, &*key, self.sealed(&key, &Line::write(lines))?);
        // What a power cut takes is prepared again: the export says that it is ready in a write of its own, which is synced.
        batch.commit(Durability::Buffered).map_err(failed("keep an export"))
    }
}

fn context(key: &[u8]) -> Vec<u8> {
    [b"export/".as_slice(), key].concat()
}
