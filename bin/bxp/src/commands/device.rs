//! `bxp device`: members' own devices and their readings.

use crate::operator::{Operator, send_as_device};
use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::{fs, path::PathBuf};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Issue a token with which one device may hand in readings of one patient. It is shown once.
    Admit {
        /// The id of the Patient at the node.
        patient: String,
        /// What the patient calls the device.
        #[arg(long, default_value = "")]
        label: String,
        /// For how many days, at most 366.
        #[arg(long, default_value_t = 366)]
        days: u64,
        /// The configuration file of the node.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// List the devices that were admitted for a patient; no token is shown.
    List {
        /// The id of the Patient at the node.
        patient: String,
        /// The configuration file of the node.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Revoke a device's token: it opens nothing any more.
    Revoke {
        /// The id of the Patient at the node.
        patient: String,
        /// The credential's id, as `list` shows it.
        credential: String,
        /// The configuration file of the node.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Hand a file of readings in: as the operator, for a patient.
    Send {
        /// Readings as JSON, or Observations and Devices of FHIR.
        file: PathBuf,
        /// The id of the Patient at the node.
        #[arg(long)]
        patient: String,
        /// The configuration file of the node.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Hand a file of readings in as a device does, with its token.
    Upload {
        /// Readings as JSON, or Observations and Devices of FHIR.
        file: PathBuf,
        /// The node's address, such as `http://127.0.0.1:8080`.
        #[arg(long)]
        node: String,
        /// A file with the device's token.
        #[arg(long, value_name = "FILE")]
        token: PathBuf,
    },
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let answer: Value = match arguments.action {
        Action::Admit { patient, label, days, config } => {
            let wish = json!({ "label": label, "days": days });
            Operator::of(&config)?.post(&credentials(&patient), &wish).await?
        }
        Action::List { patient, config } => Operator::of(&config)?.get(&credentials(&patient)).await?,
        Action::Revoke { patient, credential, config } => {
            Operator::of(&config)?.delete(&format!("{}/{credential}", credentials(&patient))).await?
        }
        Action::Send { file, patient, config } => {
            let path = format!("$device-data?patient={patient}");
            Operator::of(&config)?.send(&path, "application/json", read(&file)?).await?
        }
        Action::Upload { file, node, token } => {
            let token = String::from_utf8(read(&token)?).context("read the token: it is not text")?;
            send_as_device(&node, token.trim(), read(&file)?).await?
        }
    };
    println!("{}", serde_json::to_string_pretty(&answer)?);
    Ok(())
}

fn credentials(patient: &str) -> String {
    format!("Patient/{patient}/$device-credential")
}

fn read(path: &PathBuf) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("read {}", path.display()))
}
