//! Versions in and out, over restarts, under permits and keys.

use crate::fixture::{Fixture, NOW_MS, Place, SUBJECT, kind, on_both, open, permit};
use bxp_fhir_store::{Method, Prepared, Scope, StoreError};
use bxp_privacy::Scope as PermitScope;
use std::fs;

on_both! {
    every_version_is_kept_and_the_newest_is_found,
    a_failed_attempt_leaves_nothing_and_others_of_its_group_stay,
    a_reader_sees_what_its_permit_opens_and_nothing_else,
    a_forgotten_patient_is_gone_and_the_others_stay,
    a_resource_that_was_put_right_has_versions_of_two_patients,
}

const FIRST: &str =
    r#"{"resourceType":"Patient","id":"p","name":[{"family":"Plantedname"}],"birthDate":"1970-01-01"}"#;
const SECOND: &str =
    r#"{"resourceType":"Patient","id":"p","name":[{"family":"Othername"}],"birthDate":"1970-01-01"}"#;

fn every_version_is_kept_and_the_newest_is_found(place: Place) {
    let fixture = Fixture::new(place);
    assert!(fixture.put(FIRST).created);
    let second = fixture.put(SECOND);
    assert_eq!((second.version, second.created), (2, false));
    assert_eq!(fixture.search("Patient", "family=plantedname"), "");
    assert_eq!(fixture.search("Patient", "family=othername"), "p");
    fixture.delete("Patient", "p");
    assert_eq!(fixture.search("Patient", "family=othername"), "");
    assert_eq!(fixture.search("Patient", ""), "");
    let fixture = fixture.again();
    let reader = fixture.reader();
    let newest = reader.read(kind("Patient"), "p").unwrap().unwrap();
    assert_eq!((newest.version, newest.method, newest.text), (3, Method::Delete, None));
    let first = reader.version(kind("Patient"), "p", 1).unwrap().unwrap();
    assert!(first.text.unwrap().contains("Plantedname"));
    let history = reader.history(Scope::Instance(kind("Patient"), "p"), None, 0, 10).unwrap();
    assert_eq!(history.iter().map(|one| one.version).collect::<Vec<_>>(), [3, 2, 1]);
    let again = fixture.put(FIRST);
    assert_eq!((again.version, again.created), (4, true));
    assert_eq!(fixture.search("Patient", "family=plantedname"), "p");
}

fn a_failed_attempt_leaves_nothing_and_others_of_its_group_stay(place: Place) {
    let fixture = Fixture::new(place);
    fixture.put(FIRST);
    let mut writer = fixture.store.writer();
    writer.begin().unwrap();
    let value = sonic_rs::from_str(SECOND).unwrap();
    let content = Prepared::new(kind("Patient"), &value).unwrap();
    let put = |writer: &mut bxp_fhir_store::Writer, id: &str| {
        writer.put(&bxp_fhir_store::NewVersion {
            kind: kind("Patient"),
            id,
            updated_ms: 0,
            record: Some([2; 16]),
            subject: SUBJECT,
            content: Some(&content),
        })
    };
    writer.attempt(|writer| put(writer, "kept")).unwrap();
    let failed: Result<(), StoreError> = writer.attempt(|writer| {
        put(writer, "lost")?;
        Err(StoreError::NotPermitted)
    });
    assert!(failed.is_err());
    writer.attempt(|writer| put(writer, "kept-too")).unwrap();
    writer.commit().unwrap();
    drop(writer);
    assert_eq!(fixture.search("Patient", "family=othername"), "kept kept-too");
    assert_eq!(fixture.search("Patient", "_id=lost"), "");
}

fn a_reader_sees_what_its_permit_opens_and_nothing_else(place: Place) {
    let fixture = Fixture::new(place);
    fixture.put_of(FIRST, [1; 16], NOW_MS);
    fixture.put_of(&SECOND.replace("\"p\"", "\"q\""), [2; 16], NOW_MS);
    let one = fixture.reader_of([1; 16]);
    assert!(one.read(kind("Patient"), "p").unwrap().is_some());
    assert!(one.read(kind("Patient"), "q").unwrap().is_none());
    assert_eq!(one.history(Scope::System, None, 0, 10).unwrap().len(), 1);
    let late = NOW_MS + bxp_privacy::PERMIT_LIFETIME_MS;
    let ended = fixture.store.reader(&permit(PermitScope::OwnRecords), late);
    assert!(matches!(ended, Err(StoreError::NotPermitted)));
}

