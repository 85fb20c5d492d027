//! A crash at any moment: what is listed is whole, what was not committed is not there.

use crate::node::{Node, network};
use bxp_enclave::Enclave;
use bxp_storage::{Durability, Store};
use bxp_types::{BlockClass, Jurisdiction};
use bxp_vault::Vault;
use std::{fs, path::Path};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

/// The folder as a killed process would leave it, opened by another.
fn crashed(node: &Node) -> (tempfile::TempDir, Vault, Store) {
    let dir = tempfile::tempdir().unwrap();
    for folder in ["data", "enclave", "enclave-patients"] {
        copy(&node.dir.path().join(folder), &dir.path().join(folder));
    }
    let store = Store::open(&dir.path().join("data"), network()).unwrap();
    let enclave = Enclave::open(&dir.path().join("enclave"), None).unwrap();
    let now = std::sync::Arc::clone(&node.now_ms);
    let clock = bxp_vault::Clock::from_fn(move || now.load(std::sync::atomic::Ordering::SeqCst));
    let vault = Vault::open_with_clock(&store, enclave, node.vault.me(), node.vault.home(), clock).unwrap();
    (dir, vault, store)
}

#[test]
fn a_batch_that_was_not_committed_leaves_no_trace() {
    let node = Node::new(0, Jurisdiction::US);
    let record = node.seal(1, "Jane", "rest");
    let mut batch = node.store.batch();
    node.vault.stage(&mut batch, std::slice::from_ref(&record), &node.vault.sealing()).unwrap();
    drop(batch);
    let (_dir, vault, _store) = crashed(&node);
    assert!(vault.entry(record.entry.record_id).unwrap().is_none());
    assert!(vault.block(&record.identity.cid).unwrap().is_none());
    assert!(!vault.has_key(&record.identity.cid).unwrap());
    assert!(vault.holdings().unwrap().is_empty());
}

#[test]
fn what_is_listed_after_a_crash_opens_on_both_sides() {
    let node = Node::new(0, Jurisdiction::US);
    let permit = node.own_permit(node.identity_class());
    let mut committed = 0;
    for round in 0..4_usize {
        let records: Vec<_> = (0..5).map(|subject| node.seal(subject, "identity", "rest")).collect();
        let mut batch = node.store.batch();
        node.vault.stage(&mut batch, &records, &node.vault.sealing()).unwrap();
        batch.commit(Durability::Buffered).unwrap();
        committed += records.len();
        let erased = records[round].entry.record_id;
        node.vault.erase(erased).unwrap();
        committed -= 1;
        let (_dir, vault, _store) = crashed(&node);
        let listed: Vec<_> = vault.entries(0).map(|row| row.unwrap().1).collect();
        assert_eq!(listed.len(), committed);
        for entry in listed {
            assert_ne!(entry.record_id, erased);
            assert_eq!(&vault.open_identity(entry.record_id, &permit).unwrap().expose()[..], b"identity");
            assert_eq!(&vault.open_deidentified(entry.record_id, &permit).unwrap()[..], b"rest");
        }
    }
}

#[test]
fn a_disclosure_is_on_disk_once_the_data_is_out() {
    let node = Node::new(0, Jurisdiction::US);
    let entry = node.take_in(1, "Jane", "rest");
    let permit = node.treatment(1, Jurisdiction::US, entry.record_id, BlockClass::Deidentified);
    for opened in 1..=3 {
        node.vault.open_deidentified(entry.record_id, &permit).unwrap();
        let (_dir, vault, _store) = crashed(&node);
        assert_eq!(vault.verify_disclosures().unwrap(), opened);
    }
}
