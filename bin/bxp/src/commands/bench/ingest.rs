//! FHIR files into one node of a fresh network, read, validated, split, sealed and durably stored.

use crate::{
    commands::ingest::{hand_in, progress_bar},
    devnet::{Devnet, Plan, RunningDevnet},
    operator::Operator,
};
use anyhow::{Context, Result};
use bxp_clinical::source::{Limits, contents, find, parse_json};
use clap::Args;
use serde::Serialize;
use std::{path::PathBuf, time::Instant};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Files or folders of FHIR R4 bundles or NDJSON; .gz and .bz2 too.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How many validators the network has; hand-overs to them run beside.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    validators: u16,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    validators: u16,
    files: usize,
    resources: u64,
    taken: u64,
    refused: u64,
    seconds: f64,
    resources_per_second: f64,
    megabytes_per_second: f64,
    /// The limit: one thread only decompresses and parses the same files.
    parse_megabytes_per_second_one_core: f64,
    ratio_to_parse: f64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let files = find(&arguments.paths)?.files;
    let parse_rate = {
        let files = files.clone();
        tokio::task::spawn_blocking(move || parse_rate(&files)).await??
    };
    let folder = tempfile::tempdir().context("make a folder for the network")?;
    let devnet = Devnet::open_or_create(&folder.path().join("net"), &Plan::usual(arguments.validators))?;
    let config = devnet.config_file(&devnet.nodes[0]);
    let mut network = RunningDevnet::start(devnet).await?;
    let operator = Operator::of(&config)?;
    let started = Instant::now();
    let taken = hand_in(&operator, &files, &progress_bar(files.len(), "ingest")).await;
    let seconds = started.elapsed().as_secs_f64();
    network.stop().await?;
    let taken = taken?;
    let megabytes_per_second = taken.bytes as f64 / 1e6 / seconds;
    let report = Report {
        validators: arguments.validators,
        files: files.len(),
        resources: taken.resources,
        taken: taken.new + taken.changed,
        refused: taken.refused,
        seconds,
        resources_per_second: taken.resources as f64 / seconds,
        megabytes_per_second,
        parse_megabytes_per_second_one_core: parse_rate,
        ratio_to_parse: megabytes_per_second / parse_rate,
    };
    print(&report, arguments.json)
}

/// MB of JSON that one thread decompresses and parses in a second.
fn parse_rate(files: &[bxp_clinical::source::InputFile]) -> Result<f64> {
    let (started, mut bytes) = (Instant::now(), 0);
    for file in files {
        let text = contents(file, &Limits::default())?;
        bytes += text.len();
        // A damaged file is named when it is handed in.
        drop(parse_json("bench", &text, &Limits::default()));
    }
    Ok(bytes as f64 / 1e6 / started.elapsed().as_secs_f64())
}

fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    println!("files                    {}", report.files);
    println!(
        "resources                {} ({} taken, {} refused)",
        report.resources, report.taken, report.refused
    );
    println!("seconds                  {:.1}", report.seconds);
    println!("resources a second       {:.0}", report.resources_per_second);
    println!("MB of JSON a second      {:.1}", report.megabytes_per_second);
    println!("limit: parse, one core   {:.1} MB/s", report.parse_megabytes_per_second_one_core);
    println!("ratio                    {:.3}", report.ratio_to_parse);
    Ok(())
}
