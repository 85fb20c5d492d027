//! A working copy that was lost comes back from the vault.

use crate::{
    gate::{delete, keep_working_copy, one_node, patient, versions_with_text},
    node::{NOW_MS, Node, clock, collection, patients, submission},
};
use bxp_clinical::replicate::holder_permit;
use bxp_fhir_store::{Method, Scope};
use bxp_storage::Durability;
use bxp_types::{BlockClass, Genesis, Jurisdiction};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

const US: Jurisdiction = Jurisdiction::US;

/// Address and version -> what was done, whose it is, and the text, of everything that a working copy has.
type Dump = BTreeMap<(String, i64), (Method, [u8; 16], Option<String>)>;

/// Asserts that both are the same, and names what is not.
fn assert_same(one: &Dump, other: &Dump) {
    let all: BTreeSet<_> = one.keys().chain(other.keys()).collect();
    let differing: Vec<_> = all.into_iter().filter(|key| one.get(key) != other.get(key)).collect();
    let Some(first) = differing.first() else { return };
    panic!("{} differ, first {first:?}:\n{:?}\n{:?}", differing.len(), one.get(first), other.get(first));
}

fn dump(node: &Node) -> Dump {
    let permit = holder_permit(&node.vault, &clock(), BlockClass::Identity(US)).unwrap();
    let reader = node.ingest.working_copy().unwrap().reader(&permit, NOW_MS).unwrap();
    let all = reader.history(Scope::System, None, 0, usize::MAX).unwrap();
    let row =
        |one: bxp_fhir_store::Resource| ((one.address(), one.version), (one.method, one.subject.0, one.text));
    all.into_iter().map(row).collect()
}

fn without_working_copy(node: Node, genesis: &Genesis) -> Node {
    let folder = node.dir.path().join("fhir");
    let node = node.reopen(genesis);
    fs::remove_dir_all(folder).unwrap();
    node
}

/// The submissions of a hospital, by which one resource each was changed, put right, deleted, and so on.
struct Hospital<'a>(&'a Node);

impl Hospital<'_> {
    fn take(&self, resources: &[&str]) {
        let report = self.0.ingest.ingest_submission(&collection(resources)).unwrap();
        assert_eq!(report.refused, 0, "{:?}", report.refusals);
    }

    fn delete(&self, id: &str) {
        delete(&self.0.ingest, "Observation", id);
    }

    fn erase(&self, id: &str) {
        let record = self.0.ingest.find("Observation", id).unwrap().unwrap().record;
        self.0.ingest.erase_record(record).unwrap();
    }

    fn live_in_all(&self) -> Vec<String> {
        let all = dump(self.0);
        let newest: BTreeMap<_, _> = all.iter().map(|((address, _), one)| (address, one)).collect();
        newest
            .into_iter()
            .filter(|(_, (.., text))| text.is_some())
            .map(|(address, _)| address.clone())
            .collect()
    }
}

fn observation(id: &str, whose: &str, code: &str) -> String {
    let id = if id.is_empty() { String::new() } else { format!(r#""id":"{id}","#) };
    format!(
        r#"{{"resourceType":"Observation",{id}"status":"final","code":{{"text":"{code}"}},"subject":{{"reference":"Patient/{whose}"}}}}"#
    )
}

/// An Observation that is named by its address at another server alone.
fn named_elsewhere(code: &str) -> String {
    let resource = observation("", "p1", code);
    format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"fullUrl":"https://h.example/x","resource":{resource}}}]}}"#
    )
}

