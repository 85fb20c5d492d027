//! `bxp privacy`: proves that nothing identifying left, measures how well a release hides its patients, and prepares
//! de-identified copies of files.

mod release;
mod risk;
mod scan;

use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Look for every identifier of the identity side, in its usual variants, on the de-identified side.
    Scan(scan::Arguments),
    /// Measure how well patients are hidden: k-anonymity, l-diversity, prosecutor, journalist and marketer risk.
    Risk(risk::Arguments),
    /// Write de-identified copies of FHIR files.
    Release(release::Arguments),
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    match arguments.action {
        Action::Scan(arguments) => scan::run(arguments).await,
        Action::Risk(arguments) => risk::run(arguments).await,
        Action::Release(arguments) => tokio::task::spawn_blocking(move || release::run(&arguments)).await?,
    }
}
