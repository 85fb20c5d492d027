//! What holds on a database server alone: what it sees, what it may not change, how it is reached, and when it goes away.

use crate::{
    fixture::{Fixture, NOW_MS, Place, SUBJECT, kind, open, open_when_free, permit},
    server::{Database, database, database_of_its_own},
};
use bxp_fhir_store::{NewVersion, Prepared, Scope, Server, Store, StoreError};
use bxp_privacy::Scope as PermitScope;
use bxp_types::Secret;
use std::{fs, path::Path};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"planted-id","name":[{"family":"Plantedname","given":["Plantedgiven"]}],
    "birthDate":"1931-07-09","identifier":[{"system":"http://planted.system","value":"planted-mrn"}],
    "address":[{"city":"Plantedcity"}],"gender":"female"}"#;
const WEIGHT: &str = r#"{"resourceType":"Observation","id":"planted-weight","status":"final","code":{"coding":[
    {"system":"http://loinc.org","code":"29463-7","display":"Planted Label"}]},"subject":{"reference":"Patient/planted-id"},
    "effectiveDateTime":"2021-02-03T04:05:06Z","valueQuantity":{"value":98765.4321,"unit":"plantedunit"}}"#;

/// A fixture on a server, where there is one.
fn fixture() -> Option<(Fixture, Database)> {
    let database = database()?;
    Some((Fixture::new(Place::Server(database.clone())), database))
}

#[test]
fn a_server_sees_no_value_of_a_resource() {
    let Some((fixture, database)) = fixture() else { return };
    fixture.put(PATIENT);
    fixture.put(WEIGHT);
    assert_eq!(fixture.search("Patient", "birthdate=1931-07-09&name=planted"), "planted-id");
    assert_eq!(fixture.search("Observation", "value-quantity=gt98765&date=2021-02-03"), "planted-weight");
    database.sql("CHECKPOINT");
    let mut places = vec![database.dump()];
    read_all(&database.files(), &mut places);
    // Texts as they are, times in milliseconds and numbers as they would lie in a table, and how a dump writes bytes.
    let time_ms: i64 = 1_612_325_106_000;
    let day_ms: i64 = -1_214_870_400_000;
    let mut planted: Vec<Vec<u8>> = ["lanted", "29463", "loinc", "1931-07", "female", "98765"]
        .iter()
        .flat_map(|text| [text.as_bytes().to_vec(), hex(text.as_bytes()).into_bytes()])
        .collect();
    for whole in [time_ms, day_ms] {
        planted.extend([whole.to_le_bytes().to_vec(), whole.to_string().into_bytes()]);
    }
    planted.push(98_765.432_1_f64.to_le_bytes().to_vec());
    planted.push(SUBJECT.to_vec());
    for place in &places {
        for text in &planted {
            let found = place.windows(text.len()).any(|window| window == text.as_slice());
            assert!(!found, "{} is seen", String::from_utf8_lossy(text));
        }
    }
    assert!(
        places.iter().any(|place| place.windows(7).any(|window| window == b"posting")),
        "it was looked at"
    );
}

