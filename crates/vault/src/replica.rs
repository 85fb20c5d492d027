//! Replication, the holder's end: what another node gets.

use crate::{
    RecordEntry, Vault, VaultError,
    error::enclave,
    manifest::{MANIFEST_RECORDS_MAX, Manifest, ManifestRecord},
};
use alloy_primitives::B256;
use bxp_enclave::DataKey;
use bxp_privacy::Permit;
use bxp_types::{BlockClass, Bytes, Jurisdiction, RecordId, SealedBlock, ValidatorIndex};
use cid::Cid;

/// A node that blocks or keys go to, as the genesis document describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Who.
    pub validator: ValidatorIndex,
    /// Where the node stands.
    pub jurisdiction: Jurisdiction,
    /// Its X25519 key.
    pub sealing_key: B256,
}

impl Recipient {
    /// Refuses to give the recipient anything of another country's identity data (row A12).
    pub(crate) fn check_residency(&self, cid: &Cid, class: BlockClass) -> Result<(), VaultError> {
        match class {
            BlockClass::Identity(home) if !class.may_be_held_in(self.jurisdiction) => {
                Err(VaultError::Residency { cid: *cid, home, there: self.jurisdiction })
            }
            _ => Ok(()),
        }
    }
}

/// What goes to another node.
#[derive(Clone, Debug)]
pub struct Replica {
    /// The encoded manifest.
    pub manifest: Bytes,
    /// The sealed blocks that the recipient may hold.
    pub blocks: Vec<SealedBlock>,
}

impl Vault {
    /// Puts together what another node gets of this node's records: a node of the records' country both blocks and
    /// both keys; a node elsewhere the de-identified blocks alone, without keys, which it has to ask for. The permit
    /// is this node's own, for operations; for a node of the country it names the identity side.
    ///
    /// # Errors
    /// [`VaultError::UnknownRecord`], [`VaultError::Erased`], [`VaultError::NotOurs`], [`VaultError::NotPermitted`],
    /// [`VaultError::TooLarge`] above [`MANIFEST_RECORDS_MAX`] records, [`VaultError::MissingKey`],
    /// [`VaultError::Storage`].
    pub fn replicate(
        &self,
        records: &[RecordId],
        to: &Recipient,
        permit: &Permit,
    ) -> Result<Replica, VaultError> {
        let size = records.len();
        if size > MANIFEST_RECORDS_MAX {
            return Err(VaultError::TooLarge { what: "manifest", size, max: MANIFEST_RECORDS_MAX });
        }
        let compatriot = to.jurisdiction == self.home;
        let (mut listed, mut blocks, mut keys) = (Vec::with_capacity(size), Vec::new(), Vec::new());
        for (record, proof) in records.iter().zip(self.prove(records)?) {
            let entry = self.known_entry(*record)?;
            if entry.holder != self.me {
                return Err(VaultError::NotOurs(*record));
            }
            for class in sides(&entry, compatriot) {
                let cid = entry.cid(class);
                self.authorise(&entry, class, permit)?;
                to.check_residency(cid, class)?;
                blocks.push(self.block(cid)?.ok_or(VaultError::UnknownBlock(*cid))?);
                if compatriot {
                    keys.push(self.key_of(entry.subject, cid)?);
                }
            }
            listed.push(ManifestRecord { entry, place: proof.map(Into::into) });
        }
        let keys = if compatriot { Some(self.wrap_for_replica(&listed, &keys, to)?) } else { None };
        Ok(Replica { manifest: Manifest { records: listed, keys }.encode()?.into(), blocks })
    }

    fn wrap_for_replica(
        &self,
        records: &[ManifestRecord],
        keys: &[DataKey],
        to: &Recipient,
    ) -> Result<Vec<u8>, VaultError> {
        let info = Manifest::keys_info(records)?;
        self.enclave.wrap_all_for(to.sealing_key, keys, &info).map_err(enclave("wrap keys for a replica"))
    }
}

/// The sides of a record that a node gets, identity first.
pub(crate) fn sides(entry: &RecordEntry, compatriot: bool) -> Vec<BlockClass> {
    let identity = compatriot.then_some(entry.identity_class());
    identity.into_iter().chain([BlockClass::Deidentified]).collect()
}
