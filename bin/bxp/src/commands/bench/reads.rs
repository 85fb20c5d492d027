//! Reads over JSON-RPC at a node with many accounts and logs: alone, and beside writes.
//!
//! Each reader asks in turn for a balance, a token's balance by a call, the logs of an account over the whole chain, and
//! the chain id, which reads nothing and is the limit of the same server on the same machine.

mod ask;
mod scene;
mod writes;

use crate::devnet::{Devnet, Plan, RunningDevnet};
use anyhow::{Context, Result, ensure};
use ask::Times;
use clap::Args;
use scene::Scene;
use serde::Serialize;
use std::time::Duration;
use writes::Writes;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many validators; the first is asked.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=16))]
    validators: u16,
    /// Accounts in genesis.
    #[arg(long, default_value_t = 100_000)]
    accounts: usize,
    /// Logs to write before reading, by batch payments of 2,000; the accounts are paid in turn.
    #[arg(long, default_value_t = 200_000)]
    logs: usize,
    /// Batch payments in one block: with 5 a block has 10,000 logs.
    #[arg(long, default_value_t = 5)]
    payments_a_block: usize,
    /// Readers at once, each with a connection of its own.
    #[arg(long, default_value_t = 4)]
    readers: usize,
    /// How long to read, alone and again beside writes.
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// Transfers a second while reading beside writes.
    #[arg(long, default_value_t = 1_000)]
    writes_per_second: u64,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    validators: u16,
    accounts: usize,
    logs: usize,
    blocks: u64,
    readers: usize,
    alone: Times,
    beside_writes: Times,
    /// Transfers that the node acknowledged while it was read beside writes, a second.
    written_per_second: f64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    ensure!(
        arguments.accounts >= scene::PAYMENTS_AT_ONCE,
        "--accounts must be at least {}, the payments of one transaction",
        scene::PAYMENTS_AT_ONCE
    );
    ensure!(
        arguments.readers > 0 && arguments.seconds > 0 && arguments.payments_a_block > 0,
        "--readers, --seconds and --payments-a-block must be at least 1"
    );
    let scene = Scene::plan(arguments.accounts)?;
    let mut plan = Plan::usual(arguments.validators);
    plan.extra_accounts = scene.funded();
    let folder = tempfile::tempdir().context("make a folder for the network")?;
    let devnet = Devnet::open_or_create(&folder.path().join("net"), &plan)?;
    let mut network = RunningDevnet::start(devnet).await?;
    let measured = measure(&network, scene, &arguments).await;
    network.stop().await?;
    print(&measured?, arguments.json)
}

async fn measure(network: &RunningDevnet, scene: Scene, arguments: &Arguments) -> Result<Report> {
    let url = network.addresses().next().context("a network has a node")?.rpc.clone();
    let (scene, logs) = scene.fill(&url, arguments.logs, arguments.payments_a_block).await?;
    let length = Duration::from_secs(arguments.seconds);
    let alone = ask::read(&url, &scene, arguments.readers, length).await?;
    let total = usize::try_from(arguments.seconds.saturating_mul(arguments.writes_per_second))?;
    let writes = Writes::start(&url, &scene, total, length).await?;
    let beside_writes = ask::read(&url, &scene, arguments.readers, length).await?;
    let written_per_second = writes.stop().await?;
    Ok(Report {
        validators: arguments.validators,
        accounts: arguments.accounts,
        logs,
        blocks: scene.client(&url).block_number().await?,
        readers: arguments.readers,
        alone,
        beside_writes,
        written_per_second,
    })
}

fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    println!(
        "{} accounts, {} logs in {} blocks, {} readers, {} validators",
        report.accounts, report.logs, report.blocks, report.readers, report.validators
    );
    println!("alone:\n{}", report.alone);
    println!("beside {:.0} transfers a second:\n{}", report.written_per_second, report.beside_writes);
    Ok(())
}
