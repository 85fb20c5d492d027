//! Replication, the receiving end: everything a peer sends is checked before any of it is staged.

use crate::{
    RecordEntry, Sealing, Vault, VaultError, envelope,
    error::enclave,
    keys::open_checked,
    manifest::{Manifest, ManifestRecord, Place},
    tables::pair,
};
use bxp_enclave::DataKey;
use bxp_storage::{Batch, Durability};
use bxp_types::{BlockClass, SealedBlock, ValidatorIndex};
use cid::Cid;
use std::collections::{BTreeMap, BTreeSet};

/// What was staged of a replica.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// Records that were not here before.
    pub records: usize,
    /// Blocks.
    pub blocks: usize,
    /// Keys.
    pub keys: usize,
    /// Records that were left out because their holder has erased them.
    pub erased: usize,
}

/// A record that passed every check.
struct Checked<'a> {
    entry: &'a RecordEntry,
    place: Option<&'a Place>,
    blocks: Vec<&'a SealedBlock>,
    /// CIDs and keys, wrapped for this node's table.
    keys: Vec<(Cid, Vec<u8>)>,
}

impl Vault {
    /// Checks what node `from` sent and adds it to `batch`: all of it, or an error and nothing. Sent again, it changes
    /// nothing. Records whose holder has erased them are left out. `sealing` is held until the batch is committed.
    ///
    /// # Errors
    /// [`VaultError::Malformed`], [`VaultError::TooLarge`], [`VaultError::NotTheHolder`], [`VaultError::Conflict`],
    /// [`VaultError::Residency`], [`VaultError::NotPlaced`], [`VaultError::WrongCid`], [`VaultError::MissingBlock`],
    /// [`VaultError::UnexpectedBlock`], [`VaultError::InvalidProof`], [`VaultError::WrongContent`],
    /// [`VaultError::Enclave`] for keys that were not wrapped for this node, [`VaultError::Storage`].
    pub fn stage_replica(
        &self,
        batch: &mut Batch,
        from: ValidatorIndex,
        manifest: &[u8],
        blocks: &[SealedBlock],
        sealing: &Sealing<'_>,
    ) -> Result<Accepted, VaultError> {
        let manifest = Manifest::decode(manifest)?;
        let mut sent: BTreeMap<Cid, &SealedBlock> = BTreeMap::new();
        for block in blocks {
            self.check_residency(&block.cid, block.class)?;
            envelope::check(block)?;
            if sent.insert(block.cid, block).is_some() {
                return Err(VaultError::UnexpectedBlock(block.cid));
            }
        }
        let keys = self.unwrap_replica_keys(&manifest)?;
        let mut accepted = Accepted::default();
        let mut checked = Vec::with_capacity(manifest.records.len());
        let mut seen = BTreeSet::new();
        for (number, record) in manifest.records.iter().enumerate() {
            if !seen.insert(record.entry.record_id) {
                return Err(VaultError::Conflict(record.entry.record_id));
            }
            let keys = keys.as_ref().map(|keys| &keys[number]);
            let record = self.check_record(from, record, keys, &mut sent)?;
            if self.is_erased_by(record.entry.record_id, from)? {
                accepted.erased += 1;
            } else {
                checked.push(record);
            }
        }
        if let Some(cid) = sent.keys().next() {
            return Err(VaultError::UnexpectedBlock(*cid));
        }
        for record in &checked {
            self.stage_checked(batch, record, &mut accepted, sealing)?;
        }
        Ok(accepted)
    }

    /// Takes in one block of a record that is known here, such as one that was fetched by its CID. It is on disk when
    /// this returns.
    ///
    /// # Errors
    /// [`VaultError::Residency`], [`VaultError::NotPlaced`], [`VaultError::WrongCid`], [`VaultError::Malformed`],
    /// [`VaultError::UnexpectedBlock`] when no record here names it, [`VaultError::Storage`].
    pub fn accept_block(&self, block: &SealedBlock) -> Result<(), VaultError> {
        self.check_residency(&block.cid, block.class)?;
        envelope::check(block)?;
        let entry = self.entry_of_block(&block.cid)?;
        let entry = entry.filter(|entry| entry.class_of(&block.cid) == Some(block.class));
        let entry = entry.ok_or(VaultError::UnexpectedBlock(block.cid))?;
        if block.class != BlockClass::Deidentified && !self.keeps(&entry) {
            return Err(VaultError::NotPlaced { cid: block.cid, node: self.me });
        }
        let mut batch = self.store.batch();
        self.put_block(&mut batch, block)?;
        Ok(batch.commit(Durability::Synced)?)
    }

    /// The two keys of each record; a holder sends keys for all records of its manifest or for none.
    fn unwrap_replica_keys(&self, manifest: &Manifest) -> Result<Option<Vec<[DataKey; 2]>>, VaultError> {
        let Some(wrapped) = &manifest.keys else {
            return Ok(None);
        };
        let info = Manifest::keys_info(&manifest.records)?;
        let keys =
            self.enclave.unwrap_all_from(wrapped, &info).map_err(enclave("take in replicated keys"))?;
        let (pairs, []) = keys.as_chunks::<2>() else {
            return Err(VaultError::Malformed("replicated keys"));
        };
        if pairs.len() == manifest.records.len() {
            Ok(Some(pairs.to_vec()))
        } else {
            Err(VaultError::Malformed("replicated keys"))
        }
    }

