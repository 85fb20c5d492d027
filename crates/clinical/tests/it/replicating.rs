//! Every record reaches all nodes; identity sides only those of the country.

use crate::node::{Cluster, cluster, patients};
use bxp_clinical::{
    ingest::Ingest,
    replicate::{Carrier, Replication, accept_replica},
};
use bxp_storage::Store;
use bxp_types::{BlockClass, Jurisdiction, ValidatorIndex};
use bxp_vault::{Replica, Vault};
use parking_lot::Mutex;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tokio_util::sync::CancellationToken;

const US: Jurisdiction = Jurisdiction::US;
const DE: Jurisdiction = Jurisdiction::DE;

/// Carries straight into the other vaults; each refuses while it is `away`.
#[derive(Clone)]
pub(crate) struct Straight {
    from: ValidatorIndex,
    vaults: Arc<Vec<(Vault, Store)>>,
    away: Arc<AtomicBool>,
    carried: Arc<Mutex<Vec<(ValidatorIndex, usize)>>>,
}

impl Straight {
    pub(crate) fn new(cluster: &Cluster, from: u16) -> Self {
        let vaults = cluster.nodes.iter().map(|node| (node.vault.clone(), node.store.clone())).collect();
        let (away, carried) = (Arc::default(), Arc::default());
        Self { from: ValidatorIndex(from), vaults: Arc::new(vaults), away, carried }
    }
}

impl Carrier for Straight {
    fn reaches(&self, _: ValidatorIndex) -> bool {
        true
    }

    async fn carry(&self, to: ValidatorIndex, replica: Replica) -> Result<(), String> {
        if self.away.load(Ordering::SeqCst) {
            return Err("away".to_owned());
        }
        let (vault, store) = &self.vaults[usize::from(to.0)];
        let accepted = accept_replica(vault, store, self.from, &replica.manifest, &replica.blocks);
        let accepted = accepted.map_err(|error| error.to_string())?;
        self.carried.lock().push((to, accepted.records));
        Ok(())
    }
}

/// Replicates from a node until nothing waits.
pub(crate) async fn replicate(cluster: &Cluster, from: usize) {
    hand_over_all(&cluster.nodes[from].ingest, Straight::new(cluster, from as u16)).await;
}

/// Has `carrier` carry what `ingest` has written until nothing waits.
pub(crate) async fn hand_over_all(ingest: &Ingest, carrier: impl Carrier) {
    let stop = CancellationToken::new();
    let worker = tokio::spawn(Replication::new(ingest.clone(), carrier).run(stop.clone()));
    for _ in 0..4_000 {
        if ingest.backlog().unwrap().handovers == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stop.cancel();
    worker.await.unwrap();
    assert_eq!(ingest.backlog().unwrap().handovers, 0);
}

#[tokio::test]
async fn identity_stays_in_the_country_and_the_rest_travels() {
    let cluster = cluster(&[US, US, DE]);
    let bundles = patients(US, 2);
    let records: usize = bundles.iter().map(|bundle| cluster.nodes[0].take(bundle).new as usize).sum();
    replicate(&cluster, 0).await;
    for row in cluster.nodes[0].vault.entries(0) {
        let (_, entry) = row.unwrap();
        for (node, identity) in [(1, true), (2, false)] {
            let vault = &cluster.nodes[node].vault;
            assert_eq!(vault.block(&entry.identity_cid).unwrap().is_some(), identity, "node {node}");
            assert_eq!(vault.has_key(&entry.identity_cid).unwrap(), identity);
            let rest = vault.block(&entry.deidentified_cid).unwrap().unwrap();
            assert_eq!(rest.class, BlockClass::Deidentified);
            assert_eq!(vault.has_key(&entry.deidentified_cid).unwrap(), identity);
        }
    }
    assert_eq!(cluster.nodes[2].vault.entries(0).count(), records);
}

#[tokio::test]
async fn a_node_that_was_away_gets_everything_once_also_after_a_restart() {
    let mut cluster = cluster(&[US, DE]);
    let records = cluster.nodes[0].take(&patients(US, 1)[1]).new as usize;
    let carrier = Straight::new(&cluster, 0);
    carrier.away.store(true, Ordering::SeqCst);
    let stop = CancellationToken::new();
    let worker = Replication::new(cluster.nodes[0].ingest.clone(), carrier.clone()).run(stop.clone());
    let worker = tokio::spawn(worker);
    tokio::time::sleep(Duration::from_millis(50)).await;
    stop.cancel();
    worker.await.unwrap();
    drop(carrier);
    let holder = cluster.nodes.remove(0).reopen(&cluster.genesis);
    cluster.nodes.insert(0, holder);
    assert_eq!(cluster.nodes[0].ingest.backlog().unwrap().handovers, 1);
    replicate(&cluster, 0).await;
    assert_eq!(cluster.nodes[1].vault.entries(0).count(), records);
}
