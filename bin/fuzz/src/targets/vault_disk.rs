//! What stands beside replicated blocks, the vault's rows on disk, and packed content.

use super::vault::entry;
use alloy_primitives::keccak256;
use bxp_privacy::Purpose;
use bxp_types::{Address, B256, BlockClass, Height, Jurisdiction, RecordId, SubjectId, ValidatorIndex};
use bxp_vault::{Anchor, BUCKET_BYTES, Directory, Disclosure, Member, PendingBatch, fuzz};

/// Content of more bytes is not packed again: it costs more than it tells.
const PACKED_AGAIN_BYTES_MAX: usize = 1 << 16;

/// A manifest has one encoding.
pub(crate) fn manifest(bytes: &[u8]) {
    if let Some(again) = fuzz::manifest(bytes) {
        assert_eq!(again, bytes);
    }
}

/// Rows and their keys have one encoding.
pub(crate) fn rows(bytes: &[u8]) {
    read(bytes);
}

/// Whether the bytes are a row, or the key of one.
fn read(bytes: &[u8]) -> bool {
    let canonical =
        [fuzz::batch(bytes), fuzz::departure(bytes), fuzz::departure_key(bytes), fuzz::disclosure(bytes)];
    for again in canonical.iter().flatten() {
        assert_eq!(again, bytes);
    }
    canonical.iter().any(Option::is_some)
}

/// Content that was unpacked is the same when it is packed and unpacked again, in whole buckets.
pub(crate) fn padding(bytes: &[u8]) {
    let Some(content) = fuzz::unpacked(bytes) else { return };
    assert!(bytes.len().is_multiple_of(BUCKET_BYTES), "packed content fills buckets");
    if content.len() > PACKED_AGAIN_BYTES_MAX {
        return;
    }
    let packed = fuzz::packed(&content);
    assert_eq!(packed.len(), 2, "content is packed in both ways");
    for packed in packed {
        assert!(packed.len().is_multiple_of(BUCKET_BYTES));
        assert_eq!(fuzz::unpacked(&packed).as_ref(), Some(&content));
    }
}

pub(crate) fn manifests() -> Vec<Vec<u8>> {
    let keys = [9; 100];
    let manifests = [
        fuzz::manifest_of(&[entry(1)], &[], None),
        fuzz::manifest_of(&[entry(1), entry(2), entry(3)], &[], Some(&keys)),
        fuzz::manifest_of(&[entry(1), entry(2)], &[entry(3)], Some(&keys)),
    ];
    manifests.into_iter().filter_map(Result::ok).collect()
}

fn directory() -> Directory {
    let member = |number: u16, country| Member {
        validator: ValidatorIndex(number),
        country,
        public_key: B256::repeat_byte(1),
        sealing_key: B256::repeat_byte(2),
    };
    let copies = [(Jurisdiction::DE, std::num::NonZeroU16::MIN)].into();
    Directory::new(7, [member(0, Jurisdiction::DE), member(1, Jurisdiction::US)], copies)
}

fn disclosure(number: u64, purpose: Purpose, class: BlockClass) -> Disclosure {
    Disclosure {
        number,
        previous: B256::repeat_byte(1),
        time_ms: 1_800_000_000_000,
        subject: SubjectId([2; 16]),
        record_id: RecordId([3; 16]),
        requester: ValidatorIndex(4),
        purpose,
        class,
    }
}

pub(crate) fn written() -> Vec<Vec<u8>> {
    let batch = PendingBatch { root: B256::repeat_byte(7), count: 9, home: Jurisdiction::DE, own: true };
    let anchor = Anchor { batch_id: 300, height: Height(70_000) };
    let research = Purpose::Research { request: Address::repeat_byte(0xab) };
    let (identity, deidentified) = (BlockClass::Identity(Jurisdiction::DE), BlockClass::Deidentified);
    vec![
        fuzz::batch_of(&batch, None),
        fuzz::batch_of(&PendingBatch { own: false, ..batch }, Some(anchor)),
        fuzz::departure_of(7, 1_800_000_000_000, 300, &directory()),
        fuzz::departure_of(1, 4, 0, &Directory::default()),
        fuzz::departure_key_of(ValidatorIndex(2), Jurisdiction::DE),
        fuzz::disclosure_of(&disclosure(0, Purpose::Treatment, identity)),
        fuzz::disclosure_of(&disclosure(7, Purpose::PatientAccess, identity)),
        fuzz::disclosure_of(&disclosure(300, research, deidentified)),
    ]
}

/// What is short, what is long and compresses well, and what is long and does not.
pub(crate) fn packed() -> Vec<Vec<u8>> {
    let text = r#"{"resourceType":"Patient","gender":"female","birthDate":"1931-02-03"}"#;
    let noise = (0..40_u8).flat_map(|number| keccak256([number]).0).collect();
    let contents: [Vec<u8>; 4] = [b"{}".to_vec(), text.into(), text.repeat(80).into(), noise];
    contents.iter().flat_map(|content| fuzz::packed(content)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_vault_writes_is_read() {
        let manifests = manifests();
        assert_eq!(manifests.len(), 3);
        assert!(manifests.iter().all(|seed| fuzz::manifest(seed).is_some()));
        assert!(written().iter().all(|seed| read(seed)));
        let packed = packed();
        assert_eq!(packed.len(), 8);
        assert!(packed.iter().all(|seed| fuzz::unpacked(seed).is_some()));
    }
}
