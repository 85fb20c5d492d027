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
        Action::List { config, subject, limit } => {
            let subject = subject.map(|subject| format!("&subject={subject}")).unwrap_or_default();
            Operator::of(&config)?.get(&format!("records?limit={limit}{subject}")).await?
        }
    };
    println!("{}", serde_json::to_string_pretty(&answer)?);
    Ok(())
}
