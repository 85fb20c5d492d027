//! What is taken, what is refused, and that nothing of either is said with a value.

use crate::node::{cluster, collection, patients};
use bxp_clinical::{
    replicate::holder_permit,
    source::{Limits, find, parse_json},
};
use bxp_types::{BlockClass, Jurisdiction};
use std::{sync::mpsc, time::Duration};

const US: Jurisdiction = Jurisdiction::US;

#[test]
fn a_bundle_comes_in_whole_and_out_equal() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let bundles = patients(US, 2);
    for bundle in &bundles {
        let report = node.take(bundle);
        assert_eq!((report.new, report.refused), (bundle.resources as u64, 0), "{:?}", report.refusals);
        assert_eq!(report.patients_new, u64::from(bundle.jurisdiction.is_some()));
        assert_eq!(report.roots.len(), 1);
    }
    let permit = holder_permit(&node.vault, &crate::node::clock(), BlockClass::Identity(US)).unwrap();
    let mut shown = Vec::new();
    for patient in node.ingest.patients() {
        let patient = patient.unwrap();
        assert!(node.enclave.can_sign_for(&patient.account));
        for (_, resource) in node.ingest.open_chart(patient.subject, &permit).unwrap() {
            shown.push(sonic_rs::to_string(resource.expose()).unwrap());
        }
    }
    let mut given = Vec::new();
    for bundle in &bundles[1..] {
        let submission = parse_json("x", bundle.json.as_bytes(), &Limits::default()).unwrap();
        let texts =
            submission.entries.iter().map(|entry| sonic_rs::to_string(entry.resource.expose()).unwrap());
        given.extend(texts);
    }
    shown.sort();
    given.sort();
    assert_eq!(shown, given);
}

#[test]
fn refusals_name_place_type_and_reason_and_the_others_go_on() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let report = node
        .ingest
        .ingest_submission(&collection(&[
            r#"{"resourceType":"Patient","id":"p1","address":[{"country":"US"}]}"#,
            r#"{"resourceType":"Patient","id":"p2","address":[{"country":"DE"}]}"#,
            r#"{"resourceType":"Patient","id":"p3","gender":"Jane Doe"}"#,
            r#"{"resourceType":"Spaceship","id":"s1"}"#,
            r#"{"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/p1"}}"#,
            r#"{"resourceType":"Condition","id":"c2","subject":{"reference":"Patient/p2"}}"#,
            r#"{"resourceType":"Condition","id":"c3","subject":{"reference":"Patient/p3"}}"#,
            r#"{"resourceType":"Condition","id":"c4","subject":{"reference":"Patient/elsewhere"}}"#,
            r#"{"resourceType":"Patient","id":"p1","address":[{"country":"US","city":"Lusk"}]}"#,
            r#"{"resourceType":"Organization","id":"o1","name":"Star"}"#,
        ]))
        .unwrap();
    assert_eq!((report.resources, report.new, report.refused), (10, 3, 7));
    let told: Vec<_> =
        report.refusals.iter().map(|one| (one.position.as_str(), one.reason.as_str())).collect();
    let expected = [
        ("entry 1", "lives in DE"),
        ("entry 2", "Patient.gender: is not in the code set"),
        ("entry 3", "resourceType is not one of"),
        ("entry 5", "lives in DE"),
        ("entry 6", "its Patient was refused"),
        ("entry 7", "hand in the Patient first"),
        ("entry 8", "another version of it"),
    ];
    for ((place, reason), (expected_place, expected_reason)) in told.iter().zip(expected) {
        assert!(*place == expected_place && reason.contains(expected_reason), "{place}: {reason}");
        assert!(!reason.contains("Jane"));
    }
    assert_eq!(node.ingest.patients().count(), 1, "who was refused is not noted");
}

#[test]
fn a_patient_without_a_country_gets_the_configured_one_and_it_is_said() {
    let cluster = cluster(&[Jurisdiction::CA]);
    let patient = r#"{"resourceType":"Patient","id":"p1","address":[{"city":"Lusk"}]}"#;
    let report = cluster.nodes[0].ingest.ingest_submission(&collection(&[patient])).unwrap();
    assert_eq!((report.new, report.countries_defaulted), (1, 1));
    let taken = cluster.nodes[0].ingest.patients().next().unwrap().unwrap();
    assert_eq!(taken.home, Jurisdiction::CA);
}

