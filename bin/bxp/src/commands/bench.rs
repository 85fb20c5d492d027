//! `bxp bench`: measurements that anyone can repeat, each beside a limit measured in the same run.

mod bound;
mod consensus;
mod counters;
mod execute;
mod ingest;
mod payments;
mod reads;
mod records;
mod rpc;
mod search;
mod split;
mod submission;
mod transfers;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Subcommand)]
enum Bench {
    /// Ordering alone: opaque transactions through consensus between processes, nothing signed or executed.
    Consensus(consensus::Arguments),
    /// One node of `bxp bench consensus`, which starts it.
    #[command(hide = true)]
    ConsensusNode(consensus::node::Arguments),
    /// Blocks executed and committed over many accounts, beside recovery, trie and revm alone.
    Execute(execute::Arguments),
    /// Plain transfers through a fresh network: committed transactions a second and latency to final.
    Transfers(transfers::Arguments),
    /// Batch payments through a fresh network: payments and signed transactions a second, and latency to final.
    Payments(payments::Arguments),
    /// Balances, calls and logs over JSON-RPC at many accounts and logs, alone and beside writes: milliseconds.
    Reads(reads::Arguments),
    /// FHIR files into one node of a fresh network: resources a second.
    Ingest(ingest::Arguments),
    /// FHIR reads and searches at one node of a fresh network, alone and under writes: milliseconds.
    Search(search::Arguments),
    /// FHIR files split and sealed on one core: resources a second, against sealing alone.
    Split(split::Arguments),
    /// Pre-signed transfers and ERC-20 transfers through JSON-RPC, and reads beside them; anvil side by side.
    Rpc(rpc::Arguments),
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    match arguments.bench {
        Bench::Consensus(arguments) => consensus::run(arguments).await,
        Bench::ConsensusNode(arguments) => consensus::node::run(arguments).await,
        Bench::Execute(arguments) => execute::run(&arguments),
        Bench::Transfers(arguments) => transfers::run(arguments).await,
        Bench::Payments(arguments) => payments::run(arguments).await,
        Bench::Reads(arguments) => reads::run(arguments).await,
        Bench::Ingest(arguments) => ingest::run(arguments).await,
        Bench::Search(arguments) => search::run(arguments).await,
        Bench::Split(arguments) => split::run(arguments).await,
        Bench::Rpc(arguments) => rpc::run(arguments).await,
    }
}

/// User and system time of this process so far, in microseconds.
fn cpu_us() -> Result<u64> {
    cpu_us_of(UsageWho::RUSAGE_SELF)
}

/// The same of child processes that have ended.
fn children_cpu_us() -> Result<u64> {
    cpu_us_of(UsageWho::RUSAGE_CHILDREN)
}

fn cpu_us_of(who: UsageWho) -> Result<u64> {
    let usage = getrusage(who).context("ask for the time used")?;
    let microseconds = |time: TimeVal| (time.tv_sec() * 1_000_000 + time.tv_usec()) as u64;
    Ok(microseconds(usage.user_time()) + microseconds(usage.system_time()))
}

/// User and system time of this thread so far, in microseconds.
fn thread_cpu_us() -> Result<u64> {
    cpu_us_of(UsageWho::RUSAGE_THREAD)
}

/// The value at `quantile` (0 to 1) of sorted milliseconds.
fn quantile_ms(sorted: &[f64], quantile: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    sorted.get((last as f64 * quantile).round() as usize).copied()
}

#[cfg(test)]
mod tests {
    use super::quantile_ms;

    #[test]
    fn quantiles_are_of_the_sorted_values() {
        let values = [1.0, 2.0, 3.0, 4.0, 5.0];
        assert_eq!((quantile_ms(&values, 0.5), quantile_ms(&values, 0.99)), (Some(3.0), Some(5.0)));
        assert_eq!(quantile_ms(&[], 0.5), None);
    }
}
