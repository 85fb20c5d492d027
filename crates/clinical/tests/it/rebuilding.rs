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

/// Goal: everything is there again, under its ids, in the order of its versions, with whose it is. Way: generated patients, and one
/// resource each that came without an id, was changed, was put right, was deleted, was deleted and came again, was erased.
#[test]
fn a_lost_working_copy_is_made_again() {
    let mut cluster = one_node();
    let node = cluster.nodes.remove(0);
    let genesis = &cluster.genesis;
    for bundle in patients(US, 8) {
        assert_eq!(node.take(&bundle).refused, 0);
    }
    let take = |resources: &[&str]| {
        let report = node.ingest.ingest_submission(&collection(resources)).unwrap();
        assert_eq!(report.refused, 0, "{:?}", report.refusals);
    };
    let observation = |id: &str, whose: &str, code: &str| {
        let id = if id.is_empty() { String::new() } else { format!(r#""id":"{id}","#) };
        format!(
            r#"{{"resourceType":"Observation",{id}"status":"final","code":{{"text":"{code}"}},"subject":{{"reference":"Patient/{whose}"}}}}"#
        )
    };
    take(&[
        &patient("p1"),
        &patient("p2"),
        &observation("", "p1", "nameless"),
        &observation("changed", "p1", "before"),
        &observation("moved", "p1", "x"),
        &observation("gone", "p1", "x"),
        &observation("erased", "p1", "x"),
    ]);
    take(&[&observation("changed", "p1", "after"), &observation("moved", "p2", "x")]);
    // By its address at another server alone.
    let named = format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"fullUrl":"https://h.example/x","resource":{}}}]}}"#,
        observation("", "p1", "named")
    );
    assert_eq!(node.ingest.ingest_submission(&submission(&named)).unwrap().new, 1);
    delete(&node.ingest, "Observation", "gone");
    let erased = node.ingest.find("Observation", "erased").unwrap().unwrap().record;
    node.ingest.erase_record(erased).unwrap();
    let before = dump(&node);
    assert_eq!(versions_with_text(&node, "Observation", "changed"), [1, 2]);

    let node = without_working_copy(node, genesis);
    keep_working_copy(&node);
    let after = dump(&node);
    // Of what was erased there is nothing to tell any more, not even that it was there.
    let expected = before.into_iter().filter(|((address, _), _)| address != "Observation/erased");
    assert_same(&after, &expected.collect());

    let report = node.ingest.ingest_submission(&collection(&[&observation("moved", "p2", "y")])).unwrap();
    assert_eq!(report.changed, 1);
    assert_eq!(versions_with_text(&node, "Observation", "moved"), [1, 2, 3], "it goes on from there");
    let last = dump(&node);
    let node = node.reopen(genesis);
    keep_working_copy(&node);
    assert_same(&dump(&node), &last);
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
