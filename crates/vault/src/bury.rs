//! How records are erased so that no copy of the database brings them back.
//!
//! A data key lies in the database under its patient's key, and that lies in the enclave's own small file, which is not
//! part of a backup. Taking a data key out of the database is not enough: a copy of the database still has it. So the
//! patient gets a new key, the data keys of the patient's other records are wrapped anew under it, and the old key is
//! destroyed. Where no record of the patient is left, the patient's key is destroyed and none follows.
//!
//! The steps, each on disk before the next: new keys beside the old; one batch that takes the records out, writes the
//! tombstones and wraps the others anew, with what the caller erases beside; the old keys out of the enclave's file, and
//! the new ones too of patients of whom nothing is left. After a crash in between, opening the vault goes on with it.

use crate::{
    RecordEntry, Tombstone, Vault, VaultError,
    arrivals::Arrivals,
    erase::tombstone_key,
    error::enclave,
    tables::{block_key, pair},
    vault::NEXT,
};
use bxp_storage::{Batch, Durability};
use bxp_types::{BlockClass, RecordId, SubjectId};
use cid::Cid;
use parking_lot::RwLockReadGuard;
use std::{collections::BTreeSet, sync::Arc};

/// A record to be erased. One that is not here has no entry, and only its tombstone is kept.
pub(crate) struct Grave {
    pub(crate) entry: Option<RecordEntry>,
    pub(crate) tombstone: Tombstone,
}

/// Held from sealing or staging records to committing them: meanwhile no patient's key is exchanged, and who goes through
/// the records in the order of their arrival does not pass over them.
#[must_use]
#[derive(Debug)]
pub struct Sealing<'a> {
    arrivals: Arc<Arrivals>,
    first: u64,
    #[allow(dead_code, reason = "it is held, not read")]
    exchanging: RwLockReadGuard<'a, ()>,
}

impl Sealing<'_> {
    /// The number under which the next staged record arrives.
    pub(crate) fn arrival(&self) -> u64 {
        self.arrivals.draw()
    }
}

impl Drop for Sealing<'_> {
    fn drop(&mut self) {
        self.arrivals.end(self.first);
    }
}

