//! Submissions at once: what comes next stands on what comes before, whether that is written yet or has to be written again.

use crate::node::{Cluster, NOW_MS, Node, clock, cluster, collection};
use bxp_clinical::{
    ClinicalError,
    ingest::{Deletion, Ingest, Outcome, Report, Work},
    replicate::holder_permit,
    source::Submission,
};
use bxp_fhir_store::{Parameters, Scope, Store as FhirStore};
use bxp_types::{BlockClass, Jurisdiction};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

const US: Jurisdiction = Jurisdiction::US;
const WITHIN: Duration = Duration::from_secs(60);

pub(crate) fn keep_working_copy(node: &Node) {
    let key = node.enclave.database_key("fhir store").unwrap();
    let store = FhirStore::open(&node.dir.path().join("fhir"), key).unwrap();
    node.ingest.keep_working_copy(store).unwrap();
}

pub(crate) fn one_node() -> Cluster {
    let cluster = cluster(&[US]);
    keep_working_copy(&cluster.nodes[0]);
    cluster
}

/// The version of a resource that the working copy has.
fn version(node: &Node, kind: &str, id: &str) -> Option<i64> {
    let permit = holder_permit(&node.vault, &clock(), BlockClass::Identity(US)).unwrap();
    let reader = node.ingest.working_copy().unwrap().reader(&permit, NOW_MS).unwrap();
    let found = reader.read(Parameters::r4().kind(kind).unwrap(), id).unwrap();
    found.map(|found| found.version)
}

/// The versions of a resource of which the working copy has the text, oldest first.
pub(crate) fn versions_with_text(node: &Node, kind: &str, id: &str) -> Vec<i64> {
    let permit = holder_permit(&node.vault, &clock(), BlockClass::Identity(US)).unwrap();
    let reader = node.ingest.working_copy().unwrap().reader(&permit, NOW_MS).unwrap();
    let scope = Scope::Instance(Parameters::r4().kind(kind).unwrap(), id);
    let history = reader.history(scope, None, 0, 100).unwrap();
    history.iter().rev().filter(|one| one.text.is_some()).map(|one| one.version).collect()
}

/// Deletes a resource as FHIR REST does.
pub(crate) fn delete(ingest: &Ingest, kind: &str, id: &str) {
    let mut nothing = collection(&[&patient("nobody")]);
    nothing.entries.clear();
    let deletions = [Deletion { kind: Parameters::r4().kind(kind).unwrap(), id: id.to_owned() }];
    let taken = ingest.transact(|session| {
        let checked = ingest.check(&nothing);
        session.take(Work { submission: &nothing, checked, deletions: &deletions, whole: true })
    });
    taken.unwrap();
}

