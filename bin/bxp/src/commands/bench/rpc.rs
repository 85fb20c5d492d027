//! Signed transactions through `eth_sendRawTransaction`, as fast as a node or a network takes them, and beside them
//! another Ethereum node under the same load.
//!
//! The load is that of the usual comparison: batches of 200, four connections, transactions signed before the clock
//! starts. What counts is what has a receipt at the end, from the first byte sent to the last inclusion.

mod inclusion;
mod load;
mod peer;
mod reads;
pub(super) mod token;

use crate::devnet::{Devnet, Plan, RunningDevnet};
use alloy_primitives::B256;
use anyhow::{Context, Result, ensure};
use clap::Args;
use load::{Kind, Load};
use peer::Peer;
use reads::Reads;
use serde::Serialize;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Networks to measure, by their number of validators.
    #[arg(long, value_delimiter = ',', default_values_t = [1_u16, 4])]
    validators: Vec<u16>,
    /// Transactions of each kind.
    #[arg(long, default_value_t = 20_000)]
    transactions: usize,
    /// Sending accounts.
    #[arg(long, default_value_t = 200)]
    accounts: usize,
    /// Shard the checking of signatures: t + 1 validators check a proposal, the others go by their reports.
    #[arg(long)]
    sharded: bool,
    /// Another node to measure side by side: the URL of one that runs, whose test accounts are funded, or the anvil
    /// program (1.0 or newer). Without it, anvil where it is on the PATH. An anvil that runs must have been started
    /// with a --max-transactions above all that can wait at once.
    #[arg(long, value_name = "URL|PROGRAM")]
    peer: Option<String>,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

/// One kind of load on one target.
#[derive(Clone, Debug, Serialize)]
struct Measured {
    target: String,
    kind: Kind,
    transactions: usize,
    seconds: f64,
    per_second: f64,
    /// How fast submissions were acknowledged.
    accepted_per_second: f64,
    /// Transactions that the target held back and that were sent again with a higher fee.
    sent_again: usize,
    /// This target's rate over the peer's, where there is one.
    ratio_to_peer: Option<f64>,
}

#[derive(Serialize)]
struct Report {
    batch: usize,
    connections: usize,
    loads: Vec<Measured>,
    reads_under_load: Vec<Reads>,
}

/// A chain to load.
struct Target {
    name: String,
    /// JSON-RPC addresses over which the connections are spread.
    urls: Vec<String>,
    /// A funded key.
    key: B256,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    ensure!(
        arguments.accounts > 0 && arguments.transactions > 0,
        "--accounts and --transactions must be at least 1"
    );
    let mut report = Report {
        batch: load::BATCH,
        connections: load::CONNECTIONS,
        loads: Vec::new(),
        reads_under_load: Vec::new(),
    };
    for validators in &arguments.validators {
        let folder = tempfile::tempdir().context("make a folder for the network")?;
        let devnet = Devnet::open_or_create(
            &folder.path().join("net"),
            &Plan::usual_checking(*validators, arguments.sharded),
        )?;
        let key = devnet.funded.first().context("a devnet has funded accounts")?.private_key;
        let mut network = RunningDevnet::start(devnet).await?;
        let urls = network.addresses().map(|node| node.rpc.clone()).collect();
        let mode = if arguments.sharded { ", sharded" } else { "" };
        let target = Target { name: format!("bxp, {validators} validators{mode}"), urls, key };
        let measured = measure(&target, &arguments, &mut report).await;
        network.stop().await?;
        measured?;
    }
    if let Some(mut peer) = Peer::find(arguments.peer.as_deref()).await? {
        let target = Target { name: peer.name.clone(), urls: vec![peer.url.clone()], key: peer.key()? };
        let measured = measure(&target, &arguments, &mut report).await;
        peer.stop().await;
        measured?;
        compare(&mut report.loads, &target.name);
    }
    print(&report, arguments.json)
}

async fn measure(target: &Target, arguments: &Arguments, report: &mut Report) -> Result<()> {
    for kind in [Kind::Transfer, Kind::Erc20] {
        let load = Load::prepare(target, kind, arguments.accounts, arguments.transactions)
            .await
            .with_context(|| format!("prepare {}", target.name))?;
        let watched = reads::Watch::start(target, load.watched_token(), load.first_account());
        let measured = load.run(target).await.with_context(|| format!("load {}", target.name))?;
        report.reads_under_load.push(watched.stop(target, kind).await?);
        report.loads.push(measured);
    }
    Ok(())
}

/// Sets each target beside the peer.
fn compare(loads: &mut [Measured], peer: &str) {
    let peers: Vec<(Kind, f64)> =
        loads.iter().filter(|load| load.target == peer).map(|load| (load.kind, load.per_second)).collect();
    for load in loads.iter_mut() {
        let beside = peers.iter().find(|(kind, _)| *kind == load.kind);
        load.ratio_to_peer = beside.map(|(_, per_second)| load.per_second / per_second);
    }
}

fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    for load in &report.loads {
        let ratio = load.ratio_to_peer.map_or_else(String::new, |ratio| format!(", {ratio:.2} of the peer"));
        println!(
            "{:<30} {:<9} {:>7.0}/s included, {:>7.0}/s acknowledged{ratio}",
            load.target, load.kind, load.per_second, load.accepted_per_second
        );
    }
    for reads in &report.reads_under_load {
        println!("{:<30} {:<9} under load: {reads}", reads.target, reads.kind);
    }
    Ok(())
}