#[test]
fn a_patient_is_found_through_containers_and_earlier_submissions() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let taken = |resources: &[&str]| {
        let report = node.ingest.ingest_submission(&collection(resources)).unwrap();
        assert_eq!(report.refused, 0, "{:?}", report.refusals);
        report.patients_new
    };
    let patient = r#"{"resourceType":"Patient","id":"p1","identifier":[{"system":"s","value":"7"}],"address":[{"country":"US"}]}"#;
    assert_eq!(taken(&[patient]), 1);
    let later = r#"{"resourceType":"Condition","id":"c1","subject":{"reference":"Patient?identifier=s|7"}}"#;
    let about = r#"{"resourceType":"Provenance","id":"v1","target":[{"reference":"Condition/c1"}],"recorded":"2020-01-01T00:00:00Z","agent":[{"who":{"display":"x"}}]}"#;
    assert_eq!(taken(&[later, about]), 0);
    let subject = node.ingest.patients().next().unwrap().unwrap().subject;
    assert_eq!(node.ingest.chart(subject).unwrap().len(), 3);
    let contained = r##"{"resourceType":"Condition","id":"c2","contained":[{"resourceType":"Patient","id":"p","address":[{"country":"US"}]}],"subject":{"reference":"#p"}}"##;
    assert_eq!(taken(&[contained]), 1);
}

/// Goal: submissions at once do not wait for each other for ever. Way: eight threads, each with conditional references to ask
/// the working copy for and enough resources to seal on all cores.
#[test]
fn submissions_at_once_that_ask_for_references_all_come_to_their_end() {
    const THREADS: usize = 8;
    const CONDITIONS: usize = 60;
    let cluster = cluster(&[US]);
    let ingest = &cluster.nodes[0].ingest;
    let patient = r#"{"resourceType":"Patient","id":"p1","identifier":[{"system":"s","value":"7"}],"address":[{"country":"US"}]}"#;
    ingest.ingest_submission(&collection(&[patient])).unwrap();
    let (ended, ends) = mpsc::channel();
    for thread in 0..THREADS {
        let (ingest, ended) = (ingest.clone(), ended.clone());
        std::thread::spawn(move || {
            let conditions: Vec<String> = (0..CONDITIONS)
                .map(|number| {
                    format!(
                        r#"{{"resourceType":"Condition","id":"c{thread}-{number}","subject":{{"reference":"Patient?identifier=s|7"}}}}"#
                    )
                })
                .collect();
            let conditions: Vec<&str> = conditions.iter().map(String::as_str).collect();
            let _ = ended.send(ingest.ingest_submission(&collection(&conditions)).map(|report| report.new));
        });
    }
    for _ in 0..THREADS {
        let new = ends.recv_timeout(Duration::from_secs(60)).expect("it ends");
        assert_eq!(new.unwrap(), CONDITIONS as u64);
    }
}

#[test]
fn files_are_taken_in_order_and_a_damaged_one_holds_up_no_other() {
    let cluster = cluster(&[US]);
    let ingest = &cluster.nodes[0].ingest;
    let folder = tempfile::tempdir().unwrap();
    let mut resources = 0;
    for bundle in patients(US, 4) {
        std::fs::write(folder.path().join(&bundle.file_name), &bundle.json).unwrap();
        resources += bundle.resources as u64;
    }
    std::fs::write(folder.path().join("patient-000002-damaged.json"), "{\"resourceType\":\"Patient\",")
        .unwrap();
    let found = find(&[folder.path().to_owned()]).unwrap();
    let mut steps = Vec::new();
    let done = ingest
        .ingest_files(&found.files, &Limits::default(), |progress| {
            steps.push((progress.files_done, progress.files, progress.report.new));
        })
        .unwrap();
    assert_eq!((done.report.new, done.errors.len()), (resources, 1));
    assert!(done.errors[0].to_string().contains("patient-000002-damaged.json line 1"), "{}", done.errors[0]);
    assert_eq!((steps.len(), steps[5].0, steps[5].1, steps[5].2), (6, 6, 6, resources));
    assert!(steps.is_sorted());
    let again = ingest.ingest_files(&found.files, &Limits::default(), |_| {}).unwrap();
    assert_eq!((again.report.taken(), again.report.duplicates), (0, resources));
}
