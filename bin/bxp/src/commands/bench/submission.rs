//! Signed transactions into all nodes of a network as fast as it takes them, and when each of them was final.

use super::{cpu_us, quantile_ms};
use crate::{
    client::RpcClient,
    devnet::{Plan, RunningDevnet},
};
use alloy_primitives::{B256, Bytes};
use anyhow::{Context, Result};
use clap::Args;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::JoinSet};

/// How often a node is asked for new blocks.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// What a measurement of transactions through a fresh network is told, whatever they are.
#[derive(Args)]
pub(super) struct Load {
    /// How many validators.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    pub(super) validators: u16,
    /// How long to submit.
    #[arg(long, default_value_t = 20)]
    pub(super) seconds: u64,
    /// Shard the checking of signatures: t + 1 validators check a proposal, the others go by their reports.
    #[arg(long)]
    pub(super) sharded: bool,
    /// Print one JSON line.
    #[arg(long)]
    pub(super) json: bool,
}

impl Load {
    /// The network.
    pub(super) fn plan(&self) -> Plan {
        Plan::usual_checking(self.validators, self.sharded)
    }
}

/// How transactions are submitted.
pub(super) struct Options {
    /// For how long.
    pub(super) seconds: u64,
    /// How long after the last submission what is under way may still become final.
    pub(super) drain: Duration,
    /// Transactions under way at each node at most.
    pub(super) in_flight: usize,
    /// Transactions in one JSON-RPC batch.
    pub(super) batch: usize,
}

/// Transactions that are signed before the clock starts, by the streams of batches that send them.
pub(super) struct Queues {
    nodes: usize,
    streams: usize,
    /// The first node's streams, then the second's, and so on.
    queues: Vec<Vec<Signed>>,
}

struct Signed {
    hash: B256,
    raw: Bytes,
}

impl Queues {
    /// Empty ones, `streams` to each node.
    pub(super) fn new(nodes: usize, streams: usize) -> Self {
        Self { nodes, streams, queues: (0..nodes * streams).map(|_| Vec::new()).collect() }
    }

    /// Adds the next transaction of the account of this number, by hash and EIP-2718 bytes. An account sends through
    /// one stream only, so that its nonces stay in order.
    pub(super) fn push(&mut self, account: usize, (hash, raw): (B256, Bytes)) {
        let (node, stream) = (account % self.nodes, account / self.nodes % self.streams);
        self.queues[node * self.streams + stream].push(Signed { hash, raw });
    }

    /// The first transactions of every queue, at least `count` where there are so many: of all accounts, each gapless.
    pub(super) fn first(&self, count: usize) -> impl Iterator<Item = Bytes> {
        let of_each = count.div_ceil(self.queues.len());
        self.queues.iter().flat_map(move |queue| queue.iter().take(of_each)).map(|signed| signed.raw.clone())
    }
}

/// What came of it.
#[derive(Default)]
pub(super) struct Submitted {
    /// Hashes of what nodes have taken, in no order.
    pub(super) hashes: Vec<B256>,
    /// Blocks in that time, empty ones included.
    pub(super) blocks: u64,
    /// From the first submission to the last block that was looked at.
    pub(super) seconds: f64,
    /// Of this process.
    pub(super) client_cpu_us: u64,
    /// Submission to final of each transaction that was seen in a block, ascending.
    pub(super) latencies_ms: Vec<f64>,
}

impl Submitted {
    /// Transactions that were seen in a block.
    pub(super) const fn committed(&self) -> usize {
        self.latencies_ms.len()
    }

    /// The same a second.
    pub(super) fn committed_per_second(&self) -> f64 {
        self.committed() as f64 / self.seconds.max(f64::MIN_POSITIVE)
    }

    /// The latency at a quantile (0 to 1).
    pub(super) fn latency_ms(&self, quantile: f64) -> Option<f64> {
        quantile_ms(&self.latencies_ms, quantile)
    }
}

/// When each transaction was sent that is not final, and to which node.
type UnderWay = Arc<Mutex<HashMap<B256, (Instant, usize)>>>;

