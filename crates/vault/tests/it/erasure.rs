//! Erasure: gone here, gone at the replicas, never back, accounted for.

use crate::node::{Node, row_key};
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
    let accept = || replica.accept(ValidatorIndex(0), &sent).unwrap();
    assert_eq!(accept().records, 1);
    assert!(matches!(replica.vault.erase(entry.record_id), Err(VaultError::NotOurs(_))));

    let tombstone = holder.vault.erase(entry.record_id).unwrap();
    let read = Tombstone::decode(&tombstone.encode().unwrap()).unwrap();
    let wrong_key = key_of(&replica);
    assert!(matches!(
        replica.vault.accept_tombstones(std::slice::from_ref(&read), &wrong_key),
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
        replica.vault.accept_tombstones(std::slice::from_ref(&forged), &key_of(&impostor)),
        Err(VaultError::NotTheHolder { .. })
    ));
    replica.vault.accept_tombstones(std::slice::from_ref(&read), &key_of(&holder)).unwrap();
    replica.vault.accept_tombstones(std::slice::from_ref(&read), &key_of(&holder)).unwrap();
    assert!(replica.vault.entry(entry.record_id).unwrap().is_none());
    assert!(!replica.vault.has_key(&entry.identity_cid).unwrap());
    let accepted = accept();
    assert_eq!((accepted.records, accepted.blocks, accepted.keys, accepted.erased), (0, 0, 0, 1));
    assert!(replica.vault.block(&entry.deidentified_cid).unwrap().is_none());
}

/// Goal: what one damaged row holds up is that one block. Way: the key of one of a patient's records is changed, or cut short,
/// on the disk before another record of that patient is erased, which wraps all others anew.
#[test]
fn a_damaged_key_holds_up_no_erasure_and_no_start() {
    for damaged in [&[7; 80][..], &[7; 3]] {
        let node = Node::new(0, Jurisdiction::US);
        let [erased, hurt, whole] = ["Jane", "John", "Jack"].map(|name| node.take_in(1, name, "rest"));
        let mut batch = node.store.batch();
        batch.put(&node.store.table("vault.keys").unwrap(), row_key(&hurt.identity_cid), damaged);
        batch.commit(Durability::Synced).unwrap();
        node.vault.erase(erased.record_id).unwrap();

        let node = node.reopen();
        let own = node.own_permit(node.identity_class());
        assert!(node.vault.open_identity(hurt.record_id, &own).is_err());
        assert!(
            node.vault.open_deidentified(hurt.record_id, &own).is_ok(),
            "its other side has a key of its own"
        );
        assert!(node.vault.open_identity(whole.record_id, &own).is_ok());
        assert!(node.enclave.renewing_patients().is_empty());
        assert_eq!(node.vault.erase_patient(whole.subject).unwrap().len(), 2);
        assert!(!node.enclave.has_patient(&whole.subject.0));
    }
}

/// Goal: the key of a patient of whom nothing is left goes also where a crash came before it was destroyed. Way: the records
/// are gone and the key is renewed, as an erasure leaves them until its last step.
#[test]
fn an_erasure_that_was_broken_off_destroys_the_key_at_the_next_start() {
    let node = Node::new(0, Jurisdiction::US);
    let (erased, kept) = (node.take_in(1, "Jane", "rest"), node.take_in(2, "John", "rest"));
    node.vault.erase_patient(erased.subject).unwrap();
    node.enclave.ensure_patients(&[erased.subject.0]).unwrap();
    node.enclave.renew_patients(&[erased.subject.0, kept.subject.0]).unwrap();
    let node = node.reopen();
    assert!(!node.enclave.has_patient(&erased.subject.0));
    assert!(node.enclave.renewing_patients().is_empty());
    assert!(node.vault.open_identity(kept.record_id, &node.own_permit(node.identity_class())).is_ok());
}

