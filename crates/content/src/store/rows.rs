//! Rows on disk. A block's row is one of
//! - `0x01 || block sealed under the master key`
//! - `0x02 || patient (16) || data key wrapped under the patient's key (64) || block sealed under the data key`,
//!
//! both bound to the CID. A publication's row is the DAG-CBOR map `{v: 1, made: s, until: s, purpose: text, readers:
//! [{peer: text} | {token: bytes}], request: bytes (20) or empty}`.

use super::Publication;
use crate::{Block, ContentError, Reader, Terms, access};
use bxp_enclave::{Enclave, EnclaveError};
use bxp_privacy::Purpose;
use bxp_types::{Address, RecordId, SubjectId};
use bytes::Bytes;
use cid::Cid;
use serde::{Deserialize, Serialize};

const UNDER_MASTER: u8 = 1;
const UNDER_PATIENT: u8 = 2;
const PATIENT_BYTES: usize = 16;
const WRAPPED_BYTES: usize = 64;
const PUBLICATION_VERSION: u8 = 1;

const BLOCK: &str = "row of a block";
const PUBLICATION: &str = "row of a publication";

/// What opening a row gives.
pub(crate) enum Opened {
    Bytes(Bytes),
    /// The patient was erased, or a record of the patient was: what was published of them before is lost with the key.
    KeyDestroyed,
}

pub(crate) fn seal(
    enclave: &Enclave,
    block: &Block,
    patient: Option<SubjectId>,
) -> Result<Vec<u8>, ContentError> {
    let context = block.cid().to_bytes();
    let Some(patient) = patient else {
        return Ok([&[UNDER_MASTER], enclave.seal_at_rest(block.bytes(), &context)?.as_slice()].concat());
    };
    let (sealed, key) = enclave.seal(block.bytes(), &context)?;
    let wrapped = enclave.wrap_key(&patient.0, &key, &context)?;
    Ok([&[UNDER_PATIENT], patient.0.as_slice(), &wrapped, &sealed].concat())
}

pub(crate) fn open(enclave: &Enclave, cid: &Cid, row: &[u8]) -> Result<Opened, ContentError> {
    let damaged = ContentError::Damaged(BLOCK);
    let context = cid.to_bytes();
    match row.split_first() {
        Some((&UNDER_MASTER, sealed)) => Ok(Opened::Bytes(enclave.open_at_rest(sealed, &context)?.into())),
        Some((&UNDER_PATIENT, rest)) => {
            let (patient, rest) = rest.split_first_chunk::<PATIENT_BYTES>().ok_or(damaged)?;
            let (wrapped, sealed) =
                rest.split_at_checked(WRAPPED_BYTES).ok_or(ContentError::Damaged(BLOCK))?;
            match enclave.unwrap_key(patient, wrapped, &context) {
                Ok(key) => Ok(Opened::Bytes(enclave.unseal(&key, sealed, &context)?.into())),
                // A wrapped key that is damaged looks the same; either way nothing is given out.
                Err(EnclaveError::NoPatientKey | EnclaveError::Unsealable) => Ok(Opened::KeyDestroyed),
                Err(error) => Err(error.into()),
            }
        }
        _ => Err(damaged),
    }
}

pub(crate) fn size_row(row: &[u8]) -> Result<[u8; 4], ContentError> {
    let size = u32::try_from(row.len()).map_err(|_| ContentError::Damaged("size of a block"))?;
    Ok(size.to_be_bytes())
}

pub(crate) fn size(row: &[u8]) -> Result<u64, ContentError> {
    let bytes = row.try_into().map_err(|_| ContentError::Damaged("size of a block"))?;
    Ok(u32::from_be_bytes(bytes).into())
}

