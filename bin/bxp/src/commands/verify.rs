//! `bxp verify`: recomputes what a stopped node has stored.

mod chain;

use anyhow::Result;
use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Verify every block, receipt and certificate; with --deep also every state, by executing all blocks anew.
    Chain(chain::Arguments),
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    match arguments.action {
        Action::Chain(arguments) => tokio::task::spawn_blocking(move || chain::run(&arguments)).await?,
    }
}