/// Goal: who tries again ends an erasure whose key could not be destroyed, at the holder and at a peer. Way: the file of the
/// patients' keys cannot be written anew.
#[test]
fn a_key_that_could_not_be_destroyed_goes_with_the_next_try() {
    let (holder, peer) = (Node::new(0, Jurisdiction::US), Node::new(1, Jurisdiction::US));
    let (entry, kept) = (holder.take_in(1, "Jane", "rest"), holder.take_in(1, "John", "rest"));
    let permit = holder.own_permit(holder.identity_class());
    let ids = [entry.record_id, kept.record_id];
    let sent = holder.vault.replicate(&ids, &peer.recipient(), &permit).unwrap();
    peer.accept(ValidatorIndex(0), &sent).unwrap();
    let in_the_way = |node: &Node| node.dir.path().join("enclave-patients/patients.keys.unfinished");
    let is_unfinished = |node: &Node| node.enclave.renewing_patients() == [entry.subject.0];

    std::fs::create_dir(in_the_way(&holder)).unwrap();
    for _ in 0..2 {
        assert!(matches!(holder.vault.erase(entry.record_id), Err(VaultError::Enclave { .. })));
    }
    assert!(is_unfinished(&holder) && holder.vault.entry(entry.record_id).unwrap().is_none());
    std::fs::remove_dir(in_the_way(&holder)).unwrap();
    let tombstone = holder.vault.erase(entry.record_id).unwrap();
    assert!(!is_unfinished(&holder) && holder.vault.open_identity(kept.record_id, &permit).is_ok());

    let accept = || peer.vault.accept_tombstones(std::slice::from_ref(&tombstone), &key_of(&holder));
    std::fs::create_dir(in_the_way(&peer)).unwrap();
    for _ in 0..2 {
        assert!(matches!(accept(), Err(VaultError::Enclave { .. })), "no receipt is given yet");
    }
    std::fs::remove_dir(in_the_way(&peer)).unwrap();
    accept().unwrap();
    assert!(!is_unfinished(&peer));
}

/// Goal: what the caller erases with the records is gone with them or not at all.
#[test]
fn what_is_erased_beside_the_records_goes_with_them() {
    let node = Node::new(0, Jurisdiction::US);
    let entry = node.take_in(1, "Jane", "rest");
    let table = node.store.table("beside").unwrap();
    let beside = || {
        let mut batch = node.store.batch();
        batch.put(&table, b"a", b"b");
        batch
    };
    let refused = node.vault.erase_with(RecordId([1; 16]), beside());
    assert!(matches!(refused, Err(VaultError::UnknownRecord(_))) && !table.contains(b"a").unwrap());
    assert_eq!(node.vault.erase_patient_with(entry.subject, beside()).unwrap().len(), 1);
    assert!(table.contains(b"a").unwrap() && node.vault.entry(entry.record_id).unwrap().is_none());
}

