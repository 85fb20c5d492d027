//! A steady load of transfers, which notes what was acknowledged.

use super::{Client, NodeProcess, Wallet, http::RpcError};
use alloy_primitives::B256;
use serde_json::json;
use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::task::JoinSet;

/// The pause of one account between two transfers.
const PAUSE: Duration = Duration::from_millis(30);

/// What happened under the load.
#[derive(Default)]
struct Notes {
    acknowledged: Mutex<Vec<B256>>,
    stopping: AtomicBool,
}

/// Accounts that send until they are told to stop. An account sends through one node; while that node does not answer,
/// the account asks it again and again to take the same transfer.
pub(crate) struct Load {
    notes: Arc<Notes>,
    senders: JoinSet<()>,
    began: Instant,
}

impl Load {
    /// Begins with the wallets spread over `nodes`. `nonces` holds the next nonce of each wallet, and is moved on.
    pub(crate) fn begin<'a>(
        nodes: impl Iterator<Item = &'a NodeProcess> + Clone,
        wallets: &[Wallet],
        chain_id: u64,
        nonces: &Nonces,
    ) -> Self {
        let notes = Arc::new(Notes::default());
        let mut senders = JoinSet::new();
        for (index, (wallet, node)) in wallets.iter().zip(nodes.cycle()).enumerate() {
            let sender = Sender {
                client: node.client.clone(),
                wallet: wallet.clone(),
                chain_id,
                nonces: nonces.clone(),
                index,
            };
            senders.spawn(sender.send(Arc::clone(&notes)));
        }
        Self { notes, senders, began: Instant::now() }
    }

    /// Transfers that a node has acknowledged by now.
    pub(crate) fn acknowledged(&self) -> usize {
        self.notes.acknowledged.lock().unwrap().len()
    }

    /// Stops sending; gives all acknowledged transfers.
    pub(crate) async fn stop(mut self) -> Vec<B256> {
        self.notes.stopping.store(true, Ordering::Relaxed);
        while let Some(ended) = self.senders.join_next().await {
            ended.unwrap();
        }
        let acknowledged = std::mem::take(&mut *self.notes.acknowledged.lock().unwrap());
        println!("{} transfers acknowledged in {:.1?}", acknowledged.len(), self.began.elapsed());
        acknowledged
    }
}

/// The next nonce of each wallet.
#[derive(Clone, Default)]
pub(crate) struct Nonces(Arc<Mutex<Vec<u64>>>);

impl Nonces {
    fn get(&self, index: usize) -> u64 {
        let mut nonces = self.0.lock().unwrap();
        if nonces.len() <= index {
            nonces.resize(index + 1, 0);
        }
        nonces[index]
    }

    fn advance(&self, index: usize) {
        self.0.lock().unwrap()[index] += 1;
    }
}

struct Sender {
    client: Client,
    wallet: Wallet,
    chain_id: u64,
    nonces: Nonces,
    index: usize,
}

impl Sender {
    async fn send(self, notes: Arc<Notes>) {
        while !notes.stopping.load(Ordering::Relaxed) {
            let (hash, raw) = self.wallet.transfer(self.chain_id, self.nonces.get(self.index));
            let answer = self.client.rpc("eth_sendRawTransaction", &json!([raw]).to_string()).await;
            let taken = match answer {
                Ok(answered) => {
                    assert_eq!(answered, json!(hash));
                    notes.acknowledged.lock().unwrap().push(hash);
                    true
                }
                // It was sent before, to a node that was killed before its answer arrived.
                Err(RpcError::Refused(reason)) => {
                    assert!(
                        ["already known", "nonce too low"].iter().any(|known| reason.contains(known)),
                        "{reason}"
                    );
                    true
                }
                Err(RpcError::Connection) => false,
            };
            if taken {
                self.nonces.advance(self.index);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
