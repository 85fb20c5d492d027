//! What a crash may have left of the write-ahead log.

use super::pieces;
use bxp_storage::{Disk, MemoryDisk, SegmentedLog};
use std::{path::Path, sync::Arc};

const PATH: &str = "/node/wal";
const SEGMENT_BYTES: u64 = 64;

/// Whatever stands in the files, opening ends in records or an error; what is appended after it comes back.
pub(crate) fn journal(bytes: &[u8]) {
    let disk = MemoryDisk::new(1);
    for (number, piece) in pieces(bytes).into_iter().take(4).enumerate() {
        let path = if number == 0 { PATH.to_owned() } else { format!("{PATH}.{number}") };
        drop(disk.create(Path::new(&path), piece).expect("write to memory"));
    }
    let open = || SegmentedLog::open_on(Arc::new(disk.clone()), Path::new(PATH), SEGMENT_BYTES, 0);
    let Ok((mut log, mut found)) = open() else { return };
    for mark in 1..4_u8 {
        log.append(u64::from(mark), &[mark; 30]).expect("append to memory");
        found.push(vec![mark; 30].into());
    }
    log.sync().expect("sync memory");
    drop(log);
    assert_eq!(open().expect("what was opened opens again").1, found);
}

pub(crate) fn files() -> Vec<Vec<u8>> {
    let disk = MemoryDisk::new(1);
    let (mut log, _) = SegmentedLog::open_on(Arc::new(disk.clone()), Path::new(PATH), SEGMENT_BYTES, 0)
        .expect("open in memory");
    for mark in 0..4_u8 {
        log.append(u64::from(mark), &[mark; 20]).expect("append to memory");
    }
    let files = (0..4).filter_map(|number| {
        let path = if number == 0 { PATH.to_owned() } else { format!("{PATH}.{number}") };
        disk.open(Path::new(&path)).ok().flatten().map(|(_, bytes)| bytes)
    });
    vec![super::joined(files)]
}
