//! A validator that answers requests for blocks with what is no answer. Forged certificates are in the machine's own tests.

use crate::cluster::{Cluster, Wallet, eventually};
use bxp_enclave::Enclave;
use bxp_network::{Event, NetworkConfig, Service};
use bxp_types::{Ledger, ValidatorIndex};
use bytes::Bytes;
use std::{collections::BTreeSet, sync::Arc, time::Duration};

const WITHIN: Duration = Duration::from_secs(60);

/// Goal: an answer that does not decode costs its sender the connection, and the others go on. Way: the key of a stopped
/// node in other hands; whoever connects to it asks it for blocks.
#[tokio::test(flavor = "multi_thread")]
async fn who_answers_with_junk_is_banned() {
    let mut cluster = Cluster::start(4).await;
    cluster.stop(3).await;
    let enclave = eventually(|| Enclave::open(&cluster.folder(3).join("enclave"), None)).await;
    let config = NetworkConfig {
        genesis: Arc::new(cluster.genesis().clone()),
        me: ValidatorIndex(3),
        signing_key: enclave.network_key(),
        listen: cluster.address(3),
    };
    let (network, mut events) = bxp_network::start(config).await.unwrap();
    let banning = async {
        let mut answered = BTreeSet::new();
        loop {
            match events.recv().await.expect("the network still runs") {
                Event::Request { from, service: Service::Sync, reply, .. } => {
                    // The one who asked may have given up.
                    let _ = reply.send(Bytes::from_static(b"junk"));
                    answered.insert(from);
                }
                Event::Disconnected(peer) if answered.contains(&peer) => return,
                _ => {}
            }
        }
    };
    tokio::time::timeout(WITHIN, banning).await.expect("whoever got junk hangs up");
    let hash = cluster.chain(0).submit(Wallet::new(1).transfer(0)).await.unwrap();
    cluster.wait_included(&[0, 1, 2], &[hash]).await;
    network.shutdown().await;
}
