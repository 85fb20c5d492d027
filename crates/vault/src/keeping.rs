//! Keeping: which identity blocks this node keeps by the directory of nodes, what it lacks, and what it has too much of.
//!
//! A copy that placement gives to others is deleted only after every one of them has said that it holds the record. What
//! keeps two nodes from deleting on each other's word: [`Vault::holds`] vouches only for records that this node keeps, by
//! the very directory that the asker names, and [`Vault::shed`] deletes only what this node does not keep, by the
//! directory under which the others vouched. Both take the same turn, and so does taking over a newer directory.

use crate::{
    Directory, RecordEntry, Vault, VaultError, departure, envelope,
    error::enclave,
    tables::{Tables, block_key},
};
use bxp_storage::{Durability, Store, Table};
use bxp_types::{BlockClass, Digest, Jurisdiction, RecordId, SealedBlock, SubjectId, ValidatorIndex};
use cid::Cid;
use parking_lot::{Mutex, RwLock};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The row of the newest directory.
const NEWEST: &[u8] = b"newest";

/// What a vault knows of where nodes stand.
#[derive(Debug)]
pub(crate) struct Keeping {
    state: RwLock<State>,
    /// Held while this node vouches for copies, deletes some, or takes over a directory.
    pub(crate) turn: Mutex<()>,
}

#[derive(Debug)]
struct State {
    directory: Arc<Directory>,
    digest: Digest,
    leaving: BTreeMap<Jurisdiction, Leaving>,
}

/// A country that this node has left and not yet deleted everything of.
#[derive(Clone, Debug)]
pub(crate) struct Leaving {
    /// Its identity blocks.
    pub(crate) blocks: Table,
    /// The number that the next part of the statement gets.
    pub(crate) part: u32,
}

impl Keeping {
    pub(crate) fn open(store: &Store, tables: &Tables, me: ValidatorIndex) -> Result<Self, VaultError> {
        let row = tables.directory.get(NEWEST)?;
        let directory = row.map(|row| Directory::decode(&row)).transpose()?.unwrap_or_default();
        let mut leaving = BTreeMap::new();
        for (country, part) in departure::unfinished(tables, me)? {
            leaving.insert(country, Leaving { blocks: Tables::identity_of(store, country)?, part });
        }
        let state = State { digest: directory.digest()?, directory: Arc::new(directory), leaving };
        Ok(Self { state: RwLock::new(state), turn: Mutex::new(()) })
    }

    pub(crate) fn country(&self, me: ValidatorIndex) -> Option<Jurisdiction> {
        self.state.read().directory.country(me)
    }

    pub(crate) fn leaving(&self, country: Jurisdiction) -> Option<Leaving> {
        self.state.read().leaving.get(&country).cloned()
    }

    /// Counts parts of a statement that have reached the disk.
    fn count_parts(&self, country: Jurisdiction, parts: u32) {
        if let Some(leaving) = self.state.write().leaving.get_mut(&country) {
            leaving.part += parts;
        }
    }

    pub(crate) fn set_left(&self, country: Jurisdiction) {
        self.state.write().leaving.remove(&country);
    }
}

/// Records whose identity blocks are not where placement wants them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Misplaced {
    /// Records that this node keeps and whose identity block, or a side's key, is not here.
    pub wanted: Vec<RecordEntry>,
    /// Records that this node does not keep and of whose identity side something is here.
    pub surplus: Vec<RecordEntry>,
    /// The number of arrival to go on from.
    pub next: u64,
    /// Whether records from there on are here already.
    pub more: bool,
}

