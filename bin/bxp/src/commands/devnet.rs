//! `bxp devnet`: a network of real node processes on this machine.

use super::stop_signal;
use crate::devnet::{Devnet, Plan, RunningDevnet};
use anyhow::Result;
use clap::Args;
use std::{path::PathBuf, pin::pin};

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
    let mut asked = pin!(stop_signal()?);
    let mut running = tokio::select! {
        started = RunningDevnet::start(devnet) => started?,
        () = &mut asked => return Ok(()),
    };
    if arguments.json {
        println!("{}", serde_json::to_string(&running.description())?);
    } else {
        print!("{running}");
        println!("Ctrl-C stops it; the same command starts it again with nothing lost.");
    }
    tokio::select! {
        () = asked => {}
        () = running.report_ended() => {}
    }
    running.stop().await
}
