//! FHIR files into one node of a fresh network, validated, split, sealed, indexed and durably stored, and anchored.

use super::{
    children_cpu_us, cpu_us,
    records::{self, Request},
};
use crate::{
    commands::ingest::Taken,
    devnet::{Devnet, Plan, RunningDevnet},
    operator::Operator,
};
use anyhow::{Context, Result, bail, ensure};
use bxp_clinical::source::find;
use clap::Args;
use serde::{Deserialize, Serialize};
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// How long the last batch may take to be anchored.
const ANCHORED_WITHIN: Duration = Duration::from_secs(120);
/// How often it is looked whether it is.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[derive(Args)]
pub(crate) struct Arguments {
    /// Files or folders of FHIR R4 bundles; .gz and .bz2 too.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How many validators the network has; hand-overs to them run beside.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=16))]
    validators: u16,
    /// How many requests are under way at the same time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    at_once: u16,
    /// Hand the resources in as bulk NDJSON, one type after the other, instead of as bundles.
    #[arg(long)]
    ndjson: bool,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    validators: u16,
    requests: usize,
    resources: u64,
    taken: u64,
    refused: u64,
    /// Until everything is acknowledged, hence on disk at the node.
    seconds: f64,
    resources_per_second: f64,
    megabytes_per_second: f64,
    /// From the first byte until every batch of the node is anchored on the chain.
    anchored_seconds: f64,
    anchored_per_second: f64,
    /// Processor time of all nodes from their start to their end, and of the client, for each resource.
    node_cpu_us_per_resource: f64,
    client_cpu_us_per_resource: f64,
    /// Bytes of the first node's folder, after it has stopped, for each byte of JSON.
    disk_ratio: f64,
    /// The limit: one thread only parses the same bytes.
    parse_megabytes_per_second_one_core: f64,
    ratio_to_parse: f64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let files = find(&arguments.paths)?.files;
    let as_ndjson = arguments.ndjson;
    let requests = tokio::task::spawn_blocking(move || {
        let bundles = records::bundles(&files)?;
        if as_ndjson { records::ndjson(&bundles) } else { Ok(bundles) }
    });
    let requests = requests.await??;
    ensure!(!requests.is_empty(), "the files have no FHIR R4 bundle in JSON");
    let parse_rate = parse_rate(&requests);
    let folder = tempfile::tempdir().context("make a folder for the network")?;
    let devnet = Devnet::open_or_create(&folder.path().join("net"), &Plan::usual(arguments.validators))?;
    let config = devnet.config_file(&devnet.nodes[0]);
    let mut network = RunningDevnet::start(devnet).await?;
    let operator = Operator::of(&config)?;
    let (count, client_before, nodes_before) = (requests.len(), cpu_us()?, children_cpu_us()?);
    let measured = measure(&operator, requests, usize::from(arguments.at_once)).await;
    let client_cpu_us = cpu_us()? - client_before;
    network.stop().await?;
    let (taken, seconds, anchored_seconds) = measured?;
    let each = |cpu_us: u64| cpu_us as f64 / taken.resources.max(1) as f64;
    let disk = records::bytes_under(config.parent().context("find the node's folder")?)?;
    let megabytes_per_second = taken.bytes as f64 / 1e6 / seconds;
    if !arguments.json {
        taken.name_refusals();
    }
    let report = Report {
        validators: arguments.validators,
        requests: count,
        resources: taken.resources,
        taken: taken.new + taken.changed,
        refused: taken.refused,
        seconds,
        resources_per_second: taken.resources as f64 / seconds,
        megabytes_per_second,
        anchored_seconds,
        anchored_per_second: taken.resources as f64 / anchored_seconds,
        node_cpu_us_per_resource: each(children_cpu_us()? - nodes_before),
        client_cpu_us_per_resource: each(client_cpu_us),
        disk_ratio: disk as f64 / taken.bytes.max(1) as f64,
        parse_megabytes_per_second_one_core: parse_rate,
        ratio_to_parse: megabytes_per_second / parse_rate,
    };
    print(&report, arguments.json)
}

/// Hands everything in, and waits until it is anchored: seconds to both.
async fn measure(operator: &Operator, requests: Vec<Request>, at_once: usize) -> Result<(Taken, f64, f64)> {
    let started = Instant::now();
    let taken = records::hand_in(operator, requests.into_iter(), at_once).await?;
    let seconds = started.elapsed().as_secs_f64();
    while Instant::now() < started + Duration::from_secs_f64(seconds) + ANCHORED_WITHIN {
        if operator.get::<Backlog>("backlog").await?.batches == 0 {
            return Ok((taken, seconds, started.elapsed().as_secs_f64()));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    bail!("not every batch is anchored after {ANCHORED_WITHIN:?}")
}

/// What the node says of what waits.
#[derive(Deserialize)]
struct Backlog {
    batches: u64,
}

/// MB of JSON that one thread parses in a second.
fn parse_rate(requests: &[Request]) -> f64 {
    let (started, mut bytes) = (Instant::now(), 0);
    for request in requests {
        bytes += request.bytes.len();
        // What is damaged is named when it is handed in.
        drop(request.parsed());
    }
    bytes as f64 / 1e6 / started.elapsed().as_secs_f64()
}

fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    println!("requests                 {}", report.requests);
    println!(
        "resources                {} ({} taken, {} refused)",
        report.resources, report.taken, report.refused
    );
    println!("seconds                  {:.1}, anchored {:.1}", report.seconds, report.anchored_seconds);
    println!("resources a second       {:.0}", report.resources_per_second);
    println!("  until anchored         {:.0}", report.anchored_per_second);
    println!("nodes' CPU for each      {:.0} us", report.node_cpu_us_per_resource);
    println!("client's CPU for each    {:.0} us", report.client_cpu_us_per_resource);
    println!("disk against JSON        {:.2}", report.disk_ratio);
    println!("MB of JSON a second      {:.1}", report.megabytes_per_second);
    println!("limit: parse, one core   {:.1} MB/s", report.parse_megabytes_per_second_one_core);
    println!("ratio                    {:.3}", report.ratio_to_parse);
    Ok(())
}
