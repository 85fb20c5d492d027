//! Batches: proofs that the contract's rule accepts, and nothing forgotten over a crash.

use crate::node::Node;
use bxp_contracts::merkle::record_leaf;
use bxp_storage::Durability;
use bxp_types::{B256, Height, Jurisdiction, RecordId};
use bxp_vault::{Anchor, MerkleBatch, RecordEntry, VaultError};

fn take_in(node: &Node, count: u8) -> Vec<RecordEntry> {
    let records: Vec<_> = (0..count).map(|number| node.seal(number, "identity", "rest")).collect();
    node.keep(&records);
    records.into_iter().map(|record| record.entry).collect()
}

fn sorted(entries: &[RecordEntry]) -> Vec<RecordId> {
    let mut ids: Vec<_> = entries.iter().map(|entry| entry.record_id).collect();
    ids.sort_unstable();
    ids
}

fn unbatched(node: &Node) -> Vec<RecordId> {
    sorted(&node.vault.unbatched(100).unwrap())
}

#[test]
fn records_are_sealed_and_batched_in_one_commit() {
    let node = Node::new(0, Jurisdiction::US);
    let records = [node.seal(1, "identity", "rest"), node.seal(2, "identity", "rest")];
    let entries = records.each_ref().map(|record| record.entry.clone());
    let mut batch = node.store.batch();
    node.vault.stage(&mut batch, &records, &node.vault.sealing()).unwrap();
    node.vault.stage_batch(&mut batch, &MerkleBatch::new(&entries).unwrap()).unwrap();
    batch.commit(Durability::Buffered).unwrap();
    assert!(unbatched(&node).is_empty());
    assert_eq!(node.vault.placement(entries[1].record_id).unwrap().unwrap().index, 1);
}

#[test]
fn records_that_are_written_with_their_batches_are_all_in_them() {
    let node = Node::new(0, Jurisdiction::US);
    let records = [node.seal(1, "identity", "rest"), node.seal(2, "identity", "rest")];
    let entries = records.each_ref().map(|record| record.entry.clone());
    let merkles = entries.each_ref().map(|entry| MerkleBatch::new(std::slice::from_ref(entry)).unwrap());
    let staged = |merkles: &[MerkleBatch]| {
        let mut batch = node.store.batch();
        node.vault.stage_batched(&mut batch, &records, merkles, &node.vault.sealing()).map(|()| batch)
    };
    let [first, second] = merkles.clone();
    for wrong in [vec![], vec![first.clone()], vec![second.clone(), first.clone()]] {
        assert!(matches!(staged(&wrong), Err(VaultError::UnbatchedRecords)), "{} batches", wrong.len());
    }
    staged(&merkles).unwrap().commit(Durability::Buffered).unwrap();
    assert!(unbatched(&node).is_empty());
    for (entry, merkle) in entries.iter().zip(&merkles) {
        assert_eq!(node.vault.placement(entry.record_id).unwrap().unwrap().root, merkle.root());
        assert_eq!(node.vault.entry(entry.record_id).unwrap().as_ref(), Some(entry));
    }
}

#[test]
fn every_record_of_a_batch_is_proven_to_its_root() {
    let node = Node::new(0, Jurisdiction::US);
    for count in [1, 2, 3, 7, 8, 13] {
        let entries = take_in(&node, count);
        assert_eq!(unbatched(&node), sorted(&entries));
        let merkle = MerkleBatch::new(&entries).unwrap();
        let mut batch = node.store.batch();
        node.vault.stage_batch(&mut batch, &merkle).unwrap();
        batch.commit(Durability::Buffered).unwrap();
        assert!(node.vault.unbatched(100).unwrap().is_empty());
        let ids: Vec<RecordId> = entries.iter().map(|entry| entry.record_id).collect();
        for (index, (entry, proven)) in (0..).zip(entries.iter().zip(node.vault.prove(&ids).unwrap())) {
            let (placement, proof) = proven.unwrap();
            assert_eq!((placement.index, placement.count), (index, u32::from(count)));
            assert_eq!((placement.root, placement.anchor), (merkle.root(), None));
            assert_eq!(Some(&proof), merkle.proof(index).as_ref());
            let leaf = record_leaf(entry.patient, entry.commitment());
            assert!(proof.verify(merkle.root(), merkle.count(), leaf));
            assert!(!proof.verify(merkle.root(), merkle.count(), B256::ZERO));
        }
    }
}

#[test]
fn what_a_crash_left_unanchored_is_told_after_the_restart() {
    let node = Node::new(0, Jurisdiction::US);
    let entries = take_in(&node, 5);
    let merkle = MerkleBatch::new(&entries[..3]).unwrap();
    let mut batch = node.store.batch();
    node.vault.stage_batch(&mut batch, &merkle).unwrap();
    batch.commit(Durability::Buffered).unwrap();
    let node = node.reopen();
    assert_eq!(unbatched(&node), sorted(&entries[3..]));
    assert_eq!(node.vault.unbatched(1).unwrap().len(), 1);
    let pending = node.vault.pending_batches().unwrap();
    assert_eq!(pending.len(), 1);
    assert_eq!((pending[0].root, pending[0].count, pending[0].own), (merkle.root(), 3, true));
    let anchor = Anchor { batch_id: 4, height: Height(9) };
    let mut batch = node.store.batch();
    node.vault.stage_anchor(&mut batch, merkle.root(), anchor).unwrap();
    assert!(matches!(
        node.vault.stage_anchor(&mut batch, B256::ZERO, anchor),
        Err(VaultError::UnknownBatch(root)) if root.is_zero()
    ));
    batch.commit(Durability::Buffered).unwrap();
    let node = node.reopen();
    assert!(node.vault.pending_batches().unwrap().is_empty());
    let placement = node.vault.placement(entries[2].record_id).unwrap().unwrap();
    assert_eq!((placement.index, placement.anchor), (2, Some(anchor)));
    assert_eq!(node.vault.placement(entries[3].record_id).unwrap(), None);
    assert_eq!(node.vault.holdings().unwrap()[&Jurisdiction::US].anchored, 3);
}

#[test]
fn a_batch_has_one_country_and_a_record() {
    let (us, de) = (Node::new(0, Jurisdiction::US), Node::new(1, Jurisdiction::DE));
    let mixed = [us.take_in(1, "i", "r"), de.take_in(1, "i", "r")];
    assert!(matches!(MerkleBatch::new(&mixed), Err(VaultError::MixedCountries { .. })));
    assert!(matches!(MerkleBatch::new(&[]), Err(VaultError::EmptyBatch)));
}
