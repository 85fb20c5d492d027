//! The vault itself: its tables, staging of own records, and reads that need no permit.

use crate::{
    Clock, MerkleBatch, RecordEntry, SealedRecord, Sealing, VaultError,
    arrivals::Arrivals,
    disclosure::Head,
    keeping::Keeping,
    keys,
    tables::{Tables, block_key, block_of_key, pair, trailing_number},
};
use bxp_contracts::merkle::Tree;
use bxp_enclave::Enclave;
use bxp_storage::{Batch, Store, Table};
use bxp_types::{BlockClass, Jurisdiction, RecordId, SealedBlock, SubjectId, ValidatorIndex};
use cid::Cid;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

/// The row of the next number of arrival.
pub(crate) const NEXT: &[u8] = b"next";

/// The sealed records of one node. Clones share it.
#[derive(Clone, Debug)]
pub struct Vault {
    pub(crate) store: Store,
    pub(crate) tables: Arc<Tables>,
    pub(crate) enclave: Enclave,
    pub(crate) me: ValidatorIndex,
    pub(crate) home: Jurisdiction,
    pub(crate) clock: Clock,
    pub(crate) disclosures: Arc<Mutex<Head>>,
    /// The tree of the batch that was proven last.
    pub(crate) last_tree: Arc<Mutex<Option<Arc<Tree>>>>,
    /// Written while patients' keys are exchanged, read while records are sealed; see [`Vault::sealing`].
    pub(crate) exchanging: Arc<RwLock<()>>,
    /// Where nodes stand, and what this one keeps by that.
    pub(crate) keeping: Arc<Keeping>,
    pub(crate) arrivals: Arc<Arrivals>,
}

impl Vault {
    /// Opens the vault of validator `me`, by the machine's clock. The node stands in `home`, unless a directory that the
    /// vault went by before ([`Vault::adopt`]) says otherwise.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`] for a damaged accounting of disclosures,
    /// [`VaultError::OtherVersion`], [`VaultError::Enclave`] when an exchange of keys that a crash broke off cannot be
    /// finished.
    pub fn open(
        store: &Store,
        enclave: Enclave,
        me: ValidatorIndex,
        home: Jurisdiction,
    ) -> Result<Self, VaultError> {
        Self::open_with_clock(store, enclave, me, home, Clock::system())
    }