pub(crate) fn record(row: &[u8]) -> Result<Option<RecordId>, ContentError> {
    if row.is_empty() {
        return Ok(None);
    }
    let bytes = row.try_into().map_err(|_| ContentError::Damaged("table of members"))?;
    Ok(Some(RecordId(bytes)))
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u8,
    made: u64,
    until: u64,
    purpose: String,
    readers: Vec<ReaderWire>,
    #[serde(with = "serde_bytes")]
    request: Vec<u8>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ReaderWire {
    Peer(String),
    Token(#[serde(with = "serde_bytes")] Vec<u8>),
}

pub(crate) fn encode(publication: &Publication) -> Result<Vec<u8>, ContentError> {
    let Terms { purpose, until_s } = publication.terms;
    let name = access::purpose_name(purpose);
    let name =
        name.ok_or(ContentError::Draft("content is published for research, oversight or treatment"))?;
    let readers = publication.readers.iter().map(|reader| match reader {
        Reader::Peer(peer) => Ok(ReaderWire::Peer(peer.to_base58())),
        Reader::Token(digest) => Ok(ReaderWire::Token(digest.to_vec())),
        Reader::Operator => Err(ContentError::Draft("the operator reads without being named")),
    });
    let wire = Wire {
        v: PUBLICATION_VERSION,
        made: publication.made_s,
        until: until_s,
        purpose: name.to_owned(),
        readers: readers.collect::<Result<_, _>>()?,
        request: match purpose {
            Purpose::Research { request } => request.to_vec(),
            _ => Vec::new(),
        },
    };
    serde_ipld_dagcbor::to_vec(&wire).map_err(|_| ContentError::Damaged(PUBLICATION))
}

pub(crate) fn decode(root: Cid, row: &[u8]) -> Result<Publication, ContentError> {
    let damaged = || ContentError::Damaged(PUBLICATION);
    let wire: Wire = serde_ipld_dagcbor::from_slice(row).map_err(|_| damaged())?;
    let request = match wire.request.as_slice() {
        [] => None,
        bytes => Some(Address::try_from(bytes).map_err(|_| damaged())?.to_string()),
    };
    let purpose = access::purpose_named(&wire.purpose, request.as_deref()).map_err(|_| damaged())?;
    let readers = wire.readers.into_iter().map(|reader| match reader {
        ReaderWire::Peer(peer) => peer.parse().map(Reader::Peer).map_err(|_| damaged()),
        ReaderWire::Token(digest) => digest.try_into().map(Reader::Token).map_err(|_| damaged()),
    });
    let publication = Publication {
        root,
        terms: Terms { purpose, until_s: wire.until },
        readers: readers.collect::<Result<_, _>>()?,
        made_s: wire.made,
    };
    if wire.v == PUBLICATION_VERSION && encode(&publication)? == row {
        Ok(publication)
    } else {
        Err(damaged())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Codec;
    use bxp_types::primitives::hex;
    use proptest::prelude::*;

    fn publication() -> Publication {
        let root = Block::new(Codec::DagCbor, Bytes::from_static(b"\xa0")).unwrap();
        let peer = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA".parse().unwrap();
        Publication {
            root: *root.cid(),
            terms: Terms { purpose: Purpose::Research { request: Address::repeat_byte(9) }, until_s: 7 },
            readers: vec![Reader::Peer(peer), Reader::Token([3; 32])],
            made_s: 5,
        }
    }

    #[test]
    fn a_publications_row_is_pinned() {
        let expected = [
            &b"\xa6\x61v\x01\x64made\x05\x65until\x07\x67purpose\x68research\x67readers\x82"[..],
            b"\xa1\x64peer\x78\x3412D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA",
            b"\xa1\x65token\x58\x20",
            &[3; 32],
            b"\x67request\x54",
            &[9; 20],
        ];
        let row = encode(&publication()).unwrap();
        assert_eq!(row, expected.concat());
        assert_eq!(decode(publication().root, &row).unwrap(), publication());
        let operator = Publication { readers: vec![Reader::Operator], ..publication() };
        assert!(encode(&operator).is_err());
    }

    /// The parts, their order and their lengths. What is sealed has random bytes, so that the enclave opens and makes it.
    #[test]
    fn a_blocks_row_is_pinned() {
        let folder = tempfile::tempdir().unwrap();
        let enclave = Enclave::create(&folder.path().join("enclave"), None, None).unwrap();
        let patient = [4_u8; 16];
        enclave.ensure_patients(&[patient]).unwrap();
        let block = Block::new(Codec::Raw, Bytes::from_static(b"hello")).unwrap();
        let bound = [
            "01",   // a CID of version 1
            "55",   // raw
            "1220", // SHA-256 of 32 bytes
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824",
        ];
        let bound = hex::decode(bound.concat()).unwrap();

        let row = seal(&enclave, &block, None).unwrap();
        assert_eq!(row.len(), 1 + 24 + 5 + 16, "the kind, a salt, the content, a tag");
        assert_eq!(row[0], 1, "under the master key");
        assert_eq!(enclave.open_at_rest(&row[1..], &bound).unwrap(), b"hello");
        let written = [b"\x01".as_slice(), &enclave.seal_at_rest(b"hello", &bound).unwrap()].concat();
        let opened = open(&enclave, block.cid(), &written).unwrap();
        assert!(matches!(opened, Opened::Bytes(bytes) if bytes == block.bytes()));

        let row = seal(&enclave, &block, Some(SubjectId(patient))).unwrap();
        assert_eq!(row.len(), 1 + 16 + 64 + 12 + 5 + 16, "kind, patient, key, a nonce, the content, a tag");
        assert_eq!(row[0], 2, "under the patient's key");
        assert_eq!(row[1..17], patient);
        let key = enclave.unwrap_key(&patient, &row[17..81], &bound).unwrap();
        assert_eq!(enclave.unseal(&key, &row[81..], &bound).unwrap(), b"hello");
        let (sealed, key) = enclave.seal(b"hello", &bound).unwrap();
        let wrapped = enclave.wrap_key(&patient, &key, &bound).unwrap();
        let written = [b"\x02".as_slice(), &patient, &wrapped, &sealed].concat();
        let opened = open(&enclave, block.cid(), &written).unwrap();
        assert!(matches!(opened, Opened::Bytes(bytes) if bytes == block.bytes()));
    }

    #[test]
    fn rows_of_sizes_and_members_are_pinned() {
        assert_eq!(size_row(&[0; 0x0102]).unwrap(), [0, 0, 1, 2]);
        assert_eq!(size(&[0, 0, 1, 2]).unwrap(), 0x0102);
        assert_eq!(record(&[7; 16]).unwrap(), Some(RecordId([7; 16])));
        assert_eq!(record(&[]).unwrap(), None);
    }

    #[test]
    fn a_block_at_rest_opens_under_its_own_name_and_its_patients_key_alone() {
        let folder = tempfile::tempdir().unwrap();
        let enclave = Enclave::create(&folder.path().join("enclave"), None, None).unwrap();
        let block = Block::new(Codec::Raw, Bytes::from_static(b"a de-identified record")).unwrap();
        let other = Block::new(Codec::Raw, Bytes::from_static(b"other")).unwrap();
        let patient = SubjectId([4; 16]);
        enclave.ensure_patients(&[patient.0]).unwrap();
        for patient in [None, Some(patient)] {
            let row = seal(&enclave, &block, patient).unwrap();
            assert_eq!(row[0], if patient.is_some() { UNDER_PATIENT } else { UNDER_MASTER });
            assert!(!row.windows(6).any(|window| window == b"record"), "ciphertext");
            let opened = open(&enclave, block.cid(), &row).unwrap();
            assert!(matches!(opened, Opened::Bytes(bytes) if bytes == block.bytes()));
            let moved = open(&enclave, other.cid(), &row);
            assert!(!matches!(moved, Ok(Opened::Bytes(_))), "bound to its CID");
        }
        let row = seal(&enclave, &block, Some(patient)).unwrap();
        enclave.forget_patients(&[], &[patient.0]).unwrap();
        assert!(matches!(open(&enclave, block.cid(), &row).unwrap(), Opened::KeyDestroyed));
    }

    proptest! {
        #[test]
        fn arbitrary_rows_never_panic(row in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(publication().root, &row);
            let _ = (record(&row), size(&row));
        }
    }
}
