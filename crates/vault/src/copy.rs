//! Copies: a node that placement makes a keeper of a record gets its block and keys from a node that has them.

use crate::{Recipient, RecordEntry, Vault, VaultError, envelope, error::enclave, keys::open_checked};
use bxp_privacy::Permit;
use bxp_storage::Durability;
use bxp_types::{BlockClass, Bytes, RecordId, SealedBlock};

/// A record's identity side as another keeper gave it.
#[derive(Clone, Debug)]
pub struct Copy {
    /// The record.
    pub record: RecordId,
    /// Its sealed identity block.
    pub block: SealedBlock,
    /// The keys of both sides, identity first, wrapped for this node.
    pub keys: Bytes,
}

impl Vault {
    /// Wraps the keys of both sides of a record for the node that the permit was given to, which placement has keep it.
    /// The copy is kept for the record's holder, so that no disclosure is written (45 CFR 164.528(a)(1)(i)).
    ///
    /// # Errors
    /// [`VaultError::UnknownRecord`], [`VaultError::MissingKey`], [`VaultError::NotPlaced`],
    /// [`VaultError::NotPermitted`] also when the recipient is not the permit's requester, [`VaultError::Residency`].
    pub fn release_copy(
        &self,
        record: RecordId,
        to: &Recipient,
        permit: &Permit,
    ) -> Result<Bytes, VaultError> {
        let entry = self.known_entry(record)?;
        let class = entry.identity_class();
        to.check_residency(&entry.identity_cid, class)?;
        if !self.directory().keeps(to.validator, &entry) {
            return Err(VaultError::NotPlaced { cid: entry.identity_cid, node: to.validator });
        }
        let covered = permit.opens(record, entry.subject, class, self.clock.now_ms());
        if permit.requester() != to.validator || !covered {
            return Err(VaultError::NotPermitted);
        }
        let keys = [
            self.key_of(entry.subject, &entry.identity_cid)?,
            self.key_of(entry.subject, &entry.deidentified_cid)?,
        ];
        let wrapped = self
            .enclave
            .wrap_all_for(to.sealing_key, &keys, &copy_info(&entry))
            .map_err(enclave("wrap keys for a copy"))?;
        Ok(wrapped.into())
    }

    /// Takes in copies of records that this node keeps: all of them, on disk when this returns, or an error and none.
    /// Records that were erased meanwhile are left out. Gives how many were taken.
    ///
    /// # Errors
    /// [`VaultError::UnknownRecord`], [`VaultError::NotPlaced`], [`VaultError::UnexpectedBlock`],
    /// [`VaultError::WrongCid`], [`VaultError::Malformed`], [`VaultError::Enclave`] for keys that were not wrapped for
    /// this node and record or do not open the block, [`VaultError::WrongContent`], [`VaultError::Storage`].
    pub fn accept_copies(&self, copies: &[Copy]) -> Result<usize, VaultError> {
        let _sealing = self.sealing();
        let mut batch = self.store.batch();
        let mut taken = 0;
        for copy in copies {
            let entry = match self.known_entry(copy.record) {
                Err(VaultError::Erased(_)) => continue,
                entry => entry?,
            };
            let (cid, class) = (entry.identity_cid, entry.identity_class());
            if !self.keeps(&entry) {
                return Err(VaultError::NotPlaced { cid, node: self.me });
            }
            if (copy.block.cid, copy.block.class) != (cid, class) {
                return Err(VaultError::UnexpectedBlock(copy.block.cid));
            }
            envelope::check(&copy.block)?;
            let keys = self
                .enclave
                .unwrap_all_from(&copy.keys, &copy_info(&entry))
                .map_err(enclave("take in the keys of a copy"))?;
            let [identity, rest] = keys.as_slice() else {
                return Err(VaultError::Malformed("keys of a copy"));
            };
            open_checked(&entry, class, identity, &copy.block.bytes)?;
            self.ensure_patients(&[entry.subject])?;
            self.put_block(&mut batch, &copy.block)?;
            self.put_key(&mut batch, &entry, &cid, &self.wrap_key(entry.subject, &cid, identity)?);
            // The rest's key is checked by its block, which every node has; where that is lost, the key is asked for again
            // once scrubbing has brought it back.
            let rest_cid = entry.deidentified_cid;
            if let Some(block) = self.block(&rest_cid)? {
                open_checked(&entry, BlockClass::Deidentified, rest, &block.bytes)?;
                let wrapped = self.wrap_key(entry.subject, &rest_cid, rest)?;
                self.put_key(&mut batch, &entry, &rest_cid, &wrapped);
            }
            taken += 1;
        }
        batch.commit(Durability::Synced)?;
        Ok(taken)
    }
}

/// What the keys' HPKE message is bound to.
fn copy_info(entry: &RecordEntry) -> Vec<u8> {
    [b"BXP copied keys v1\0".as_slice(), &entry.record_id.0, &entry.identity_cid.to_bytes()].concat()
}
