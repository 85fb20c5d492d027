//! Placement as a function: who keeps a record, how evenly, and how little moves.

use super::*;
use crate::entry::tests::sample;
use proptest::prelude::*;
use std::collections::BTreeSet;

const DE: Jurisdiction = Jurisdiction::DE;
const US: Jurisdiction = Jurisdiction::US;

fn member(index: u16, country: Jurisdiction) -> Member {
    let key = Digest::of(&index.to_be_bytes()).0;
    Member { validator: ValidatorIndex(index), country, public_key: key.into(), sealing_key: B256::ZERO }
}

/// `count` nodes in Germany and three in the US, with that many copies in Germany.
fn directory(count: u16, copies: u16) -> Directory {
    let german = (0..count).map(|index| member(index, DE));
    let american = (1_000..1_003).map(|index| member(index, US));
    let copies = NonZeroU16::new(copies).map(|copies| (DE, copies)).into_iter().collect();
    Directory::new(1, german.chain(american), copies)
}

fn record(number: u64, holder: u16) -> RecordEntry {
    let id: [u8; 16] = std::array::from_fn(|at| Digest::of(&number.to_be_bytes()).0[at]);
    RecordEntry { record_id: RecordId(id), holder: ValidatorIndex(holder), ..sample() }
}

#[test]
fn the_encoding_is_pinned() {
    let directory = Directory::new(
        7,
        [Member { public_key: B256::repeat_byte(1), sealing_key: B256::repeat_byte(2), ..member(3, DE) }],
        [(DE, NonZeroU16::new(2).unwrap())].into(),
    );
    let expected = [
        b"\xa4\x61v\x01\x66copies\xa1\x62DE\x02\x66height\x07\x67members\x81".as_slice(),
        b"\xa4\x64node\x03\x67country\x62DE\x69publicKey\x58\x20",
        &[1; 32],
        b"\x6asealingKey\x58\x20",
        &[2; 32],
    ];
    assert_eq!(directory.encode().unwrap(), expected.concat());
    assert_eq!(Directory::decode(&expected.concat()).unwrap(), directory);
}

/// A network whose nodes place differently loses copies: this must never change. Computed apart, with Python's hashlib.
#[test]
fn placement_is_pinned() {
    let directory = directory(9, 3);
    let placed: Vec<Vec<u16>> = (0..4)
        .map(|number| directory.keepers(&record(number, 0)).into_iter().map(|node| node.0).collect())
        .collect();
    assert_eq!(placed, [[0, 5, 2], [0, 1, 4], [0, 1, 2], [0, 1, 2]]);
}

#[test]
fn a_country_without_a_bound_or_with_too_few_nodes_keeps_everywhere() {
    let all: Vec<_> = (0..4).map(ValidatorIndex).collect();
    for copies in [0, 4, 9] {
        assert_eq!(directory(4, copies).keepers(&record(1, 2)), all, "{copies} copies");
    }
    assert!(directory(4, 0).keeps(ValidatorIndex(3), &record(1, 2)));
    assert!(!directory(4, 0).keeps(ValidatorIndex(1_000), &record(1, 2)), "but in the country only");
    assert!(Directory::default().keeps(ValidatorIndex(3), &record(1, 2)));
    assert!(directory(0, 2).keepers(&record(1, 2)).is_empty(), "a country that all have left");
}

#[test]
fn copies_lie_evenly() {
    const NODES: u16 = 10;
    const COPIES: usize = 3;
    const RECORDS: u64 = 20_000;
    let directory = directory(NODES, COPIES as u16);
    let mut held = [0_u32; NODES as usize];
    for number in 0..RECORDS {
        let holder = (number % u64::from(NODES)) as u16;
        for node in directory.keepers(&record(number, holder)) {
            held[usize::from(node.0)] += 1;
        }
    }
    let mean = RECORDS as f64 * COPIES as f64 / f64::from(NODES);
    for (node, held) in held.iter().enumerate() {
        let share = f64::from(*held) / mean;
        assert!((0.95..1.05).contains(&share), "node {node} keeps {share} of the mean");
    }
}

/// Goal: who joins takes its share and no more moves. Way: of two copies beside the holder's, among ten and then eleven
/// nodes, a record changes one at most, and always to the new node; back again it is the same the other way.
#[test]
fn a_node_that_joins_or_leaves_moves_its_share_alone() {
    const RECORDS: u64 = 20_000;
    let (before, after) = (directory(10, 3), directory(11, 3));
    let mut moved = 0_u32;
    for number in 0..RECORDS {
        let entry = record(number, (number % 10) as u16);
        let old: BTreeSet<_> = before.keepers(&entry).into_iter().collect();
        let new: BTreeSet<_> = after.keepers(&entry).into_iter().collect();
        let came: Vec<_> = new.difference(&old).collect();
        assert!(came.is_empty() || came == [&ValidatorIndex(10)], "only to the new node");
        assert_eq!(old.difference(&new).count(), came.len());
        moved += came.len() as u32;
    }
    // Two of the ten nodes that are not the holder keep a copy.
    let share = f64::from(moved) / (RECORDS as f64);
    assert!((0.19..0.21).contains(&share), "{share} of the records moved a copy");
}

proptest! {
    #[test]
    fn keepers_are_the_copies_different_and_in_the_country(
        nodes in 1_u16..40, copies in 1_u16..12, number: u64, holder in 0_u16..60,
    ) {
        let directory = directory(nodes, copies);
        let entry = record(number, holder);
        let keepers = directory.keepers(&entry);
        let different: BTreeSet<_> = keepers.iter().collect();
        prop_assert_eq!(different.len(), keepers.len());
        prop_assert_eq!(keepers.len(), usize::from(copies.min(nodes)));
        prop_assert!(keepers.iter().all(|node| directory.country(*node) == Some(DE)));
        prop_assert_eq!(keepers.contains(&entry.holder), holder < nodes, "the holder keeps one, at home");
        for node in (0..60).chain(1_000..1_003).map(ValidatorIndex) {
            prop_assert_eq!(directory.keeps(node, &entry), keepers.contains(&node));
        }
    }

    #[test]
    fn placement_reads_ids_alone(number: u64, patient: [u8; 20], subject: [u8; 16]) {
        let (directory, entry) = (directory(20, 4), record(number, 3));
        let other = RecordEntry {
            patient: patient.into(), subject: bxp_types::SubjectId(subject), identity_cid: entry.deidentified_cid,
            ..entry.clone()
        };
        prop_assert_eq!(directory.keepers(&entry), directory.keepers(&other));
    }

    #[test]
    fn arbitrary_and_damaged_bytes_never_panic(
        noise in proptest::collection::vec(any::<u8>(), 0..300), position: prop::sample::Index, byte: u8,
    ) {
        prop_assert!(Directory::decode(&noise).is_err());
        let mut bytes = directory(3, 2).encode().unwrap();
        let length = bytes.len();
        bytes[position.index(length)] = byte;
        if let Ok(read) = Directory::decode(&bytes) {
            prop_assert_eq!(read.encode().unwrap(), bytes);
        }
    }
}