impl Vault {
    /// The directory of nodes that this vault goes by.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        Arc::clone(&self.keeping.state.read().directory)
    }

    /// What names the directory that this vault goes by.
    #[must_use]
    pub fn directory_digest(&self) -> Digest {
        self.keeping.state.read().digest
    }

    /// The countries that this node has left and still has identity blocks of.
    #[must_use]
    pub fn leaving(&self) -> Vec<Jurisdiction> {
        self.keeping.state.read().leaving.keys().copied().collect()
    }

    /// The country that this node stands in now; none for a node that is in none. It differs from [`Vault::home`] from
    /// the moment of a move until the vault is opened again.
    #[must_use]
    pub fn country(&self) -> Option<Jurisdiction> {
        let directory = self.directory();
        if directory.is_silent() { Some(self.home) } else { directory.country(self.me) }
    }

    /// Whether placement has this node keep the record's identity block.
    #[must_use]
    pub fn keeps(&self, entry: &RecordEntry) -> bool {
        entry.home == self.home && self.country() == Some(self.home) && self.directory().keeps(self.me, entry)
    }

    /// Goes by `directory` from now on, if it is newer than the one before. Nodes that stand elsewhere by it have left
    /// their country, and owe a statement for it; one that is back in time owes none. All of it is on disk when this
    /// returns. Tells whether it was newer.
    ///
    /// # Errors
    /// [`VaultError::OtherDirectory`] for another one of the same height, [`VaultError::Storage`].
    pub fn adopt(&self, directory: Directory) -> Result<bool, VaultError> {
        let _turn = self.keeping.turn.lock();
        let before = self.directory();
        let first = before.is_silent();
        if !first && directory.height <= before.height {
            let same = directory.height < before.height || directory == *before;
            let height = directory.height;
            return if same { Ok(false) } else { Err(VaultError::OtherDirectory { height }) };
        }
        let digest = directory.digest()?;
        let mut batch = self.store.batch();
        batch.put(&self.tables.directory, NEWEST, directory.encode()?);
        if !first {
            self.note_moves(&mut batch, &before, &directory)?;
        }
        batch.commit(Durability::Synced)?;
        let mut leaving = BTreeMap::new();
        for (country, part) in departure::unfinished(&self.tables, self.me)? {
            leaving.insert(country, Leaving { blocks: self.identity_table(country)?, part });
        }
        *self.keeping.state.write() = State { directory: Arc::new(directory), digest, leaving };
        Ok(true)
    }

    fn identity_table(&self, country: Jurisdiction) -> Result<Table, VaultError> {
        if country == self.home {
            return Ok(self.tables.identity.clone());
        }
        Ok(Tables::identity_of(&self.store, country)?)
    }

    /// A sealed block for node `to`: an identity block only for a node that placement has keep it, as if it were not
    /// here for any other (row A12).
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn block_for(&self, cid: &Cid, to: ValidatorIndex) -> Result<Option<SealedBlock>, VaultError> {
        let Some(block) = self.block(cid)? else { return Ok(None) };
        if block.class == BlockClass::Deidentified {
            return Ok(Some(block));
        }
        let keeps = self.entry_of_block(cid)?.is_some_and(|entry| self.directory().keeps(to, &entry));
        Ok(keeps.then_some(block))
    }

    /// For each of `records`, whether this node keeps it and holds its identity block, sound, and its key. Who asks goes
    /// by the directory of this `digest`.
    ///
    /// # Errors
    /// [`VaultError::DirectoryDiffers`] where this node goes by another, [`VaultError::Storage`].
    pub fn holds(&self, records: &[RecordId], digest: Digest) -> Result<Vec<bool>, VaultError> {
        let _turn = self.keeping.turn.lock();
        if digest != self.directory_digest() {
            return Err(VaultError::DirectoryDiffers);
        }
        records.iter().map(|record| self.holds_one(*record)).collect()
    }

    fn holds_one(&self, record: RecordId) -> Result<bool, VaultError> {
        let Some(entry) = self.entry(record)?.filter(|entry| self.keeps(entry)) else { return Ok(false) };
        let cid = &entry.identity_cid;
        let sound = self.block(cid)?.is_some_and(|block| envelope::check(&block).is_ok());
        Ok(sound && self.has_key(cid)?)
    }

    /// Looks at up to `records_max` records in the order of their arrival, from number `from` on, for what is not where
    /// placement wants it.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn misplaced(&self, from: u64, records_max: usize) -> Result<Misplaced, VaultError> {
        self.look_for_misplaced(from, records_max, |_| false)
    }

    /// The same of records that came after all before were looked at. What this node has sealed itself and keeps was
    /// written together with its record, and is not looked for.
    ///
    /// # Errors
    /// As [`Vault::misplaced`].
    pub fn misplaced_lately(&self, from: u64, records_max: usize) -> Result<Misplaced, VaultError> {
        self.look_for_misplaced(from, records_max, |entry| entry.holder == self.me() && self.keeps(entry))
    }

    fn look_for_misplaced(
        &self,
        from: u64,
        records_max: usize,
        is_placed: impl Fn(&RecordEntry) -> bool,
    ) -> Result<Misplaced, VaultError> {
        let mut found = Misplaced { next: from, ..Misplaced::default() };
        for (looked_at, row) in self.entries(from).enumerate() {
            let (number, entry) = row?;
            if looked_at == records_max {
                found.more = true;
                return Ok(found);
            }
            found.next = number + 1;
            if is_placed(&entry) {
                continue;
            }
            let block = self.block_table(entry.identity_class()).contains(block_key(&entry.identity_cid))?;
            let key = self.has_key(&entry.identity_cid)?;
            match self.keeps(&entry) {
                true if !(block && key) || self.lacks_rests_key(&entry)? => found.wanted.push(entry),
                false if block || key => found.surplus.push(entry),
                _ => {}
            }
        }
        Ok(found)
    }

    /// Whether the de-identified block is here without its key. Where the block is not, no copy brings the key
    /// ([`Vault::accept_copies`]): scrubbing has to bring the block first.
    fn lacks_rests_key(&self, entry: &RecordEntry) -> Result<bool, VaultError> {
        let cid = &entry.deidentified_cid;
        Ok(!self.has_key(cid)? && self.block_table(BlockClass::Deidentified).contains(block_key(cid))?)
    }

    /// Deletes the identity sides of records that this node does not keep and all of whose keepers hold them, as they
    /// vouched for by the directory of this `digest`: blocks and keys, in such a way that no copy of the database opens
    /// them (`bury`). Of a country that this node has left, the same step adds a part to its statement. Gives how many
    /// went.
    ///
    /// # Errors
    /// [`VaultError::DirectoryDiffers`] when the directory has changed meanwhile; [`VaultError::Placed`] for a record that
    /// this node keeps; then nothing went. [`VaultError::Enclave`], [`VaultError::Storage`].
    pub fn shed(&self, entries: &[RecordEntry], digest: Digest) -> Result<usize, VaultError> {
        let _turn = self.keeping.turn.lock();
        if digest != self.directory_digest() {
            return Err(VaultError::DirectoryDiffers);
        }
        if let Some(kept) = entries.iter().find(|entry| self.keeps(entry)) {
            return Err(VaultError::Placed(kept.record_id));
        }
        let _exchanging = self.exchanging.write();
        // One that was erased in the meantime is gone with its entry.
        let mut here = Vec::with_capacity(entries.len());
        for entry in entries {
            if self.entry(entry.record_id)?.as_ref() == Some(entry) {
                here.push(entry);
            }
        }
        if here.is_empty() {
            return Ok(0);
        }
        let gone: BTreeSet<Cid> = here.iter().map(|entry| entry.identity_cid).collect();
        let subjects: BTreeSet<SubjectId> = here.iter().map(|entry| entry.subject).collect();
        let ids: Vec<_> = subjects.iter().map(|subject| subject.0).collect();
        self.enclave.renew_patients(&ids).map_err(enclave("renew patients' keys"))?;
        let mut batch = self.store.batch();
        for subject in subjects {
            self.rewrap(&mut batch, &self.entries_of(subject)?, &gone)?;
        }
        let mut left: BTreeMap<Jurisdiction, Vec<Cid>> = BTreeMap::new();
        for entry in &here {
            let key = block_key(&entry.identity_cid);
            batch.remove(&self.block_table(entry.identity_class()), &key);
            batch.remove(&self.tables.keys, &key);
            // The record stays known, and its block leads to it still.
            self.put_name(&mut batch, entry, &entry.identity_cid);
            if self.keeping.leaving(entry.home).is_some() {
                left.entry(entry.home).or_default().push(entry.identity_cid);
            }
        }
        let mut parts = Vec::new();
        for (country, blocks) in left {
            parts.push((country, self.stage_statements(&mut batch, country, &blocks)?));
        }
        batch.commit(Durability::Synced)?;
        parts.into_iter().for_each(|(country, parts)| self.keeping.count_parts(country, parts));
        self.enclave.forget_patients(&ids, &[]).map_err(enclave("destroy patients' keys"))?;
        Ok(here.len())
    }
}
