//! The same content again changes nothing; other content is a new version; a crash leaves all or nothing.

use crate::node::{cluster, collection, patients, submission};
use bxp_types::Jurisdiction;

const US: Jurisdiction = Jurisdiction::US;

#[test]
fn the_same_file_again_makes_no_duplicates_even_after_a_restart() {
    let mut cluster = cluster(&[US]);
    let node = cluster.nodes.remove(0);
    let bundles = patients(US, 2);
    let first: u64 = bundles.iter().map(|bundle| node.take(bundle).new).sum();
    let node = node.reopen(&cluster.genesis);
    let accounts = node.enclave.accounts();
    for bundle in &bundles {
        let again = node.take(bundle);
        assert_eq!((again.duplicates, again.taken(), again.refused), (bundle.resources as u64, 0, 0));
        assert!(again.roots.is_empty());
    }
    assert_eq!(node.vault.entries(0).count() as u64, first);
    assert_eq!(node.enclave.accounts(), accounts, "no account is made twice");
}

#[test]
fn changed_content_is_a_new_version_under_the_same_pseudonym() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let patient = |city: &str| {
        format!(r#"{{"resourceType":"Patient","id":"p1","address":[{{"country":"US","city":"{city}"}}]}}"#)
    };
    let (before, after) = (patient("Lusk"), patient("Boston"));
    node.ingest.ingest_submission(&collection(&[&before])).unwrap();
    let subject = node.ingest.patients().next().unwrap().unwrap().subject;
    let first = node.ingest.chart(subject).unwrap();
    let report = node.ingest.ingest_submission(&collection(&[&after])).unwrap();
    assert_eq!((report.new, report.changed, report.patients_new), (0, 1, 0));
    let second = node.ingest.chart(subject).unwrap();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first, second);
    assert!(node.vault.entry(first[0]).unwrap().is_some(), "the earlier version stays");
}

#[test]
fn a_resource_without_any_id_is_recognised_by_its_content() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let nameless = r#"{"resourceType":"Organization","name":"Star"}"#;
    let first = node.ingest.ingest_submission(&collection(&[nameless, nameless])).unwrap();
    assert_eq!((first.new, first.duplicates), (1, 1));
    let again = node.ingest.ingest_submission(&collection(&[nameless])).unwrap();
    assert_eq!((again.new, again.duplicates), (0, 1));
}

#[test]
fn resources_that_share_an_identifier_stay_apart() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let account = |id: &str| {
        format!(
            r#"{{"resourceType":"Account","id":"{id}","status":"active","identifier":[{{"system":"s","value":"7"}}]}}"#
        )
    };
    let report = node.ingest.ingest_submission(&collection(&[&account("a"), &account("b")])).unwrap();
    assert_eq!((report.new, report.refused), (2, 0));
}

#[test]
fn who_was_referred_to_by_identifier_takes_the_pseudonym_that_waits() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let visit = r#"{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"},"participant":[{"individual":{"reference":"Practitioner?identifier=s|7"}}]}"#;
    let doctor = r#"{"resourceType":"Practitioner","id":"d","identifier":[{"system":"s","value":"7"}]}"#;
    let mut sides = Vec::new();
    for resource in [visit, doctor] {
        node.ingest.ingest_submission(&collection(&[resource])).unwrap();
        let (_, entry) = node.vault.entries(0).last().unwrap().unwrap();
        let permit = node.permit(entry.record_id, bxp_types::BlockClass::Deidentified);
        let side = node.vault.open_deidentified(entry.record_id, &permit).unwrap();
        sides.push(String::from_utf8(side.to_vec()).unwrap());
    }
    let (_, rest) = sides[0].split_once("Practitioner/").unwrap();
    assert!(sides[1].contains(&rest[..32]), "{sides:?}");
}

#[test]
fn a_resource_is_found_by_the_names_of_its_submitter() {
    let cluster = cluster(&[US]);
    let ingest = &cluster.nodes[0].ingest;
    let patient = |city: &str| {
        format!(r#"{{"resourceType":"Patient","id":"p1","address":[{{"country":"US","city":"{city}"}}]}}"#)
    };
    let (before, after) = (collection(&[&patient("Lusk")]), collection(&[&patient("Boston")]));
    assert_eq!(ingest.find("Patient", "p1").unwrap(), None);
    assert_eq!(ingest.find_entry(&before.entries[0]).unwrap(), None);
    ingest.ingest_submission(&before).unwrap();
    let first = ingest.find("Patient", "p1").unwrap().unwrap();
    assert_eq!(first.version, 1);
    let seen = |submission: &bxp_clinical::source::Submission| {
        ingest.find_entry(&submission.entries[0]).unwrap().unwrap()
    };
    assert_eq!((seen(&before).found, seen(&before).equal), (first, true));
    ingest.ingest_submission(&after).unwrap();
    let second = ingest.find("Patient", "p1").unwrap().unwrap();
    assert_eq!((second.version, seen(&before).equal, seen(&after).equal), (2, false, true));
    assert_ne!(first.record, second.record);
    assert_eq!(ingest.find("Observation", "p1").unwrap(), None);
}

#[test]
fn a_urn_means_nothing_outside_of_its_bundle() {
    let cluster = cluster(&[US]);
    let ingest = &cluster.nodes[0].ingest;
    let bundle = |id: &str| {
        let uuid = "urn:uuid:00000000-0000-4000-8000-000000000001";
        let patient = format!(
            r#"{{"fullUrl":"{uuid}","resource":{{"resourceType":"Patient","id":"{id}","address":[{{"country":"US"}}]}}}}"#
        );
        let visit = format!(
            r#"{{"resource":{{"resourceType":"Condition","id":"c-{id}","subject":{{"reference":"{uuid}"}}}}}}"#
        );
        submission(&format!(
            r#"{{"resourceType":"Bundle","type":"transaction","entry":[{patient},{visit}]}}"#
        ))
    };
    for id in ["a", "b"] {
        let report = ingest.ingest_submission(&bundle(id)).unwrap();
        assert_eq!((report.new, report.patients_new, report.refused), (2, 1, 0));
    }
    for patient in ingest.patients() {
        assert_eq!(ingest.chart(patient.unwrap().subject).unwrap().len(), 2);
    }
}

#[test]
fn what_was_erased_can_be_handed_in_again() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let patient = collection(&[r#"{"resourceType":"Patient","id":"p1","address":[{"country":"US"}]}"#]);
    node.ingest.ingest_submission(&patient).unwrap();
    let subject = node.ingest.patients().next().unwrap().unwrap().subject;
    node.vault.erase(node.ingest.chart(subject).unwrap()[0]).unwrap();
    let permit = bxp_clinical::replicate::holder_permit(
        &node.vault,
        &crate::node::clock(),
        bxp_types::BlockClass::Identity(US),
    );
    assert_eq!(node.ingest.open_chart(subject, &permit.unwrap()).unwrap().len(), 0);
    let report = node.ingest.ingest_submission(&patient).unwrap();
    assert_eq!((report.changed, report.duplicates), (1, 0));
    assert!(node.vault.entry(node.ingest.chart(subject).unwrap()[0]).unwrap().is_some());
}