/// Submits what is queued and looks for it in the first node's blocks.
pub(super) async fn run(network: &RunningDevnet, queues: Queues, options: &Options) -> Result<Submitted> {
    let clients: Vec<RpcClient> = network.addresses().map(|node| RpcClient::new(&node.rpc)).collect();
    let under_way = UnderWay::default();
    let room: Vec<Arc<Semaphore>> =
        clients.iter().map(|_| Arc::new(Semaphore::new(options.in_flight))).collect();
    let (started, cpu_before) = (Instant::now(), cpu_us()?);
    let end = started + Duration::from_secs(options.seconds);
    let first_block = clients[0].block_number().await? + 1;
    let mut senders = JoinSet::new();
    for (position, queue) in queues.queues.into_iter().enumerate() {
        let node = position / queues.streams;
        let stream = Stream {
            client: clients[node].clone(),
            node,
            batch: options.batch,
            under_way: Arc::clone(&under_way),
            room: Arc::clone(&room[node]),
        };
        senders.spawn(stream.submit(queue, end));
    }
    let mut submitted = Submitted::default();
    let mut next = first_block;
    let mut all_sent = false;
    while !(all_sent && lock(&under_way).is_empty()) && Instant::now() < end + options.drain {
        while let Some(sent) = senders.try_join_next() {
            submitted.hashes.extend(sent.context("a sender panicked")??);
        }
        all_sent = senders.is_empty();
        let Some(hashes) = clients[0].block_transactions(next).await? else {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        };
        let now = Instant::now();
        let mut waiting = lock(&under_way);
        for (submitted_at, node) in hashes.iter().filter_map(|hash| waiting.remove(hash)) {
            room[node].add_permits(1);
            submitted.latencies_ms.push((now - submitted_at).as_secs_f64() * 1_000.0);
        }
        submitted.seconds = (now - started).as_secs_f64();
        next += 1;
    }
    submitted.blocks = next - first_block;
    submitted.client_cpu_us = cpu_us()? - cpu_before;
    submitted.latencies_ms.sort_by(f64::total_cmp);
    Ok(submitted)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One stream of batches to a node.
struct Stream {
    client: RpcClient,
    node: usize,
    batch: usize,
    under_way: UnderWay,
    /// Places for transactions under way at the node.
    room: Arc<Semaphore>,
}

impl Stream {
    /// Sends until `end`; gives what was taken.
    async fn submit(self, queue: Vec<Signed>, end: Instant) -> Result<Vec<B256>> {
        let mut submitted = Vec::new();
        for chunk in queue.chunks(self.batch) {
            if Instant::now() >= end {
                break;
            }
            let places = self.room.acquire_many(chunk.len() as u32);
            let Ok(places) = tokio::time::timeout_at(end.into(), places).await else { break };
            places.context("wait for room")?.forget();
            let now = Instant::now();
            lock(&self.under_way).extend(chunk.iter().map(|signed| (signed.hash, (now, self.node))));
            self.client.send_raw_batch(chunk.iter().map(|signed| &signed.raw)).await?;
            submitted.extend(chunk.iter().map(|signed| signed.hash));
        }
        Ok(submitted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_sends_through_one_stream_in_order() {
        let mut queues = Queues::new(2, 2);
        for nonce in 0..3_u8 {
            for account in 0..5_u8 {
                queues.push(account.into(), (B256::ZERO, vec![account, nonce].into()));
            }
        }
        let all: Vec<Bytes> = queues.first(usize::MAX).collect();
        assert_eq!(all.len(), 15);
        for account in 0..5 {
            let places: Vec<usize> = (0..15).filter(|place| all[*place][0] == account).collect();
            assert_eq!(places.iter().map(|place| all[*place][1]).collect::<Vec<_>>(), [0, 1, 2]);
        }
        // Accounts 0 and 4 share the first node's first stream; account 2 has its second.
        let first: Vec<u8> = queues.queues[0].iter().map(|signed| signed.raw[0]).collect();
        assert_eq!(first, [0, 4, 0, 4, 0, 4]);
        assert!(queues.queues[1].iter().all(|signed| signed.raw[0] == 2));
        assert_eq!(queues.first(8).count(), 8);
    }
}
