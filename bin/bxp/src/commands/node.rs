//! `bxp node`: one node, until Ctrl-C; and where nodes stand.

mod standing;

use super::stop_signal;
use anyhow::{Context, Result};
use bxp_node::{Node, NodeConfig};
use clap::Args;
use std::{path::PathBuf, pin::pin};
use tokio::sync::oneshot;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Option<standing::Action>,
    #[command(flatten)]
    start: Start,
}

#[derive(Args)]
struct Start {
    /// The node's configuration file.
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// Keep the state of every block, whatever the file says.
    #[arg(long)]
    archive: bool,
    /// Print one JSON line with the node's addresses when it is ready.
    #[arg(long)]
    json: bool,
    /// Stop when standard input ends, as it does when the process that started the node is gone.
    #[arg(long)]
    stop_at_end_of_input: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    match arguments.action {
        Some(action) => standing::run(action).await,
        None => start(arguments.start).await,
    }
}

async fn start(arguments: Start) -> Result<()> {
    let mut config = NodeConfig::read(&arguments.config.context("give --config")?)?;
    config.archive |= arguments.archive;
    let mut asked = pin!(stop_signal()?);
    let mut node = tokio::select! {
        started = Node::start(&config) => started?,
        () = &mut asked => return Ok(()),
    };
    announce(&node, arguments.json)?;
    let outcome = tokio::select! {
        failed = node.failed() => return failed,
        () = asked => Ok(()),
        () = end_of_input(), if arguments.stop_at_end_of_input => Ok(()),
    };
    tracing::info!("stopping");
    node.stop().await?;
    outcome
}

fn announce(node: &Node, json: bool) -> Result<()> {
    let addresses = node.addresses();
    if json {
        println!("{}", serde_json::to_string(addresses)?);
    } else {
        println!("{} ({}) is ready", addresses.name, addresses.jurisdiction);
        println!("  JSON-RPC  {}", addresses.rpc);
        println!("  FHIR      {}", addresses.fhir);
        if let Some(mllp) = &addresses.mllp {
            println!("  HL7 v2    {mllp}");
        }
        println!("  metrics   {}/metrics", addresses.metrics);
    }
    Ok(())
}

/// Returns when standard input has ended. A thread of its own reads it: the runtime would wait for one of its own to
/// return from a read that nobody can end, and a node whose chain has failed would never exit.
async fn end_of_input() {
    let (ended, end) = oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(ended);
    });
    let _ = end.await;
}
