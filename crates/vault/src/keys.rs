//! Data keys: wrapped in the vault's own table, released to other nodes under a permit, accepted from holders.

use crate::{
    Recipient, RecordEntry, Vault, VaultError, envelope,
    error::enclave,
    tables::{block_key, pair},
};
use bxp_enclave::{DataKey, SealingKeypair};
use bxp_privacy::Permit;
use bxp_storage::{Batch, Durability};
use bxp_types::{BlockClass, Bytes, RecordId, SealedBlock, SubjectId};
use cid::Cid;

/// The bytes of a record's id.
const RECORD_LEN: usize = 16;

impl Vault {
    /// Releases the key of one block to the node that the permit was given to. Where that is this node itself, as for a
    /// delivery under a contract, the recipient's sealing key may be a buyer's ([`open_released`]). The disclosure is
    /// on disk before this returns.
    ///
    /// # Errors
    /// [`VaultError::UnknownBlock`], [`VaultError::MissingKey`], [`VaultError::NotPermitted`] also when the recipient
    /// is not the permit's requester, [`VaultError::Residency`] for an identity block's key to another country.
    pub fn release_key(&self, cid: &Cid, to: &Recipient, permit: &Permit) -> Result<Bytes, VaultError> {
        let entry = self.entry_of_block(cid)?.ok_or(VaultError::UnknownBlock(*cid))?;
        let class = entry.class_of(cid).ok_or(VaultError::UnknownBlock(*cid))?;
        if permit.requester() != to.validator {
            return Err(VaultError::NotPermitted);
        }
        self.authorise(&entry, class, permit)?;
        to.check_residency(cid, class)?;
        let key = self.key_of(entry.subject, cid)?;
        let wrapped = self
            .enclave
            .wrap_for(to.sealing_key, &key, &release_info(cid))
            .map_err(enclave("release key"))?;
        self.account(&[(&entry, class)], permit)?;
        Ok(wrapped.into())
    }

    /// Takes in a key that the record's holder released to this node. It is on disk when this returns.
    ///
    /// # Errors
    /// [`VaultError::UnknownBlock`] unless the block is here, [`VaultError::Enclave`] for a key that was not wrapped for
    /// this node and block or does not open it, [`VaultError::WrongContent`], [`VaultError::Storage`].
    pub fn accept_key(&self, cid: &Cid, wrapped: &[u8]) -> Result<(), VaultError> {
        let entry = self.entry_of_block(cid)?.ok_or(VaultError::UnknownBlock(*cid))?;
        let block = self.block(cid)?.ok_or(VaultError::UnknownBlock(*cid))?;
        let key =
            self.enclave.unwrap_from(wrapped, &release_info(cid)).map_err(enclave("take in released key"))?;
        open_checked(&entry, block.class, &key, &block.bytes)?;
        let _sealing = self.sealing();
        if self.entry(entry.record_id)?.is_none() {
            return Err(VaultError::Erased(entry.record_id));
        }
        let mut batch = self.store.batch();
        self.ensure_patients(&[entry.subject])?;
        self.put_key(&mut batch, &entry, cid, &self.wrap_key(entry.subject, cid, &key)?);
        Ok(batch.commit(Durability::Synced)?)
    }

    /// Whether this node can open the block, given a permit.
    ///
    /// # Errors
    /// [`VaultError::Storage`].
    pub fn has_key(&self, cid: &Cid) -> Result<bool, VaultError> {
        Ok(self.tables.keys.contains(block_key(cid))?)
    }

    /// Gives each of the patients that has none a key, all of them on disk when this returns. Sealing does it too, one
    /// patient and one sync at a time.
    ///
    /// # Errors
    /// [`VaultError::Enclave`].
    pub fn ensure_patients(&self, patients: &[SubjectId]) -> Result<(), VaultError> {
        let patients: Vec<_> = patients.iter().map(|patient| patient.0).collect();
        self.enclave.ensure_patients(&patients).map_err(enclave("make patients' keys"))
    }

    pub(crate) fn wrap_key(
        &self,
        patient: SubjectId,
        cid: &Cid,
        key: &DataKey,
    ) -> Result<Vec<u8>, VaultError> {
        self.enclave.wrap_key(&patient.0, key, &cid.to_bytes()).map_err(enclave("wrap data key"))
    }

    /// Adds the wrapped key of one of a record's blocks. By it the block leads to the record.
    pub(crate) fn put_key(&self, batch: &mut Batch, entry: &RecordEntry, cid: &Cid, wrapped: &[u8]) {
        batch.put(&self.tables.keys, block_key(cid), pair(&entry.record_id.0, wrapped));
    }

    pub(crate) fn key_of(&self, patient: SubjectId, cid: &Cid) -> Result<DataKey, VaultError> {
        let row = self.tables.keys.get(block_key(cid))?.ok_or(VaultError::MissingKey(*cid))?;
        let (_, wrapped) = split_row(&row)?;
        self.enclave.unwrap_key(&patient.0, wrapped, &cid.to_bytes()).map_err(enclave("unwrap data key"))
    }
}

/// The record and the wrapped key in a row of the table of keys.
pub(crate) fn split_row(row: &[u8]) -> Result<(RecordId, &[u8]), VaultError> {
    let (record, wrapped) =
        row.split_first_chunk::<RECORD_LEN>().ok_or(VaultError::Malformed("row of a data key"))?;
    Ok((RecordId(*record), wrapped))
}

/// Opens a block for a buyer who is no node: with the key that was released to the buyer's own key pair, and checked
/// against the entry, whose [`RecordEntry::leaf`] the buyer proves to the anchored root. So the buyer knows that what
/// arrived is what the holder anchored.
///
/// # Errors
/// [`VaultError::WrongCid`], [`VaultError::Malformed`], [`VaultError::UnexpectedBlock`] when the entry does not name
/// the block, [`VaultError::Enclave`] for a key that was not wrapped for this key pair and block,
/// [`VaultError::WrongContent`].
pub fn open_released(
    buyer: &SealingKeypair,
    entry: &RecordEntry,
    wrapped: &[u8],
    block: &SealedBlock,
) -> Result<Bytes, VaultError> {
    envelope::check(block)?;
    let class = entry.class_of(&block.cid).filter(|class| *class == block.class);
    let class = class.ok_or(VaultError::UnexpectedBlock(block.cid))?;
    let info = release_info(&block.cid);
    let key = buyer.unwrap_from(wrapped, &info).map_err(enclave("take in released key"))?;
    open_checked(entry, class, &key, &block.bytes)
}

/// Opens a block and checks the content against what the record commits to.
pub(crate) fn open_checked(
    entry: &RecordEntry,
    class: BlockClass,
    key: &DataKey,
    bytes: &[u8],
) -> Result<Bytes, VaultError> {
    let content = envelope::open(key, bytes)?;
    if envelope::digest(key, class, &content) == entry.digest(class) {
        Ok(content)
    } else {
        Err(VaultError::WrongContent(*entry.cid(class)))
    }
}

fn release_info(cid: &Cid) -> Vec<u8> {
    [b"BXP key release v1\0".as_slice(), &cid.to_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_of_a_key_is_pinned() {
        let row = [
            [0xab_u8; RECORD_LEN].as_slice(), // the record
            &[0xcd; 64],                      // the wrapped key
        ]
        .concat();
        assert_eq!(pair(&[0xab; RECORD_LEN], &[0xcd; 64]), row);
        assert_eq!(split_row(&row).unwrap(), (RecordId([0xab; RECORD_LEN]), &[0xcd_u8; 64][..]));
        assert!(split_row(&row[..RECORD_LEN - 1]).is_err());
    }
}
