//! `bxp patient`: what a node's operator does for a patient.

use crate::operator::Operator;
use anyhow::Result;
use clap::{Args, Subcommand};
use serde_json::Value;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Erase a patient for good: every record of every version, the patient's key, and the copies on the other nodes.
    Erase {
        /// The patient's pseudonym at the node, 32 hexadecimal digits.
        id: String,
        /// The configuration file of the node that took the patient in.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let Action::Erase { id, config } = arguments.action;
    let answer: Value = Operator::of(&config)?.delete(&format!("patients/{id}")).await?;
    println!("{}", serde_json::to_string_pretty(&answer)?);
    Ok(())
}
