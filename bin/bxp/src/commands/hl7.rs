//! `bxp hl7`: HL7 v2 messages that a node did not take.

use crate::{demo::tables::table, operator::Operator};
use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List messages that were not taken, with the reasons; nothing of a message is shown.
    DeadLetters(Which),
    /// Try messages that were not taken again.
    Replay {
        /// The number of one; without it all are tried, oldest first.
        number: Option<u64>,
        #[command(flatten)]
        which: Which,
    },
}

#[derive(Args)]
struct Which {
    /// The configuration file of the node.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize, Deserialize)]
struct Letter {
    number: u64,
    received_ms: u64,
    bytes: u64,
    reasons: Vec<String>,
}

#[derive(Serialize, Deserialize)]
struct Replayed {
    number: u64,
    taken: bool,
    reasons: Vec<String>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    match arguments.command {
        Command::DeadLetters(which) => list(&which).await,
        Command::Replay { number, which } => replay(number, &which).await,
    }
}

async fn list(which: &Which) -> Result<()> {
    let letters: Vec<Letter> = Operator::of(&which.config)?.get("hl7v2/dead-letters").await?;
    if which.json {
        println!("{}", serde_json::to_string(&letters)?);
        return Ok(());
    }
    if letters.is_empty() {
        println!("no dead letters");
        return Ok(());
    }
    let rows = letters.iter().map(|letter| {
        let first = letter.reasons.first().cloned().unwrap_or_default();
        [letter.number.to_string(), letter.received_ms.to_string(), letter.bytes.to_string(), first]
    });
    println!("{}", table(["number", "received (ms since 1970)", "bytes", "why"], 3, rows.collect()));
    Ok(())
}

async fn replay(number: Option<u64>, which: &Which) -> Result<()> {
    let query = number.map(|number| format!("?number={number}")).unwrap_or_default();
    let path = format!("hl7v2/dead-letters/replay{query}");
    let replayed: Vec<Replayed> = Operator::of(&which.config)?.post(&path, &json!({})).await?;
    if let (Some(number), true) = (number, replayed.is_empty()) {
        bail!("there is no dead letter {number}; bxp hl7 dead-letters lists them");
    }
    if which.json {
        println!("{}", serde_json::to_string(&replayed)?);
    } else {
        for one in &replayed {
            let what =
                if one.taken { "taken".to_owned() } else { format!("not taken: {}", one.reasons.join("; ")) };
            println!("{}  {what}", one.number);
        }
        println!("{} of {} taken", replayed.iter().filter(|one| one.taken).count(), replayed.len());
    }
    Ok(())
}
