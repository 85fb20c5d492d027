//! Transfers from many accounts over all nodes of a fresh network, as fast as it takes them.

use super::{
    bound::{self, Bound},
    children_cpu_us, cpu_us, quantile_ms,
};
use crate::{
    client::RpcClient,
    devnet::{Devnet, Plan, RunningDevnet},
    wallet::Wallet,
};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use anyhow::{Context, Result, ensure};
use bxp_node::Verification;
use clap::Args;
use serde::Serialize;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::sync::Semaphore;

/// Transactions in one JSON-RPC batch.
const BATCH: usize = 100;
/// How often a node is asked for new blocks.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// How long after the last submission what is under way may still become final.
const DRAIN: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many validators.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    validators: u16,
    /// How long to submit.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Sending accounts, spread over the nodes.
    #[arg(long, default_value_t = 1_000)]
    accounts: usize,
    /// Transactions under way at each node at most.
    #[arg(long, default_value_t = 4_000)]
    in_flight: usize,
    /// Batches under way at each node at most. A node writes the transactions of one batch to disk together, and many
    /// batches at once.
    #[arg(long, default_value_t = 32)]
    streams: usize,
    /// The most transactions a second to sign for before the run.
    #[arg(long, default_value_t = 6_000)]
    rate_max: u64,
    /// Shard the checking of signatures: t + 1 validators check a proposal, the others go by their reports.
    #[arg(long)]
    sharded: bool,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

/// What the run measured.
#[derive(Serialize)]
struct Report {
    validators: u16,
    sharded: bool,
    seconds: f64,
    submitted: usize,
    committed: usize,
    committed_per_second: f64,
    latency_ms_p50: Option<f64>,
    latency_ms_p99: Option<f64>,
    blocks: u64,
    /// Proposals in a superblock, on the average: n - t at the least.
    proposals_per_block: f64,
    /// Of all node processes from their start to their end, by each committed transfer.
    node_cpu_us_per_tx: f64,
    /// Senders that the nodes recovered, by each committed transfer: at least t + 1.
    recoveries_per_tx: f64,
    /// Of this process while it submits and looks.
    client_cpu_us_per_tx: f64,
    #[serde(flatten)]
    bound: Bound,
}

/// What all node processes together did.
struct Nodes {
    cpu_us: u64,
    recoveries: u64,
    proposals: u64,
}

struct Signed {
    hash: B256,
    raw: Bytes,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let (accounts, seconds, streams) = (arguments.accounts, arguments.seconds, arguments.streams);
    ensure!(
        accounts > 0 && seconds > 0 && streams > 0,
        "--accounts, --seconds and --streams must be at least 1"
    );
    let wallets = (0..arguments.accounts).map(wallet).collect::<Result<Vec<_>>>()?;
    let mut plan = Plan::usual(arguments.validators);
    if arguments.sharded {
        plan.verification = Verification::Sharded;
    }
    plan.extra_accounts = wallets.iter().map(Wallet::address).collect();
    let folder = tempfile::tempdir().context("make a folder for the network")?;
    let devnet = Devnet::open_or_create(&folder.path().join("net"), &plan)?;
    let queues = sign_all(&wallets, &devnet, &arguments);
    // The first ones of every queue: all accounts, each gapless.
    let of_each = bound::TRANSFERS.div_ceil(queues.len());
    let transfers = queues.iter().flat_map(|queue| queue.iter().take(of_each));
    let transfers = transfers.map(|signed| signed.raw.clone());
    let bound = bound::measure(&devnet.genesis, transfers)?;
    let mut network = RunningDevnet::start(devnet).await?;
    let measured = measure(&network, queues, &arguments).await;
    let recoveries = counted(&network, "bxp_chain_recoveries_total").await;
    let proposals = counted(&network, "bxp_chain_proposals_decided_total").await;
    network.stop().await?;
    let nodes = Nodes { cpu_us: children_cpu_us()?, recoveries: recoveries?, proposals: proposals? };
    print(&report(measured?, &nodes, &arguments, bound), arguments.json)
}

/// A counter of the nodes' metrics, of all nodes together.
async fn counted(network: &RunningDevnet, counter: &str) -> Result<u64> {
    let mut all = 0;
    for node in network.addresses() {
        let url = format!("{}/metrics", node.metrics);
        let metrics = reqwest::get(&url).await.with_context(|| format!("read {url}"))?.text().await?;
        let value = metrics.lines().find_map(|line| line.strip_prefix(counter)?.strip_prefix(' '));
        all += value
            .map_or(Ok(0), |value| value.parse::<u64>().with_context(|| format!("read a count in {url}")))?;
    }
    Ok(all)
}

fn wallet(index: usize) -> Result<Wallet> {
    Wallet::new(keccak256(format!("bxp bench account {index}")))
}

/// The queues of the first node's streams, then those of the second's, and so on. An account sends through one stream
/// only, so that its nonces stay in order.
fn sign_all(wallets: &[Wallet], devnet: &Devnet, arguments: &Arguments) -> Vec<Vec<Signed>> {
    let nodes = usize::from(arguments.validators);
    let total = usize::try_from(arguments.seconds * arguments.rate_max).unwrap_or(usize::MAX);
    let streams = arguments.streams;
    let mut queues: Vec<Vec<Signed>> = (0..nodes * streams).map(|_| Vec::new()).collect();
    for nonce in 0..total.div_ceil(wallets.len()) {
        for (index, wallet) in wallets.iter().enumerate() {
            let (hash, raw) = wallet.sign(transfer(devnet.genesis.chain_id, nonce as u64, index));
            let (node, stream) = (index % nodes, index / nodes % streams);
            queues[node * streams + stream].push(Signed { hash, raw });
        }
    }
    queues
}

