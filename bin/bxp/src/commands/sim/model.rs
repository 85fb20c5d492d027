//! `bxp sim --model`: throughput and latency of consensus in virtual time, on machines that are not here.

mod measured;

use anyhow::{Context, Result};
use bxp_sim::{Costs, Place, Report, Setup};
use clap::{Args, ValueEnum};
use std::{path::PathBuf, time::Duration};

/// A full proposal here is no larger than a node's may be.
const PROPOSAL_BYTES_MAX: u64 = 4 << 20;
/// All proposals of a height together, as in the rules of the chain.
const SUPERBLOCK_BYTES_MAX: u64 = 24 << 20;

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
    /// Wait for the disk before anything is said.
    #[arg(long)]
    durable: bool,
    /// The largest proposal; without it 4 MiB, or an equal share of 24 MiB.
    #[arg(long)]
    proposal_kib_max: Option<u64>,
    /// Heights that a validator opens before earlier ones are done.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    open_heights_max: u64,
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
    /// A file with what `bxp bench consensus --json` has printed: the costs that it measured take the place of the usual ones.
    #[arg(long)]
    costs: Option<PathBuf>,
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
    let model = &arguments.model;
    let share = (SUPERBLOCK_BYTES_MAX / u64::from(arguments.validators)).min(PROPOSAL_BYTES_MAX);
    let proposal_bytes_max = model.proposal_kib_max.map_or(share, |kib| kib << 10);
    let proposal_transactions = (proposal_bytes_max / model.tx_bytes).max(1);
    let setup = Setup {
        place: match place {
            Where::Lan => Place::Lan,
            Where::Wan => Place::Wan,
            Where::Local => Place::Local,
        },
        validators: arguments.validators.into(),
        tx_bytes: model.tx_bytes,
        cores: model.cores,
        gigabits: model.gigabits,
        signed: (!model.ordering).then(|| arguments.verification.into()),
        durable: model.durable,
        proposal_bytes_max,
        open_heights_max: model.open_heights_max,
        in_flight: model.in_flight.unwrap_or((model.open_heights_max + 1) * proposal_transactions),
        spread: Duration::from_millis(20),
        pause: Duration::from_millis(10),
        vote_gather: model.vote_gather_ms.map(Duration::from_millis),
        warm_up: model.open_heights_max,
        superblocks: model.superblocks,
        seed: model.seed,
        costs: model.costs.as_deref().map_or(Ok(Costs::default()), measured::costs)?,
    };
    let report = bxp_sim::model(&setup)?;
    if arguments.json {
        println!("{}", serde_json::to_string(&report).context("write the report")?);
    } else {
        print(&report);
    }
    Ok(())
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
        "  busy: processors {:.0} %, links out {:.0} %, in {:.0} %; {:.2} us of all processors a transaction",
        100.0 * report.cpu_busy,
        100.0 * report.up_busy,
        100.0 * report.down_busy,
        report.cpu_us_per_tx,
    );
}
