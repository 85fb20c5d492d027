//! `bxp record`: what a node may show of a record.

use crate::operator::Operator;
use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Show a record, or all records of a patient: whole on a node of the patient's country, de-identified elsewhere.
    Show {
        /// A record's or a patient's id, 32 hexadecimal digits.
        id: String,
        /// The configuration file of the node to ask.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// What the record is wanted for; the disclosure is written down with it.
        #[arg(long, value_enum, default_value_t = Purpose::Treatment)]
        purpose: Purpose,
    },
    /// Check the inclusion proof of a record version against the chain: in the node's program and by the contract.
    Verify {
        /// The record's id, 32 hexadecimal digits.
        id: String,
        /// The configuration file of the node that holds it.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Erase a record for good: its keys at once, its copies on the other nodes as they are reached.
    Erase {
        /// The record's id, 32 hexadecimal digits.
        id: String,
        /// The configuration file of the node that holds it.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Show which nodes have signed that they erased their copies of a record.
    Erasure {
        /// The record's id, 32 hexadecimal digits.
        id: String,
        /// The configuration file of the node that held it.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Look at every block of a node, and fetch what is lost or damaged from the others.
    Scrub {
        /// The configuration file of the node.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Show where nodes stand, and who has left a country and still owes the proof that it deleted what it had of it.
    Keepers {
        /// The configuration file of the node to ask.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// List the records that a node knows.
    List {
        /// The configuration file of the node to ask.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Only this patient's.
        #[arg(long)]
        subject: Option<String>,
        /// How many at most.
        #[arg(long, default_value_t = 20)]
        limit: usize,
    },
}

#[derive(Clone, Copy, ValueEnum)]
enum Purpose {
    Treatment,
    Operations,
    Oversight,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let answer: Value = match arguments.action {
        Action::Show { id, config, purpose } => {
            let purpose = purpose.to_possible_value().map(|value| value.get_name().to_owned());
            let path = format!("records/{id}?purpose={}", purpose.unwrap_or_default());
            Operator::of(&config)?.get(&path).await?
        }
        Action::Verify { id, config } => Operator::of(&config)?.get(&format!("records/{id}/proof")).await?,
        Action::Erase { id, config } => Operator::of(&config)?.delete(&format!("records/{id}")).await?,
        Action::Erasure { id, config } => {
            Operator::of(&config)?.get(&format!("records/{id}/erasure")).await?
        }
        Action::Scrub { config } => Operator::of(&config)?.post("scrub", &Value::Null).await?,
        Action::Keepers { config } => Operator::of(&config)?.get("keepers").await?,
        Action::List { config, subject, limit } => {
            let subject = subject.map(|subject| format!("&subject={subject}")).unwrap_or_default();
            Operator::of(&config)?.get(&format!("records?limit={limit}{subject}")).await?
        }
    };
    println!("{}", serde_json::to_string_pretty(&answer)?);
    Ok(())
}
