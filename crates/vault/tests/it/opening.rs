//! Sealing and opening: what comes back, to whom, and until when.

use crate::node::{Node, row_key};
use bxp_privacy::PERMIT_LIFETIME_MS;
use bxp_storage::Durability;
use bxp_types::{BlockClass, Jurisdiction, RecordId, SubjectId, ValidatorIndex};
use bxp_vault::{RecordEntry, Vault, VaultError};

#[test]
fn a_record_comes_back_after_a_restart() {
    let node = Node::new(0, Jurisdiction::US);
    let entry = node.take_in(1, "Jane Doe, 1 Main Street", "{\"resourceType\":\"Patient\"}");
    let node = node.reopen();
    assert_eq!(node.vault.entry(entry.record_id).unwrap().as_ref(), Some(&entry));
    let permit = node.own_permit(node.identity_class());
    let identity = node.vault.open_identity(entry.record_id, &permit).unwrap();
    assert_eq!(&identity.expose()[..], b"Jane Doe, 1 Main Street");
    let rest = node.vault.open_deidentified(entry.record_id, &permit).unwrap();
    assert_eq!(&rest[..], b"{\"resourceType\":\"Patient\"}");
    assert_eq!(format!("{identity:?}"), "Phi(redacted)");
}

#[test]
fn equal_content_gives_unequal_blocks_and_commitments() {
    let node = Node::new(0, Jurisdiction::US);
    let (one, two) = (node.seal(1, "same", "same"), node.seal(1, "same", "same"));
    assert_ne!(one.identity.cid, two.identity.cid);
    assert_ne!(one.deidentified.cid, two.deidentified.cid);
    assert_ne!(one.entry.identity_digest, two.entry.identity_digest);
    assert_ne!(one.entry.record_id, two.entry.record_id);
    assert_ne!(one.entry.commitment(), two.entry.commitment());
    let longer = node.seal(1, "not the same, and more of it", "same");
    assert_eq!(one.identity.bytes.len(), longer.identity.bytes.len(), "lengths fall into buckets");
}

#[test]
fn a_permit_opens_its_side_its_record_and_its_time_only() {
    let node = Node::new(0, Jurisdiction::US);
    let (one, other) = (node.take_in(1, "Jane", "rest"), node.take_in(1, "John", "rest"));
    let refused = |result: Result<_, VaultError>| matches!(result, Err(VaultError::NotPermitted));
    let rest_only = node.treatment(2, Jurisdiction::DE, one.record_id, BlockClass::Deidentified);
    assert!(node.vault.open_deidentified(one.record_id, &rest_only).is_ok());
    assert!(refused(node.vault.open_identity(one.record_id, &rest_only).map(drop)), "the other side");
    assert!(refused(node.vault.open_deidentified(other.record_id, &rest_only).map(drop)), "another record");
    let whole = node.treatment(1, Jurisdiction::US, one.record_id, node.identity_class());
    assert!(node.vault.open_identity(one.record_id, &whole).is_ok());
    node.later(PERMIT_LIFETIME_MS - 1);
    assert!(node.vault.open_identity(one.record_id, &whole).is_ok());
    node.later(1);
    assert!(refused(node.vault.open_identity(one.record_id, &whole).map(drop)), "too late");
    assert!(refused(node.vault.open_deidentified_all(&[one.record_id], &whole).map(drop)));
}

#[test]
fn a_permit_for_own_records_is_worth_nothing_at_another_node() {
    let (holder, other) = (Node::new(0, Jurisdiction::US), Node::new(1, Jurisdiction::US));
    let entry = holder.take_in(1, "Jane", "rest");
    let permit = other.own_permit(other.identity_class());
    assert!(matches!(holder.vault.open_identity(entry.record_id, &permit), Err(VaultError::NotPermitted)));
}

#[test]
fn records_of_other_countries_are_not_taken_in() {
    let node = Node::new(0, Jurisdiction::US);
    let mut record = node.record(1, "Erika Mustermann", "rest");
    record.home = Jurisdiction::DE;
    assert!(matches!(node.vault.seal_record(&record), Err(VaultError::ForeignRecord { .. })));
}

#[test]
fn another_nodes_sealed_record_is_not_staged_as_own() {
    let (one, two) = (Node::new(0, Jurisdiction::US), Node::new(1, Jurisdiction::US));
    let record = one.seal(1, "Jane", "rest");
    let mut batch = two.store.batch();
    assert!(matches!(
        two.vault.stage(&mut batch, &[record], &two.vault.sealing()),
        Err(VaultError::NotOurs(_))
    ));
    assert!(batch.is_empty());
}

#[test]
fn entries_are_found_by_subject_by_order_and_by_block() {
    let node = Node::new(3, Jurisdiction::CA);
    let kept: Vec<RecordEntry> = (0..6).map(|number| node.take_in(number % 2, "identity", "rest")).collect();
    let node = node.reopen();
    let listed: Vec<_> = node.vault.entries(0).map(Result::unwrap).collect();
    assert_eq!(listed.iter().map(|(_, entry)| entry).collect::<Vec<_>>(), kept.iter().collect::<Vec<_>>());
    let from_third: Vec<_> = node.vault.entries(listed[3].0).map(|row| row.unwrap().1).collect();
    assert_eq!(from_third, kept[3..]);
    let mut odd = node.vault.entries_of(SubjectId([1; 16])).unwrap();
    odd.sort_by_key(|entry| kept.iter().position(|kept| kept == entry));
    assert_eq!(odd, [kept[1].clone(), kept[3].clone(), kept[5].clone()]);
    for entry in &kept {
        assert_eq!(node.vault.entry_of_block(&entry.identity_cid).unwrap().as_ref(), Some(entry));
        let block = node.vault.block(&entry.deidentified_cid).unwrap().unwrap();
        assert_eq!((block.cid, block.class), (entry.deidentified_cid, BlockClass::Deidentified));
        assert_eq!(entry.holder, ValidatorIndex(3));
    }
    let after = node.take_in(0, "identity", "rest");
    assert_eq!(node.vault.entries(0).last().unwrap().unwrap().1, after, "numbers go on after a restart");
    let holdings = node.vault.holdings().unwrap();
    let holding = holdings[&Jurisdiction::CA];
    assert_eq!(
        (holding.records, holding.own, holding.identity_blocks, holding.deidentified_keys),
        (7, 7, 7, 7)
    );
    assert_eq!(holding.anchored, 0);
}

#[test]
fn what_is_not_here_is_said_to_be_unknown() {
    let node = Node::new(0, Jurisdiction::US);
    let permit = node.own_permit(BlockClass::Deidentified);
    let missing = RecordId([9; 16]);
    assert!(
        matches!(node.vault.open_deidentified(missing, &permit), Err(VaultError::UnknownRecord(id)) if id == missing)
    );
    assert!(node.vault.entry(missing).unwrap().is_none());
}

#[test]
fn tables_of_another_version_are_refused() {
    let node = Node::new(0, Jurisdiction::US);
    let cid = node.take_in(1, "identity", "rest").deidentified_cid;
    let open = || Vault::open(&node.store, node.enclave.clone(), node.vault.me(), node.vault.home());
    assert!(open().is_ok());
    let blocks = node.store.table("vault.deidentified").unwrap();
    let block = blocks.get(row_key(&cid)).unwrap().unwrap();
    let mut batch = node.store.batch();
    batch.remove(&blocks, row_key(&cid));
    // A row under the CID as it is.
    batch.put(&blocks, cid.to_bytes(), block);
    batch.commit(Durability::Buffered).unwrap();
    assert!(matches!(open(), Err(VaultError::OtherVersion)));
}