impl Vault {
    /// To be held from sealing or staging records to committing them, so that what is staged is not wrapped under a key
    /// that an erasure destroys in between.
    pub fn sealing(&self) -> Sealing<'_> {
        let exchanging = self.exchanging.read();
        let arrivals = Arc::clone(&self.arrivals);
        Sealing { first: arrivals.begin(), arrivals, exchanging }
    }

    /// Erases all of `graves`, in one step with what `batch` has already.
    pub(crate) fn bury(&self, graves: &[Grave], mut batch: Batch) -> Result<(), VaultError> {
        let _exchanging = self.exchanging.write();
        // What an earlier one could not finish, such as for want of room on the disk.
        self.finish_exchanges()?;
        let gone: BTreeSet<RecordId> = graves.iter().map(|grave| grave.tombstone.record_id).collect();
        let subjects: BTreeSet<SubjectId> =
            graves.iter().filter_map(|grave| grave.entry.as_ref()).map(|entry| entry.subject).collect();
        let ids: Vec<_> = subjects.iter().map(|subject| subject.0).collect();
        // Also of who will have no key: where a crash comes before it is destroyed, it is found among those renewed.
        self.enclave.renew_patients(&ids).map_err(enclave("renew patients' keys"))?;
        for subject in &subjects {
            let mut entries = self.entries_of(*subject)?;
            entries.retain(|entry| !gone.contains(&entry.record_id));
            self.rewrap(&mut batch, &entries, &BTreeSet::new())?;
        }
        for grave in graves {
            if let Some(entry) = &grave.entry {
                self.remove_entry(&mut batch, entry)?;
            }
            let key = tombstone_key(grave.tombstone.record_id, grave.tombstone.holder);
            batch.put(&self.tables.tombstones, key, grave.tombstone.encode()?);
        }
        // Who goes by these numbers would pass over a record that gets one of those again that are free now.
        batch.put(&self.tables.arrivals, NEXT, self.arrivals.next().to_be_bytes());
        batch.commit(Durability::Synced)?;
        self.destroy_older(&ids)
    }

    /// Destroys the older keys of patients who have been given newer ones, and every key of those of whom nothing is here.
    fn destroy_older(&self, patients: &[[u8; 16]]) -> Result<(), VaultError> {
        if patients.is_empty() {
            return Ok(());
        }
        let (mut renewed, mut destroyed) = (Vec::new(), Vec::new());
        for patient in patients {
            let is_left = self.has_records_of(SubjectId(*patient))?;
            if is_left { renewed.push(*patient) } else { destroyed.push(*patient) }
        }
        self.enclave.forget_patients(&renewed, &destroyed).map_err(enclave("destroy patients' keys"))
    }

    /// Whether a record of a patient is here.
    fn has_records_of(&self, subject: SubjectId) -> Result<bool, VaultError> {
        Ok(self.tables.by_subject.iter_prefix(subject.0).next().transpose()?.is_some())
    }

    /// Destroys the key of a patient of whom nothing is here.
    pub(crate) fn forget_patient_without_records(&self, subject: SubjectId) -> Result<(), VaultError> {
        let _exchanging = self.exchanging.write();
        if self.enclave.has_patient(&subject.0) && !self.has_records_of(subject)? {
            self.destroy_older(&[subject.0])?;
        }
        Ok(())
    }

    /// Does what an earlier erasure could not finish: a key that was to be destroyed may be there still.
    pub(crate) fn finish_unfinished(&self) -> Result<(), VaultError> {
        if self.enclave.renewing_patients().is_empty() {
            return Ok(());
        }
        let _exchanging = self.exchanging.write();
        self.finish_exchanges()
    }

    /// Goes on with exchanges of keys that a crash or an error broke off.
    pub(crate) fn finish_exchanges(&self) -> Result<(), VaultError> {
        let renewing = self.enclave.renewing_patients();
        if renewing.is_empty() {
            return Ok(());
        }
        let mut batch = self.store.batch();
        for patient in &renewing {
            self.rewrap(&mut batch, &self.entries_of(SubjectId(*patient))?, &BTreeSet::new())?;
        }
        batch.commit(Durability::Synced)?;
        self.destroy_older(&renewing)
    }

    /// Wraps the data keys of these records under the newest key of their patient, but those of the blocks that go. A row
    /// that no key opens is left as it is, and does not keep the others from it: scrubbing tells of it.
    pub(crate) fn rewrap(
        &self,
        batch: &mut Batch,
        entries: &[RecordEntry],
        gone: &BTreeSet<Cid>,
    ) -> Result<(), VaultError> {
        for entry in entries {
            for cid in [&entry.identity_cid, &entry.deidentified_cid] {
                if gone.contains(cid) || !self.has_key(cid)? {
                    continue;
                }
                match self.key_of(entry.subject, cid) {
                    Ok(key) => self.put_key(batch, entry, cid, &self.wrap_key(entry.subject, cid, &key)?),
                    Err(error @ VaultError::Storage(_)) => return Err(error),
                    Err(_) => {}
                }
            }
        }
        Ok(())
    }

    fn remove_entry(&self, batch: &mut Batch, entry: &RecordEntry) -> Result<(), VaultError> {
        let id = entry.record_id.0;
        for class in [entry.identity_class(), BlockClass::Deidentified] {
            let key = block_key(entry.cid(class));
            batch.remove(&self.tables.keys, &key);
            batch.remove(&self.block_table(class), &key);
            batch.remove(&self.tables.by_cid, &key);
        }
        let by_subject = pair(&entry.subject.0, &id);
        if let Some(number) = self.tables.by_subject.get(&by_subject)? {
            batch.remove(&self.tables.by_order, &number);
        }
        batch.remove(&self.tables.by_subject, by_subject);
        batch.remove(&self.tables.unbatched, id);
        batch.remove(&self.tables.entries, id);
        batch.remove(&self.tables.placements, id);
        Ok(())
    }
}
