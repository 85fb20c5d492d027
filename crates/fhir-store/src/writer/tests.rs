//! What becomes of a group when the database, or the work itself, gives up in the middle.

use super::*;
use crate::Store;
use bxp_types::Secret;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn prepared(letters: usize) -> (Kind, Prepared) {
    let kind = Parameters::r4().kind("Basic").unwrap();
    // Random letters, so that nothing is saved by compressing them.
    let text: String = (0..letters).map(|_| char::from(b'a' + rand::random::<u8>() % 26)).collect();
    let value = sonic_rs::from_str(&format!(r#"{{"resourceType":"Basic","language":"{text}"}}"#)).unwrap();
    (kind, Prepared::new(kind, &value).unwrap())
}

fn put(writer: &mut Writer, id: &str, letters: usize) -> Result<Put, StoreError> {
    let (kind, content) = prepared(letters);
    let (record, subject) = (Some([1; 16]), [2; 16]);
    writer.put(&NewVersion { kind, id, updated_ms: 1, record, subject, content: Some(&content) })
}

fn is_there(writer: &Writer, id: &str) -> bool {
    writer.current(Parameters::r4().kind("Basic").unwrap(), id).unwrap().is_some()
}

fn pages(writer: &Writer, most: &str) -> i64 {
    writer.database.one(&format!("PRAGMA max_page_count{most}"), &[]).unwrap()
}

/// Goal: a disk that is full in the middle of a group fails the whole group, tells why, and leaves nothing of it behind. Way: the
/// file may not grow any more while the second of three members writes.
#[test]
fn a_full_disk_fails_its_group_and_not_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Secret::new([1; 32])).unwrap();
    let mut writer = store.writer();
    writer.begin().unwrap();
    writer.attempt(|writer| put(writer, "before", 10)).unwrap();
    writer.commit().unwrap();
    let written = writer.written();

    writer.begin().unwrap();
    writer.attempt(|writer| put(writer, "first", 10)).unwrap();
    let most = pages(&writer, "");
    let here: i64 = writer.database.one("PRAGMA page_count", &[]).unwrap();
    pages(&writer, &format!(" = {here}"));
    let full = writer.attempt(|writer| put(writer, "second", 200_000)).unwrap_err();
    assert!(full.is_disk_full(), "{full}");
    assert!(writer.is_broken());
    pages(&writer, &format!(" = {most}"));
    assert!(matches!(writer.attempt(|writer| put(writer, "third", 10)), Err(StoreError::Undone)));
    assert!(matches!(writer.begin(), Err(StoreError::Undone)));
    assert!(matches!(writer.commit(), Err(StoreError::Undone)));

    assert_eq!(writer.written(), written, "numbers are given again");
    writer.begin().unwrap();
    writer.attempt(|writer| put(writer, "third", 10)).unwrap();
    writer.commit().unwrap();
    let there = ["before", "first", "second", "third"].map(|id| is_there(&writer, id));
    assert_eq!(there, [true, false, false, true]);
}

/// Goal: nothing half written is committed. Way: an attempt panics after its first write.
#[test]
fn work_that_panics_fails_its_group() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path(), Secret::new([1; 32])).unwrap();
    let mut writer = store.writer();
    writer.begin().unwrap();
    writer.attempt(|writer| put(writer, "first", 10)).unwrap();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        writer.attempt(|writer| -> Result<(), StoreError> {
            put(writer, "half", 10)?;
            panic!("what the test wanted so")
        })
    }));
    assert!(panicked.is_err() && writer.is_broken());
    assert!(matches!(writer.commit(), Err(StoreError::Undone)));
    writer.begin().unwrap();
    assert!(!is_there(&writer, "first") && !is_there(&writer, "half"));
    writer.attempt(|writer| put(writer, "next", 10)).unwrap();
    writer.commit().unwrap();
    assert!(is_there(&writer, "next"));
}