    /// Checks one record of a manifest and takes its blocks out of `sent`.
    fn check_record<'a>(
        &self,
        from: ValidatorIndex,
        record: &'a ManifestRecord,
        keys: Option<&[DataKey; 2]>,
        sent: &mut BTreeMap<Cid, &'a SealedBlock>,
    ) -> Result<Checked<'a>, VaultError> {
        let entry = &record.entry;
        if entry.holder != from || from == self.me {
            return Err(VaultError::NotTheHolder { record: entry.record_id, from });
        }
        self.check_known(entry)?;
        if let Some(place) = &record.place
            && !place.proof.verify(place.root, place.count, entry.leaf())
        {
            return Err(VaultError::InvalidProof(entry.record_id));
        }
        let classes = self.sides_here(entry, keys.is_some(), sent.contains_key(&entry.identity_cid))?;
        if keys.is_some() {
            self.ensure_patients(&[entry.subject])?;
        }
        let mut checked =
            Checked { entry, place: record.place.as_ref(), blocks: Vec::new(), keys: Vec::new() };
        for (side, class) in classes.into_iter().enumerate() {
            let cid = entry.cid(class);
            let block = sent.remove(cid).filter(|block| block.class == class);
            let block = block.ok_or(VaultError::MissingBlock(*cid))?;
            if let Some(keys) = keys {
                open_checked(entry, class, &keys[side], &block.bytes)?;
                checked.keys.push((*cid, self.wrap_key(entry.subject, cid, &keys[side])?));
            }
            checked.blocks.push(block);
        }
        Ok(checked)
    }

    /// The sides of a record that have to come, identity first: both where keys came, which only who keeps the record
    /// gets; else the rest, and the identity side if it came to who keeps it. A keeper that gets the rest alone, because the
    /// sender goes by another directory, fetches what it lacks ([`Vault::misplaced`]).
    fn sides_here(
        &self,
        entry: &RecordEntry,
        with_keys: bool,
        with_identity: bool,
    ) -> Result<Vec<BlockClass>, VaultError> {
        if with_keys && entry.home != self.home {
            return Err(VaultError::Malformed("replicated keys"));
        }
        if !(with_keys || with_identity) {
            return Ok(vec![BlockClass::Deidentified]);
        }
        if self.keeps(entry) {
            Ok(vec![entry.identity_class(), BlockClass::Deidentified])
        } else {
            Err(VaultError::NotPlaced { cid: entry.identity_cid, node: self.me })
        }
    }

    /// Refuses an entry that contradicts what is here: another one with its id, or another one's block.
    fn check_known(&self, entry: &RecordEntry) -> Result<(), VaultError> {
        let same_id = self.entry(entry.record_id)?;
        let same_identity = self.entry_of_block(&entry.identity_cid)?;
        let same_deidentified = self.entry_of_block(&entry.deidentified_cid)?;
        let conflict =
            [same_id, same_identity, same_deidentified].into_iter().flatten().any(|known| known != *entry);
        if conflict { Err(VaultError::Conflict(entry.record_id)) } else { Ok(()) }
    }

    fn stage_checked(
        &self,
        batch: &mut Batch,
        record: &Checked<'_>,
        accepted: &mut Accepted,
        sealing: &Sealing<'_>,
    ) -> Result<(), VaultError> {
        let entry = record.entry;
        if !self.tables.entries.contains(entry.record_id.0)? {
            self.put_entry(batch, entry, sealing)?;
            for cid in [&entry.identity_cid, &entry.deidentified_cid] {
                if !record.keys.iter().any(|(named, _)| named == cid) {
                    self.put_name(batch, entry, cid);
                }
            }
            accepted.records += 1;
        }
        for block in &record.blocks {
            self.put_block(batch, block)?;
            accepted.blocks += 1;
        }
        for (cid, wrapped) in &record.keys {
            self.put_key(batch, entry, cid, wrapped);
            accepted.keys += 1;
        }
        if let Some(place) = record.place {
            let key = pair(place.root.as_slice(), &place.proof.index.to_be_bytes());
            batch.put(&self.tables.placements, entry.record_id.0, key);
            self.put_batch(batch, place.root, entry.home, place.count, false)?;
        }
        Ok(())
    }

    /// Whether the block is one that this node should keep but does not: of a known record, and placed on it.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn wants_block(&self, cid: &Cid) -> Result<bool, VaultError> {
        let Some(entry) = self.entry_of_block(cid)? else { return Ok(false) };
        let keeps = *cid == entry.deidentified_cid || self.keeps(&entry);
        Ok(keeps && self.block(cid)?.is_none())
    }
}
