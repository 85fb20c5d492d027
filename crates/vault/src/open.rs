//! Opening records: only here, only with a permit, only after the disclosure is on disk.

use crate::{RecordEntry, Vault, VaultError, keys::open_checked, tables::block_key};
use bxp_privacy::{Permit, Purpose, Scope};
use bxp_types::{BlockClass, Bytes, Phi, RecordId};

impl Vault {
    /// Opens the identity side of a record.
    ///
    /// # Errors
    /// [`VaultError::UnknownRecord`], [`VaultError::Erased`], [`VaultError::NotPermitted`],
    /// [`VaultError::UnknownBlock`] where the record's country is another, [`VaultError::MissingKey`],
    /// [`VaultError::Storage`].
    pub fn open_identity(&self, record: RecordId, permit: &Permit) -> Result<Phi<Bytes>, VaultError> {
        let entry = self.known_entry(record)?;
        let class = entry.identity_class();
        Ok(Phi::new(self.open_one(&entry, class, permit)?))
    }

    /// Opens the de-identified side of a record.
    ///
    /// # Errors
    /// As [`Vault::open_identity`].
    pub fn open_deidentified(&self, record: RecordId, permit: &Permit) -> Result<Bytes, VaultError> {
        let entry = self.known_entry(record)?;
        self.open_one(&entry, BlockClass::Deidentified, permit)
    }

    /// Opens the de-identified sides of many records, with one sync for all their disclosures: all of them or none.
    ///
    /// # Errors
    /// As [`Vault::open_identity`], for the first record that cannot be opened.
    pub fn open_deidentified_all(
        &self,
        records: &[RecordId],
        permit: &Permit,
    ) -> Result<Vec<Bytes>, VaultError> {
        let entries = self.known_entries(records)?;
        let sides: Vec<_> = entries.iter().map(|entry| (entry, BlockClass::Deidentified)).collect();
        self.open_sides(&sides, permit)
    }

    /// Opens both sides of many records, identity first, with one sync for all their disclosures: all of them or none.
    ///
    /// # Errors
    /// As [`Vault::open_identity`], for the first record that cannot be opened.
    pub fn open_whole_all(
        &self,
        records: &[RecordId],
        permit: &Permit,
    ) -> Result<Vec<(Phi<Bytes>, Bytes)>, VaultError> {
        let entries = self.known_entries(records)?;
        let both = |entry| [(entry, RecordEntry::identity_class(entry)), (entry, BlockClass::Deidentified)];
        let contents = self.open_sides(&entries.iter().flat_map(both).collect::<Vec<_>>(), permit)?;
        let (pairs, _) = contents.as_chunks::<2>();
        Ok(pairs.iter().map(|[identity, rest]| (Phi::new(identity.clone()), rest.clone())).collect())
    }

    /// Accounts for whole records that are shown from the holder's working copy: as their opening here would be, under the
    /// same permits, with one sync for all. Gives which of them are still here; an erased record must not be shown.
    ///
    /// # Errors
    /// [`VaultError::NotPermitted`] for the first record that its permit does not open, [`VaultError::Storage`].
    pub fn account_shown(&self, shown: &[(RecordId, &Permit)]) -> Result<Vec<bool>, VaultError> {
        let mut entries = Vec::with_capacity(shown.len());
        for (record, permit) in shown {
            let entry = self.entry(*record)?;
            if let Some(entry) = &entry {
                self.authorise(entry, entry.identity_class(), permit)?;
            }
            entries.push(entry);
        }
        let rows = entries.iter().zip(shown).filter_map(|(entry, (_, permit))| {
            let entry = entry.as_ref().filter(|_| !self.is_own_work(permit))?;
            Some((entry, entry.identity_class(), *permit))
        });
        let mut rows = rows.peekable();
        if rows.peek().is_some() {
            self.write_rows(rows)?;
        }
        Ok(entries.iter().map(Option::is_some).collect())
    }

    fn known_entries(&self, records: &[RecordId]) -> Result<Vec<RecordEntry>, VaultError> {
        records.iter().map(|record| self.known_entry(*record)).collect()
    }

    fn open_one(&self, entry: &RecordEntry, class: BlockClass, permit: &Permit) -> Result<Bytes, VaultError> {
        let mut contents = self.open_sides(&[(entry, class)], permit)?;
        contents.pop().ok_or(VaultError::UnknownRecord(entry.record_id))
    }

    /// The one way to clear content: permit, key, content check, disclosure, and only then the data.
    fn open_sides(
        &self,
        sides: &[(&RecordEntry, BlockClass)],
        permit: &Permit,
    ) -> Result<Vec<Bytes>, VaultError> {
        let mut contents = Vec::with_capacity(sides.len());
        for (entry, class) in sides {
            self.authorise(entry, *class, permit)?;
            contents.push(self.read_content(entry, *class)?);
        }
        self.account(sides, permit)?;
        Ok(contents)
    }

    fn read_content(&self, entry: &RecordEntry, class: BlockClass) -> Result<Bytes, VaultError> {
        let cid = entry.cid(class);
        let bytes = self.block_table(class).get(block_key(cid))?.ok_or(VaultError::UnknownBlock(*cid))?;
        open_checked(entry, class, &self.key_of(entry.subject, cid)?, &bytes)
    }

    /// Whether the permit covers this side of this record now.
    pub(crate) fn authorise(
        &self,
        entry: &RecordEntry,
        class: BlockClass,
        permit: &Permit,
    ) -> Result<(), VaultError> {
        let covered = permit.opens(entry.record_id, entry.subject, class, self.clock.now_ms());
        // A permit for all of the requester's own records opens here what this node holds, for this node.
        let own = entry.holder == self.me && permit.requester() == self.me;
        // A node that has left a country opens nothing of its identity side, whatever it still has of it.
        let at_home = class == BlockClass::Deidentified || self.country() == Some(entry.home);
        if covered && at_home && (permit.scope() != Scope::OwnRecords || own) {
            Ok(())
        } else {
            Err(VaultError::NotPermitted)
        }
    }

    /// Writes the disclosures of an opening, unless it is the node's own work on what it holds, which 45 CFR
    /// 164.528(a)(1)(i) exempts.
    pub(crate) fn account(
        &self,
        sides: &[(&RecordEntry, BlockClass)],
        permit: &Permit,
    ) -> Result<(), VaultError> {
        if self.is_own_work(permit) {
            return Ok(());
        }
        self.write_disclosures(sides, permit)
    }

    fn is_own_work(&self, permit: &Permit) -> bool {
        permit.requester() == self.me && permit.purpose() == Purpose::Operations
    }
}
