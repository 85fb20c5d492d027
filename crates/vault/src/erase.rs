//! Erasure (white paper row F2): keys first, blocks with them, and a tombstone that the holder signs.
//!
//! Without its data key a sealed block is noise, here and wherever a copy of it may lie; without it the commitment on
//! the chain is a random number. The tombstone keeps a record from coming back with a late replica, and tells the
//! nodes that hold copies to erase theirs. How keys die so that no backup brings them back is told in `bury`.

use crate::{Vault, VaultError, bury::Grave, encoding, tables::pair};
use bxp_storage::Batch;
use bxp_types::{RecordId, SubjectId, ValidatorIndex};
use ed25519_zebra::{Signature, VerificationKey};
use serde::{Deserialize, Serialize};

/// The domain that tombstones are signed in.
pub const TOMBSTONE_DOMAIN: &str = "BXP tombstone v1";

const WHAT: &str = "tombstone";

/// A holder's word that a record is erased.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tombstone {
    /// The erased record.
    pub record_id: RecordId,
    /// Who held it.
    pub holder: ValidatorIndex,
    /// When, in milliseconds since the epoch.
    pub time_ms: u64,
    /// Ed25519 over [`TOMBSTONE_DOMAIN`], a zero byte, and `record id || holder (u16 BE) || time (u64 BE)`.
    pub signature: [u8; 64],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TombstoneWire {
    #[serde(with = "serde_bytes")]
    record: [u8; 16],
    holder: u16,
    #[serde(rename = "timeMs")]
    time_ms: u64,
    #[serde(with = "serde_bytes")]
    signature: [u8; 64],
}

impl Tombstone {
    fn message(record: RecordId, holder: ValidatorIndex, time_ms: u64) -> Vec<u8> {
        [record.0.as_slice(), &holder.0.to_be_bytes(), &time_ms.to_be_bytes()].concat()
    }

    /// Whether the holder's `key` signed it.
    #[must_use]
    pub fn verify(&self, key: &VerificationKey) -> bool {
        let message = Self::message(self.record_id, self.holder, self.time_ms);
        let signed = [TOMBSTONE_DOMAIN.as_bytes(), &[0], &message].concat();
        key.verify(&Signature::from_bytes(&self.signature), &signed).is_ok()
    }

    /// Canonical DAG-CBOR.
    ///
    /// # Errors
    /// Never in practice: every tombstone has an encoding.
    pub fn encode(&self) -> Result<Vec<u8>, VaultError> {
        let wire = TombstoneWire {
            record: self.record_id.0,
            holder: self.holder.0,
            time_ms: self.time_ms,
            signature: self.signature,
        };
        encoding::encode(WHAT, &wire)
    }

    /// Reads [`Tombstone::encode`] back; the signature is not checked.
    ///
    /// # Errors
    /// [`VaultError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, VaultError> {
        let wire: TombstoneWire = encoding::decode(WHAT, bytes)?;
        Ok(Self {
            record_id: RecordId(wire.record),
            holder: ValidatorIndex(wire.holder),
            time_ms: wire.time_ms,
            signature: wire.signature,
        })
    }
}

impl Vault {
    /// Erases one of this node's records: its keys, blocks, entry and indexes are gone and the tombstone is on disk
    /// when this returns. The accounting of its disclosures stays, as 45 CFR 164.528 asks. Erasing twice gives the
    /// first tombstone.
    ///
    /// # Errors
    /// [`VaultError::UnknownRecord`], [`VaultError::NotOurs`], [`VaultError::Enclave`], [`VaultError::Storage`].
    pub fn erase(&self, record: RecordId) -> Result<Tombstone, VaultError> {
        self.erase_with(record, self.store.batch())
    }

    /// As [`Vault::erase`]; what `beside` has is written in the same step, unless the record was erased before. Then only what
    /// that could not finish is done.
    ///
    /// # Errors
    /// As [`Vault::erase`]; then nothing is erased.
    pub fn erase_with(&self, record: RecordId, beside: Batch) -> Result<Tombstone, VaultError> {
        if let Some(tombstone) = self.tombstone(record, self.me)? {
            self.finish_unfinished()?;
            return Ok(tombstone);
        }
        let entry = self.known_entry(record)?;
        if entry.holder != self.me {
            return Err(VaultError::NotOurs(record));
        }
        let tombstone = self.sign_tombstone(record);
        self.bury(&[Grave { entry: Some(entry), tombstone: tombstone.clone() }], beside)?;
        Ok(tombstone)
    }

    /// Erases all of a patient's records that this node holds, and the patient's key with them. Gives the tombstones of
    /// the records that were still here.
    ///
    /// # Errors
    /// [`VaultError::NotOurs`] when a record under this pseudonym is another node's, [`VaultError::Enclave`],
    /// [`VaultError::Storage`].
    pub fn erase_patient(&self, subject: SubjectId) -> Result<Vec<Tombstone>, VaultError> {
        self.erase_patient_with(subject, self.store.batch())
    }

