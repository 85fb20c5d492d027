//! What nodes ask and answer each other about copies and erasures.

use bxp_clinical::fuzz;
use bxp_types::{RecordId, ValidatorIndex};
use bxp_vault::{Receipt, Tombstone};
use bytes::Bytes;

/// The most records whose keys an input is read for.
const RECORDS_MAX: usize = 4;
/// Characters of a reason that are taken at most.
const REASON_MAX: usize = 256;

/// An answer about copies has one encoding, and a reason in it is short and fits a line.
pub(crate) fn answers(bytes: &[u8]) {
    read_answer(bytes);
}

/// Whether the bytes are an answer about copies, or one that refuses.
fn read_answer(bytes: &[u8]) -> bool {
    let is_refusal = match fuzz::answered(bytes) {
        Ok(rest) => {
            assert_eq!([&fuzz::done()[..], rest].concat(), bytes);
            let held = fuzz::holds(bytes, rest.len()).expect("an answer tells of each record with a byte");
            let again = fuzz::holds_of(&held);
            assert_eq!(fuzz::holds(&again, held.len()).as_ref(), Some(&held));
            assert_eq!(fuzz::holds(bytes, rest.len() + 1), None, "an answer tells of all records");
            false
        }
        Err(reason) => {
            assert!(reason.chars().count() <= REASON_MAX && !reason.contains(char::is_control));
            bytes.starts_with(&fuzz::refused(""))
        }
    };
    let read: Vec<Bytes> = (0..=RECORDS_MAX).filter_map(|count| fuzz::copies(bytes, count)).collect();
    assert!(read.iter().all(|again| again == bytes) && read.len() <= 1, "keys of one number of records");
    assert_eq!(fuzz::is_done(bytes), fuzz::done() == bytes);
    is_refusal || !read.is_empty() || fuzz::is_done(bytes)
}

/// Tombstones and receipts have one encoding.
pub(crate) fn erasures(bytes: &[u8]) {
    read_erasure(bytes);
}

/// Whether the bytes are tombstones or receipts.
fn read_erasure(bytes: &[u8]) -> bool {
    let (tombstones, receipts) = (fuzz::tombstones(bytes), fuzz::receipts(bytes));
    if let Some(again) = &tombstones {
        assert_eq!(again, bytes);
    }
    if let Some(again) = &receipts {
        assert_eq!(again, bytes);
    }
    tombstones.is_some() || receipts.is_some()
}

pub(crate) fn said() -> Vec<Vec<u8>> {
    let keys = |length: usize| Some(Bytes::from(vec![7; length]));
    let answers = [
        fuzz::holds_of(&[true, false, true]),
        fuzz::copies_of(&[]),
        fuzz::copies_of(&[keys(80), None, keys(1)]),
        fuzz::copies_of(&[None, keys(200)]),
        fuzz::done(),
        fuzz::refused("the request is malformed"),
    ];
    answers.into_iter().map(Into::into).collect()
}

pub(crate) fn tombstone(record: u8) -> Tombstone {
    Tombstone {
        record_id: RecordId([record; 16]),
        holder: ValidatorIndex(2),
        time_ms: 1_800_000_000_000,
        signature: [5; 64],
    }
}

pub(crate) fn receipt(record: u8) -> Receipt {
    Receipt {
        record_id: RecordId([record; 16]),
        holder: ValidatorIndex(2),
        node: ValidatorIndex(3),
        time_ms: 4,
        signature: [5; 64],
    }
}

pub(crate) fn erased() -> Vec<Vec<u8>> {
    vec![
        fuzz::tombstones_of(&[]).into(),
        fuzz::tombstones_of(&[tombstone(1), tombstone(2)]).into(),
        fuzz::receipts_of(&[receipt(1)]),
        fuzz::receipts_of(&[receipt(1), receipt(2)]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_understood() {
        // The first has a byte for each record, as any good answer may.
        assert!(said().iter().skip(1).all(|seed| read_answer(seed)));
        assert!(erased().iter().all(|seed| read_erasure(seed)));
    }
}
