//! What the vault keeps beside its blocks, and messages sealed for a node.

use bxp_clinical::{keeping, release::KeyRequest};
use bxp_enclave::{SealingKeypair, seal_to};
use bxp_privacy::Purpose;
use bxp_types::{Jurisdiction, RecordId, ValidatorIndex};
use bxp_vault::{Directory, Receipt, RecordEntry, Statement, Tombstone, decode_class};
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
    if let Some(again) = keeping::request_again(bytes) {
        assert_eq!(again, bytes);
    }
    let _ = decode_class(bytes);
    if let Some(request) = KeyRequest::decode(bytes) {
        assert_eq!(request.encode().as_deref(), Some(bytes));
    }
}

/// Nobody without the key makes a message that opens.
pub(crate) fn sealed(bytes: &[u8]) {
    assert!(KEYPAIR.open_sealed(bytes, b"info", b"aad").is_err());
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let receipt = Receipt {
        record_id: RecordId([1; 16]),
        holder: ValidatorIndex(2),
        node: ValidatorIndex(3),
        time_ms: 4,
        signature: [5; 64],
    };
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
        receipt.encode().ok(),
        request.encode().map(Into::into),
        statement.encode().ok(),
        Directory::default().encode().ok(),
        Some(keeping),
    ];
    encoded.into_iter().flatten().collect()
}

pub(crate) fn sealings() -> Vec<Vec<u8>> {
    // Sealed for another key: one for this one would open.
    let other = SealingKeypair::random().expect("randomness of the system");
    let sealed = seal_to(other.public_key(), b"message", b"info", b"aad");
    sealed.into_iter().collect()
}
