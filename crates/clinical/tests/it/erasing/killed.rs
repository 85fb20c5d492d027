//! Goal: an erasure is done wholly or not at all, whenever the node is killed (SIGKILL), and one that was acknowledged is done. A
//! child process of this very test binary erases one patient after the other; the parent kills it and looks.

use crate::{
    child::child,
    gate::delete,
    keeping::net::{Net, US, make},
    node::{NOW_MS, clock, collection},
};
use bxp_clinical::replicate::holder_permit;
use bxp_fhir_store::{Scope, Store as FhirStore};
use bxp_types::{BlockClass, Secret, SubjectId};
use std::{
    collections::BTreeSet,
    env,
    io::{BufRead, BufReader},
    path::Path,
    thread,
    time::Duration,
};

const FOLDER: &str = "BXP_ERASING_TEST_FOLDER";
const PATIENTS: usize = 48;
/// The Patient, an observation in two versions, and one that was deleted.
const RECORDS: usize = 4;
const KILLS: u64 = 10;
/// Erasures that the child has told of when it is killed.
const TOLD: usize = 2;

fn open(dir: &Path) -> Net {
    let net = Net::open(dir);
    let store = FhirStore::open(&dir.join("fhir"), Secret::new([1; 32])).unwrap();
    net.seats[0].ingest.keep_working_copy(store).unwrap();
    net
}

fn subjects(net: &Net) -> Vec<SubjectId> {
    net.seats[0].ingest.patients().map(|patient| patient.unwrap().subject).collect()
}

/// How many texts of a patient's the working copy has.
fn texts(net: &Net, subject: SubjectId) -> usize {
    let seat = &net.seats[0];
    let permit = holder_permit(&seat.vault, &clock(), BlockClass::Identity(US)).unwrap();
    let reader = seat.ingest.working_copy().unwrap().reader(&permit, NOW_MS).unwrap();
    let all = reader.history(Scope::System, None, 0, usize::MAX).unwrap();
    all.iter().filter(|one| one.subject == subject && one.text.is_some()).count()
}

/// The child. In an ordinary run of the tests there is no folder and nothing to do.
#[test]
fn child_erases_patients_until_killed() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let net = open(Path::new(&folder));
    for subject in subjects(&net) {
        net.seats[0].ingest.erase_patient(subject).unwrap();
        println!("erased {}", hex::encode(subject.0));
    }
}

fn take_in(net: &Net) {
    let ingest = &net.seats[0].ingest;
    let observation = |patient: usize, name: &str, code: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"{name}-{patient}","status":"final","code":{{"text":"{code}"}},"subject":{{"reference":"Patient/p-{patient}"}}}}"#
        )
    };
    for code in ["before", "after"] {
        let of = |patient: usize| {
            let resource =
                format!(r#"{{"resourceType":"Patient","id":"p-{patient}","address":[{{"country":"US"}}]}}"#);
            [resource, observation(patient, "kept", code), observation(patient, "deleted", "same")]
        };
        let all: Vec<String> = (0..PATIENTS).flat_map(of).collect();
        let report = ingest
            .ingest_submission(&collection(&all.iter().map(String::as_str).collect::<Vec<_>>()))
            .unwrap();
        assert_eq!(report.refused, 0);
    }
    for patient in 0..PATIENTS {
        delete(ingest, "Observation", &format!("deleted-{patient}"));
    }
}

#[test]
fn an_erasure_is_done_wholly_or_not_at_all_whenever_the_node_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    make(dir.path(), &[US], 1);
    let net = open(dir.path());
    take_in(&net);
    let all = subjects(&net);
    assert_eq!(all.len(), PATIENTS);
    drop(net);
    let mut told = BTreeSet::new();
    for kill in 0..KILLS {
        let mut child = child("erasing::killed::child_erases_patients_until_killed", FOLDER, dir.path());
        let mut lines = 0;
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            if let Some((_, subject)) = line.split_once("erased ") {
                let mut name = [0; 16];
                hex::decode_to_slice(subject, &mut name).unwrap();
                told.insert(SubjectId(name));
                lines += 1;
            }
            if lines == TOLD {
                // At another place of the next erasure each time.
                thread::sleep(Duration::from_micros(700 * kill));
                child.kill().unwrap();
            }
        }
        assert!(lines >= TOLD, "the child erased until it was killed");
        child.wait().unwrap();
        let net = open(dir.path());
        let seat = &net.seats[0];
        assert!(seat.enclave.renewing_patients().is_empty(), "no exchange of keys is left unfinished");
        let known: BTreeSet<_> = subjects(&net).into_iter().collect();
        for subject in &all {
            let records = seat.vault.entries_of(*subject).unwrap().len();
            let (key, texts) = (seat.enclave.has_patient(&subject.0), texts(&net, *subject));
            let expected = if known.contains(subject) { (RECORDS, true, RECORDS) } else { (0, false, 0) };
            assert_eq!((records, key, texts), expected, "after kill {kill}");
            assert!(!(told.contains(subject) && known.contains(subject)), "what was acknowledged is done");
        }
    }
    let net = open(dir.path());
    for subject in subjects(&net) {
        net.seats[0].ingest.erase_patient(subject).unwrap();
    }
    assert!(net.seats[0].vault.entries(0).next().is_none());
}
