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

/// A node that blocks or keys go to, as the directory of nodes describes it.
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
    /// Puts together what another node gets of this node's records: one that keeps them by placement both blocks and
    /// both keys; any other the de-identified blocks alone, without keys, which it has to ask for. The records are all of
    /// one kind, as [`Vault::split_by_placement`] tells them apart. The permit is this node's own, for operations; for a
    /// keeper it names the identity side.
    ///
    /// # Errors
    /// [`VaultError::UnknownRecord`], [`VaultError::Erased`], [`VaultError::NotOurs`], [`VaultError::NotPermitted`],
    /// [`VaultError::NotPlaced`] for records of both kinds,
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
        let mut whole = None;
        let (mut listed, mut blocks, mut keys) = (Vec::with_capacity(size), Vec::new(), Vec::new());
        for (record, proof) in records.iter().zip(self.prove(records)?) {
            let entry = self.known_entry(*record)?;
            if entry.holder != self.me {
                return Err(VaultError::NotOurs(*record));
            }
            let keeper = self.gives_whole(&entry, to);
            if *whole.get_or_insert(keeper) != keeper {
                return Err(VaultError::NotPlaced { cid: entry.identity_cid, node: to.validator });
            }
            for class in sides(&entry, keeper) {
                let cid = entry.cid(class);
                self.authorise(&entry, class, permit)?;
                to.check_residency(cid, class)?;
                blocks.push(self.block(cid)?.ok_or(VaultError::UnknownBlock(*cid))?);
                if keeper {
                    keys.push(self.key_of(entry.subject, cid)?);
                }
            }
            listed.push(ManifestRecord { entry, place: proof.map(Into::into) });
        }
        let keys = if whole == Some(true) { Some(self.wrap_for_replica(&listed, &keys, to)?) } else { None };
        Ok(Replica { manifest: Manifest { records: listed, keys }.encode()?.into(), blocks })
    }

    /// The records of which `to` gets both sides, and those of which it gets the de-identified one alone.
    ///
    /// # Errors
    /// [`VaultError::UnknownRecord`], [`VaultError::Erased`], [`VaultError::Storage`].
    pub fn split_by_placement(
        &self,
        records: &[RecordId],
        to: &Recipient,
    ) -> Result<(Vec<RecordId>, Vec<RecordId>), VaultError> {
        let (mut whole, mut rest) = (Vec::new(), Vec::new());
        for record in records {
            let gives_whole = self.gives_whole(&self.known_entry(*record)?, to);
            if gives_whole { &mut whole } else { &mut rest }.push(*record);
        }
        Ok((whole, rest))
    }

    /// A node that has left the country opens nothing of it, so that keepers ask it for their copies.
    fn gives_whole(&self, entry: &RecordEntry, to: &Recipient) -> bool {
        let at_home = to.jurisdiction == entry.home && self.country() == Some(entry.home);
        at_home && self.directory().keeps(to.validator, entry)
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
fn sides(entry: &RecordEntry, keeper: bool) -> Vec<BlockClass> {
    let identity = keeper.then_some(entry.identity_class());
    identity.into_iter().chain([BlockClass::Deidentified]).collect()
}