fn read_all(folder: &Path, into: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, into);
        } else {
            // The server may remove a file meanwhile.
            into.extend(fs::read(&path));
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_server_that_swaps_or_changes_is_noticed() {
    let Some((fixture, database)) = fixture() else { return };
    let other = PATIENT.replace("planted-id", "other");
    fixture.put_of(PATIENT, [1; 16], NOW_MS);
    fixture.put_of(&other, [2; 16], NOW_MS);
    let read = |reader: bxp_fhir_store::Reader, id: &str| {
        reader.read(kind("Patient"), id).map(|found| found.and_then(|found| found.text))
    };
    let whole = || read(fixture.reader(), "planted-id");
    assert!(whole().unwrap().unwrap().contains("Plantedname"));
    let (one, two) = ("(SELECT subject FROM bxp.resource WHERE rid = 1)", "rid = 2");
    // Whose it is said to be.
    database.sql(&format!(
        "CREATE TABLE kept AS SELECT * FROM bxp.resource; UPDATE bxp.resource SET subject = {one} WHERE {two}"
    ));
    assert_eq!(
        read(fixture.reader_of([1; 16]), "other").unwrap(),
        None,
        "a permit opens what is sealed for it"
    );
    // Which resource it is said to be.
    database.sql("UPDATE bxp.resource SET id = '\\x00' WHERE rid = 2; UPDATE bxp.resource r SET id = k.id FROM kept k WHERE r.rid = 1 AND k.rid = 2");
    assert!(matches!(read(fixture.reader(), "other"), Err(StoreError::Damaged(_))));
    database.sql("UPDATE bxp.resource r SET id = k.id, subject = k.subject FROM kept k WHERE r.rid = k.rid");
    assert!(whole().unwrap().is_some());
    for change in [
        "UPDATE bxp.version SET body = (SELECT body FROM bxp.version WHERE seq = 2) WHERE seq = 1",
        "UPDATE bxp.version SET body = set_byte(body, 40, 255 - get_byte(body, 40)) WHERE seq = 1",
        "UPDATE bxp.version SET updated_ms = updated_ms + 1 WHERE seq = 1",
        "UPDATE bxp.version SET version = 7 WHERE seq = 1",
    ] {
        database.sql(&format!("CREATE TABLE before AS SELECT * FROM bxp.version; {change}"));
        assert!(matches!(whole(), Err(StoreError::Damaged(_))), "{change}");
        database
            .sql("DELETE FROM bxp.version; INSERT INTO bxp.version SELECT * FROM before; DROP TABLE before");
        assert!(whole().unwrap().is_some());
    }
}

#[test]
fn another_key_a_second_node_and_a_later_schema_are_refused() {
    let Some((fixture, database)) = fixture() else { return };
    fixture.put(PATIENT);
    let place = Place::Server(database.clone());
    let second = open(&place, &fixture.folder, 1).unwrap_err();
    assert!(second.to_string().contains("another node"), "{second}");
    let Fixture { folder, store, .. } = fixture;
    drop(store);
    assert!(matches!(open_when_free(&place, &folder, 2), Err(StoreError::OtherKey)));
    database.sql("UPDATE bxp.note SET value = 99 WHERE name = 'schema'");
    let later = open_when_free(&place, &folder, 1);
    assert!(matches!(later, Err(StoreError::LaterSchema { found: 99, .. })));
    // As a program of before has left it.
    database.sql("DROP TABLE bxp.moved; UPDATE bxp.note SET value = 1 WHERE name = 'schema'");
    let store = open_when_free(&place, &folder, 1).unwrap();
    let fixture = Fixture { place, folder, store };
    assert_eq!(fixture.put_of(PATIENT, [9; 16], NOW_MS).version, 2, "what is new is there");
}

#[test]
fn a_broken_connection_loses_the_open_transaction_and_nothing_else() {
    let Some((fixture, database)) = fixture() else { return };
    fixture.put(PATIENT);
    let value = sonic_rs::from_str(WEIGHT).unwrap();
    let content = Prepared::new(kind("Observation"), &value).unwrap();
    let mut writer = fixture.store.writer();
    writer.begin().unwrap();
    let put = |writer: &mut bxp_fhir_store::Writer, id: &str| {
        let (kind, record) = (kind("Observation"), Some([1; 16]));
        writer.put(&NewVersion { kind, id, updated_ms: 0, record, subject: SUBJECT, content: Some(&content) })
    };
    put(&mut writer, "lost").unwrap();
    database.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()");
    assert!(writer.commit().is_err(), "what was not committed is not acknowledged");
    // Until the server has given up the old connection's lock, the new one is refused.
    let begun = (0..500).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        writer.begin().is_ok()
    });
    assert!(begun);
    put(&mut writer, "kept").unwrap();
    writer.commit().unwrap();
    drop(writer);
    assert_eq!(fixture.search("Observation", ""), "kept");
    assert_eq!(fixture.search("Patient", "name=planted"), "planted-id");
}

#[test]
fn what_is_committed_survives_a_server_that_crashes() {
    // A server of its own, since the others' tests go on.
    let Some(database) = database_of_its_own() else { return };
    // With such a default, what was acknowledged last would be lost: the store asks for more.
    database.sql("ALTER ROLE bxp SET synchronous_commit = off");
    let fixture = Fixture::new(Place::Server(database.clone()));
    for number in 0..20 {
        fixture.put(&PATIENT.replace("planted-id", &format!("p{number}")));
        if number % 5 == 4 {
            database.crash();
        }
    }
    let found = fixture.search("Patient", "name=planted");
    assert_eq!(found, (0..20).map(|number| format!("p{number}")).collect::<Vec<_>>().join(" "));
}

#[test]
fn a_server_elsewhere_is_reached_by_verified_tls_alone() {
    let Some(database) = database() else { return };
    let authority = include_bytes!("tls/authority.pem");
    let key = Secret::new([1; 32]);
    let reach = |host: &str, authority: &[u8]| {
        let server = Server::new(&database.address_by_tls(host), None, Some(authority), Some(3))?;
        Store::connect(server, &key)
    };
    assert!(reach("localhost", include_bytes!("tls/other.pem")).is_err(), "an unknown authority");
    assert!(reach("127.0.0.1", authority).is_err(), "a name that is not in the certificate");
    let store = reach("localhost", authority).unwrap();
    let encrypted = "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.application_name = 'bxp' \
                     AND a.datname = current_database()";
    assert_eq!(database.sql(encrypted), "t");
    // More readers than connections wait, and are told.
    let readers: Vec<_> =
        (0..2).map(|_| store.reader(&permit(PermitScope::OwnRecords), NOW_MS).unwrap()).collect();
    drop(readers);
    assert!(
        store
            .reader(&permit(PermitScope::OwnRecords), NOW_MS)
            .unwrap()
            .history(Scope::System, None, 0, 1)
            .is_ok()
    );
}

#[test]
fn an_address_that_would_not_be_safe_is_refused() {
    let refused = |url: &str, authority: Option<&[u8]>| {
        Server::new(url, None, authority, None).unwrap_err().to_string()
    };
    assert!(refused("postgres://u@db.example/d", None).contains("TLS"));
    assert!(refused("postgres://u:secret@%2Frun/d", None).contains("password"));
    assert!(!refused("postgres://u:secret@%2Frun/d", None).contains("secret"));
    assert!(refused("postgres://u@db.example/d", Some(b"no certificate")).contains("PEM"));
    for wrong in ["mysql://x", "postgres://db.example/d", "postgres://u@a,b/d", ""] {
        assert!(refused(wrong, None).contains("postgres://USER@HOST/DATABASE"), "{wrong}");
    }
}
