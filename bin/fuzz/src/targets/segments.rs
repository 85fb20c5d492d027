//! Files of old blocks, as a disk may give them back.

use bxp_storage::{Disk, MemoryDisk, Segment, SegmentHead, SegmentWriter, WrittenSegment};
use bxp_types::{Digest, NetworkId};
use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use std::{path::Path, sync::Arc};

const PATH: &str = "/node/segments/0.segment";
const HEADER_BYTES: usize = 64;
const ENTRY_BYTES: usize = 24;
const TRAILER_BYTES: usize = 48;
/// Records and parts that are asked for one by one at most.
const RECORDS_MAX: u64 = 512;
const PARTS_MAX: u32 = 8;

/// Whatever stands in a file, it is refused or read, and reading ends; what is whole is the same when it is written
/// again. Checksums keep the fuzzer out of all that lies behind them, so that each input is tried twice: as it is, and
/// with its checksums put right.
pub(crate) fn segment(bytes: &[u8]) {
    read(bytes);
    let mut mended = bytes.to_vec();
    if mend(&mut mended).is_some() {
        read(&mended);
    }
}

fn read(bytes: &[u8]) {
    let Some((_, digest)) = bytes.split_last_chunk::<32>() else { return };
    let disk = Arc::new(MemoryDisk::new(1));
    drop(disk.create(Path::new(PATH), bytes).expect("write to memory"));
    let length = bytes.len() as u64;
    let Ok(segment) = Segment::open(disk.clone(), Path::new(PATH), length, Digest(*digest)) else { return };
    let head = segment.head();
    let whole = segment.verify().is_ok();
    let numbers = || (head.first..).take(u64::from(head.count).min(RECORDS_MAX) as usize);
    let mut records: Vec<Vec<Bytes>> = Vec::new();
    for number in numbers() {
        let parts = (0..head.parts.min(PARTS_MAX)).map(|part| segment.read(number, part as usize));
        match parts.collect::<Result<Option<Vec<Bytes>>, _>>() {
            Ok(Some(parts)) => records.push(parts),
            Ok(None) => panic!("record {number} of {head:?} is not there"),
            Err(error) => assert!(!whole, "a whole segment is not read: {error}"),
        }
    }
    let before = head.first.checked_sub(1).map(|number| segment.read(number, 0));
    let behind = head.first.checked_add(head.count.into()).map(|number| segment.read(number, 0));
    for outside in [before, behind, Some(segment.read(head.first, head.parts as usize))] {
        assert!(matches!(outside, None | Some(Ok(None))), "a record that {head:?} has not");
    }
    let all = records.len() == head.count as usize && head.parts <= PARTS_MAX && head.parts > 0;
    if whole && all && !records.is_empty() {
        let again = open(&disk, write(&disk, head, &records));
        for (number, record) in numbers().zip(&records) {
            for (part, wanted) in record.iter().enumerate() {
                let found = again.read(number, part).expect("read what was written");
                assert_eq!(found.as_ref(), Some(wanted), "record {number}, part {part}");
            }
        }
    }
}

/// Puts right the checksums of a file's groups, of its index and of all of it; nothing where it has no index.
fn mend(bytes: &mut [u8]) -> Option<()> {
    let at_trailer = bytes.len().checked_sub(TRAILER_BYTES)?;
    let (content, trailer) = bytes.split_at_mut(at_trailer);
    let index_offset = usize::try_from(u64::from_le_bytes(trailer.first_chunk().copied()?)).ok()?;
    if index_offset < HEADER_BYTES {
        return None;
    }
    let (groups, index) = content.split_at_mut_checked(index_offset)?;
    for entry in index.chunks_exact_mut(ENTRY_BYTES) {
        let offset = usize::try_from(u64::from_le_bytes(entry.first_chunk().copied()?)).ok()?;
        let packed = u32::from_le_bytes(entry.get(8..12)?.try_into().ok()?) as usize;
        let end = offset.checked_add(packed)?;
        let crc = groups.get(offset..end).map_or(0, crc32c::crc32c);
        entry.get_mut(20..)?.copy_from_slice(&crc.to_le_bytes());
    }
    let crc = crc32c::crc32c_append(crc32c::crc32c(groups.get(..HEADER_BYTES)?), index);
    let crc = crc32c::crc32c_append(crc, trailer.get(..12)?);
    trailer.get_mut(12..16)?.copy_from_slice(&crc.to_le_bytes());
    let at_hash = bytes.len().checked_sub(32)?;
    let (hashed, hash) = bytes.split_at_mut(at_hash);
    hash.copy_from_slice(&Sha256::digest(hashed));
    Some(())
}

fn write(disk: &Arc<MemoryDisk>, head: SegmentHead, records: &[Vec<Bytes>]) -> WrittenSegment {
    let mut writer = SegmentWriter::create(disk.clone(), Path::new(PATH), head).expect("write to memory");
    for record in records {
        writer.add(&record.iter().map(Bytes::as_ref).collect::<Vec<_>>()).expect("write to memory");
    }
    writer.finish().expect("write to memory")
}

fn open(disk: &Arc<MemoryDisk>, written: WrittenSegment) -> Segment {
    Segment::open(disk.clone(), Path::new(PATH), written.bytes, written.digest)
        .expect("open what was written")
}

/// One small segment, one of several groups, and one of records without parts' bytes.
pub(crate) fn files() -> Vec<Vec<u8>> {
    let record = |number: u64| {
        let one = format!("block {number}").into_bytes();
        vec![Bytes::from(one), vec![number as u8; (number % 4) as usize].into(), Bytes::new()]
    };
    [(0, 3), (7, 300), (u64::MAX - 2, 1)]
        .into_iter()
        .map(|(first, count)| {
            let disk = Arc::new(MemoryDisk::new(1));
            let head = SegmentHead { network: NetworkId([7; 32]), chain_id: 2018, first, count, parts: 3 };
            let records: Vec<Vec<Bytes>> = (0..u64::from(count)).map(record).collect();
            let written = write(&disk, head, &records);
            disk.read_at(Path::new(PATH), 0, written.bytes as usize).expect("read from memory")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_whole_needs_no_mending_and_what_is_mended_opens() {
        for file in files() {
            let mut mended = file.clone();
            assert!(mend(&mut mended).is_some());
            assert_eq!(mended, file);
            // The chain's id, which nothing but the checksum covers.
            mended[40] ^= 1;
            assert!(mend(&mut mended).is_some());
            let disk = Arc::new(MemoryDisk::new(1));
            drop(disk.create(Path::new(PATH), &mended).unwrap());
            let digest = Digest(*mended.last_chunk::<32>().unwrap());
            let segment = Segment::open(disk, Path::new(PATH), mended.len() as u64, digest).unwrap();
            assert_eq!(segment.head().chain_id, 2018 ^ 1);
            segment.verify().unwrap();
        }
    }
}