/// Goal: who has gone through the records by their numbers sees what comes next. Way: the last record is erased before a restart.
#[test]
fn no_number_of_arrival_is_given_twice() {
    let node = Node::new(0, Jurisdiction::US);
    let (kept, erased) = (node.take_in(1, "Jane", "rest"), node.take_in(2, "John", "rest"));
    let behind = node.vault.entries(0).last().unwrap().unwrap().0 + 1;
    node.vault.erase(erased.record_id).unwrap();
    let node = node.reopen();
    let next = node.take_in(3, "Jack", "rest");
    let seen: Vec<_> = node.vault.entries(behind).map(|row| row.unwrap().1).collect();
    assert_eq!(seen, [next]);
    assert_eq!(node.vault.entries(0).next().unwrap().unwrap().1, kept);
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

/// Goal: a backup of the database and of the enclave's folder opens nothing that was erased after it was made, and
/// everything of who was not erased. Way: both folders are copied before one patient and one record of another are
/// erased, and put back beside the patients' keys as they are now.
#[test]
fn a_backup_made_before_does_not_bring_it_back() {
    let node = Node::new(0, Jurisdiction::US);
    let jane = node.take_in(1, "Jane", "rest");
    let (john, johns_other) = (node.take_in(2, "John", "rest"), node.take_in(2, "John too", "rest"));
    let jack = node.take_in(3, "Jack", "rest");
    let path = node.dir.path().to_owned();
    let node = {
        let (me, home, now_ms) = (node.vault.me(), node.vault.home(), std::sync::Arc::clone(&node.now_ms));
        let Node { dir, store, enclave, vault, .. } = node;
        drop((vault, store, enclave));
        copy(&path.join("data"), &path.join("backup/data"));
        copy(&path.join("enclave"), &path.join("backup/enclave"));
        Node::at(dir, me, home, now_ms)
    };
    let own = node.own_permit(node.identity_class());
    assert_eq!(node.vault.erase_patient(jane.subject).unwrap().len(), 1);
    assert!(node.vault.erase_patient(jane.subject).unwrap().is_empty(), "twice is once");
    node.vault.erase(john.record_id).unwrap();
    assert!(!node.enclave.has_patient(&jane.subject.0));
    for kept in [&johns_other, &jack] {
        node.vault.open_identity(kept.record_id, &own).unwrap();
    }

    let (me, home, now_ms) = (node.vault.me(), node.vault.home(), std::sync::Arc::clone(&node.now_ms));
    let Node { dir, store, enclave, vault, .. } = node;
    drop((vault, store, enclave));
    for folder in ["data", "enclave"] {
        std::fs::remove_dir_all(path.join(folder)).unwrap();
        copy(&path.join("backup").join(folder), &path.join(folder));
    }
    let restored = Node::at(dir, me, home, now_ms);
    let own = restored.own_permit(restored.identity_class());
    for erased in [&jane, &john] {
        assert!(restored.vault.entry(erased.record_id).unwrap().is_some(), "the backup is from before");
        let opened = restored.vault.open_identity(erased.record_id, &own);
        assert!(matches!(
            opened,
            Err(VaultError::Enclave { source: bxp_enclave::EnclaveError::NoPatientKey, .. })
        ));
        let rest = restored.vault.open_deidentified(erased.record_id, &own);
        assert!(matches!(rest, Err(VaultError::Enclave { .. })));
    }
    let jack = restored.vault.open_identity(jack.record_id, &own).unwrap();
    assert_eq!(jack.expose().as_ref(), b"Jack");
}

/// Goal: peers give signed receipts, and only theirs are kept. Way: two nodes and an impostor.
#[test]
fn a_peer_gives_a_receipt_for_what_it_erased() {
    let (holder, replica) = (Node::new(0, Jurisdiction::US), Node::new(1, Jurisdiction::US));
    let entry = holder.take_in(1, "Jane", "rest");
    let tombstone = holder.vault.erase(entry.record_id).unwrap();
    assert!(replica.vault.receipt(&tombstone).is_err(), "nothing was erased yet");
    replica.vault.accept_tombstones(std::slice::from_ref(&tombstone), &key_of(&holder)).unwrap();
    let receipt = replica.vault.receipt(&tombstone).unwrap();
    let stage = |receipt: &bxp_vault::Receipt, key: &VerificationKey| {
        let mut batch = holder.store.batch();
        holder.vault.stage_receipt(&mut batch, ValidatorIndex(1), receipt, key)?;
        batch.commit(Durability::Buffered).unwrap();
        Ok::<(), VaultError>(())
    };
    assert!(matches!(stage(&receipt, &key_of(&holder)), Err(VaultError::InvalidReceipt(_))));
    let other = bxp_vault::Receipt { record_id: RecordId([9; 16]), ..receipt.clone() };
    assert!(matches!(stage(&other, &key_of(&replica)), Err(VaultError::InvalidReceipt(_))));
    stage(&receipt, &key_of(&replica)).unwrap();
    assert_eq!(holder.vault.receipts(entry.record_id).unwrap(), [receipt]);
}

/// Goal: a crash between the new key and the destruction of the old one loses nothing and leaves no old key. Way: the
/// enclave renews, and the vault is opened again before anything is wrapped anew.
#[test]
fn an_exchange_of_keys_that_broke_off_is_finished() {
    let node = Node::new(0, Jurisdiction::US);
    let entry = node.take_in(1, "Jane", "rest");
    node.enclave.renew_patients(&[entry.subject.0]).unwrap();
    let node = node.reopen();
    assert!(node.enclave.renewing_patients().is_empty());
    let own = node.own_permit(node.identity_class());
    assert_eq!(node.vault.open_identity(entry.record_id, &own).unwrap().expose().as_ref(), b"Jane");
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for item in std::fs::read_dir(from).unwrap() {
        let item = item.unwrap();
        let target = to.join(item.file_name());
        if item.file_type().unwrap().is_dir() {
            copy(&item.path(), &target);
        } else {
            std::fs::copy(item.path(), target).unwrap();
        }
    }
}
