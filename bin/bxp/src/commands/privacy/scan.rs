//! `bxp privacy scan`: a folder of FHIR files or the records of a running node.

use crate::{demo::tables::table, operator::Operator};
use anyhow::{Result, bail};
use bxp_clinical::{
    audit::scan_files,
    source::{InputFile, find},
};
use bxp_vault::Clock;
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Files or folders of FHIR R4 bundles or NDJSON: each resource is split, and one side scanned for the other.
    #[arg(required_unless_present = "config", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Scan these de-identified files instead of what the split gives.
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    against: Vec<PathBuf>,
    /// Scan the records of the running node with this configuration file, under the node's own permit.
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    config: Option<PathBuf>,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { paths, against, config, json } = arguments;
    let (report, unsplit): (Value, u64) = match config {
        Some(config) => (Operator::of(&config)?.post("privacy/scan", &Value::Null).await?, 0),
        None => {
            let files = find(&paths)?.files;
            let against: Vec<InputFile> = if against.is_empty() { Vec::new() } else { find(&against)?.files };
            let scan = tokio::task::spawn_blocking(move || scan_files(&files, &against, &Clock::system()));
            let (report, unsplit) = scan.await??;
            (serde_json::to_value(&report)?, unsplit)
        }
    };
    let residual = report["residual"].as_array().cloned().unwrap_or_default();
    if json {
        println!("{}", serde_json::to_string(&report)?);
    } else {
        print(&report, &residual, unsplit);
    }
    if !residual.is_empty() {
        bail!("the de-identified side holds strings of the identity side at {} places", residual.len());
    }
    Ok(())
}

fn print(report: &Value, residual: &[Value], unsplit: u64) {
    let number = |name: &str| report[name].as_u64().unwrap_or_default().to_string();
    let paths = report["held"].as_object().map_or(0, serde_json::Map::len);
    println!("records                       {}", number("records"));
    if unsplit > 0 {
        println!("resources without a split     {unsplit}");
    }
    println!("paths of the identity side    {paths}");
    println!("distinct strings looked for   {}", number("strings"));
    println!("of these too short to mean    {}", number("tooShort"));
    println!("variants looked for           {}", number("variants"));
    println!("distinct leaves searched      {}", number("leaves"));
    println!(
        "residual strings              {}",
        residual.iter().filter_map(|one| one["strings"].as_u64()).sum::<u64>()
    );
    if residual.is_empty() {
        return;
    }
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    let row = |one: &Value| {
        [text(one, "heldAt"), text(one, "foundAt"), text(one, "variant"), one["strings"].to_string()]
    };
    println!(
        "{}",
        table(["held at", "found at", "variant", "strings"], 3, residual.iter().map(row).collect())
    );
}
