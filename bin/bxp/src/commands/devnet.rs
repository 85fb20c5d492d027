//! `bxp devnet`: a network of real node processes on this machine.

use super::asked_to_stop;
use crate::devnet::{Devnet, Plan, RunningDevnet};
use anyhow::Result;
use clap::Args;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many validators; a network needs 3t + 1 to bear t faulty ones.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    validators: u16,
    /// Where the network lives. An existing one is started again with nothing lost.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Print one JSON line when the network is ready.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let devnet = Devnet::open_or_create(&arguments.dir, &Plan::usual(arguments.validators))?;
    let mut running = RunningDevnet::start(devnet).await?;
    if arguments.json {
        println!("{}", serde_json::to_string(&running.description())?);
    } else {
        print!("{running}");
        println!("Ctrl-C stops it; the same command starts it again with nothing lost.");
    }
    let outcome = tokio::select! {
        asked = asked_to_stop() => asked,
        () = running.report_ended() => Ok(()),
    };
    running.stop().await?;
    outcome
}
