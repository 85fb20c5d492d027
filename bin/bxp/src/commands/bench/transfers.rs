//! Transfers from many accounts over all nodes of a fresh network, as fast as it takes them.

use super::{
    bound::{self, Bound},
    children_cpu_us,
    counters::{self, PROPOSALS_DECIDED, RECOVERIES},
    submission::{self, Load, Options, Queues, Submitted},
};
use crate::{
    devnet::{Devnet, RunningDevnet},
    wallet::Wallet,
};
use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, TxKind, U256, keccak256};
use anyhow::{Context, Result, ensure};
use clap::Args;
use serde::Serialize;
use std::time::Duration;

/// Transactions in one JSON-RPC batch.
const BATCH: usize = 100;
/// How long after the last submission what is under way may still become final.
const DRAIN: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    load: Load,
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

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let (accounts, seconds, streams) = (arguments.accounts, arguments.load.seconds, arguments.streams);
    ensure!(
        accounts > 0 && seconds > 0 && streams > 0,
        "--accounts, --seconds and --streams must be at least 1"
    );
    let wallets = (0..arguments.accounts).map(wallet).collect::<Result<Vec<_>>>()?;
    let mut plan = arguments.load.plan();
    plan.extra_accounts = wallets.iter().map(Wallet::address).collect();
    let folder = tempfile::tempdir().context("make a folder for the network")?;
    let devnet = Devnet::open_or_create(&folder.path().join("net"), &plan)?;
    let queues = sign_all(&wallets, &devnet, &arguments);
    let bound = bound::measure(&devnet.genesis, queues.first(bound::TRANSFERS))?;
    let mut network = RunningDevnet::start(devnet).await?;
    let options = Options { seconds, drain: DRAIN, in_flight: arguments.in_flight, batch: BATCH };
    let submitted = submission::run(&network, queues, &options).await;
    let counted = counters::read(&network, [RECOVERIES, PROPOSALS_DECIDED]).await;
    network.stop().await?;
    let (submitted, [recoveries, proposals]) = (submitted?, counted?);
    let nodes = Nodes { cpu_us: children_cpu_us()?, recoveries, proposals };
    print(&report(&submitted, &nodes, &arguments, bound), arguments.load.json)
}

fn wallet(index: usize) -> Result<Wallet> {
    Wallet::new(keccak256(format!("bxp bench account {index}")))
}

fn sign_all(wallets: &[Wallet], devnet: &Devnet, arguments: &Arguments) -> Queues {
    let total = usize::try_from(arguments.load.seconds * arguments.rate_max).unwrap_or(usize::MAX);
    let mut queues = Queues::new(usize::from(arguments.load.validators), arguments.streams);
    for nonce in 0..total.div_ceil(wallets.len()) {
        for (index, wallet) in wallets.iter().enumerate() {
            queues.push(index, wallet.sign(transfer(devnet.genesis.chain_id, nonce as u64, index)));
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

fn report(submitted: &Submitted, nodes: &Nodes, arguments: &Arguments, bound: Bound) -> Report {
    let (committed, committed_per_second) = (submitted.committed(), submitted.committed_per_second());
    let each = |sum: u64| sum as f64 / committed.max(1) as f64;
    Report {
        validators: arguments.load.validators,
        sharded: arguments.load.sharded,
        seconds: submitted.seconds,
        submitted: submitted.hashes.len(),
        committed,
        committed_per_second,
        latency_ms_p50: submitted.latency_ms(0.5),
        latency_ms_p99: submitted.latency_ms(0.99),
        blocks: submitted.blocks,
        proposals_per_block: nodes.proposals as f64
            / (submitted.blocks.max(1) * u64::from(arguments.load.validators)) as f64,
        node_cpu_us_per_tx: each(nodes.cpu_us),
        recoveries_per_tx: each(nodes.recoveries),
        client_cpu_us_per_tx: each(submitted.client_cpu_us),
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
    println!("proposals in a block           {:.2}", report.proposals_per_block);
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
