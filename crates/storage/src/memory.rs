//! A machine's disk in memory, for the simulator and for tests: files and tables with the semantics of the real ones,
//! and power that fails on demand.
//!
//! What a crash leaves is what a real disk may leave: of unsynced bytes of a file any prefix, behind which zeros or
//! garbage may stand; of name changes whose folder was not synced any prefix; of buffered batches any prefix, each of
//! them whole. Nothing synced is ever lost or changed.

mod content;
mod database;

use crate::disk::{Disk, DiskFile, OpenFile};
use content::Content;
use database::Database;
pub(crate) use database::{MemoryEntries, MemorySnapshot, MemoryStore, MemoryTable, Refused, Write};
use parking_lot::{Mutex, MutexGuard};
use std::{
    collections::BTreeMap,
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The disk. Clones share it. It outlives the processes that use it: what a process opened before
/// [`MemoryDisk::crash`] is dead after it.
#[derive(Clone)]
pub struct MemoryDisk(Arc<Mutex<Machine>>);

struct Machine {
    /// Counts crashes: handles of an earlier life are dead.
    life: u64,
    /// Writing operations that still succeed before the power fails.
    power_left: Option<u64>,
    off: bool,
    /// Whether it says that it has synced and has not.
    lies: bool,
    salt: u64,
    writes: u64,
    files: u64,
    contents: BTreeMap<u64, Content>,
    names: BTreeMap<PathBuf, u64>,
    /// Names that survive a crash, and what has been done to them since.
    durable_names: BTreeMap<PathBuf, u64>,
    unsynced_names: Vec<NameChange>,
    databases: BTreeMap<PathBuf, Database>,
}

#[derive(Clone)]
enum NameChange {
    Set(PathBuf, u64),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, u64>) {
        match self {
            Self::Set(path, file) => {
                names.insert(path.clone(), *file);
            }
            Self::Rename(from, to) => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl MemoryDisk {
    /// An empty disk. `salt` stands for the randomness of the machine.
    #[must_use]
    pub fn new(salt: u64) -> Self {
        Self(Arc::new(Mutex::new(Machine {
            life: 0,
            power_left: None,
            off: false,
            lies: false,
            salt,
            writes: 0,
            files: 0,
            contents: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
            databases: BTreeMap::new(),
        })))
    }

    /// The power fails at the writing operation after so many more. That operation's bytes may be on the disk or not;
    /// it and all later ones fail, until [`MemoryDisk::crash`].
    pub fn fail_power_after(&self, operations: u64) {
        self.0.lock().power_left = Some(operations);
    }

    /// From here on the disk says that it has synced and has not, as a drive does whose cache is not backed up. For
    /// tests that must notice.
    pub fn lie_about_syncs(&self) {
        self.0.lock().lies = true;
    }

    /// Whether the power has failed.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.lock().off
    }

    /// Writing operations so far: appends, cuts, syncs, commits, changes of names.
    #[must_use]
    pub fn writes(&self) -> u64 {
        self.0.lock().writes
    }

    /// The machine loses its power and gets it back. `choose` gives a number below its argument; it decides what of
    /// the unsynced is there afterwards.
    pub fn crash(&self, mut choose: impl FnMut(u64) -> u64) {
        let machine = &mut *self.0.lock();
        machine.life += 1;
        machine.power_left = None;
        machine.off = false;
        for content in machine.contents.values_mut() {
            content.crash(&mut choose);
        }
        let kept = choose(machine.unsynced_names.len() as u64 + 1);
        let changes = std::mem::take(&mut machine.unsynced_names);
        for change in changes.iter().take(usize::try_from(kept).unwrap_or(usize::MAX)) {
            change.apply(&mut machine.durable_names);
        }
        machine.names = machine.durable_names.clone();
        let Machine { names, contents, .. } = machine;
        contents.retain(|file, _| names.values().any(|named| named == file));
        for database in machine.databases.values_mut() {
            database.crash(&mut choose);
        }
    }

    /// Changes the byte at `position` of the file at `path`, as a failing disk would. Nothing happens where there is
    /// none.
    pub fn damage(&self, path: &Path, position: usize) {
        let machine = &mut *self.0.lock();
        if let Some(content) = machine.names.get(path).and_then(|file| machine.contents.get_mut(file)) {
            content.damage(position);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Machine> {
        self.0.lock()
    }
}

impl Machine {
    /// Whether a handle of `life` may write. Counts the operation; the power may fail at it.
    fn write(&mut self, life: u64) -> io::Result<Power> {
        if self.off || life != self.life {
            return Err(no_power());
        }
        self.writes += 1;
        match &mut self.power_left {
            Some(0) => {
                self.off = true;
                Ok(Power::Fails)
            }
            Some(left) => {
                *left -= 1;
                Ok(Power::Holds)
            }
            None => Ok(Power::Holds),
        }
    }

    fn change_names(&mut self, life: u64, change: NameChange) -> io::Result<()> {
        let power = self.write(life)?;
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
        power.outcome()
    }

    fn read(&self, life: u64) -> io::Result<()> {
        if self.off || life != self.life { Err(no_power()) } else { Ok(()) }
    }
}

/// What becomes of the power at an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Power {
    Holds,
    /// The operation may or may not have reached the disk.
    Fails,
}

impl Power {
    fn outcome(self) -> io::Result<()> {
        match self {
            Self::Holds => Ok(()),
            Self::Fails => Err(no_power()),
        }
    }
}

fn no_power() -> io::Error {
    io::Error::other("the machine has lost its power")
}

impl Disk for MemoryDisk {
    fn open(&self, path: &Path) -> io::Result<Option<OpenFile>> {
        let machine = self.lock();
        let life = machine.life;
        machine.read(life)?;
        let Some(&file) = machine.names.get(path) else { return Ok(None) };
        let bytes = machine.contents.get(&file).map(|content| content.bytes().to_vec()).unwrap_or_default();
        Ok(Some((Box::new(MemoryFile { disk: self.clone(), life, file }), bytes)))
    }

    fn read_at(&self, path: &Path, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let machine = self.lock();
        machine.read(machine.life)?;
        let content = machine.names.get(path).and_then(|file| machine.contents.get(file));
        let bytes = content.ok_or(io::ErrorKind::NotFound)?.bytes();
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        let end = offset.saturating_add(length);
        bytes.get(offset..end).map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// Folders need no making here.
    fn create_folder(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<Box<dyn DiskFile>> {
        let mut machine = self.lock();
        let life = machine.life;
        machine.files += 1;
        let file = machine.files;
        machine.contents.insert(file, Content::default());
        machine.change_names(life, NameChange::Set(path.to_owned(), file))?;
        drop(machine);
        let mut handle = MemoryFile { disk: self.clone(), life, file };
        handle.append(bytes)?;
        handle.sync()?;
        Ok(Box::new(handle))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut machine = self.lock();
        if !machine.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let life = machine.life;
        machine.change_names(life, NameChange::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut machine = self.lock();
        if !machine.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let life = machine.life;
        machine.change_names(life, NameChange::Remove(path.to_owned()))
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<String>> {
        let machine = self.lock();
        machine.read(machine.life)?;
        let here = machine.names.keys().filter(|path| path.parent() == Some(folder));
        Ok(here.filter_map(|path| path.file_name()?.to_str().map(str::to_owned)).collect())
    }

    /// All folders are synced together, which is more than was asked for names elsewhere and never less.
    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        let machine = &mut *self.lock();
        let life = machine.life;
        machine.write(life)?.outcome()?;
        if !machine.lies {
            machine.durable_names = machine.names.clone();
            machine.unsynced_names.clear();
        }
        Ok(())
    }

    fn salt(&self) -> u64 {
        let mut machine = self.lock();
        machine.salt = machine.salt.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        machine.salt
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDisk").field("life", &self.lock().life).finish()
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    life: u64,
    file: u64,
}

impl MemoryFile {
    fn write(&self, change: impl FnOnce(&mut Content, bool)) -> io::Result<()> {
        let machine = &mut *self.disk.lock();
        let power = machine.write(self.life)?;
        let lies = machine.lies;
        // A file without a name keeps its bytes for who has it open; nobody reads them.
        if let Some(content) = machine.contents.get_mut(&self.file) {
            change(content, power == Power::Holds && !lies);
        }
        power.outcome()
    }
}

impl DiskFile for MemoryFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(|content, _| content.append(bytes))
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        self.write(|content, _| content.truncate(length))
    }

    fn sync(&mut self) -> io::Result<()> {
        self.write(|content, syncs| {
            if syncs {
                content.sync();
            }
        })
    }
}
