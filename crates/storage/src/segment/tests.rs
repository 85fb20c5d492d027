//! Segments: the bytes, damage, and power that fails while one is made.

use super::*;
use crate::{Disk, MemoryDisk, Result, StorageError};
use bxp_types::{Digest, NetworkId};
use bytes::Bytes;
use proptest::prelude::*;
use std::{path::Path, sync::Arc};

const PATH: &str = "/node/segments/7.segment";

fn head(count: u32) -> SegmentHead {
    SegmentHead { network: NetworkId([0xab; 32]), chain_id: 2018, first: 7, count, parts: 2 }
}

/// Parts of the record of a number: one that packs well, one that is sometimes empty.
fn record(number: u64) -> [Vec<u8>; 2] {
    [format!("{number:0>40}").into_bytes(), vec![number.to_le_bytes()[0]; (number % 3) as usize]]
}

fn write(disk: &MemoryDisk, count: u32) -> Result<WrittenSegment> {
    let mut writer = SegmentWriter::create(Arc::new(disk.clone()), Path::new(PATH), head(count))?;
    for number in (7..).take(count as usize) {
        let [one, two] = record(number);
        writer.add(&[&one, &two])?;
    }
    writer.finish()
}

fn open(disk: &MemoryDisk, written: WrittenSegment) -> Result<Segment> {
    Segment::open(Arc::new(disk.clone()), Path::new(PATH), written.bytes, written.digest)
}

fn assert_whole(segment: &Segment, count: u32) {
    assert_eq!(segment.head(), head(count));
    for number in (7..).take(count as usize) {
        for (part, wanted) in record(number).into_iter().enumerate() {
            assert_eq!(segment.read(number, part).unwrap(), Some(Bytes::from(wanted)), "{number}, {part}");
        }
    }
    let past = 7 + u64::from(count);
    assert_eq!(
        [segment.read(6, 0), segment.read(past, 0), segment.read(7, 2)].map(Result::unwrap),
        [None, None, None]
    );
    segment.verify().unwrap();
}

#[test]
fn records_are_read_at_random_from_many_groups() {
    let disk = MemoryDisk::new(1);
    let written = write(&disk, 1_000).unwrap();
    assert_whole(&open(&disk, written).unwrap(), 1_000);
    assert!(written.bytes < 10_000, "{} bytes for 41,000", written.bytes);
    // Each of these fills a group alone.
    let mut writer = SegmentWriter::create(Arc::new(disk.clone()), Path::new(PATH), head(3)).unwrap();
    let long = vec![1; 200_000];
    (0..3).for_each(|_| writer.add(&[&long, b"x"]).unwrap());
    let segment = open(&disk, writer.finish().unwrap()).unwrap();
    assert_eq!(segment.read(9, 0).unwrap().unwrap(), long);
    assert_eq!(segment.read(8, 1).unwrap().unwrap(), b"x".as_slice());
}

#[test]
fn a_segment_has_the_records_that_its_head_says() {
    let disk = MemoryDisk::new(1);
    let create = |head| SegmentWriter::create(Arc::new(disk.clone()), Path::new(PATH), head);
    let mut writer = create(head(1)).unwrap();
    assert!(matches!(writer.add(&[b"one"]), Err(StorageError::Misuse { .. })), "one part of two");
    writer.add(&[b"one", b""]).unwrap();
    assert!(matches!(writer.add(&[b"two", b""]), Err(StorageError::Misuse { .. })), "one too many");
    assert!(matches!(create(head(1)).unwrap().finish(), Err(StorageError::Misuse { .. })), "one is missing");
    assert!(matches!(create(head(0)), Err(StorageError::Misuse { .. })));
}

/// Goal: whatever byte is another, nothing wrong is read, and verifying names the file.
#[test]
fn a_changed_byte_anywhere_is_noticed() {
    let disk = MemoryDisk::new(1);
    let written = write(&disk, 300).unwrap();
    for position in 0..usize::try_from(written.bytes).unwrap() {
        disk.damage(Path::new(PATH), position);
        let outcome = open(&disk, written).and_then(|segment| {
            for number in 7..307 {
                for (part, wanted) in record(number).into_iter().enumerate() {
                    if let Ok(read) = segment.read(number, part) {
                        assert_eq!(read, Some(Bytes::from(wanted)), "byte {position}, record {number}");
                    }
                }
            }
            segment.verify()
        });
        let error = outcome.expect_err("a byte is another");
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
        assert!(error.to_string().contains(PATH), "{error}");
        disk.damage(Path::new(PATH), position);
    }
    assert_whole(&open(&disk, written).unwrap(), 300);
    for bytes in [0, 10, written.bytes - 1, written.bytes + 1, u64::MAX] {
        assert!(open(&disk, WrittenSegment { bytes, ..written }).is_err());
    }
    let other = WrittenSegment { digest: Digest([0; 32]), ..written };
    assert!(open(&disk, other).unwrap_err().to_string().contains("another hash"));
    disk.remove(Path::new(PATH)).unwrap();
    assert!(open(&disk, written).unwrap_err().to_string().contains("it is not there"));
}

/// Goal: whenever the power fails, there is no file at the segment's place, or the whole one.
#[test]
fn whenever_the_power_fails_a_segment_is_whole_or_not_there() {
    let mut interrupted = 0;
    for power in 0..40 {
        let disk = MemoryDisk::new(power);
        disk.fail_power_after(power);
        let written = write(&disk, 300);
        disk.crash(|below| power.wrapping_mul(0x9e37_79b9) % below);
        let names = disk.names(Path::new("/node/segments")).unwrap();
        let whole = write(&MemoryDisk::new(0), 300).unwrap();
        if names.iter().any(|name| name == "7.segment") {
            assert_whole(&open(&disk, whole).unwrap(), 300);
        } else {
            assert!(written.is_err(), "{power}");
            assert!(names.iter().all(|name| SegmentWriter::is_leftover(name)), "{names:?}");
            interrupted += 1;
        }
    }
    assert!((3..40).contains(&interrupted), "{interrupted}");
}

/// The bytes of a segment that a node of any later version must read.
const GOLDEN: &str = include_str!("golden.hex");

#[test]
fn the_format_is_pinned() {
    let disk = MemoryDisk::new(1);
    let written = write(&disk, 4).unwrap();
    let (_, bytes) = disk.open(Path::new(PATH)).unwrap().unwrap();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    // Another release of zstd may pack differently, and only then may this differ: what is below must hold for good.
    assert_eq!(hex, GOLDEN.trim());
    let digits = GOLDEN.trim().as_bytes().chunks(2).map(|two| std::str::from_utf8(two).unwrap());
    let golden: Vec<u8> = digits.map(|two| u8::from_str_radix(two, 16).unwrap()).collect();
    disk.create(Path::new(PATH), &golden).unwrap();
    assert_eq!(written.digest, Digest(*golden.last_chunk().unwrap()));
    assert_whole(&open(&disk, written).unwrap(), 4);
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), whole in any::<bool>()) {
        let disk = MemoryDisk::new(1);
        let mut bytes = bytes;
        if whole {
            bytes.splice(..0, head(1).encode());
        }
        disk.create(Path::new(PATH), &bytes).unwrap();
        let digest = bytes.last_chunk::<32>().map_or(Digest([0; 32]), |last| Digest(*last));
        let found = WrittenSegment { bytes: bytes.len() as u64, digest };
        if let Ok(segment) = open(&disk, found) {
            let _ = (segment.read(7, 0), segment.verify());
        }
    }
}
