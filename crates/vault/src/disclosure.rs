//! The accounting of disclosures (45 CFR 164.528, white paper row F2): append-only, each row hashing the one before.
//!
//! A changed, removed or inserted row breaks the chain. Cutting rows off the end is seen by who has kept a later
//! [`Vault::disclosure_head`].

use crate::{
    RecordEntry, Vault, VaultError, encoding, envelope,
    tables::{pair, trailing_number},
};
use alloy_primitives::{Address, B256, keccak256};
use bxp_privacy::{Permit, Purpose};
use bxp_storage::{Durability, Table};
use bxp_types::{BlockClass, RecordId, SubjectId, ValidatorIndex};
use serde::{Deserialize, Serialize};

const WHAT: &str = "disclosure";
const VERSION: u8 = 1;

/// One side of one record, shown or handed to someone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disclosure {
    /// The row's number, from 0.
    pub number: u64,
    /// keccak256 of the row before; zero for the first.
    pub previous: B256,
    /// When, in milliseconds since the epoch.
    pub time_ms: u64,
    /// Whose record.
    pub subject: SubjectId,
    /// Which record.
    pub record_id: RecordId,
    /// To whom.
    pub requester: ValidatorIndex,
    /// What for.
    pub purpose: Purpose,
    /// Which side.
    pub class: BlockClass,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DisclosureWire {
    v: u8,
    number: u64,
    #[serde(with = "serde_bytes")]
    previous: [u8; 32],
    #[serde(rename = "timeMs")]
    time_ms: u64,
    #[serde(with = "serde_bytes")]
    subject: [u8; 16],
    #[serde(with = "serde_bytes")]
    record: [u8; 16],
    requester: u16,
    purpose: String,
    class: String,
}

/// Where the chain ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    next: u64,
    hash: B256,
}

impl Head {
    /// The end of the chain on disk.
    pub(crate) fn read(table: &Table) -> Result<Self, VaultError> {
        let Some((key, row)) = table.last()? else {
            return Ok(Self { next: 0, hash: B256::ZERO });
        };
        let number = trailing_number(&key).ok_or(VaultError::Malformed(WHAT))?;
        Ok(Self { next: number.saturating_add(1), hash: keccak256(&row) })
    }
}

impl Vault {
    /// Writes one row for each side of a record and waits until they are on disk.
    pub(crate) fn write_disclosures(
        &self,
        sides: &[(&RecordEntry, BlockClass)],
        permit: &Permit,
    ) -> Result<(), VaultError> {
        self.write_rows(sides.iter().map(|(entry, class)| (*entry, *class, permit)))
    }

    /// Writes rows of many permits with one sync.
    pub(crate) fn write_rows<'a>(
        &self,
        rows: impl Iterator<Item = (&'a RecordEntry, BlockClass, &'a Permit)>,
    ) -> Result<(), VaultError> {
        let mut batch = self.store.batch();
        // Held over the commit, so that the rows' order is the chain's order.
        let mut head = self.disclosures.lock();
        let mut end = *head;
        for (entry, class, permit) in rows {
            let row = Disclosure {
                number: end.next,
                previous: end.hash,
                time_ms: self.clock.now_ms(),
                subject: entry.subject,
                record_id: entry.record_id,
                requester: permit.requester(),
                purpose: permit.purpose(),
                class,
            };
            let bytes = row.encode()?;
            let number = row.number.to_be_bytes();
            batch.put(&self.tables.disclosures, number, &bytes);
            batch.put(&self.tables.disclosures_by_subject, pair(&row.subject.0, &number), []);
            end = Head { next: end.next.saturating_add(1), hash: keccak256(&bytes) };
        }
        batch.commit(Durability::Synced)?;
        *head = end;
        Ok(())
    }

    /// The disclosures of one patient's records, oldest first: what 45 CFR 164.528 gives the patient.
    ///
    /// # Errors
    /// [`VaultError::Storage`], [`VaultError::Malformed`].
    pub fn disclosures_of(&self, subject: SubjectId) -> Result<Vec<Disclosure>, VaultError> {
        let mut rows = Vec::new();
        for row in self.tables.disclosures_by_subject.iter_prefix(subject.0) {
            let number = trailing_number(&row?.0).ok_or(VaultError::Malformed(WHAT))?;
            let bytes = self.tables.disclosures.get(number.to_be_bytes())?;
            let bytes = bytes.ok_or(VaultError::BrokenChain(number))?;
            rows.push(Disclosure::decode(&bytes)?);
        }
        Ok(rows)
    }

    /// How many disclosures there are, and the hash of the last one.
    #[must_use]
    pub fn disclosure_head(&self) -> (u64, B256) {
        let head = self.disclosures.lock();
        (head.next, head.hash)
    }

    /// Walks the whole accounting and checks that each row chains to the one before. Gives the number of rows.
    ///
    /// # Errors
    /// [`VaultError::BrokenChain`] at the first row that does not, [`VaultError::Malformed`],
    /// [`VaultError::Storage`].
    pub fn verify_disclosures(&self) -> Result<u64, VaultError> {
        let head = self.disclosure_head();
        let (mut number, mut hash) = (0, B256::ZERO);
        for row in self.tables.disclosures.iter() {
            if number == head.0 {
                break; // Rows written since belong to the next walk.
            }
            let (key, bytes) = row?;
            let row = Disclosure::decode(&bytes)?;
            if trailing_number(&key) != Some(number) || row.number != number || row.previous != hash {
                return Err(VaultError::BrokenChain(number));
            }
            (number, hash) = (number + 1, keccak256(&bytes));
        }
        if (number, hash) == head { Ok(number) } else { Err(VaultError::BrokenChain(number)) }
    }
}

