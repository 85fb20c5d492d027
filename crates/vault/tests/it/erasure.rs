//! Erasure: gone here, gone at the replicas, never back, accounted for.

use crate::node::Node;
use bxp_storage::Durability;
use bxp_types::{BlockClass, Jurisdiction, RecordId, ValidatorIndex};
use bxp_vault::{MerkleBatch, Tombstone, VaultError};
use ed25519_zebra::VerificationKey;

fn key_of(node: &Node) -> VerificationKey {
    VerificationKey::try_from(node.enclave.public().public_key.0).unwrap()
}

#[test]
fn an_erased_record_is_gone_and_its_disclosures_stay() {
    let node = Node::new(0, Jurisdiction::US);
    let (entry, kept) = (node.take_in(1, "Jane", "rest"), node.take_in(1, "John", "rest"));
    let merkle = MerkleBatch::new(&[entry.clone(), kept.clone()]).unwrap();
    let mut batch = node.store.batch();
    node.vault.stage_batch(&mut batch, &merkle).unwrap();
    batch.commit(Durability::Buffered).unwrap();
    node.vault.open_deidentified(entry.record_id, &node.research(1)).unwrap();
    let tombstone = node.vault.erase(entry.record_id).unwrap();
    assert!(tombstone.verify(&key_of(&node)));

    let node = node.reopen();
    let own = node.own_permit(node.identity_class());
    assert!(matches!(node.vault.open_identity(entry.record_id, &own), Err(VaultError::Erased(_))));
    assert!(matches!(node.vault.open_deidentified(entry.record_id, &own), Err(VaultError::Erased(_))));
    for cid in [&entry.identity_cid, &entry.deidentified_cid] {
        assert!(node.vault.block(cid).unwrap().is_none());
        assert!(!node.vault.has_key(cid).unwrap());
        assert!(node.vault.entry_of_block(cid).unwrap().is_none());
    }
    assert_eq!(node.vault.entries_of(entry.subject).unwrap(), std::slice::from_ref(&kept));
    assert_eq!(node.vault.entries(0).count(), 1);
    assert_eq!(node.vault.disclosures_of(entry.subject).unwrap().len(), 1);
    assert_eq!(node.vault.erase(entry.record_id).unwrap(), tombstone, "twice is once");
    assert!(node.vault.open_identity(kept.record_id, &own).is_ok());
    let (placement, proof) = node.vault.prove(&[kept.record_id]).unwrap().pop().unwrap().unwrap();
    assert!(proof.verify(placement.root, placement.count, kept.leaf()), "its neighbour is still proven");
}

#[test]
fn a_record_erased_before_it_was_batched_waits_for_no_batch() {
    let node = Node::new(0, Jurisdiction::US);
    let entry = node.take_in(1, "Jane", "rest");
    node.vault.erase(entry.record_id).unwrap();
    assert!(node.vault.unbatched(10).unwrap().is_empty());
    assert_eq!(node.store.table("vault.unbatched").unwrap().iter().count(), 0);
}

#[test]
fn replicas_erase_on_the_holders_word_alone_and_do_not_take_it_back() {
    let (holder, replica) = (Node::new(0, Jurisdiction::US), Node::new(1, Jurisdiction::US));
    let entry = holder.take_in(1, "Jane", "rest");
    let sent = holder
        .vault
        .replicate(&[entry.record_id], &replica.recipient(), &holder.own_permit(holder.identity_class()))
        .unwrap();
    let accept = || {
        let mut batch = replica.store.batch();
        let accepted =
            replica.vault.stage_replica(&mut batch, ValidatorIndex(0), &sent.manifest, &sent.blocks).unwrap();
        batch.commit(Durability::Buffered).unwrap();
        accepted
    };
    assert_eq!(accept().records, 1);
    assert!(matches!(replica.vault.erase(entry.record_id), Err(VaultError::NotOurs(_))));

    let tombstone = holder.vault.erase(entry.record_id).unwrap();
    let read = Tombstone::decode(&tombstone.encode().unwrap()).unwrap();
    let wrong_key = key_of(&replica);
    assert!(matches!(
        replica.vault.accept_tombstone(&read, &wrong_key),
        Err(VaultError::InvalidTombstone(_))
    ));
    let impostor = Node::new(2, Jurisdiction::US);
    let forged = {
        // Validator 2 signs for a record of validator 0 under its own index.
        let mut bytes = entry.record_id.0.to_vec();
        bytes.extend_from_slice(&2_u16.to_be_bytes());
        bytes.extend_from_slice(&1_u64.to_be_bytes());
        let signature = impostor.enclave.sign_message(bxp_vault::TOMBSTONE_DOMAIN, &bytes);
        Tombstone { record_id: entry.record_id, holder: ValidatorIndex(2), time_ms: 1, signature }
    };
    assert!(matches!(
        replica.vault.accept_tombstone(&forged, &key_of(&impostor)),
        Err(VaultError::NotTheHolder { .. })
    ));
    replica.vault.accept_tombstone(&read, &key_of(&holder)).unwrap();
    replica.vault.accept_tombstone(&read, &key_of(&holder)).unwrap();
    assert!(replica.vault.entry(entry.record_id).unwrap().is_none());
    assert!(!replica.vault.has_key(&entry.identity_cid).unwrap());
    let accepted = accept();
    assert_eq!((accepted.records, accepted.blocks, accepted.keys, accepted.erased), (0, 0, 0, 1));
    assert!(replica.vault.block(&entry.deidentified_cid).unwrap().is_none());
}

#[test]
fn only_known_records_are_erased() {
    let node = Node::new(0, Jurisdiction::US);
    assert!(matches!(node.vault.erase(RecordId([1; 16])), Err(VaultError::UnknownRecord(_))));
    let entry = node.take_in(1, "Jane", "rest");
    assert!(
        node.vault.open_deidentified(entry.record_id, &node.own_permit(BlockClass::Deidentified)).is_ok()
    );
}
