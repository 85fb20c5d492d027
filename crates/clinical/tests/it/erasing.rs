//! Erasure reaches every node, leaves receipts, and no backup undoes it; what a node lost comes back from the others.

mod killed;

use crate::gate::{delete, one_node, patient, versions_with_text};
use crate::node::{Cluster, Node, cluster, collection, patients};
use crate::replicating::replicate;
use bxp_clinical::{
    ClinicalError,
    erase::{Erasing, Messenger, answer_tombstones},
    repair::{BlockSource, Repairing},
    replicate::holder_permit,
};
use bxp_storage::Durability;
use bxp_types::{BlockClass, Genesis, Jurisdiction, RecordId, SealedBlock, SubjectId, ValidatorIndex};
use bxp_vault::{Vault, VaultError};
use bytes::Bytes;
use cid::Cid;
use std::sync::Arc;

const US: Jurisdiction = Jurisdiction::US;
const DE: Jurisdiction = Jurisdiction::DE;

/// Brings requests of node 0 straight to the other vaults.
#[derive(Clone)]
struct Straight {
    genesis: Genesis,
    vaults: Arc<Vec<Vault>>,
}

impl Straight {
    fn new(cluster: &Cluster) -> Self {
        let vaults = cluster.nodes.iter().map(|node| node.vault.clone()).collect();
        Self { genesis: cluster.genesis.clone(), vaults: Arc::new(vaults) }
    }
}

impl Messenger for Straight {
    fn reaches(&self, _: ValidatorIndex) -> bool {
        true
    }

    async fn ask(&self, to: ValidatorIndex, bytes: Bytes) -> Result<Bytes, String> {
        let vault = &self.vaults[usize::from(to.0)];
        Ok(answer_tombstones(vault, &self.genesis, ValidatorIndex(0), &bytes))
    }
}

impl BlockSource for Straight {
    fn peers(&self) -> Vec<ValidatorIndex> {
        vec![ValidatorIndex(1), ValidatorIndex(2)]
    }

    async fn fetch(&self, from: ValidatorIndex, cid: Cid) -> Option<SealedBlock> {
        self.vaults[usize::from(from.0)].block(&cid).unwrap()
    }
}

fn records_of(node: &Node, subject: SubjectId) -> Vec<RecordId> {
    node.vault.entries_of(subject).unwrap().iter().map(|entry| entry.record_id).collect()
}

/// Goal: an erased patient is gone from every node, each of which says so under its signature, and the hospital may hand
/// the patient in anew. Way: two patients on a US node with replicas in the US and in Germany.
#[tokio::test]
async fn an_erased_patient_is_gone_everywhere_with_receipts() {
    let cluster = cluster(&[US, US, DE]);
    let bundles = patients(US, 2);
    for bundle in &bundles {
        cluster.nodes[0].take(bundle);
    }
    replicate(&cluster, 0).await;
    let holder = &cluster.nodes[0];
    let subjects: Vec<_> = holder.ingest.patients().map(|one| one.unwrap().subject).collect();
    let (gone, kept) = (subjects[0], subjects[1]);
    let (erased, others) = (records_of(holder, gone), records_of(holder, kept));
    let tombstones = holder.ingest.erase_patient(gone).unwrap();
    assert_eq!(tombstones.len(), erased.len());
    assert!(matches!(holder.ingest.erase_patient(gone), Err(ClinicalError::UnknownPatient(_))));

    let erasing = Erasing::new(holder.ingest.clone(), Straight::new(&cluster), cluster.genesis.clone());
    for peer in [ValidatorIndex(1), ValidatorIndex(2)] {
        erasing.send_all(peer).await.unwrap();
        assert!(holder.vault.without_receipt(peer, 1).unwrap().is_empty());
    }
    for node in &cluster.nodes {
        assert!(records_of(node, gone).is_empty());
        assert!(!node.enclave.has_patient(&gone.0), "its key is destroyed");
        assert_eq!(records_of(node, kept).len(), others.len());
        assert!(matches!(node.vault.entry(erased[0]), Ok(None)));
    }
    let receipts = holder.vault.receipts(erased[0]).unwrap();
    assert_eq!(receipts.iter().map(|receipt| receipt.node.0).collect::<Vec<_>>(), [1, 2]);
    let permit = holder_permit(&holder.vault, &crate::node::clock(), BlockClass::Identity(US)).unwrap();
    assert!(!holder.ingest.open_chart(kept, &permit).unwrap().is_empty());
    assert!(holder.ingest.open_chart(gone, &permit).unwrap().is_empty());

    let anew: u64 = bundles.iter().map(|bundle| holder.take(bundle).patients_new).sum();
    assert_eq!(anew, 1, "only the erased one is new again");
    let now: Vec<_> = holder.ingest.patients().map(|one| one.unwrap().subject).collect();
    assert!(now.contains(&kept) && !now.contains(&gone), "under another pseudonym");
}

