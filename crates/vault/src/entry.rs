//! What the vault knows of a record: pseudonyms, two CIDs, two keyed digests. Nothing of its content.

use crate::{VaultError, encoding};
use alloy_primitives::{Address, B256, keccak256};
use bxp_types::{
    BlockClass, Jurisdiction, RecordId, SubjectId, ValidatorIndex,
    fields::{take, take_slice},
};
use cid::Cid;
use serde::{Deserialize, Serialize};

/// The version of the entry's encoding.
pub const ENTRY_VERSION: u8 = 1;

/// The version of the entry's row.
const ROW_VERSION: u8 = 1;

const WHAT: &str = "record entry";
const ROW: &str = "row of a record entry";
const COMMITMENT_DOMAIN: &[u8] = b"BXP record commitment v1";

/// One version of one FHIR resource. Entries never change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordEntry {
    /// Random id of the record.
    pub record_id: RecordId,
    /// The patient's random pseudonym at the holder.
    pub subject: SubjectId,
    /// The patient's account, which is paid when the record is used (row D3).
    pub patient: Address,
    /// The country of residence, whose law the identity side lives under.
    pub home: Jurisdiction,
    /// The node that took the record in and speaks for it.
    pub holder: ValidatorIndex,
    /// The sealed identity side.
    pub identity_cid: Cid,
    /// The sealed de-identified side.
    pub deidentified_cid: Cid,
    /// Digest of the identity side under the identity block's key ([`bxp_enclave::DataKey::digest`]).
    pub identity_digest: B256,
    /// Digest of the de-identified side under the de-identified block's key: who gets that key can check that the
    /// content is the one that was anchored.
    pub deidentified_digest: B256,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EntryWire {
    v: u8,
    #[serde(with = "serde_bytes")]
    record: [u8; 16],
    #[serde(with = "serde_bytes")]
    subject: [u8; 16],
    #[serde(with = "serde_bytes")]
    patient: [u8; 20],
    home: Jurisdiction,
    holder: u16,
    identity: Cid,
    deidentified: Cid,
    #[serde(rename = "identityDigest", with = "serde_bytes")]
    identity_digest: [u8; 32],
    #[serde(rename = "deidentifiedDigest", with = "serde_bytes")]
    deidentified_digest: [u8; 32],
}

impl RecordEntry {
    /// The salted commitment that stands in the Merkle leaf:
    /// `keccak256(domain || record id || subject || home || holder (u16 BE) || identity CID || de-identified CID || identity
    /// digest || de-identified digest)`: the whole entry but the patient's account, which the leaf adds.
    ///
    /// The salt is in the digests, which are keyed with the two data keys. To who sees the chain alone it is a random
    /// number; once the keys are destroyed, it can never again be tied to content.
    #[must_use]
    pub fn commitment(&self) -> B256 {
        let parts: [&[u8]; 9] = [
            COMMITMENT_DOMAIN,
            &self.record_id.0,
            &self.subject.0,
            self.home.as_str().as_bytes(),
            &self.holder.0.to_be_bytes(),
            &self.identity_cid.to_bytes(),
            &self.deidentified_cid.to_bytes(),
            self.identity_digest.as_slice(),
            self.deidentified_digest.as_slice(),
        ];
        keccak256(parts.concat())
    }

    /// The record's Merkle leaf, which ties the commitment to the patient who is paid; the rule is
    /// `contracts/src/MerkleProof.sol`'s `recordLeaf`.
    #[must_use]
    pub fn leaf(&self) -> B256 {
        bxp_contracts::merkle::record_leaf(self.patient, self.commitment())
    }

    /// The block of this class.
    #[must_use]
    pub const fn cid(&self, class: BlockClass) -> &Cid {
        match class {
            BlockClass::Identity(_) => &self.identity_cid,
            BlockClass::Deidentified => &self.deidentified_cid,
        }
    }

    /// The class of this record's identity side.
    #[must_use]
    pub const fn identity_class(&self) -> BlockClass {
        BlockClass::Identity(self.home)
    }

    pub(crate) const fn digest(&self, class: BlockClass) -> B256 {
        match class {
            BlockClass::Identity(_) => self.identity_digest,
            BlockClass::Deidentified => self.deidentified_digest,
        }
    }

    /// The class of the block `cid`, if it is one of this record's.
    pub(crate) fn class_of(&self, cid: &Cid) -> Option<BlockClass> {
        if *cid == self.identity_cid {
            Some(self.identity_class())
        } else {
            (*cid == self.deidentified_cid).then_some(BlockClass::Deidentified)
        }
    }

    /// Canonical DAG-CBOR.
    ///
    /// # Errors
    /// Never in practice: every entry has an encoding.
    pub fn encode(&self) -> Result<Vec<u8>, VaultError> {
        encoding::encode(WHAT, &EntryWire::from(self))
    }