/// Goal: everything is there again, under its ids, in the order of its versions, with whose it is. Way: generated patients, and one
/// resource each that came without an id, was named by another server, was changed, was put right, was deleted.
#[test]
fn a_lost_working_copy_is_made_again() {
    let mut cluster = one_node();
    let node = cluster.nodes.remove(0);
    let genesis = &cluster.genesis;
    for bundle in patients(US, 8) {
        assert_eq!(node.take(&bundle).refused, 0);
    }
    let hospital = Hospital(&node);
    let of = |id: &str, code: &str| observation(id, "p1", code);
    hospital.take(&[&patient("p1"), &patient("p2"), &of("", "nameless"), &of("changed", "before")]);
    hospital.take(&[&of("moved", "x"), &of("gone", "x"), &of("changed", "after")]);
    hospital.take(&[&observation("moved", "p2", "x")]);
    hospital.delete("gone");
    for code in ["before", "after"] {
        let report = node.ingest.ingest_submission(&submission(&named_elsewhere(code))).unwrap();
        assert_eq!(report.taken(), 1);
    }
    let before = dump(&node);
    assert_eq!(versions_with_text(&node, "Observation", "changed"), [1, 2]);

    let node = without_working_copy(node, genesis);
    keep_working_copy(&node);
    assert_same(&dump(&node), &before);

    Hospital(&node).take(&[&observation("moved", "p2", "y")]);
    assert_eq!(versions_with_text(&node, "Observation", "moved"), [1, 2, 3], "it goes on from there");
    let last = dump(&node);
    let node = node.reopen(genesis);
    keep_working_copy(&node);
    assert_same(&dump(&node), &last);
}

/// Goal: what was not to be seen before is not to be seen after. Way: resources whose newest versions were erased, deleted, or are of
/// a patient who was erased, have earlier ones in the vault; one was deleted and came again.
#[test]
fn no_earlier_version_stands_for_what_is_gone() {
    let mut cluster = one_node();
    let node = cluster.nodes.remove(0);
    let hospital = Hospital(&node);
    let of = |id: &str, code: &str| observation(id, "p1", code);
    let ids = ["erased", "deleted-erased", "erased-deleted", "moved", "again", "kept"];
    let all: Vec<String> = ids.iter().map(|id| of(id, "before")).collect();
    hospital.take(&[&patient("p1"), &patient("p2"), &of("all-erased", "x")]);
    hospital.take(&all.iter().map(String::as_str).collect::<Vec<_>>());
    let all: Vec<String> = ids.iter().map(|id| of(id, "after")).collect();
    hospital.take(&all.iter().map(String::as_str).collect::<Vec<_>>());
    hospital.take(&[&observation("moved", "p2", "right")]);
    hospital.erase("all-erased");
    hospital.erase("erased");
    hospital.delete("deleted-erased");
    hospital.erase("deleted-erased");
    hospital.erase("erased-deleted");
    hospital.delete("erased-deleted");
    hospital.delete("again");
    hospital.take(&[&of("again", "third")]);
    let p2 = node.ingest.find("Patient", "p2").unwrap().unwrap().record;
    let p2 = node.vault.entry(p2).unwrap().unwrap().subject;
    node.ingest.erase_patient(p2).unwrap();
    let live = ["Observation/again", "Observation/kept", "Patient/p1"];
    assert_eq!(hospital.live_in_all(), live);

    let node = without_working_copy(node, &cluster.genesis);
    keep_working_copy(&node);
    assert_eq!(Hospital(&node).live_in_all(), live);
    for (id, versions) in
        [("kept", vec![1, 2]), ("erased", vec![1]), ("all-erased", vec![]), ("moved", vec![1, 2])]
    {
        assert_eq!(versions_with_text(&node, "Observation", id), versions, "{id}");
    }
}

/// Goal: one record that cannot be opened keeps none of the others out. Way: its key is damaged on the disk.
#[test]
fn a_damaged_record_is_left_out() {
    let mut cluster = one_node();
    let node = cluster.nodes.remove(0);
    node.ingest.ingest_submission(&collection(&[&patient("p1"), &patient("p2")])).unwrap();
    let record = node.ingest.find("Patient", "p1").unwrap().unwrap().record;
    let name = node.vault.entry(record).unwrap().unwrap().identity_cid.to_bytes();
    let (codec, digest) = name.split_at(4);
    let mut batch = node.store.batch();
    batch.put(&node.store.table("vault.keys").unwrap(), [digest, codec].concat(), [7; 80]);
    batch.commit(Durability::Synced).unwrap();
    let node = without_working_copy(node, &cluster.genesis);
    keep_working_copy(&node);
    let there = ["p1", "p2"].map(|id| versions_with_text(&node, "Patient", id));
    assert_eq!(there, [vec![], vec![1]]);
}
