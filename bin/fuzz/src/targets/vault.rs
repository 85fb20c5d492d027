//! What the vault keeps beside its blocks, and messages sealed for a node.

use super::keeping::{receipt, tombstone};
use bxp_clinical::release::KeyRequest;
use bxp_enclave::{SealingKeypair, seal_to};
use bxp_privacy::Purpose;
use bxp_types::{Address, B256, BlockClass, Jurisdiction, RecordId, SubjectId, ValidatorIndex};
use bxp_vault::{Directory, Receipt, RecordEntry, Statement, Tombstone, cid_of, decode_class, fuzz};
use std::sync::LazyLock;

static KEYPAIR: LazyLock<SealingKeypair> =
    LazyLock::new(|| SealingKeypair::random().expect("randomness of the system"));

/// Every record has one encoding.
pub(crate) fn records(bytes: &[u8]) {
    if let Ok(entry) = RecordEntry::decode(bytes) {
        assert_eq!(entry.encode().ok().as_deref(), Some(bytes));
    }
    if let Ok(tombstone) = Tombstone::decode(bytes) {
        assert_eq!(tombstone.encode().ok().as_deref(), Some(bytes));
    }
    if let Ok(receipt) = Receipt::decode(bytes) {
        assert_eq!(receipt.encode().ok().as_deref(), Some(bytes));
    }
    if let Ok(statement) = Statement::decode(bytes) {
        assert_eq!(statement.encode().ok().as_deref(), Some(bytes));
    }
    if let Ok(directory) = Directory::decode(bytes) {
        assert_eq!(directory.encode().ok().as_deref(), Some(bytes));
    }
    if let Some(again) = bxp_clinical::fuzz::keeping(bytes) {
        assert_eq!(again, bytes);
    }
    let envelope = fuzz::envelope(bytes);
    assert_eq!(decode_class(bytes).is_ok(), envelope.is_some());
    assert!(envelope.is_none_or(|again| again == bytes));
    if let Some(request) = KeyRequest::decode(bytes) {
        assert_eq!(request.encode().as_deref(), Some(bytes));
    }
}

/// Nobody without the key makes a message that opens.
pub(crate) fn sealed(bytes: &[u8]) {
    assert!(KEYPAIR.open_sealed(bytes, b"info", b"aad").is_err());
}

/// An entry whose parts all differ.
pub(crate) fn entry(record: u8) -> RecordEntry {
    RecordEntry {
        record_id: RecordId([record; 16]),
        subject: SubjectId([2; 16]),
        patient: Address::repeat_byte(3),
        home: Jurisdiction::DE,
        holder: ValidatorIndex(4),
        identity_cid: cid_of(b"identity").expect("a CID"),
        deidentified_cid: cid_of(b"deidentified").expect("a CID"),
        identity_digest: B256::repeat_byte(5),
        deidentified_digest: B256::repeat_byte(6),
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let request = KeyRequest { record: RecordId([1; 16]), purpose: Purpose::Treatment };
    let statement = Statement {
        node: ValidatorIndex(2),
        country: Jurisdiction::DE,
        height: 7,
        part: 0,
        last: true,
        time_ms: 4,
        blocks: Vec::new(),
        signature: [5; 64],
    };
    let keeping = [&[1, 1], [7; 48].as_slice()].concat();
    let encoded = [
        entry(1).encode().ok(),
        tombstone(1).encode().ok(),
        receipt(1).encode().ok(),
        request.encode().map(Into::into),
        statement.encode().ok(),
        Directory::default().encode().ok(),
        Some(keeping),
        Some(fuzz::envelope_of(BlockClass::Identity(Jurisdiction::DE), &[7; 300])),
        Some(fuzz::envelope_of(BlockClass::Deidentified, &[7; 30])),
    ];
    encoded.into_iter().flatten().collect()
}

pub(crate) fn sealings() -> Vec<Vec<u8>> {
    // Sealed for another key: one for this one would open.
    let other = SealingKeypair::random().expect("randomness of the system");
    let sealed = seal_to(other.public_key(), b"message", b"info", b"aad");
    sealed.into_iter().collect()
}
