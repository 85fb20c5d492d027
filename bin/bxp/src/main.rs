//! `bxp`: one program, a whole node of the BitMED Healthcare Protocol, and the commands around it.

mod client;
mod commands;
mod demo;
mod devnet;
mod operator;
mod wallet;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A node's threads make and drop small pieces of transactions, trie nodes and JSON all the time (ADR 75).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// BXP, the BitMED Healthcare Protocol: hospitals, payers, regulators, researchers and patients keep, prove, share
/// and pay for health data without breaking the law of any country.
#[derive(Parser)]
#[command(name = "bxp", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one node until Ctrl-C; or see and change in which countries nodes stand.
    Node(commands::node::Arguments),
    /// Run a network of validators on this machine until Ctrl-C.
    Devnet(commands::devnet::Arguments),
    /// Hand files of FHIR, HL7 v2 or C-CDA in at a node.
    Ingest(commands::ingest::Arguments),
    /// Look at HL7 v2 messages that a node did not take, and try them again.
    Hl7(commands::hl7::Arguments),
    /// See, prove and erase records of a node.
    Record(commands::record::Arguments),
    /// Do what a patient asks of a node.
    Patient(commands::patient::Arguments),
    /// Admit members' own devices, and hand their readings in.
    Device(commands::device::Arguments),
    /// Publish, fetch and keep de-identified content as an IPFS peer.
    Content(commands::content::Arguments),
    /// Prove and measure de-identification.
    Privacy(commands::privacy::Arguments),
    /// Show one record's way through four validators in three countries, told as it goes.
    Demo(commands::demo::Arguments),
    /// Run what developers need: a chain to test contracts on, invented patients, Ethereum's own test cases.
    Dev(commands::dev::Arguments),
    /// Measure this build on this machine.
    Bench(commands::bench::Arguments),
    /// Run whole networks in one process, each on its seed, with everything going wrong that may.
    Sim(commands::sim::Arguments),
    /// Recompute what a stopped node has stored.
    Verify(commands::verify::Arguments),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Simulated nodes say of every Byzantine message that it is one.
    start_logging(if matches!(cli.command, Command::Sim(_)) { "off" } else { USUAL_LOG });
    let outcome = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(cli.command)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Node(arguments) => commands::node::run(arguments).await,
        Command::Devnet(arguments) => commands::devnet::run(arguments).await,
        Command::Ingest(arguments) => commands::ingest::run(arguments).await,
        Command::Hl7(arguments) => commands::hl7::run(arguments).await,
        Command::Record(arguments) => commands::record::run(arguments).await,
        Command::Patient(arguments) => commands::patient::run(arguments).await,
        Command::Device(arguments) => commands::device::run(arguments).await,
        Command::Content(arguments) => commands::content::run(arguments).await,
        Command::Privacy(arguments) => commands::privacy::run(arguments).await,
        Command::Demo(arguments) => commands::demo::run(arguments).await,
        Command::Dev(arguments) => commands::dev::run(arguments).await,
        Command::Bench(arguments) => commands::bench::run(arguments).await,
        Command::Sim(arguments) => commands::sim::run(&arguments),
        Command::Verify(arguments) => commands::verify::run(arguments).await,
    }
}

/// The database tells of every file that it opens.
const USUAL_LOG: &str = "info,fjall=warn,lsm_tree=warn";

/// Logs go to standard error; `RUST_LOG` chooses what is logged.
fn start_logging(usual: &str) {
    use tracing_subscriber::EnvFilter;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(usual));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}
