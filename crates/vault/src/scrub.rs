//! Scrubbing: looks at everything that should be here, and says what is lost or damaged before somebody needs it.

use crate::{
    RecordEntry, Vault, VaultError, envelope,
    keys::{open_checked, split_row},
    tables::block_key,
};
use bxp_privacy::Permit;
use bxp_storage::Durability;
use bxp_types::{BlockClass, SealedBlock};
use cid::Cid;

/// What a scrub saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Records that were looked at.
    pub records: u64,
    /// Blocks that hash to their CIDs.
    pub sound: u64,
    /// Of these, blocks of own records that open, with the key here, to what their record commits to.
    pub opened: u64,
    /// Blocks that should be here and are not.
    pub missing: Vec<Cid>,
    /// Blocks that do not hash to their CIDs.
    pub damaged: Vec<Cid>,
    /// Blocks of own records that are sound and have no key here that opens them: no peer's copy of the block helps.
    pub unopened: Vec<Cid>,
}

impl Scrubbed {
    /// Whether all is as it should be.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.missing.is_empty() && self.damaged.is_empty() && self.unopened.is_empty()
    }

    /// The blocks that a peer's copy would mend.
    pub fn to_fetch(&self) -> impl Iterator<Item = &Cid> {
        self.missing.iter().chain(&self.damaged)
    }

    /// Adds what another scrub saw.
    pub fn add(&mut self, other: Self) {
        self.records += other.records;
        self.sound += other.sound;
        self.opened += other.opened;
        self.missing.extend(other.missing);
        self.damaged.extend(other.damaged);
        self.unopened.extend(other.unopened);
    }
}

impl Vault {
    /// Looks at up to `records_max` records in the order of their arrival, from number `from` on. `permit` is the
    /// holder's own for its own records with the identity side. Gives the number to go on from, none at the end.
    /// Blocks that have lost what leads from them to their record lead to it again when this returns.
    ///
    /// # Errors
    /// [`VaultError::NotPermitted`], [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn scrub(
        &self,
        from: u64,
        records_max: usize,
        permit: &Permit,
    ) -> Result<(Scrubbed, Option<u64>), VaultError> {
        let mut seen = Scrubbed::default();
        for (looked_at, row) in self.entries(from).enumerate() {
            let (number, entry) = row?;
            if looked_at == records_max {
                return Ok((seen, Some(number)));
            }
            seen.records += 1;
            self.name_again(&entry)?;
            if self.keeps(&entry) {
                self.scrub_block(&mut seen, &entry, entry.identity_class(), permit)?;
            }
            self.scrub_block(&mut seen, &entry, BlockClass::Deidentified, permit)?;
        }
        Ok((seen, None))
    }

    /// Gives a name ([`Vault::put_name`]) to each of a record's blocks that has neither key nor name here: the row of a
    /// key was lost, and without one of them the block cannot be taken in again. A row that is too short to name the record
    /// holds no key either: it goes, so that the key counts as lost.
    fn name_again(&self, entry: &RecordEntry) -> Result<(), VaultError> {
        let mut nameless = Vec::new();
        for cid in [&entry.identity_cid, &entry.deidentified_cid] {
            if !self.is_named(cid)? {
                nameless.push(cid);
            }
        }
        if nameless.is_empty() {
            return Ok(());
        }
        // An erasure meanwhile would leave the names behind, and a key that comes meanwhile must not go.
        let _exchanging = self.exchanging.write();
        if self.entry(entry.record_id)?.is_none() {
            return Ok(());
        }
        let mut batch = self.store.batch();
        for cid in nameless {
            // Its key may have come before.
            if !self.is_named(cid)? {
                batch.remove(&self.tables.keys, block_key(cid));
                self.put_name(&mut batch, entry, cid);
            }
        }
        Ok(batch.commit(Durability::Buffered)?)
    }

    /// Whether a block leads to its record, by the row of its key or by a name.
    fn is_named(&self, cid: &Cid) -> Result<bool, VaultError> {
        let key = block_key(cid);
        match self.tables.keys.get(&key)? {
            Some(row) => Ok(split_row(&row).is_ok()),
            None => Ok(self.tables.by_cid.contains(key)?),
        }
    }

    fn scrub_block(
        &self,
        seen: &mut Scrubbed,
        entry: &RecordEntry,
        class: BlockClass,
        permit: &Permit,
    ) -> Result<(), VaultError> {
        let cid = *entry.cid(class);
        let Some(bytes) = self.block_table(class).get(block_key(&cid))? else {
            seen.missing.push(cid);
            return Ok(());
        };
        let block = SealedBlock { cid, class, bytes: bytes.into() };
        if envelope::check(&block).is_err() {
            seen.damaged.push(cid);
            return Ok(());
        }
        seen.sound += 1;
        if entry.holder == self.me {
            self.authorise(entry, class, permit)?;
            let key = self.key_of(entry.subject, &cid);
            match key.and_then(|key| open_checked(entry, class, &key, &block.bytes)) {
                Ok(_) => seen.opened += 1,
                Err(error @ VaultError::Storage(_)) => return Err(error),
                Err(_) => seen.unopened.push(cid),
            }
        }
        Ok(())
    }
}
