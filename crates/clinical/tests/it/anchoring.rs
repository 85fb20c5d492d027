//! One transaction for each batch, exactly once, over crashes.

use crate::{
    ledger::TestLedger,
    node::{Cluster, cluster, patients},
};
use bxp_clinical::{
    ClinicalError,
    anchor::{Anchoring, find_anchor},
    sender::TransactionSender,
    verify::verify,
};
use bxp_types::{Jurisdiction, Ledger};
use std::sync::{Arc, atomic::Ordering};

const US: Jurisdiction = Jurisdiction::US;

fn anchoring(cluster: &Cluster, node: usize) -> Anchoring {
    let ledger: Arc<dyn Ledger> = Arc::clone(&cluster.ledger) as Arc<dyn Ledger>;
    let node = &cluster.nodes[node];
    Anchoring::new(node.ingest.clone(), TransactionSender::new(ledger, node.enclave.clone()))
}

fn submitted(ledger: &TestLedger) -> usize {
    ledger.submitted.lock().len()
}

#[tokio::test]
async fn each_batch_is_anchored_by_one_transaction() {
    let cluster = cluster(&[US]);
    let node = &cluster.nodes[0];
    let bundles = patients(US, 2);
    let roots: Vec<_> = bundles.iter().flat_map(|bundle| node.take(bundle).roots).collect();
    assert_eq!(node.ingest.backlog().unwrap().batches, 3);
    assert_eq!(anchoring(&cluster, 0).anchor_pending().await.unwrap(), 0);
    assert_eq!(submitted(&cluster.ledger), 3);
    assert_eq!(node.ingest.backlog().unwrap().batches, 0);
    let account = node.enclave.public().account;
    for root in roots {
        let anchor = find_anchor(cluster.ledger.as_ref(), account, root).unwrap().unwrap();
        assert!((1..=3).contains(&anchor.batch_id) && anchor.height.0 == anchor.batch_id);
    }
    for row in node.vault.entries(0) {
        let (_, entry) = row.unwrap();
        assert!(node.vault.placement(entry.record_id).unwrap().unwrap().anchor.is_some());
    }
    assert_eq!(anchoring(&cluster, 0).anchor_pending().await.unwrap(), 0);
    assert_eq!(submitted(&cluster.ledger), 3, "nothing is sent again");
}

#[tokio::test]
async fn what_was_sent_before_a_crash_is_not_sent_again() {
    let cluster = cluster(&[US]);
    cluster.nodes[0].take(&patients(US, 1)[1]);
    // The transaction gets into a block, but the node dies before it notes so.
    let before = anchoring(&cluster, 0);
    let crashed = tempfile::tempdir().unwrap();
    copy(cluster.nodes[0].dir.path(), crashed.path());
    before.anchor_pending().await.unwrap();
    drop(before);
    let Cluster { genesis, ledger, mut nodes } = cluster;
    let node = nodes.remove(0).restored(crashed, &genesis);
    assert_eq!(node.ingest.backlog().unwrap().batches, 1);
    let sender = TransactionSender::new(Arc::clone(&ledger) as Arc<dyn Ledger>, node.enclave.clone());
    Anchoring::new(node.ingest.clone(), sender).anchor_pending().await.unwrap();
    assert_eq!(submitted(&ledger), 1);
    assert_eq!(node.ingest.backlog().unwrap().batches, 0);
}

#[tokio::test]
async fn a_transaction_that_the_pool_lost_is_sent_again() {
    let cluster = cluster(&[US]);
    cluster.nodes[0].take(&patients(US, 1)[1]);
    cluster.ledger.stalled.store(true, Ordering::SeqCst);
    let worker = tokio::spawn({
        let anchoring = anchoring(&cluster, 0);
        async move { anchoring.anchor_pending().await }
    });
    while submitted(&cluster.ledger) == 0 {
        tokio::task::yield_now().await;
    }
    cluster.ledger.stalled.store(false, Ordering::SeqCst);
    // Blocks go on without the transaction, until it is sent again.
    for _ in 0..100 {
        if worker.is_finished() {
            break;
        }
        cluster.ledger.empty_block();
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert_eq!(worker.await.unwrap().unwrap(), 0);
    assert_eq!(submitted(&cluster.ledger), 2);
}

/// Goal: any version is proven, by this program and by the contract, and a proof of something else is not. Way: two
/// versions of a patient's chart, anchored in batches of their own.
#[tokio::test]
async fn every_version_is_proven_to_the_contract() {
    let cluster = cluster(&[US, US]);
    let node = &cluster.nodes[0];
    let bundle = &patients(US, 1)[1];
    node.take(bundle);
    let first = node.vault.entries(0).next().unwrap().unwrap().1.record_id;
    let ledger = cluster.ledger.as_ref();
    assert!(matches!(verify(&node.vault, ledger, first), Err(ClinicalError::NotAnchored(_))));
    let changed = bundle.json.replace("\"gender\":\"female\"", "\"gender\":\"other\"");
    let changed = changed.replace("\"gender\":\"male\"", "\"gender\":\"other\"");
    let report = node.ingest.ingest_submission(&crate::node::submission(&changed)).unwrap();
    assert!(report.changed > 0, "there are older versions now");
    anchoring(&cluster, 0).anchor_pending().await.unwrap();
    let mut proven = 0;
    for row in node.vault.entries(0) {
        let entry = row.unwrap().1;
        let proof = verify(&node.vault, ledger, entry.record_id).unwrap();
        assert_eq!((proof.leaf, proof.patient), (entry.leaf(), entry.patient));
        assert_eq!(proof.holder, node.enclave.public().account);
        proven += 1;
    }
    assert!(proven > report.changed);
    let stranger = verify(&cluster.nodes[1].vault, ledger, first);
    assert!(matches!(stranger, Err(ClinicalError::Vault(_))), "who has not got it proves nothing");
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