    /// As [`Vault::open`], by another clock.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_with_clock(
        store: &Store,
        enclave: Enclave,
        me: ValidatorIndex,
        home: Jurisdiction,
        clock: Clock,
    ) -> Result<Self, VaultError> {
        let known = Tables::open(store, home)?;
        let keeping = Arc::new(Keeping::open(store, &known, me)?);
        let home = keeping.country(me).unwrap_or(home);
        let tables = Arc::new(Tables::open(store, home)?);
        // The keys have the form that this version reads: rows under others would be taken for lost.
        if let Some((key, _)) = tables.deidentified.first()? {
            block_of_key(&key).map_err(|_| VaultError::OtherVersion)?;
        }
        let disclosures = Arc::new(Mutex::new(Head::read(&tables.disclosures)?));
        let last = tables.by_order.last()?.and_then(|(key, _)| trailing_number(&key));
        let given = tables.arrivals.get(NEXT)?.and_then(|row| trailing_number(&row));
        let next = last.map_or(0, |number| number + 1).max(given.unwrap_or(0));
        let arrivals = Arc::new(Arrivals::new(next));
        let store = store.clone();
        let vault = Self {
            store,
            tables,
            enclave,
            me,
            home,
            clock,
            disclosures,
            last_tree: Arc::default(),
            exchanging: Arc::default(),
            keeping,
            arrivals,
        };
        vault.finish_exchanges()?;
        Ok(vault)
    }

    /// The node whose vault this is.
    #[must_use]
    pub fn me(&self) -> ValidatorIndex {
        self.me
    }

    /// The country whose identity blocks this vault takes in: where the node stood when it was opened.
    #[must_use]
    pub fn home(&self) -> Jurisdiction {
        self.home
    }

    /// Adds this node's own sealed records to `batch`: blocks, wrapped keys, entries and indexes. They are there, all
    /// of them, when the caller has committed, and `sealing` is held until then.
    ///
    /// # Errors
    /// [`VaultError::NotOurs`] for a record that another node sealed, [`VaultError::Residency`].
    pub fn stage(
        &self,
        batch: &mut Batch,
        records: &[SealedRecord],
        sealing: &Sealing<'_>,
    ) -> Result<(), VaultError> {
        for record in records {
            self.stage_one(batch, record, sealing)?;
            batch.put(&self.tables.unbatched, record.entry.record_id.0, []);
        }
        Ok(())
    }

    /// As [`Vault::stage`] and, for each of `batches`, [`Vault::stage_batch`]: for records that are all put under roots at
    /// once, in their order.
    ///
    /// # Errors
    /// As [`Vault::stage`]; [`VaultError::UnbatchedRecords`] when the batches do not hold just these records.
    pub fn stage_batched(
        &self,
        batch: &mut Batch,
        records: &[SealedRecord],
        batches: &[MerkleBatch],
        sealing: &Sealing<'_>,
    ) -> Result<(), VaultError> {
        let given = records.iter().map(|record| &record.entry.record_id);
        if !batches.iter().flat_map(MerkleBatch::records).eq(given) {
            return Err(VaultError::UnbatchedRecords);
        }
        records.iter().try_for_each(|record| self.stage_one(batch, record, sealing))?;
        batches.iter().try_for_each(|merkle| self.stage_leaves(batch, merkle))
    }

    fn stage_one(
        &self,
        batch: &mut Batch,
        record: &SealedRecord,
        sealing: &Sealing<'_>,
    ) -> Result<(), VaultError> {
        let entry = &record.entry;
        if entry.holder != self.me {
            return Err(VaultError::NotOurs(entry.record_id));
        }
        self.put_block(batch, &record.identity)?;
        self.put_block(batch, &record.deidentified)?;
        self.put_key(batch, entry, &entry.identity_cid, &record.identity_key);
        self.put_key(batch, entry, &entry.deidentified_cid, &record.deidentified_key);
        self.put_entry(batch, entry, sealing)
    }

    /// The entry of a record.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn entry(&self, record: RecordId) -> Result<Option<RecordEntry>, VaultError> {
        self.tables.entries.get(record.0)?.map(|row| RecordEntry::of_row(record, &row)).transpose()
    }

    /// The entry of a record that must be here.
    pub(crate) fn known_entry(&self, record: RecordId) -> Result<RecordEntry, VaultError> {
        match self.entry(record)? {
            Some(entry) => Ok(entry),
            None if self.is_erased(record)? => Err(VaultError::Erased(record)),
            None => Err(VaultError::UnknownRecord(record)),
        }
    }

    /// The entry that names this block.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn entry_of_block(&self, cid: &Cid) -> Result<Option<RecordEntry>, VaultError> {
        let key = block_key(cid);
        let record = match self.tables.keys.get(&key)? {
            Some(row) => Some(keys::split_row(&row)?.0),
            None => self.tables.by_cid.get(&key)?.map(|row| record_id(&row)).transpose()?,
        };
        record.map_or(Ok(None), |record| self.entry(record))
    }

    /// All records of one patient.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn entries_of(&self, subject: SubjectId) -> Result<Vec<RecordEntry>, VaultError> {
        let mut entries = Vec::new();
        for row in self.tables.by_subject.iter_prefix(subject.0) {
            let (key, _) = row?;
            let record = key.last_chunk::<16>().ok_or(VaultError::Malformed("subject index"))?;
            entries.extend(self.entry(RecordId(*record))?);
        }
        Ok(entries)
    }

    /// Records in the order of their arrival, from number `from` on, with their numbers. Erased ones are left out, and those
    /// before which others may still come: who goes on behind the last one misses none.
    pub fn entries(&self, from: u64) -> impl Iterator<Item = Result<(u64, RecordEntry), VaultError>> + '_ {
        let settled = self.arrivals.settled();
        self.entries_below(from, settled)
    }

    /// All records in the order of their arrival, also where others may still come before them.
    pub(crate) fn all_entries(&self) -> impl Iterator<Item = Result<(u64, RecordEntry), VaultError>> + '_ {
        self.entries_below(0, u64::MAX)
    }

    fn entries_below(
        &self,
        from: u64,
        end: u64,
    ) -> impl Iterator<Item = Result<(u64, RecordEntry), VaultError>> + '_ {
        let rows = self.tables.by_order.range(from.to_be_bytes()..end.max(from).to_be_bytes());
        rows.filter_map(|row| self.numbered(row).transpose())
    }

    fn numbered(
        &self,
        row: bxp_storage::Result<bxp_storage::Entry>,
    ) -> Result<Option<(u64, RecordEntry)>, VaultError> {
        let (key, record) = row?;
        let number = trailing_number(&key).ok_or(VaultError::Malformed("order index"))?;
        Ok(self.entry(record_id(&record)?)?.map(|entry| (number, entry)))
    }

    /// A sealed block, for carrying it elsewhere. It is ciphertext; that identity blocks stay in their country is
    /// checked where they leave, by the class.
    ///
    /// # Errors
    /// [`VaultError::Storage`].
    pub fn block(&self, cid: &Cid) -> Result<Option<SealedBlock>, VaultError> {
        let left = self.leaving().into_iter().filter(|country| *country != self.home);
        let identity = std::iter::once(self.home).chain(left).map(BlockClass::Identity);
        for class in std::iter::once(BlockClass::Deidentified).chain(identity) {
            if let Some(bytes) = self.block_table(class).get(block_key(cid))? {
                return Ok(Some(SealedBlock { cid: *cid, class, bytes: bytes.into() }));
            }
        }
        Ok(None)
    }

    /// The table of a class. Identity blocks of other countries have none, see [`Vault::check_residency`], but for those
    /// of a country that this node has left, until they are deleted.
    pub(crate) fn block_table(&self, class: BlockClass) -> Table {
        match class {
            BlockClass::Identity(home) if home != self.home => {
                let left = self.keeping.leaving(home);
                left.map_or_else(|| self.tables.identity.clone(), |left| left.blocks)
            }
            BlockClass::Identity(_) => self.tables.identity.clone(),
            BlockClass::Deidentified => self.tables.deidentified.clone(),
        }
    }

    /// Refuses an identity block of another country (row A12).
    pub(crate) fn check_residency(&self, cid: &Cid, class: BlockClass) -> Result<(), VaultError> {
        match class {
            BlockClass::Identity(home) if home != self.home || self.country() != Some(home) => {
                let there = self.country().filter(|there| *there != home).unwrap_or(self.home);
                Err(VaultError::Residency { cid: *cid, home, there })
            }
            _ => Ok(()),
        }
    }

    pub(crate) fn put_block(&self, batch: &mut Batch, block: &SealedBlock) -> Result<(), VaultError> {
        self.check_residency(&block.cid, block.class)?;
        batch.put(&self.block_table(block.class), block_key(&block.cid), &block.bytes);
        Ok(())
    }

    /// Adds an entry and its indexes. The two blocks lead to it by their keys ([`Vault::put_key`]) or, where they come
    /// without, by [`Vault::put_name`].
    pub(crate) fn put_entry(
        &self,
        batch: &mut Batch,
        entry: &RecordEntry,
        sealing: &Sealing<'_>,
    ) -> Result<(), VaultError> {
        let number = sealing.arrival();
        let id = entry.record_id.0;
        batch.put(&self.tables.entries, id, entry.row()?);
        batch.put(&self.tables.by_subject, pair(&entry.subject.0, &id), number.to_be_bytes());
        batch.put(&self.tables.by_order, number.to_be_bytes(), id);
        Ok(())
    }

    /// Has one of a record's blocks, whose key is not here, lead to the record.
    pub(crate) fn put_name(&self, batch: &mut Batch, entry: &RecordEntry, cid: &Cid) {
        batch.put(&self.tables.by_cid, block_key(cid), entry.record_id.0);
    }
}

/// Reads a record id from a table.
pub(crate) fn record_id(bytes: &[u8]) -> Result<RecordId, VaultError> {
    bytes.try_into().map(RecordId).map_err(|_| VaultError::Malformed("record id"))
}
