//! Ordering alone: opaque transactions through real consensus between real processes, without signatures, execution or
//! state, as the published benchmarks of other protocols do it.

mod journal;
mod limits;
mod load;
mod network;
pub(super) mod node;
mod orderer;
mod pool;
mod report;

use super::cpu_us;
use anyhow::{Context, Result, ensure};
use clap::Args;
use load::{Client, Outcome, Plan};
use network::{Keys, Manner, Node};
use node::Stats;
use orderer::Pace;
use report::{Report, Window};
use std::{
    path::Path,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How long what is under way at the end may still be decided.
const DRAIN: Duration = Duration::from_secs(10);

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many validators, each a process with a client of its own.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    validators: u16,
    /// Bytes of each transaction.
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(8..=65_536))]
    tx_bytes: u32,
    /// Transactions a second over all clients, whatever comes back; 0 is as fast as possible.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// How long to measure.
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// How long to send before measuring.
    #[arg(long, default_value_t = 3)]
    warm_up_seconds: u64,
    /// Bring what consensus says to the disk before it is said, as a node does (the default).
    #[arg(long, overrides_with = "not_durable")]
    durable: bool,
    /// Write the log in memory (/dev/shm) and wait for no disk, as other protocols' benchmarks do.
    #[arg(long)]
    not_durable: bool,
    /// The largest proposal.
    #[arg(long, default_value_t = 512)]
    proposal_kib_max: usize,
    /// Heights that a node opens before earlier ones are decided.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    open_heights_max: u64,
    /// While own transactions are under way, the least time between two proposals that are not full.
    #[arg(long, default_value_t = 20)]
    spread_ms: u64,
    /// The least time between two proposals that are not full, in any case.
    #[arg(long, default_value_t = 10)]
    pause_ms: u64,
    /// Threads of each node, without the one that waits for the disk.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=256))]
    threads: u16,
    /// Transactions under way at each client, where they go as fast as possible.
    #[arg(long, default_value_t = 10_000)]
    in_flight: u64,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    ensure!(arguments.seconds > 0 && arguments.in_flight > 0, "--seconds and --in-flight must be at least 1");
    let proposal_bytes_max = arguments.proposal_kib_max << 10;
    ensure!(
        proposal_bytes_max >= arguments.tx_bytes as usize + pool::LENGTH_BYTES,
        "a transaction of --tx-bytes must fit in a proposal of --proposal-kib-max"
    );
    let folder = tempfile::tempdir().context("make a folder for the nodes")?;
    let costs =
        limits::measure(folder.path(), arguments.tx_bytes as usize).await.context("measure the machine")?;
    let keys = Keys::fresh(arguments.validators)?;
    let manner = Manner {
        durable: !arguments.not_durable,
        proposal_bytes_max,
        pace: Pace {
            open_max: arguments.open_heights_max,
            spread_ms: arguments.spread_ms,
            pause_ms: arguments.pause_ms,
        },
        threads: arguments.threads.into(),
    };
    let logs = logs_folder(manner.durable).context("make a folder for the logs")?;
    let mut nodes = network::start(&keys, folder.path(), logs.path(), manner).await?;
    let (window, outcomes) = measure(&mut nodes, &arguments).await?;
    for node in nodes {
        node.stop().await?;
    }
    let report = Report::new(&arguments, costs, &window, &outcomes);
    report.print(arguments.json)
}

/// A folder on the disk, or in memory where the disk is not waited for and the system has such a place.
fn logs_folder(durable: bool) -> std::io::Result<tempfile::TempDir> {
    let memory = Path::new("/dev/shm");
    if !durable && memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }
}

/// Runs the load, and takes the nodes' counters at both ends of the window.
async fn measure(nodes: &mut [Node], arguments: &Arguments) -> Result<(Window, Vec<Outcome>)> {
    let rate = (arguments.rate > 0).then(|| arguments.rate as f64 / f64::from(arguments.validators));
    let plan =
        Plan { transaction_bytes: arguments.tx_bytes as usize, rate, in_flight_max: arguments.in_flight };
    let epoch = Instant::now();
    let (stop, stopped) = watch::channel(false);
    let mut clients = Vec::new();
    for node in &*nodes {
        clients.push(Client::start(node.client_address, plan, epoch, stopped.clone()).await?);
    }
    tokio::time::sleep(Duration::from_secs(arguments.warm_up_seconds)).await;
    let (begin, client_before) = (epoch.elapsed(), cpu_us()?);
    let before = all_stats(nodes).await?;
    tokio::time::sleep(Duration::from_secs(arguments.seconds)).await;
    let (end, client_after) = (epoch.elapsed(), cpu_us()?);
    let after = all_stats(nodes).await?;
    stop.send_replace(true);
    let mut outcomes = Vec::new();
    for client in clients {
        outcomes.push(client.finish(DRAIN).await?);
    }
    let client_cpu_us = client_after - client_before;
    Ok((Window { begin, end, before, after, client_cpu_us }, outcomes))
}

async fn all_stats(nodes: &mut [Node]) -> Result<Vec<Stats>> {
    let mut all = Vec::new();
    for node in nodes {
        all.push(node.stats().await?);
    }
    Ok(all)
}