/// Goal: a tombstone counts from its holder alone. Way: node 1 sends one that node 0 signed, and one that is cut off.
#[tokio::test]
async fn only_the_holder_may_have_a_record_erased() {
    let cluster = cluster(&[US, US, US]);
    cluster.nodes[0].take(&patients(US, 1)[1]);
    replicate(&cluster, 0).await;
    let record = cluster.nodes[0].vault.entries(0).next().unwrap().unwrap().1.record_id;
    let tombstone = cluster.nodes[0].ingest.erase_record(record).unwrap().encode().unwrap();
    let length = u16::try_from(tombstone.len()).unwrap().to_be_bytes();
    let request = [&[1], length.as_slice(), &tombstone].concat();
    let third = &cluster.nodes[2].vault;
    let ask =
        |from: u16, bytes: &[u8]| answer_tombstones(third, &cluster.genesis, ValidatorIndex(from), bytes);
    for (from, bytes) in
        [(1, request.as_slice()), (0, &request[..request.len() - 1]), (0, &[]), (9, &request)]
    {
        assert_eq!(ask(from, bytes)[0], 1, "refused");
        assert!(third.entry(record).unwrap().is_some());
    }
    assert_eq!(ask(0, &request)[0], 0);
    assert!(third.entry(record).unwrap().is_none());
    assert_eq!(ask(0, &request)[0], 0, "asked again, it answers again");
}

/// The key of a block's row: the 32 bytes of the digest, and then the four that stand before it in the CID.
fn row_key(cid: &Cid) -> Vec<u8> {
    let name = cid.to_bytes();
    let (before, digest) = name.split_at(4);
    [digest, before].concat()
}

/// Goal: what a disk lost comes back. Way: blocks of the holder are removed and overwritten; one has no copy elsewhere.
#[tokio::test]
async fn lost_blocks_come_back_from_the_others() {
    let cluster = cluster(&[US, US, DE]);
    cluster.nodes[0].take(&patients(US, 1)[1]);
    replicate(&cluster, 0).await;
    let holder = &cluster.nodes[0];
    let entries: Vec<_> = holder.vault.entries(0).map(|row| row.unwrap().1).collect();
    let identity = holder.store.table("vault.identity.US").unwrap();
    let rest = holder.store.table("vault.deidentified").unwrap();
    let mut batch = holder.store.batch();
    batch.remove(&identity, row_key(&entries[0].identity_cid));
    batch.put(&rest, row_key(&entries[1].deidentified_cid), b"rot");
    batch.remove(&rest, row_key(&entries[2].deidentified_cid));
    batch.commit(Durability::Buffered).unwrap();
    for other in [1, 2] {
        let node = &cluster.nodes[other];
        let mut batch = node.store.batch();
        let rest = node.store.table("vault.deidentified").unwrap();
        batch.remove(&rest, row_key(&entries[2].deidentified_cid));
        batch.commit(Durability::Buffered).unwrap();
    }
    let permit = holder_permit(&holder.vault, &crate::node::clock(), BlockClass::Identity(US)).unwrap();
    let opened = holder.vault.open_identity(entries[0].record_id, &permit);
    assert!(matches!(opened, Err(VaultError::UnknownBlock(_))));
    let repaired =
        Repairing::new(holder.ingest.clone(), Straight::new(&cluster)).scrub_and_repair().await.unwrap();
    assert_eq!((repaired.seen.missing.len(), repaired.seen.damaged.len()), (2, 1));
    assert_eq!((repaired.mended, repaired.lost), (2, vec![entries[2].deidentified_cid]));
    holder.vault.open_identity(entries[0].record_id, &permit).unwrap();
    holder.vault.open_deidentified(entries[1].record_id, &permit).unwrap();
}

/// Goal: a block comes back also where the key that led to its record is lost with it. Way: a keeper loses both of two
/// blocks; of one, no other node that it can reach has a copy.
#[tokio::test]
async fn lost_blocks_come_back_also_where_their_keys_are_lost() {
    let cluster = cluster(&[US, US, DE]);
    cluster.nodes[0].take(&patients(US, 1)[1]);
    replicate(&cluster, 0).await;
    let (keeper, abroad) = (&cluster.nodes[1], &cluster.nodes[2]);
    let entries: Vec<_> = keeper.vault.entries(0).map(|row| row.unwrap().1).collect();
    let (back, gone) = (entries[0].deidentified_cid, entries[1].deidentified_cid);
    let mut batch = keeper.store.batch();
    for table in ["vault.keys", "vault.deidentified"] {
        let table = keeper.store.table(table).unwrap();
        batch.remove(&table, row_key(&back));
        batch.remove(&table, row_key(&gone));
    }
    batch.commit(Durability::Buffered).unwrap();
    let mut batch = abroad.store.batch();
    batch.remove(&abroad.store.table("vault.deidentified").unwrap(), row_key(&gone));
    batch.commit(Durability::Buffered).unwrap();

    let repairing = Repairing::new(keeper.ingest.clone(), Straight::new(&cluster));
    let repaired = repairing.scrub_and_repair().await.unwrap();
    assert_eq!(repaired.seen.missing, [back, gone]);
    assert_eq!((repaired.mended, repaired.lost), (1, vec![gone]));
    assert!(keeper.vault.block(&back).unwrap().is_some());
    let again = repairing.scrub_and_repair().await.unwrap();
    assert_eq!((again.seen.missing, again.lost), (vec![gone], vec![gone]), "until a node has it");
    let record = entries[0].record_id;
    let opened = keeper.vault.open_deidentified(record, &keeper.permit(record, BlockClass::Deidentified));
    assert!(matches!(opened, Err(VaultError::MissingKey(missing)) if missing == back));
}