fn a_forgotten_patient_is_gone_and_the_others_stay(place: Place) {
    let fixture = Fixture::new(place);
    fixture.put_of(FIRST, [1; 16], NOW_MS);
    fixture.put_of(SECOND, [1; 16], NOW_MS);
    fixture.put_of(&SECOND.replace("\"p\"", "\"q\""), [2; 16], NOW_MS);
    let mut writer = fixture.store.writer();
    writer.begin().unwrap();
    assert_eq!(writer.forget_subject([1; 16]).unwrap(), 1);
    writer.forget_record([9; 16]).unwrap();
    let is_file = matches!(fixture.place, Place::File);
    assert_eq!(
        (writer.is_log_due(), writer.empty_log().unwrap()),
        (is_file, !is_file),
        "not within a transaction"
    );
    writer.commit().unwrap();
    drop(writer);
    assert!(
        fixture.store.has_traces() && fixture.store.leave_no_trace().unwrap() && !fixture.store.has_traces()
    );
    let fixture = fixture.again();
    assert!(fixture.store.leave_no_trace().unwrap() && !fixture.store.has_traces());
    assert_eq!(fixture.search("Patient", "family=othername"), "q");
    let history = fixture.reader().history(Scope::Instance(kind("Patient"), "p"), None, 0, 10).unwrap();
    assert!(history.len() == 2 && history.iter().all(|one| one.text.is_none()));
}

/// Goal: an earlier version is its own patient's, to who reads and to who erases. Way: a resource stands with the wrong patient,
/// is put right, and stands with the first one again; then the patients are forgotten, one after the other.
fn a_resource_that_was_put_right_has_versions_of_two_patients(place: Place) {
    let fixture = Fixture::new(place);
    let (wrong, right) = ([1; 16], [2; 16]);
    let of = |number: u8| FIRST.replace("Patient", "Basic").replace("Plantedname", &format!("Name{number}"));
    for (number, subject) in [(1, wrong), (2, wrong), (3, right), (4, right), (5, wrong), (6, right)] {
        fixture.put_of(&of(number), subject, NOW_MS);
    }
    fixture.delete("Basic", "p");
    let fixture = fixture.again();
    let basic = kind("Basic");
    let seen_by = |subject: [u8; 16]| -> Vec<i64> {
        let reader = fixture.reader_of(subject);
        let history = reader.history(Scope::Instance(basic, "p"), None, 0, 10).unwrap();
        let one_by_one = (1..=7).filter(|number| reader.version(basic, "p", *number).unwrap().is_some());
        let one_by_one: Vec<i64> = one_by_one.collect();
        assert!(history.iter().all(|one| one.subject.0 == subject));
        assert!(history.iter().map(|one| one.version).eq(one_by_one.iter().rev().copied()));
        one_by_one
    };
    assert_eq!(seen_by(wrong), [1, 2, 5]);
    assert_eq!(seen_by(right), [3, 4, 6, 7], "with the deletion, which names nobody");
    let texts = || -> Vec<i64> {
        let history = fixture.reader().history(Scope::Instance(basic, "p"), None, 0, 10).unwrap();
        history.iter().filter(|one| one.text.is_some()).map(|one| one.version).collect()
    };
    let forget = |subject: [u8; 16]| {
        let mut writer = fixture.store.writer();
        writer.begin().unwrap();
        let count = writer.forget_subject(subject).unwrap();
        writer.commit().unwrap();
        assert!(writer.checkpoint().unwrap() && !writer.is_log_due());
        count
    };
    assert_eq!(texts(), [6, 5, 4, 3, 2, 1]);
    assert_eq!(forget([3; 16]), 0);
    assert_eq!((forget(wrong), texts()), (1, vec![6, 4, 3]));
    assert_eq!((forget(right), texts()), (1, vec![]));
}

#[test]
fn the_file_tells_nothing_without_its_key_and_notices_a_changed_byte() {
    let fixture = Fixture::new(Place::File);
    for number in 0..50 {
        fixture.put(&FIRST.replace("\"p\"", &format!("\"planted-{number}\"")));
    }
    assert!(fixture.store.writer().checkpoint().unwrap());
    let Fixture { folder, store, .. } = fixture;
    drop(store);
    let path = folder.path().join("records.db");
    let bytes = fs::read(&path).unwrap();
    for name in ["records.db", "records.db-wal"] {
        let file = fs::read(folder.path().join(name)).unwrap_or_default();
        for planted in [&b"Plantedname"[..], b"planted-", b"Patient", b"SQLite format"] {
            assert!(!file.windows(planted.len()).any(|window| window == planted), "{name}");
        }
    }
    assert!(matches!(open(&Place::File, &folder, 2), Err(StoreError::Sealed(_))));
    // A byte in the middle of every page: reading everything must meet it.
    for page in 0..bytes.len() / 8_192 {
        let mut changed = bytes.clone();
        changed[page * 8_192 + 4_000] ^= 1;
        fs::write(&path, &changed).unwrap();
        let read = open(&Place::File, &folder, 1).and_then(|store| {
            let reader = store.reader(&permit(PermitScope::OwnRecords), NOW_MS)?;
            reader.history(Scope::System, None, 0, 1_000).map(|all| all.len())
        });
        assert!(
            read.is_err() || read.is_ok_and(|count| count == 50),
            "page {page}: wrong data is never given"
        );
    }
}
