//! Two nodes with real sockets between them: hand-over, key release, and a key that fits.

use crate::node::{Cluster, Node, clock, cluster_at, patients};
use bxp_clinical::{
    facts::ChainFacts,
    release::{answer_key_request, fetch_key},
    replicate::{Replication, accept_replica},
};
use bxp_network::{Event, Network, NetworkConfig, start};
use bxp_privacy::Purpose;
use bxp_types::{BlockClass, Genesis, Jurisdiction, Ledger, ValidatorIndex};
use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let sockets: Vec<_> = (0..count).map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    sockets.iter().map(|socket| socket.local_addr().unwrap()).collect()
}

async fn join(
    node: &Node,
    genesis: &Genesis,
    me: u16,
    listen: SocketAddr,
) -> (Network, mpsc::Receiver<Event>) {
    let config = NetworkConfig {
        genesis: Arc::new(genesis.clone()),
        me: ValidatorIndex(me),
        signing_key: node.enclave.network_key(),
        listen,
    };
    start(config).await.unwrap()
}

/// Stores what is handed over and answers key requests, as the node does.
fn serve(cluster: &Cluster, index: usize, mut events: mpsc::Receiver<Event>) -> tokio::task::JoinHandle<()> {
    let node = &cluster.nodes[index];
    let (vault, store) = (node.vault.clone(), node.store.clone());
    let facts = ChainFacts::new(Arc::clone(&cluster.ledger) as Arc<dyn Ledger>, BTreeSet::new(), clock());
    tokio::spawn(async move {
        while let Some(event) = events.recv().await {
            match event {
                Event::Blocks { from, manifest, blocks, done } => {
                    let stored = accept_replica(&vault, &store, from, &manifest, &blocks);
                    let _ = done.send(stored.map(drop).map_err(|error| error.to_string()));
                }
                Event::Request { from, bytes, reply, .. } => {
                    let _ = reply.send(answer_key_request(&vault, &facts, from, &bytes));
                }
                _ => {}
            }
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn records_and_keys_travel_over_sockets() {
    let addresses = free_addresses(2);
    let cluster = cluster_at(&[Jurisdiction::US, Jurisdiction::DE], &addresses);
    let (holder, abroad) = (&cluster.nodes[0], &cluster.nodes[1]);
    let records = holder.take(&patients(Jurisdiction::US, 1)[1]).new as usize;
    let (holder_network, holder_events) = join(holder, &cluster.genesis, 0, addresses[0]).await;
    let (abroad_network, abroad_events) = join(abroad, &cluster.genesis, 1, addresses[1]).await;
    let services = [serve(&cluster, 0, holder_events), serve(&cluster, 1, abroad_events)];
    let stop = CancellationToken::new();
    let worker = Replication::new(holder.ingest.clone(), holder_network.clone()).run(stop.clone());
    let worker = tokio::spawn(worker);
    for _ in 0..3_000 {
        if holder.ingest.backlog().unwrap().handovers == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(abroad.vault.entries(0).count(), records);
    let (_, entry) = abroad.vault.entries(0).next().unwrap().unwrap();
    assert_eq!(abroad.vault.block(&entry.identity_cid).unwrap(), None);
    fetch_key(&abroad.vault, &abroad_network, entry.record_id, Purpose::Treatment).await.unwrap();
    let permit = abroad.permit(entry.record_id, BlockClass::Deidentified);
    assert!(!abroad.vault.open_deidentified(entry.record_id, &permit).unwrap().is_empty());
    let refused = fetch_key(&abroad.vault, &abroad_network, second(abroad), Purpose::Oversight).await;
    assert!(refused.unwrap_err().to_string().ends_with("not permitted"));
    stop.cancel();
    worker.await.unwrap();
    holder_network.shutdown().await;
    abroad_network.shutdown().await;
    for service in services {
        service.await.unwrap();
    }
}

fn second(node: &Node) -> bxp_types::RecordId {
    node.vault.entries(0).nth(1).unwrap().unwrap().1.record_id
}