    /// Reads [`RecordEntry::encode`] back.
    ///
    /// # Errors
    /// [`VaultError::Malformed`] for anything but the canonical encoding of an entry.
    pub fn decode(bytes: &[u8]) -> Result<Self, VaultError> {
        encoding::decode::<EntryWire>(WHAT, bytes)?.try_into()
    }

    /// The entry as it stands in its table, under the record's id: `version || subject (16) || patient (20) ||
    /// home (2) || holder (u16 BE) || identity digest (32) || de-identified digest (32) || identity CID ||
    /// de-identified CID`, each CID after its length (u8). Shorter than [`RecordEntry::encode`], which names its fields.
    pub(crate) fn row(&self) -> Result<Vec<u8>, VaultError> {
        let (identity, deidentified) = (self.identity_cid.to_bytes(), self.deidentified_cid.to_bytes());
        let length = |cid: &[u8]| u8::try_from(cid.len()).map_err(|_| VaultError::Malformed(ROW));
        let parts: [&[u8]; 11] = [
            &[ROW_VERSION],
            &self.subject.0,
            self.patient.as_slice(),
            self.home.as_str().as_bytes(),
            &self.holder.0.to_be_bytes(),
            self.identity_digest.as_slice(),
            self.deidentified_digest.as_slice(),
            &[length(&identity)?],
            &identity,
            &[length(&deidentified)?],
            &deidentified,
        ];
        Ok(parts.concat())
    }

    /// Reads [`RecordEntry::row`] back; anything else is refused.
    pub(crate) fn of_row(record_id: RecordId, row: &[u8]) -> Result<Self, VaultError> {
        read_row(record_id, row).ok_or(VaultError::Malformed(ROW))
    }
}

fn read_row(record_id: RecordId, row: &[u8]) -> Option<RecordEntry> {
    let mut rest = row.strip_prefix(&[ROW_VERSION])?;
    let entry = RecordEntry {
        record_id,
        subject: SubjectId(take(&mut rest)?),
        patient: take::<20>(&mut rest)?.into(),
        home: Jurisdiction::from_letters(take(&mut rest)?)?,
        holder: ValidatorIndex(u16::from_be_bytes(take(&mut rest)?)),
        identity_digest: take::<32>(&mut rest)?.into(),
        deidentified_digest: take::<32>(&mut rest)?.into(),
        identity_cid: take_cid(&mut rest)?,
        deidentified_cid: take_cid(&mut rest)?,
    };
    rest.is_empty().then_some(entry)
}

fn take_cid(rest: &mut &[u8]) -> Option<Cid> {
    let [length] = take::<1>(rest)?;
    let bytes = take_slice(rest, usize::from(length))?;
    Cid::try_from(bytes).ok().filter(|cid| cid.to_bytes() == bytes)
}

impl From<&RecordEntry> for EntryWire {
    fn from(entry: &RecordEntry) -> Self {
        Self {
            v: ENTRY_VERSION,
            record: entry.record_id.0,
            subject: entry.subject.0,
            patient: entry.patient.0.0,
            home: entry.home,
            holder: entry.holder.0,
            identity: entry.identity_cid,
            deidentified: entry.deidentified_cid,
            identity_digest: entry.identity_digest.0,
            deidentified_digest: entry.deidentified_digest.0,
        }
    }
}

impl TryFrom<EntryWire> for RecordEntry {
    type Error = VaultError;