pub(crate) fn patient(id: &str) -> String {
    format!(r#"{{"resourceType":"Patient","id":"{id}","address":[{{"country":"US"}}]}}"#)
}

/// Takes a submission in, tells `inside` when it is being written, and then waits until it is told how that shall end.
fn take_slowly(
    node: &Node,
    submission: &Submission,
    inside: mpsc::Sender<()>,
    end: mpsc::Receiver<bool>,
) -> Result<Report, ClinicalError> {
    let checked = node.ingest.check(submission);
    let work = Work { submission, checked, deletions: &[], whole: false };
    node.ingest.take(work, |_, report, _| {
        inside.send(()).unwrap();
        let ends_well = end.recv_timeout(WITHIN).unwrap();
        if ends_well { Ok(report) } else { Err(ClinicalError::Damaged("what the test wanted so")) }
    })
}

/// A Patient is being written while a Condition of that Patient comes in, with a second Patient. The first write ends well or
/// fails; what stood on it is there either way, and so is it itself.
fn what_stands_on_what_is_being_written(ends_well: bool) {
    let mut cluster = one_node();
    let node = &cluster.nodes[0];
    let condition = r#"{"resourceType":"Condition","id":"c1","subject":{"reference":"Patient/p1"}}"#;
    let (first, second) = (&collection(&[&patient("p1")]), &collection(&[condition, &patient("p2")]));
    let (tell_inside, inside) = mpsc::channel();
    let (tell_end, end) = mpsc::channel();
    thread::scope(|scope| {
        let before = scope.spawn(move || take_slowly(node, first, tell_inside, end));
        inside.recv_timeout(WITHIN).unwrap();
        let after = scope.spawn(move || node.ingest.ingest_submission(second));
        // The second Patient gets an account when it is sealed.
        let deadline = Instant::now() + WITHIN;
        while node.enclave.accounts().len() < 2 && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        let sealed = node.enclave.accounts().len();
        let known = |id: &str| node.ingest.find("Patient", id).unwrap().is_some();
        let known = (known("p1"), known("p2"));
        tell_end.send(ends_well).unwrap();
        assert_eq!(sealed, 2, "it is sealed while the one before is written");
        assert_eq!(known, (true, false), "it is written after the one before");
        assert_eq!(before.join().unwrap().is_ok(), ends_well);
        let report = after.join().unwrap().unwrap();
        assert_eq!((report.new, report.refused), (2, 0), "{:?}", report.refusals);
    });
    let expected = [("Patient", "p1"), ("Condition", "c1"), ("Patient", "p2")];
    let versions = |node: &Node| expected.map(|(kind, id)| version(node, kind, id));
    assert_eq!(versions(node), [Some(1); 3]);
    assert_eq!(node.ingest.patients().count(), 2);
    let node = cluster.nodes.remove(0).reopen(&cluster.genesis);
    keep_working_copy(&node);
    assert_eq!(versions(&node), [Some(1); 3], "nothing is written twice");
}

#[test]
fn the_next_is_named_and_sealed_while_the_one_before_is_written() {
    what_stands_on_what_is_being_written(true);
}

#[test]
fn what_stands_on_a_write_that_fails_finds_it_made_good() {
    what_stands_on_what_is_being_written(false);
}

/// Goal: one business identifier is one record, however many bring it at once. Way: threads that each hand in the same Patient
/// by identifier, with contents of their own, and enough others to be written beside the vault's tables.
#[test]
fn one_identifier_is_one_record_for_submissions_at_once() {
    const THREADS: u32 = 6;
    const OTHERS: usize = 70;
    let cluster = one_node();
    let node = &cluster.nodes[0];
    let submission = |thread: u32| {
        let patient = format!(
            r#"{{"resourceType":"Patient","identifier":[{{"system":"s","value":"7"}}],"address":[{{"country":"US","city":"{thread}"}}]}}"#
        );
        let others = (0..OTHERS).map(|number| {
            format!(r#"{{"resourceType":"Organization","id":"o{thread}-{number}","name":"Star"}}"#)
        });
        let all: Vec<String> = std::iter::once(patient).chain(others).collect();
        collection(&all.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let reports: Vec<Report> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || node.ingest.ingest_submission(&submission(thread)).unwrap()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let changed: u64 = reports.iter().map(|report| report.changed).sum();
    let patients: u64 = reports.iter().map(|report| report.patients_new).sum();
    assert_eq!((patients, changed), (1, u64::from(THREADS) - 1));
    assert_eq!(node.ingest.patients().count(), 1);
    for thread in 0..THREADS {
        for number in 0..OTHERS {
            assert_eq!(version(node, "Organization", &format!("o{thread}-{number}")), Some(1));
        }
    }
}

/// Goal: a resource that came without an id has one address here, by which it is read, changed, deleted and erased. Way: an
/// Observation without id is deleted, handed in again, changed under the id that it got, and erased with its patient.
#[test]
fn a_resource_that_came_without_an_id_lives_under_the_one_that_it_got() {
    let cluster = one_node();
    let node = &cluster.nodes[0];
    let observation = |id: &str, code: &str| {
        format!(
            r#"{{"resourceType":"Observation",{id}"status":"final","code":{{"text":"{code}"}},"subject":{{"reference":"Patient/p1"}}}}"#
        )
    };
    let take = |resources: &[&str]| {
        let submission = collection(resources);
        let checked = node.ingest.check(&submission);
        let work = Work { submission: &submission, checked, deletions: &[], whole: false };
        node.ingest.take::<_, ClinicalError>(work, |_, report, outcomes| Ok((report, outcomes))).unwrap()
    };
    let nameless = observation("", "x");
    let (report, outcomes) = take(&[&patient("p1"), &nameless]);
    assert_eq!((report.new, report.refused), (2, 0), "{:?}", report.refusals);
    let Some(Outcome::Stored { id, .. }) = outcomes.last() else { panic!("{outcomes:?}") };
    let subject = node.ingest.patients().next().unwrap().unwrap().subject;
    let chart = || node.ingest.chart(subject).unwrap().len();
    let found = || node.ingest.find("Observation", id).unwrap().unwrap().version;
    assert_eq!((chart(), found()), (2, 1));

    delete(&node.ingest, "Observation", id);
    assert_eq!((chart(), found(), version(node, "Observation", id)), (1, 2, Some(2)), "in no chart any more");
    let (report, _) = take(&[&nameless]);
    assert_eq!((report.changed, report.duplicates), (1, 0), "it may come again");
    assert_eq!((chart(), version(node, "Observation", id)), (2, Some(3)));
    let (report, _) = take(&[&observation(&format!(r#""id":"{id}","#), "y")]);
    assert_eq!((report.new, report.changed), (0, 1));
    assert_eq!(
        (chart(), found(), version(node, "Observation", id)),
        (2, 4, Some(4)),
        "one resource, not two"
    );

    assert_eq!(versions_with_text(node, "Observation", id), [1, 3, 4]);
    node.ingest.erase_patient(subject).unwrap();
    assert_eq!(versions_with_text(node, "Observation", id), Vec::<i64>::new());
    assert!(node.ingest.find("Observation", id).unwrap().is_none());
}

/// Goal: a write that panics takes nothing with it. Way: what is to be done after a resource was written panics; then another
/// one comes.
#[test]
fn what_a_write_that_panics_leaves_is_made_good() {
    let mut cluster = one_node();
    let node = &cluster.nodes[0];
    let submission = collection(&[&patient("p1")]);
    let work = Work {
        submission: &submission,
        checked: node.ingest.check(&submission),
        deletions: &[],
        whole: false,
    };
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        node.ingest.take::<(), ClinicalError>(work, |_, _, _| panic!("what the test wanted so"))
    }));
    assert!(panicked.is_err());
    node.ingest.ingest_submission(&collection(&[&patient("p2")])).unwrap();
    let both = |node: &Node| ["p1", "p2"].map(|id| version(node, "Patient", id));
    assert_eq!(both(node), [Some(1); 2], "the vault has taken the first one, so it is there");
    let node = cluster.nodes.remove(0).reopen(&cluster.genesis);
    keep_working_copy(&node);
    assert_eq!(both(&node), [Some(1); 2]);
}
