//! `bxp sim --model`: throughput and latency of consensus in virtual time, on machines that are not here.

mod measured;

use anyhow::{Context, Result};
use bxp_sim::{Pace, Place, Report, Setup};
use clap::{Args, ValueEnum};
use std::{path::PathBuf, time::Duration};

/// A full proposal here is no larger than a node's may be.
const PROPOSAL_BYTES_MAX: u64 = 4 << 20;
/// All proposals of a height together, as in the rules of the chain.
const SUPERBLOCK_BYTES_MAX: u64 = 24 << 20;
/// Gas of a block in a devnet's genesis, and of the least transaction.
const GAS_MAX: u64 = 600_000_000;
const TRANSFER_GAS: u64 = 21_000;
/// Superblocks of signed transactions that are not measured, at least.
const WARM_UP_MIN: u64 = 4;

#[derive(Args)]
#[group(skip)]
pub(crate) struct Arguments {
    /// Measure how fast consensus is in a model of a network, in virtual time.
    #[arg(long, value_enum)]
    pub(super) model: Option<Where>,
    /// Bytes of each transaction.
    #[arg(long, default_value_t = 400, value_parser = clap::value_parser!(u64).range(8..=65_536))]
    tx_bytes: u64,
    /// Cores of each validator; with --model local those of the one machine.
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    cores: u16,
    /// Gigabits a second of each link, in each direction.
    #[arg(long, default_value_t = 10.0)]
    gigabits: f64,
    /// Opaque transactions: no signatures, no execution.
    #[arg(long)]
    ordering: bool,
    /// Gas of a block: 21,000 for each transfer, whatever its bytes. Without it that of a devnet. With --ordering it counts
    /// for nothing.
    #[arg(long, default_value_t = GAS_MAX, value_parser = clap::value_parser!(u64).range(TRANSFER_GAS..))]
    gas_max: u64,
    /// Wait for the disk before anything is said, as a node does: the default unless --ordering is given.
    #[arg(long)]
    durable: bool,
    /// Wait for no disk.
    #[arg(long, conflicts_with = "durable")]
    not_durable: bool,
    /// The largest proposal; without it 4 MiB, or an equal share of 24 MiB.
    #[arg(long)]
    proposal_kib_max: Option<u64>,
    /// Heights that a validator opens before earlier ones are done; without it as many as a node does, with --ordering as
    /// many as `bxp bench consensus` does.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=64))]
    open_heights_max: Option<u64>,
    /// Transactions under way at each validator; without it one proposal more than its open heights hold.
    #[arg(long)]
    in_flight: Option<u64>,
    /// The most milliseconds that a vote waits to share a frame with others, as `vote_gather_ms` of a node; without it as long
    /// as nodes of such a network choose.
    #[arg(long, value_parser = clap::value_parser!(u64).range(0..=1_000))]
    vote_gather_ms: Option<u64>,
    /// Superblocks to measure, after as many as are open at once.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    superblocks: u64,
    /// What the delays vary by.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// A file with what `bxp bench consensus --json` has printed, or `bxp bench transfers --json`, which is for signed
    /// transactions: the costs that it measured take the place of the usual ones. May be given for each of them.
    #[arg(long)]
    costs: Vec<PathBuf>,
}

/// Where the validators stand.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Where {
    /// One data centre.
    Lan,
    /// Ten regions of four continents.
    Wan,
    /// One machine, which the clients share as well.
    Local,
}

pub(super) fn run(place: Where, arguments: &super::Arguments) -> Result<()> {
    let setup = setup(place, arguments)?;
    let report = bxp_sim::model(&setup)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report).context("write the report")?);
    } else {
        print(&report);
    }
    Ok(())
}

/// What a node or, for ordering, `bxp bench consensus` would do, where the arguments do not say otherwise.
fn setup(place: Where, arguments: &super::Arguments) -> Result<Setup> {
    let model = &arguments.model;
    let signed = !model.ordering;
    let usual = if signed { Pace::CHAIN } else { Pace::ORDERING };
    let pace = Pace { open_heights_max: model.open_heights_max.unwrap_or(usual.open_heights_max), ..usual };
    let share = (SUPERBLOCK_BYTES_MAX / u64::from(arguments.validators)).min(PROPOSAL_BYTES_MAX);
    let proposal_bytes_max = model.proposal_kib_max.map_or(share, |kib| kib << 10);
    let of_gas = if signed { model.gas_max / TRANSFER_GAS } else { u64::MAX };
    let proposal_transactions = (proposal_bytes_max / model.tx_bytes).min(of_gas).max(1);
    Ok(Setup {
        place: match place {
            Where::Lan => Place::Lan,
            Where::Wan => Place::Wan,
            Where::Local => Place::Local,
        },
        validators: arguments.validators.into(),
        tx_bytes: model.tx_bytes,
        cores: model.cores,
        gigabits: model.gigabits,
        signed: signed.then(|| arguments.verification.into()),
        gas_max: model.gas_max,
        durable: model.durable || (signed && !model.not_durable),
        proposal_bytes_max,
        pace,
        in_flight: model.in_flight.unwrap_or((pace.open_heights_max + 1) * proposal_transactions),
        vote_gather: model.vote_gather_ms.map(Duration::from_millis),
        warm_up: if signed { pace.open_heights_max.max(WARM_UP_MIN) } else { pace.open_heights_max },
        superblocks: model.superblocks,
        seed: model.seed,
        costs: measured::costs(&model.costs, signed)?,
    })
}

fn print(report: &Report) {
    println!(
        "{} validators, {}, {} cores, {} Gb/s: {:.0} transactions/s of {} bytes, limited by {:?}",
        report.validators,
        report.verification,
        report.cores,
        report.gigabits,
        report.committed_per_second,
        report.tx_bytes,
        report.limit,
    );
    println!("  latency p50 {:.0} ms, p99 {:.0} ms", report.latency_ms_p50, report.latency_ms_p99);
    println!(
        "  a superblock: {:.0} transactions; of each validator {:.2} MB (at least {:.2} MB) in {:.0} messages",
        report.transactions_per_superblock,
        report.bytes_per_validator_per_superblock / 1e6,
        report.bytes_per_validator_per_superblock_limit / 1e6,
        report.messages_per_validator_per_superblock,
    );
    println!(
        "  busy: processors {:.0} %, links out {:.0} %, in {:.0} %, making blocks {:.0} %; {:.2} us of processors a transaction",
        100.0 * report.cpu_busy,
        100.0 * report.up_busy,
        100.0 * report.down_busy,
        100.0 * report.execution_busy,
        report.cpu_us_per_tx,
    );
    if let Some(gas_max) = report.gas_max {
        println!(
            "  {gas_max} gas in a block, enough for {} transfers; {} found none and came again",
            gas_max / TRANSFER_GAS,
            report.transactions_without_gas,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::devnet::{Devnet, Plan};
    use bxp_node::NodeConfig;

    /// Goal: what the model takes for a devnet's is a devnet's.
    #[test]
    fn the_usual_gas_and_interval_are_those_of_a_devnet() {
        let folder = tempfile::tempdir().unwrap();
        let devnet = Devnet::open_or_create(&folder.path().join("net"), &Plan::usual(1)).unwrap();
        assert_eq!(devnet.genesis.gas_limit, GAS_MAX);
        let config = NodeConfig::read(&devnet.config_file("star")).unwrap();
        assert_eq!(Duration::from_millis(config.block_interval_ms), Pace::CHAIN.pause);
    }
}
