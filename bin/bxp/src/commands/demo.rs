//! `bxp demo`: the main job, told as it goes.

use super::asked_to_stop;
use crate::{
    demo::Demo,
    devnet::{Devnet, Plan, RunningDevnet},
};
use anyhow::{Context, Result};
use clap::Args;
use std::path::PathBuf;

/// Star, Dawn, a German hospital and a Canadian regulator.
const VALIDATORS: u16 = 4;

#[derive(Args)]
pub(crate) struct Arguments {
    /// A folder of FHIR R4 bundles; without it, patients are invented.
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// How many patients to invent when there is no --data.
    #[arg(long, default_value_t = 40)]
    patients: u32,
    /// Where the network lives; a folder that vanishes at the end, unless given.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Leave the network running until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let vanishing = tempfile::tempdir().context("make a folder for the network")?;
    let dir = arguments.dir.clone().unwrap_or_else(|| vanishing.path().join("net"));
    println!("BXP: one record's way through {VALIDATORS} validators in three countries\n");
    let devnet = Devnet::open_or_create(&dir, &Plan::usual(VALIDATORS))?;
    let mut network = RunningDevnet::start(devnet).await?;
    let told = Demo::new(&network)?.tell(arguments.data.as_deref(), arguments.patients).await;
    if arguments.keep && told.is_ok() {
        print!("\n{network}");
        println!("the network goes on in {}; Ctrl-C stops it", dir.display());
        asked_to_stop().await?;
    }
    network.stop().await?;
    told
}
