//! The log on disk: its bytes, torn tails and damage.

use super::*;
use std::fs::{self, File};

fn records() -> Vec<Bytes> {
    [b"first".as_slice(), b"", b"a longer third record", b"4"].map(Bytes::from_static).to_vec()
}

/// A log with [`records`], and where each of them ends.
fn written(path: &Path) -> Vec<u64> {
    let (mut log, replayed) = Log::open(path).unwrap();
    assert!(replayed.is_empty());
    let append = |record: Bytes| {
        log.append(&record).unwrap();
        log.size_bytes()
    };
    let ends = records().into_iter().map(append).collect();
    log.sync().unwrap();
    ends
}

#[test]
fn cut_at_every_byte_the_whole_records_before_the_cut_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wal");
    let ends = written(&path);
    let whole = fs::read(&path).unwrap();
    for cut in record::FILE_HEADER_BYTES..=whole.len() {
        fs::write(&path, &whole[..cut]).unwrap();
        let (mut log, replayed) = Log::open(&path).unwrap();
        let kept = ends.iter().filter(|&&end| end <= cut as u64).count();
        assert_eq!(replayed, records()[..kept], "cut at {cut}");
        let end = kept.checked_sub(1).map_or(record::FILE_HEADER_BYTES as u64, |last| ends[last]);
        assert_eq!(log.torn_bytes(), cut as u64 - end, "cut at {cut}");
        log.append(b"after").unwrap();
        drop(log);
        let (_, replayed) = Log::open(&path).unwrap();
        assert_eq!((replayed.len(), replayed.last().unwrap().as_ref()), (kept + 1, b"after".as_slice()));
    }
}

#[test]
fn a_log_that_was_never_whole_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wal");
    for bytes in [b"".as_slice(), b"BXPWAL\x01\x00", b"BXPWAL\x02\x0012345678", b"something else entirely"] {
        fs::write(&path, bytes).unwrap();
        let error = Log::open(&path).unwrap_err();
        assert!(matches!(error, StorageError::Corrupt { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), bytes, "the file is left as it was");
    }
}

#[test]
fn a_changed_byte_before_whole_records_is_an_error_and_in_the_last_one_a_cut() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wal");
    let ends = written(&path);
    let whole = fs::read(&path).unwrap();
    let last_begins = usize::try_from(ends[2]).unwrap();
    for at in record::FILE_HEADER_BYTES..whole.len() {
        let mut changed = whole.clone();
        changed[at] ^= 0x10;
        fs::write(&path, &changed).unwrap();
        if at < last_begins {
            let error = Log::open(&path).unwrap_err();
            assert!(error.to_string().contains("is damaged: the record at byte"), "byte {at}: {error}");
            assert_eq!(fs::read(&path).unwrap(), changed, "evidence is kept");
        } else {
            assert_eq!(Log::open(&path).unwrap().1, records()[..3], "byte {at}");
        }
    }
}

#[test]
fn a_tail_of_zeros_is_cut_off() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wal");
    written(&path);
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend([0; 4096]);
    fs::write(&path, &bytes).unwrap();
    let (log, replayed) = Log::open(&path).unwrap();
    assert_eq!((replayed, log.torn_bytes()), (records(), 4096));
}

#[test]
fn what_an_interrupted_creation_left_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wal");
    fs::write(files::beside(&path), b"half").unwrap();
    assert!(Log::open(&path).unwrap().1.is_empty());
    assert!(!files::beside(&path).exists());
}

#[test]
fn a_full_disk_is_named_and_poisons() {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let path = PathBuf::from("/data/wal");
    let file = Box::new(full);
    let mut log = Log { file, path, salt: 0, end: 16, torn_bytes: 0, poisoned: false };
    assert!(matches!(log.append(b"x"), Err(StorageError::DiskFull { .. })));
    assert!(matches!(log.append(b"x"), Err(StorageError::Poisoned { .. })));
    assert!(matches!(log.sync(), Err(StorageError::Poisoned { .. })));
}

#[test]
fn a_record_inside_a_payload_is_no_record() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("wal");
    let mut inner = Vec::new();
    record::write(0, 0, b"chosen by a peer", &mut inner);
    let (mut log, _) = Log::open(&path).unwrap();
    log.append(&inner).unwrap();
    drop(log);
    let whole = fs::read(&path).unwrap();
    let mut damaged = whole.clone();
    damaged[record::FILE_HEADER_BYTES] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert!(Log::open(&path).unwrap().1.is_empty());
}

proptest::proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(salt: u64, tail: Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wal");
        fs::write(&path, [record::file_header(salt), tail].concat()).unwrap();
        let _ = Log::open(&path);
        fs::write(&path, salt.to_le_bytes()).unwrap();
        let _ = Log::open(&path);
    }

    #[test]
    fn records_come_back(records: Vec<Vec<u8>>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("wal");
        let (mut log, _) = Log::open(&path).unwrap();
        for record in &records {
            log.append(record).unwrap();
        }
        proptest::prop_assert_eq!(Log::open(&path).unwrap().1, records);
    }
}
