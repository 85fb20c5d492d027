//! `bxp dev`: what developers need.

mod chain;
mod import_chain;
mod rpc_compat;
mod statetest;

use anyhow::{Context, Result, ensure};
use bxp_clinical::generate::{GeneratorConfig, generate};
use bxp_types::Jurisdiction;
use clap::{Args, Subcommand};
use std::{fs, path::PathBuf};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Execute a chain of Ethereum from its genesis file and its blocks, and check all that its headers say.
    ImportChain(import_chain::Arguments),
    /// Run Ethereum's state tests.
    Statetest(statetest::Arguments),
    /// Run a chain to test contracts on: blocks at once, ten funded accounts, Hardhat's and Foundry's controls.
    Chain(chain::Arguments),
    /// Hold JSON-RPC against Ethereum's own test cases.
    RpcCompat(rpc_compat::Arguments),
    /// Write bundles of invented patients: the same seed gives the same bytes.
    Generate {
        /// An empty or a new folder.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// How many patients.
        #[arg(long, default_value_t = 30)]
        patients: u32,
        /// Everything follows from it.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Their countries, of US, DE and CA.
        #[arg(long, value_delimiter = ',', default_values = ["US", "US", "DE", "CA"])]
        countries: Vec<Jurisdiction>,
    },
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    match arguments.action {
        Action::ImportChain(arguments) => import_chain::run(&arguments),
        Action::Statetest(arguments) => statetest::run(&arguments),
        Action::Chain(arguments) => chain::run(arguments).await,
        Action::RpcCompat(arguments) => rpc_compat::run(arguments).await,
        Action::Generate { out, patients, seed, countries } => write_patients(out, patients, seed, countries),
    }
}

fn write_patients(out: PathBuf, patients: u32, seed: u64, countries: Vec<Jurisdiction>) -> Result<()> {
    fs::create_dir_all(&out).with_context(|| format!("create {}", out.display()))?;
    let empty = fs::read_dir(&out)?.next().is_none();
    ensure!(empty, "{} is not empty; give a new folder", out.display());
    let jurisdictions = countries.into_iter().map(|country| (country, 1)).collect();
    let config = GeneratorConfig { seed, patients, jurisdictions, ..GeneratorConfig::default() };
    let (mut bundles, mut resources, mut fits) = (0, 0, 0);
    for bundle in generate(&config)? {
        let path = out.join(&bundle.file_name);
        fs::write(&path, &bundle.json).with_context(|| format!("write {}", path.display()))?;
        bundles += 1;
        resources += bundle.resources;
        fits += usize::from(bundle.fits);
    }
    println!(
        "{bundles} bundles with {resources} resources of {patients} invented patients in {}; \
         {fits} have AFib or MI with an EKG at least two weeks before",
        out.display()
    );
    Ok(())
}
