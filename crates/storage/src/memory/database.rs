//! Tables in memory: every value with the commit that wrote it, so that snapshots are as cheap as a number.

use super::{MemoryDisk, no_power};
use crate::{Durability, Entry};
use bxp_types::NetworkId;
use bytes::Bytes;
use std::{
    collections::BTreeMap,
    io,
    ops::Bound,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A key's values, the newest last, each with the number of its commit; none where it was removed.
type Versions = Vec<(u64, Option<Bytes>)>;

/// What one commit replaced.
struct Undo {
    table: Arc<str>,
    key: Bytes,
    before: Option<Bytes>,
}

/// One write of a batch.
pub(crate) struct Write {
    table: Arc<str>,
    key: Bytes,
    value: Option<Bytes>,
}

pub(super) struct Database {
    pub(super) network: NetworkId,
    /// Whether a process has it open.
    in_use: bool,
    commits: u64,
    tables: BTreeMap<Arc<str>, BTreeMap<Bytes, Versions>>,
    /// What was replaced by commits that are not on disk, oldest first.
    unsynced: Vec<Vec<Undo>>,
    /// Snapshots in use, by the newest commit that they see.
    snapshots: BTreeMap<u64, usize>,
}

impl Database {
    fn new(network: NetworkId) -> Self {
        Self {
            network,
            in_use: false,
            commits: 0,
            tables: BTreeMap::new(),
            unsynced: Vec::new(),
            snapshots: BTreeMap::new(),
        }
    }

    fn value(&self, table: &str, key: &[u8], seen: u64) -> Option<Bytes> {
        visible(self.tables.get(table)?.get(key)?, seen)
    }

    fn apply(&mut self, writes: Vec<Write>) {
        self.commits += 1;
        let commit = self.commits;
        let oldest_seen = self.snapshots.first_key_value().map_or(commit, |(&seen, _)| seen);
        let mut undo = Vec::with_capacity(writes.len());
        for Write { table, key, value } in writes {
            let rows = self.tables.entry(Arc::clone(&table)).or_default();
            let versions = rows.entry(key.clone()).or_default();
            undo.push(Undo { table, key: key.clone(), before: visible(versions, u64::MAX) });
            versions.push((commit, value));
            let needless = versions.iter().rposition(|(written, _)| *written <= oldest_seen).unwrap_or(0);
            versions.drain(..needless);
            if matches!(versions.as_slice(), [(written, None)] if *written <= oldest_seen) {
                rows.remove(&key);
            }
        }
        self.unsynced.push(undo);
    }

    pub(super) fn crash(&mut self, choose: &mut impl FnMut(u64) -> u64) {
        let kept = choose(self.unsynced.len() as u64 + 1);
        let lost = self.unsynced.split_off(usize::try_from(kept).unwrap_or(0));
        for Undo { table, key, before } in lost.into_iter().rev().flat_map(|undo| undo.into_iter().rev()) {
            let rows = self.tables.entry(table).or_default();
            match before {
                Some(value) => rows.insert(key, vec![(self.commits, Some(value))]),
                None => rows.remove(&key),
            };
        }
        self.unsynced.clear();
        self.snapshots.clear();
        self.in_use = false;
    }

    fn release(&mut self, seen: u64) {
        if let Some(count) = self.snapshots.get_mut(&seen) {
            *count -= 1;
            if *count == 0 {
                self.snapshots.remove(&seen);
            }
        }
    }
}

fn visible(versions: &Versions, seen: u64) -> Option<Bytes> {
    versions.iter().rev().find(|(written, _)| *written <= seen).and_then(|(_, value)| value.clone())
}

/// Why a database in memory was not opened.
pub(crate) enum Refused {
    InUse,
    OtherNetwork(NetworkId),
    NoPower(io::Error),
}

/// A database as one process has it open.
pub(crate) struct MemoryStore {
    disk: MemoryDisk,
    life: u64,
    folder: PathBuf,
}

impl MemoryStore {
    pub(crate) fn open(disk: &MemoryDisk, folder: &Path, network: NetworkId) -> Result<Self, Refused> {
        let machine = &mut *disk.lock();
        machine.read(machine.life).map_err(Refused::NoPower)?;
        let database = machine.databases.entry(folder.to_owned()).or_insert_with(|| Database::new(network));
        if database.in_use {
            return Err(Refused::InUse);
        }
        if database.network != network {
            return Err(Refused::OtherNetwork(database.network));
        }
        database.in_use = true;
        Ok(Self { disk: disk.clone(), life: machine.life, folder: folder.to_owned() })
    }

    pub(crate) fn disk(&self) -> MemoryDisk {
        self.disk.clone()
    }

    pub(crate) fn table(self: &Arc<Self>, name: &str) -> MemoryTable {
        MemoryTable { store: Arc::clone(self), name: name.into() }
    }

    pub(crate) fn commit(&self, writes: Vec<Write>, durability: Durability) -> io::Result<()> {
        let machine = &mut *self.disk.lock();
        let (power, lies) = (machine.write(self.life)?, machine.lies);
        let Some(database) = machine.databases.get_mut(&self.folder) else { return Err(no_power()) };
        if !writes.is_empty() {
            database.apply(writes);
        }
        power.outcome()?;
        if durability == Durability::Synced && !lies {
            database.unsynced.clear();
        }
        Ok(())
    }

    pub(crate) fn snapshot(self: &Arc<Self>) -> MemorySnapshot {
        let seen = self.with(|database| {
            *database.snapshots.entry(database.commits).or_default() += 1;
            database.commits
        });
        MemorySnapshot(Arc::new(Pin { store: Arc::clone(self), seen: seen.unwrap_or_default() }))
    }

    /// Works on the database, unless the machine has crashed since it was opened.
    fn with<T>(&self, work: impl FnOnce(&mut Database) -> T) -> io::Result<T> {
        let machine = &mut *self.disk.lock();
        machine.read(self.life)?;
        machine.databases.get_mut(&self.folder).map(work).ok_or_else(no_power)
    }
}

impl Drop for MemoryStore {
    fn drop(&mut self) {
        let machine = &mut *self.disk.lock();
        if machine.life == self.life
            && let Some(database) = machine.databases.get_mut(&self.folder)
        {
            database.in_use = false;
        }
    }
}

/// A table as one process has it open.
#[derive(Clone)]
pub(crate) struct MemoryTable {
    store: Arc<MemoryStore>,
    name: Arc<str>,
}

impl MemoryTable {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn write(&self, key: &[u8], value: Option<&[u8]>) -> Write {
        Write {
            table: Arc::clone(&self.name),
            key: Bytes::copy_from_slice(key),
            value: value.map(Bytes::copy_from_slice),
        }
    }

    pub(crate) fn get(&self, key: &[u8]) -> io::Result<Option<Bytes>> {
        self.store.with(|database| database.value(&self.name, key, u64::MAX))
    }
}

/// Keeps what one snapshot sees.
struct Pin {
    store: Arc<MemoryStore>,
    seen: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        // After a crash there is nothing to release.
        let _ = self.store.with(|database| database.release(self.seen));
    }
}

