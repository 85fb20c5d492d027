//! `bxp devnet`: a network of real node processes on this machine.

use super::stop_signal;
use crate::devnet::{Devnet, Plan, RunningDevnet};
use anyhow::{Context, Result};
use bxp_types::Jurisdiction;
use clap::Args;
use std::{num::NonZeroU16, path::PathBuf, pin::pin};

#[derive(Args)]
pub(crate) struct Arguments {
    /// How many validators; a network needs 3t + 1 to bear t faulty ones.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    validators: u16,
    /// Where the network lives. An existing one is started again with nothing lost.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// How many nodes of a country keep a record's identity block, as in US=2; all of them where none is given. It stands
    /// in genesis, so that an existing network keeps what it has.
    #[arg(long, value_name = "COUNTRY=NUMBER", value_parser = country_copies)]
    identity_copies: Vec<(Jurisdiction, NonZeroU16)>,
    /// Print one JSON line when the network is ready.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let identity_copies = arguments.identity_copies.into_iter().collect();
    let plan = Plan { identity_copies, ..Plan::usual(arguments.validators) };
    let devnet = Devnet::open_or_create(&arguments.dir, &plan)?;
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

/// A country and a number of copies.
fn country_copies(text: &str) -> Result<(Jurisdiction, NonZeroU16)> {
    const FORM: &str = "give a country and how many of its nodes keep a copy, such as US=2";
    let (country, copies) = text.split_once('=').context(FORM)?;
    Ok((country.parse().context(FORM)?, copies.parse().context(FORM)?))
}