    /// As [`Vault::erase_patient`]; what `beside` has is written in the same step.
    ///
    /// # Errors
    /// As [`Vault::erase_patient`]; then nothing is erased.
    pub fn erase_patient_with(
        &self,
        subject: SubjectId,
        beside: Batch,
    ) -> Result<Vec<Tombstone>, VaultError> {
        let entries = self.entries_of(subject)?;
        if let Some(entry) = entries.iter().find(|entry| entry.holder != self.me) {
            return Err(VaultError::NotOurs(entry.record_id));
        }
        let graves: Vec<Grave> = entries
            .into_iter()
            .map(|entry| Grave { tombstone: self.sign_tombstone(entry.record_id), entry: Some(entry) })
            .collect();
        let tombstones = graves.iter().map(|grave| grave.tombstone.clone()).collect();
        self.bury(&graves, beside)?;
        // Of whom there was no record, there may have been a key.
        self.forget_patient_without_records(subject)?;
        Ok(tombstones)
    }

    fn sign_tombstone(&self, record_id: RecordId) -> Tombstone {
        let time_ms = self.clock.now_ms();
        let message = Tombstone::message(record_id, self.me, time_ms);
        let signature = self.enclave.sign_message(TOMBSTONE_DOMAIN, &message);
        Tombstone { record_id, holder: self.me, time_ms, signature }
    }

    /// Erases this node's copies of records whose holder erased them; `key` is the holder's, from genesis. Records that
    /// are not here are noted all the same, so that they do not arrive later. All of them, or an error and none.
    ///
    /// # Errors
    /// [`VaultError::InvalidTombstone`], [`VaultError::NotTheHolder`], [`VaultError::Enclave`],
    /// [`VaultError::Storage`].
    pub fn accept_tombstones(
        &self,
        tombstones: &[Tombstone],
        key: &VerificationKey,
    ) -> Result<(), VaultError> {
        let mut graves = Vec::new();
        for tombstone in tombstones {
            let record = tombstone.record_id;
            if !tombstone.verify(key) {
                return Err(VaultError::InvalidTombstone(record));
            }
            let entry = self.entry(record)?;
            if entry.as_ref().is_some_and(|entry| entry.holder != tombstone.holder) {
                return Err(VaultError::NotTheHolder { record, from: tombstone.holder });
            }
            if !self.is_erased_by(record, tombstone.holder)? {
                graves.push(Grave { entry, tombstone: tombstone.clone() });
            }
        }
        if graves.is_empty() { self.finish_unfinished() } else { self.bury(&graves, self.store.batch()) }
    }

    /// The tombstone that `holder` left for a record.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn tombstone(
        &self,
        record: RecordId,
        holder: ValidatorIndex,
    ) -> Result<Option<Tombstone>, VaultError> {
        let bytes = self.tables.tombstones.get(tombstone_key(record, holder))?;
        bytes.map(|bytes| Tombstone::decode(&bytes)).transpose()
    }

    pub(crate) fn is_erased_by(&self, record: RecordId, holder: ValidatorIndex) -> Result<bool, VaultError> {
        Ok(self.tables.tombstones.contains(tombstone_key(record, holder))?)
    }

    /// Whether any holder left a tombstone for this record.
    pub(crate) fn is_erased(&self, record: RecordId) -> Result<bool, VaultError> {
        Ok(self.tables.tombstones.iter_prefix(record.0).next().transpose()?.is_some())
    }
}

pub(crate) fn tombstone_key(record: RecordId, holder: ValidatorIndex) -> Vec<u8> {
    pair(&record.0, &holder.0.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_zebra::SigningKey;
    use proptest::prelude::*;

    fn signed(key: &SigningKey) -> Tombstone {
        let (record_id, holder, time_ms) = (RecordId([1; 16]), ValidatorIndex(2), 1_800_000_000_000);
        let message = Tombstone::message(record_id, holder, time_ms);
        let signature = key.sign(&[TOMBSTONE_DOMAIN.as_bytes(), &[0], &message].concat()).to_bytes();
        Tombstone { record_id, holder, time_ms, signature }
    }

    #[test]
    fn the_encoding_is_pinned() {
        let tombstone = signed(&SigningKey::from([3; 32]));
        let bytes = tombstone.encode().unwrap();
        assert_eq!(
            hex::encode(&bytes),
            "a466686f6c64657202667265636f726450010101010101010101010101010101016674696d654d731b000001a3185c5000697369676e61747572655840816a67b25fecd3faec5588e6680976acd20736e1be25af577cbb65b387154d0b4aa89608312b15c2b2a75883524aa716ecec56b04417ba1745ebae84c9acbb0f"
        );
        assert_eq!(Tombstone::decode(&bytes).unwrap(), tombstone);
    }

    #[test]
    fn every_part_is_signed() {
        let key = SigningKey::from([3; 32]);
        let public = VerificationKey::from(&key);
        let tombstone = signed(&key);
        assert!(tombstone.verify(&public));
        assert!(!tombstone.verify(&VerificationKey::from(&SigningKey::from([4; 32]))));
        assert!(!Tombstone { record_id: RecordId([9; 16]), ..tombstone.clone() }.verify(&public));
        assert!(!Tombstone { holder: ValidatorIndex(9), ..tombstone.clone() }.verify(&public));
        assert!(!Tombstone { time_ms: 9, ..tombstone }.verify(&public));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Tombstone::decode(&bytes).is_err());
        }
    }
}