impl Disclosure {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, VaultError> {
        let wire = DisclosureWire {
            v: VERSION,
            number: self.number,
            previous: self.previous.0,
            time_ms: self.time_ms,
            subject: self.subject.0,
            record: self.record_id.0,
            requester: self.requester.0,
            purpose: purpose_name(self.purpose),
            class: envelope::class_name(self.class),
        };
        encoding::encode(WHAT, &wire)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, VaultError> {
        let wire: DisclosureWire = encoding::decode(WHAT, bytes)?;
        if wire.v != VERSION {
            return Err(VaultError::Malformed(WHAT));
        }
        Ok(Self {
            number: wire.number,
            previous: wire.previous.into(),
            time_ms: wire.time_ms,
            subject: SubjectId(wire.subject),
            record_id: RecordId(wire.record),
            requester: ValidatorIndex(wire.requester),
            purpose: parse_purpose(&wire.purpose)?,
            class: envelope::parse_class(&wire.class)?,
        })
    }
}

const RESEARCH: &str = "research/";

fn purpose_name(purpose: Purpose) -> String {
    match purpose {
        Purpose::Treatment => "treatment".to_owned(),
        Purpose::Operations => "operations".to_owned(),
        Purpose::PatientAccess => "patient-access".to_owned(),
        Purpose::Oversight => "oversight".to_owned(),
        Purpose::Research { request } => format!("{RESEARCH}{request}"),
    }
}

/// Reads what [`purpose_name`] writes, and no other spelling of it: an address has many, by prefix and by case.
fn parse_purpose(name: &str) -> Result<Purpose, VaultError> {
    let purpose = match name {
        "treatment" => Purpose::Treatment,
        "operations" => Purpose::Operations,
        "patient-access" => Purpose::PatientAccess,
        "oversight" => Purpose::Oversight,
        other => {
            let request = other.strip_prefix(RESEARCH).and_then(|address| address.parse::<Address>().ok());
            Purpose::Research { request: request.ok_or(VaultError::Malformed(WHAT))? }
        }
    };
    if purpose_name(purpose) == name { Ok(purpose) } else { Err(VaultError::Malformed(WHAT)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample() -> Disclosure {
        Disclosure {
            number: 7,
            previous: B256::repeat_byte(1),
            time_ms: 1_800_000_000_000,
            subject: SubjectId([2; 16]),
            record_id: RecordId([3; 16]),
            requester: ValidatorIndex(4),
            purpose: Purpose::Research { request: Address::repeat_byte(5) },
            class: BlockClass::Deidentified,
        }
    }

    #[test]
    fn the_row_is_pinned() {
        let bytes = sample().encode().unwrap();
        assert_eq!(
            hex::encode(&bytes),
            "a961760165636c6173736c64656964656e746966696564666e756d62657207667265636f726450030303030303030303030303030303036674696d654d731b000001a3185c500067707572706f7365783372657365617263682f307830353035303530353035303530353035303530353035303530353035303530353035303530353035677375626a65637450020202020202020202020202020202026870726576696f7573582001010101010101010101010101010101010101010101010101010101010101016972657175657374657204"
        );
        assert_eq!(Disclosure::decode(&bytes).unwrap(), sample());
    }

    #[test]
    fn every_purpose_comes_back() {
        let request = Address::repeat_byte(0xab);
        for purpose in [
            Purpose::Treatment,
            Purpose::Operations,
            Purpose::PatientAccess,
            Purpose::Oversight,
            Purpose::Research { request },
        ] {
            assert_eq!(parse_purpose(&purpose_name(purpose)).unwrap(), purpose);
        }
        assert!(parse_purpose("curiosity").is_err());
    }

    #[test]
    fn a_purpose_has_one_spelling() {
        let request = Address::repeat_byte(0xab);
        let written = purpose_name(Purpose::Research { request });
        let bare = hex::encode(request);
        assert_eq!(parse_purpose(&written).unwrap(), Purpose::Research { request });
        for other in [
            format!("research/{bare}"),
            format!("research/0x{bare}"),
            format!("research/0x{}", bare.to_uppercase()),
            format!("research/ {request}"),
            format!("{written} "),
            "Treatment".to_owned(),
        ] {
            assert!(matches!(parse_purpose(&other), Err(VaultError::Malformed(WHAT))), "{other}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Disclosure::decode(&bytes).is_err());
        }
    }
}