/// All tables as of one commit.
#[derive(Clone)]
pub(crate) struct MemorySnapshot(Arc<Pin>);

impl MemorySnapshot {
    pub(crate) fn seen(&self) -> u64 {
        self.0.seen
    }

    pub(crate) fn get(&self, table: &MemoryTable, key: &[u8]) -> io::Result<Option<Bytes>> {
        self.0.store.with(|database| database.value(&table.name, key, self.0.seen))
    }

    pub(crate) fn range(&self, table: &MemoryTable, low: Bound<Bytes>, high: Bound<Bytes>) -> MemoryEntries {
        MemoryEntries { snapshot: self.clone(), table: Arc::clone(&table.name), low, high }
    }
}

/// What is left of a walk from both ends.
pub(crate) struct MemoryEntries {
    snapshot: MemorySnapshot,
    table: Arc<str>,
    low: Bound<Bytes>,
    high: Bound<Bytes>,
}

impl MemoryEntries {
    pub(crate) fn next(&mut self) -> Option<io::Result<Entry>> {
        let entry = self.find(|entries| entries.next());
        if let Some(Ok((key, _))) = &entry {
            self.low = Bound::Excluded(key.clone());
        }
        entry
    }

    pub(crate) fn next_back(&mut self) -> Option<io::Result<Entry>> {
        let entry = self.find(|entries| entries.next_back());
        if let Some(Ok((key, _))) = &entry {
            self.high = Bound::Excluded(key.clone());
        }
        entry
    }

    fn find(
        &self,
        pick: impl FnOnce(&mut dyn DoubleEndedIterator<Item = Entry>) -> Option<Entry>,
    ) -> Option<io::Result<Entry>> {
        if is_empty(&self.low, &self.high) {
            return None;
        }
        let seen = self.snapshot.seen();
        let found = self.snapshot.0.store.with(|database| {
            let rows = database.tables.get(&self.table)?;
            let rows = rows.range((self.low.clone(), self.high.clone()));
            pick(&mut rows.filter_map(|(key, versions)| Some((key.clone(), visible(versions, seen)?))))
        });
        found.transpose()
    }
}

/// Whether no key can lie between the two.
fn is_empty(low: &Bound<Bytes>, high: &Bound<Bytes>) -> bool {
    match (low, high) {
        (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
        (Bound::Included(low), Bound::Included(high)) => low > high,
        (Bound::Included(low) | Bound::Excluded(low), Bound::Included(high) | Bound::Excluded(high)) => {
            low >= high
        }
    }
}
