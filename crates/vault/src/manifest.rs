//! The manifest beside replicated blocks: entries, their places in a batch, and, for nodes of the country, the keys.
//!
//! DAG-CBOR map `{v: 1, records: [{entry, place}], keys}`; `place` is null or `{root, count, index, siblings}` with the
//! siblings as one string of 32 bytes each; `keys` is null or one HPKE message with the two keys of each record in
//! order, identity first, bound to the records by their hash.

use crate::{Placement, RecordEntry, VaultError, encoding, entry::EntryWire};
use alloy_primitives::B256;
use bxp_contracts::merkle::Proof;
use bxp_types::Digest;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// The most records of one manifest.
pub const MANIFEST_RECORDS_MAX: usize = 16_384;

const WHAT: &str = "manifest";
const VERSION: u8 = 1;
/// A tree over `u32::MAX` leaves has this many levels.
const SIBLINGS_MAX: usize = 32;

/// A record in a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ManifestRecord {
    pub(crate) entry: RecordEntry,
    /// The batch's root and count, and the proof that leads there.
    pub(crate) place: Option<Place>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) root: B256,
    pub(crate) count: u32,
    pub(crate) proof: Proof,
}

impl From<(Placement, Proof)> for Place {
    fn from((placement, proof): (Placement, Proof)) -> Self {
        Self { root: placement.root, count: placement.count, proof }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Manifest {
    pub(crate) records: Vec<ManifestRecord>,
    pub(crate) keys: Option<Vec<u8>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestWire {
    v: u8,
    records: Vec<RecordWire>,
    keys: Option<ByteBuf>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordWire {
    entry: EntryWire,
    place: Option<PlaceWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlaceWire {
    #[serde(with = "serde_bytes")]
    root: [u8; 32],
    count: u32,
    index: u32,
    #[serde(with = "serde_bytes")]
    siblings: Vec<u8>,
}

impl Manifest {
    pub(crate) fn encode(&self) -> Result<Vec<u8>, VaultError> {
        let records = self.records.iter().map(RecordWire::from).collect();
        let keys = self.keys.clone().map(ByteBuf::from);
        encoding::encode(WHAT, &ManifestWire { v: VERSION, records, keys })
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, VaultError> {
        let wire: ManifestWire = encoding::decode(WHAT, bytes)?;
        if wire.v != VERSION {
            return Err(VaultError::Malformed(WHAT));
        }
        let size = wire.records.len();
        if size > MANIFEST_RECORDS_MAX {
            return Err(VaultError::TooLarge { what: WHAT, size, max: MANIFEST_RECORDS_MAX });
        }
        let records = wire.records.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?;
        Ok(Self { records, keys: wire.keys.map(ByteBuf::into_vec) })
    }

    /// What the keys' HPKE message is bound to: the records as encoded, in their order.
    pub(crate) fn keys_info(records: &[ManifestRecord]) -> Result<Vec<u8>, VaultError> {
        let records: Vec<RecordWire> = records.iter().map(RecordWire::from).collect();
        let digest = Digest::of(&encoding::encode(WHAT, &records)?);
        Ok([b"BXP replicated keys v1\0".as_slice(), &digest.0].concat())
    }
}

impl From<&ManifestRecord> for RecordWire {
    fn from(record: &ManifestRecord) -> Self {
        let place = record.place.as_ref().map(|place| PlaceWire {
            root: place.root.0,
            count: place.count,
            index: place.proof.index,
            siblings: place.proof.siblings.iter().flat_map(|sibling| sibling.0).collect(),
        });
        Self { entry: EntryWire::from(&record.entry), place }
    }
}

impl TryFrom<RecordWire> for ManifestRecord {
    type Error = VaultError;

    fn try_from(wire: RecordWire) -> Result<Self, VaultError> {
        Ok(Self { entry: wire.entry.try_into()?, place: wire.place.map(TryInto::try_into).transpose()? })
    }
}

impl TryFrom<PlaceWire> for Place {
    type Error = VaultError;

    fn try_from(wire: PlaceWire) -> Result<Self, VaultError> {
        let (siblings, []) = wire.siblings.as_chunks::<32>() else {
            return Err(VaultError::Malformed(WHAT));
        };
        if siblings.len() > SIBLINGS_MAX {
            return Err(VaultError::Malformed(WHAT));
        }
        let siblings = siblings.iter().copied().map(B256::from).collect();
        let proof = Proof { index: wire.index, siblings };
        Ok(Self { root: wire.root.into(), count: wire.count, proof })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::tests::sample;
    use proptest::prelude::*;

    fn manifest() -> Manifest {
        let proof = Proof { index: 1, siblings: vec![B256::repeat_byte(8)] };
        let place = Some(Place { root: B256::repeat_byte(7), count: 2, proof });
        Manifest { records: vec![ManifestRecord { entry: sample(), place }], keys: Some(vec![9; 3]) }
    }

    #[test]
    fn the_encoding_is_pinned() {
        let bytes = manifest().encode().unwrap();
        assert_eq!(
            Digest::of(&bytes).to_string(),
            "2557c935840fe22a619c52173a4973f190cef3f3d75e0c9d058d2db46d7cde2e"
        );
        assert_eq!(Manifest::decode(&bytes).unwrap(), manifest());
        let empty = Manifest { records: vec![], keys: None };
        assert_eq!(empty.encode().unwrap(), b"\xa3\x61v\x01\x64keys\xf6\x67records\x80");
    }

    #[test]
    fn siblings_are_whole_and_bounded() {
        let mut long = manifest();
        long.records[0].place.as_mut().unwrap().proof.siblings = vec![B256::ZERO; SIBLINGS_MAX + 1];
        assert!(Manifest::decode(&long.encode().unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_and_damaged_bytes_never_panic(
            noise in proptest::collection::vec(any::<u8>(), 0..400),
            position in any::<prop::sample::Index>(),
            byte in any::<u8>(),
        ) {
            let _ = Manifest::decode(&noise);
            let mut bytes = manifest().encode().unwrap();
            let length = bytes.len();
            bytes[position.index(length)] = byte;
            if let Ok(read) = Manifest::decode(&bytes) {
                prop_assert_eq!(read.encode().unwrap(), bytes);
            }
        }
    }
}