/// Goal: an erased patient's data is in no version of any resource. Way: one resource stood with the wrong patient first, one was
/// deleted; then either patient is erased.
#[test]
fn no_version_of_an_erased_patient_is_left_anywhere() {
    let cluster = one_node();
    let node = &cluster.nodes[0];
    let take = |resources: &[&str]| node.ingest.ingest_submission(&collection(resources)).unwrap();
    let observation = |id: &str, whose: &str| {
        format!(
            r#"{{"resourceType":"Observation","id":"{id}","status":"final","code":{{"text":"x"}},"subject":{{"reference":"Patient/{whose}"}}}}"#
        )
    };
    take(&[
        &patient("wrong"),
        &patient("right"),
        &observation("moved", "wrong"),
        &observation("gone", "wrong"),
    ]);
    assert_eq!(take(&[&observation("moved", "right")]).changed, 1);
    delete(&node.ingest, "Observation", "gone");
    let subject = |id: &str| {
        node.ingest
            .find("Patient", id)
            .unwrap()
            .map(|found| node.vault.entry(found.record).unwrap().unwrap().subject)
    };
    let (wrong, right) = (subject("wrong").unwrap(), subject("right").unwrap());
    let texts = |id: &str| versions_with_text(node, "Observation", id);
    assert_eq!((texts("moved"), texts("gone")), (vec![1, 2], vec![1]));
    node.ingest.erase_patient(wrong).unwrap();
    assert_eq!((texts("moved"), texts("gone")), (vec![2], vec![]));
    assert_eq!(node.ingest.chart(right).unwrap().len(), 2, "the other patient's chart is whole");
    assert!(
        node.ingest.find("Observation", "gone").unwrap().is_none(),
        "no name leads to what was deleted before"
    );
    node.ingest.erase_patient(right).unwrap();
    assert_eq!(texts("moved"), Vec::<i64>::new());
    assert_eq!((node.ingest.patients().count(), node.vault.entries(0).count()), (0, 0));
}

/// Goal: an error behind the erasure keeps nothing in sight, and who tries again ends it. Way: the file of the patients' keys
/// cannot be written anew, when all else is erased already.
#[test]
fn an_erasure_whose_key_could_not_be_destroyed_shows_nothing_and_is_ended_by_the_next_try() {
    let cluster = one_node();
    let node = &cluster.nodes[0];
    node.ingest.ingest_submission(&collection(&[&patient("p1"), &patient("p2")])).unwrap();
    let subjects: Vec<_> = node.ingest.patients().map(|one| one.unwrap().subject).collect();
    let texts = || ["p1", "p2"].map(|id| versions_with_text(node, "Patient", id).len());
    assert_eq!(texts(), [1, 1]);
    let in_the_way = node.dir.path().join("enclave-patients/patients.keys.unfinished");
    std::fs::create_dir(&in_the_way).unwrap();
    let failed = node.ingest.erase_patient(subjects[0]).unwrap_err();
    assert!(matches!(failed, ClinicalError::Vault(VaultError::Enclave { .. })), "{failed:?}");
    assert_eq!(texts().iter().sum::<usize>(), 1, "it is erased all the same");
    assert!(node.vault.entries_of(subjects[0]).unwrap().is_empty());
    assert!(node.enclave.has_patient(&subjects[0].0), "but for its key");
    assert!(
        node.ingest.erase_patient(subjects[0]).is_err() && node.ingest.erase_patient(subjects[1]).is_err()
    );
    std::fs::remove_dir(&in_the_way).unwrap();
    node.ingest.erase_patient(subjects[0]).unwrap();
    assert!(!node.enclave.has_patient(&subjects[0].0) && node.enclave.renewing_patients().is_empty());
    assert!(matches!(node.ingest.erase_patient(subjects[0]), Err(ClinicalError::UnknownPatient(_))));
    node.ingest.erase_patient(subjects[1]).unwrap();
    assert_eq!((texts(), node.ingest.patients().count()), ([0, 0], 0));
}