fn transfer(chain_id: u64, nonce: u64, index: usize) -> TxEip1559 {
    TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 1_000_000_000_000,
        max_priority_fee_per_gas: 1,
        to: TxKind::Call(Address::left_padding_from(&(0x1_0000 + index as u64).to_be_bytes())),
        value: U256::from(1),
        ..Default::default()
    }
}

#[derive(Default)]
struct Measured {
    submitted: usize,
    blocks: u64,
    seconds: f64,
    client_cpu_us: u64,
    latencies_ms: Vec<f64>,
}

type UnderWay = Arc<Mutex<HashMap<B256, (Instant, usize)>>>;

async fn measure(
    network: &RunningDevnet,
    queues: Vec<Vec<Signed>>,
    arguments: &Arguments,
) -> Result<Measured> {
    let clients: Vec<RpcClient> = network.addresses().map(|node| RpcClient::new(&node.rpc)).collect();
    let under_way = UnderWay::default();
    let room: Vec<Arc<Semaphore>> =
        clients.iter().map(|_| Arc::new(Semaphore::new(arguments.in_flight))).collect();
    let (started, cpu_before) = (Instant::now(), cpu_us()?);
    let end = started + Duration::from_secs(arguments.seconds);
    let first_block = clients[0].block_number().await? + 1;
    let mut senders = tokio::task::JoinSet::new();
    for (position, queue) in queues.into_iter().enumerate() {
        let node = position / arguments.streams;
        senders.spawn(submit(
            clients[node].clone(),
            node,
            queue,
            Arc::clone(&under_way),
            Arc::clone(&room[node]),
            end,
        ));
    }
    let mut measured = Measured::default();
    let mut next = first_block;
    let mut all_sent = false;
    while !(all_sent && lock(&under_way).is_empty()) && Instant::now() < end + DRAIN {
        while let Some(sent) = senders.try_join_next() {
            measured.submitted += sent.context("a sender panicked")??;
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
            measured.latencies_ms.push((now - submitted_at).as_secs_f64() * 1_000.0);
        }
        measured.seconds = (now - started).as_secs_f64();
        next += 1;
    }
    measured.blocks = next - first_block;
    measured.client_cpu_us = cpu_us()? - cpu_before;
    Ok(measured)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn submit(
    client: RpcClient,
    node: usize,
    queue: Vec<Signed>,
    under_way: UnderWay,
    room: Arc<Semaphore>,
    end: Instant,
) -> Result<usize> {
    let mut submitted = 0;
    for chunk in queue.chunks(BATCH) {
        if Instant::now() >= end {
            break;
        }
        let places = room.acquire_many(chunk.len() as u32);
        let Ok(places) = tokio::time::timeout_at(end.into(), places).await else { break };
        places.context("wait for room")?.forget();
        let now = Instant::now();
        lock(&under_way).extend(chunk.iter().map(|signed| (signed.hash, (now, node))));
        client.send_raw_batch(chunk.iter().map(|signed| &signed.raw)).await?;
        submitted += chunk.len();
    }
    Ok(submitted)
}

fn report(mut measured: Measured, nodes: &Nodes, arguments: &Arguments, bound: Bound) -> Report {
    measured.latencies_ms.sort_by(f64::total_cmp);
    let committed = measured.latencies_ms.len();
    let committed_per_second = committed as f64 / measured.seconds.max(f64::MIN_POSITIVE);
    Report {
        validators: arguments.validators,
        sharded: arguments.sharded,
        seconds: measured.seconds,
        submitted: measured.submitted,
        committed,
        committed_per_second,
        latency_ms_p50: quantile_ms(&measured.latencies_ms, 0.5),
        latency_ms_p99: quantile_ms(&measured.latencies_ms, 0.99),
        blocks: measured.blocks,
        proposals_per_block: nodes.proposals as f64
            / (measured.blocks.max(1) * u64::from(arguments.validators)) as f64,
        node_cpu_us_per_tx: nodes.cpu_us as f64 / committed.max(1) as f64,
        recoveries_per_tx: nodes.recoveries as f64 / committed.max(1) as f64,
        client_cpu_us_per_tx: measured.client_cpu_us as f64 / committed.max(1) as f64,
        bound: bound.reached(committed_per_second),
    }
}

fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    let shown =
        |latency: Option<f64>| latency.map_or_else(|| "-".into(), |latency| format!("{latency:.0} ms"));
    println!("validators                     {}", report.validators);
    println!("committed                      {} in {:.1} s", report.committed, report.seconds);
    println!("committed a second             {:.0}", report.committed_per_second);
    println!("latency to final, p50          {}", shown(report.latency_ms_p50));
    println!("latency to final, p99          {}", shown(report.latency_ms_p99));
    println!("blocks                         {}", report.blocks);
    println!("nodes' CPU for each            {:.0} us", report.node_cpu_us_per_tx);
    println!("recoveries for each            {:.2}", report.recoveries_per_tx);
    println!("client's CPU for each          {:.0} us", report.client_cpu_us_per_tx);
    if let serde_json::Value::Object(bound) = serde_json::to_value(report.bound)? {
        for (name, value) in bound {
            println!("{name:<31}{value}");
        }
    }
    Ok(())
}