    fn try_from(wire: EntryWire) -> Result<Self, VaultError> {
        if wire.v != ENTRY_VERSION {
            return Err(VaultError::Malformed(WHAT));
        }
        Ok(Self {
            record_id: RecordId(wire.record),
            subject: SubjectId(wire.subject),
            patient: wire.patient.into(),
            home: wire.home,
            holder: ValidatorIndex(wire.holder),
            identity_cid: wire.identity,
            deidentified_cid: wire.deidentified,
            identity_digest: wire.identity_digest.into(),
            deidentified_digest: wire.deidentified_digest.into(),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::envelope::cid_of;
    use proptest::prelude::*;

    /// An entry whose parts all differ.
    pub(crate) fn sample() -> RecordEntry {
        RecordEntry {
            record_id: RecordId([1; 16]),
            subject: SubjectId([2; 16]),
            patient: Address::repeat_byte(3),
            home: Jurisdiction::DE,
            holder: ValidatorIndex(4),
            identity_cid: cid_of(b"identity").unwrap(),
            deidentified_cid: cid_of(b"deidentified").unwrap(),
            identity_digest: B256::repeat_byte(5),
            deidentified_digest: B256::repeat_byte(6),
        }
    }

    #[test]
    fn the_encoding_is_pinned() {
        let bytes = sample().encode().unwrap();
        assert_eq!(
            hex::encode(&bytes),
            "aa61760164686f6d6562444566686f6c64657204667265636f726450010101010101010101010101010101016770617469656e74540303030303030303030303030303030303030303677375626a6563745002020202020202020202020202020202686964656e74697479d82a58250001711220689f6a627384c7dcb2dcc1487e540223e77bdf9dcd0d8be8a326eda65b0ce9a46c64656964656e746966696564d82a582500017112201b797bec259178329c0a26bcaef0c9e7ab6914393e74d93482af88745ad9b00f6e6964656e74697479446967657374582005050505050505050505050505050505050505050505050505050505050505057264656964656e74696669656444696765737458200606060606060606060606060606060606060606060606060606060606060606"
        );
        assert_eq!(RecordEntry::decode(&bytes).unwrap(), sample());
        assert_eq!(
            hex::encode(sample().commitment()),
            "fc61198ac44673181c3b5b2df4dfbe1616abdb0aa18c77fe48a3fe5cd3c6e7a3"
        );
        assert_eq!(
            hex::encode(sample().leaf()),
            "82a28016f2fa2c160051e15e5ed2bc70def87b6be5469eedc15bd7d24af9797d"
        );
    }

    #[test]
    fn the_row_is_pinned() {
        let expected = [
            "01",                                                               // the version
            "02020202020202020202020202020202",                                 // the subject
            "0303030303030303030303030303030303030303",                         // the patient
            "4445",                                                             // DE
            "0004",                                                             // the holder
            "0505050505050505050505050505050505050505050505050505050505050505", // the identity digest
            "0606060606060606060606060606060606060606060606060606060606060606", // the de-identified digest
            "24", // the identity CID has 36 bytes
            "01711220689f6a627384c7dcb2dcc1487e540223e77bdf9dcd0d8be8a326eda65b0ce9a4",
            "24", // and so has the de-identified one
            "017112201b797bec259178329c0a26bcaef0c9e7ab6914393e74d93482af88745ad9b00f",
        ];
        let row = sample().row().unwrap();
        assert_eq!(hex::encode(&row), expected.concat());
        assert_eq!(RecordEntry::of_row(RecordId([1; 16]), &row).unwrap(), sample());
    }

    #[test]
    fn a_row_that_no_entry_has_is_refused() {
        let row = sample().row().unwrap();
        let read = |row: &[u8]| RecordEntry::of_row(RecordId([1; 16]), row);
        for end in 0..row.len() {
            assert!(read(&row[..end]).is_err());
        }
        assert!(read(&[row.as_slice(), &[0]].concat()).is_err(), "bytes after the end");
        for (at, byte, what) in [(0, 2, "another version"), (37, b'd', "a country in lower case")] {
            let mut changed = row.clone();
            changed[at] = byte;
            assert!(read(&changed).is_err(), "{what}");
        }
    }

    #[test]
    fn every_part_is_committed_to() {
        let base = sample();
        let changes: [fn(&mut RecordEntry); 8] = [
            |entry| entry.subject = SubjectId([9; 16]),
            |entry| entry.record_id = RecordId([9; 16]),
            |entry| entry.home = Jurisdiction::US,
            |entry| entry.holder = ValidatorIndex(9),
            |entry| entry.identity_cid = entry.deidentified_cid,
            |entry| entry.deidentified_cid = entry.identity_cid,
            |entry| entry.identity_digest = B256::ZERO,
            |entry| entry.deidentified_digest = B256::ZERO,
        ];
        for change in changes {
            let mut changed = base.clone();
            change(&mut changed);
            assert_ne!(changed.commitment(), base.commitment());
        }
        let mut another_patient = base.clone();
        another_patient.patient = Address::ZERO;
        assert_eq!(another_patient.commitment(), base.commitment());
        assert_ne!(another_patient.leaf(), base.leaf(), "the leaf ties the patient to it");
    }

    proptest! {
        #[test]
        fn arbitrary_and_damaged_bytes_never_panic(
            noise in proptest::collection::vec(any::<u8>(), 0..400),
            position in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            prop_assert!(RecordEntry::decode(&noise).is_err());
            let mut bytes = sample().encode().unwrap();
            let length = bytes.len();
            bytes[position.index(length)] = byte;
            if let Ok(entry) = RecordEntry::decode(&bytes) {
                prop_assert_eq!(entry.encode().unwrap(), bytes);
            }
            prop_assert!(RecordEntry::of_row(RecordId([1; 16]), &noise).is_err());
            let mut row = sample().row().unwrap();
            let length = row.len();
            row[position.index(length)] = byte;
            if let Ok(entry) = RecordEntry::of_row(RecordId([1; 16]), &row) {
                prop_assert_eq!(entry.row().unwrap(), row);
            }
        }
    }
}
