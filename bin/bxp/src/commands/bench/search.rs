//! FHIR reads and searches at one node of a fresh network, over HTTP, with and without writes beside them.

use super::quantile_ms;
use crate::{
    commands::ingest::{hand_in, progress_bar},
    devnet::{Devnet, Plan, RunningDevnet},
    operator::Operator,
};
use anyhow::{Context, Result, bail};
use bxp_clinical::source::find;
use clap::Args;
use serde::Serialize;
use serde_json::{Value, json};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// Patients whose records are asked for, one after the other.
const PATIENTS: usize = 50;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Files or folders of FHIR R4 bundles or NDJSON; .gz and .bz2 too.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How often each query is asked.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    times: u32,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    resources: u64,
    times: u32,
    queries: Vec<Measured>,
    /// The same with another client that writes one resource after the other.
    under_writes: Vec<Measured>,
    /// The limit: an answer of the same server that reads nothing.
    limit_ms_p50: f64,
    limit_ms_p99: f64,
}

#[derive(Serialize)]
struct Measured {
    query: &'static str,
    ms_p50: f64,
    ms_p99: f64,
    entries_mean: f64,
}

/// What is measured: its name, and the address for a patient.
const QUERIES: [(&str, &str); 7] = [
    ("read", "Patient/{id}?purpose=operations"),
    ("read, accounted for", "Patient/{id}"),
    ("Observation?patient&code", "Observation?patient={id}&code=http://loinc.org|8302-2&purpose=operations"),
    (
        "Observation?patient&date, sorted",
        "Observation?patient={id}&date=ge2010&_sort=-date&_count=20&purpose=operations",
    ),
    ("Patient?name", "Patient?name=an&_count=20&purpose=operations"),
    (
        "Observation?patient, with the patient",
        "Observation?patient={id}&_include=Observation:patient&purpose=operations",
    ),
    ("$everything", "Patient/{id}/$everything?purpose=operations"),
];

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let files = find(&arguments.paths)?.files;
    let folder = tempfile::tempdir().context("make a folder for the network")?;
    let devnet = Devnet::open_or_create(&folder.path().join("net"), &Plan::usual(1))?;
    let config = devnet.config_file(&devnet.nodes[0]);
    let mut network = RunningDevnet::start(devnet).await?;
    let operator = Operator::of(&config)?;
    let taken = hand_in(&operator, &files, &progress_bar(files.len(), "ingest")).await;
    let measured = match taken {
        Ok(taken) => measure(&operator, &arguments, taken.new + taken.changed).await,
        Err(error) => Err(error),
    };
    network.stop().await?;
    print(&measured?, arguments.json)
}

async fn measure(operator: &Operator, arguments: &Arguments, resources: u64) -> Result<Report> {
    let listed: Value = operator.get(&format!("Patient?_count={PATIENTS}&purpose=operations")).await?;
    let entries = listed["entry"].as_array().map_or(&[][..], Vec::as_slice);
    let patients: Vec<String> =
        entries.iter().filter_map(|one| one["resource"]["id"].as_str().map(str::to_owned)).collect();
    if patients.is_empty() {
        bail!("the files have no patient of this node's country to ask for");
    }
    let times = arguments.times;
    let limit = timed(times, |_| operator.get::<Value>("healthz")).await?;
    let queries = all(operator, &patients, times).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write(operator.clone(), Arc::clone(&stop)));
    let under_writes = all(operator, &patients, times).await;
    stop.store(true, Ordering::Relaxed);
    writing.await??;
    let quantile = |quantile| quantile_ms(&limit.0, quantile).unwrap_or_default();
    let (limit_ms_p50, limit_ms_p99) = (quantile(0.5), quantile(0.99));
    Ok(Report { resources, times, queries, under_writes: under_writes?, limit_ms_p50, limit_ms_p99 })
}

async fn all(operator: &Operator, patients: &[String], times: u32) -> Result<Vec<Measured>> {
    let mut measured = Vec::new();
    for (query, address) in QUERIES {
        let ask = |number: usize| {
            let address = address.replace("{id}", &patients[number % patients.len()]);
            async move { operator.get::<Value>(&address).await }
        };
        let (sorted, entries_mean) = timed(times, ask).await.with_context(|| format!("ask for {query}"))?;
        let quantile = |quantile| quantile_ms(&sorted, quantile).unwrap_or_default();
        measured.push(Measured { query, ms_p50: quantile(0.5), ms_p99: quantile(0.99), entries_mean });
    }
    Ok(measured)
}

/// Sorted milliseconds of each answer, and its mean number of entries.
async fn timed<F: Future<Output = Result<Value>>>(
    times: u32,
    ask: impl Fn(usize) -> F,
) -> Result<(Vec<f64>, f64)> {
    let (mut milliseconds, mut entries) = (Vec::with_capacity(times as usize), 0);
    for number in 0..times as usize {
        let started = Instant::now();
        let answer = ask(number).await?;
        milliseconds.push(started.elapsed().as_secs_f64() * 1_000.0);
        entries += answer["entry"].as_array().map_or(1, Vec::len);
    }
    milliseconds.sort_unstable_by(f64::total_cmp);
    Ok((milliseconds, entries as f64 / f64::from(times)))
}

/// Writes organisations until it is told to stop.
async fn write(operator: Operator, stop: Arc<AtomicBool>) -> Result<()> {
    let mut number = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let body = json!({ "resourceType": "Organization", "name": format!("written {number}") });
        operator.post::<Value>("Organization", &body).await?;
    }
    Ok(())
}

fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    println!("resources  {}", report.resources);
    println!(
        "limit      p50 {:.2} ms, p99 {:.2} ms: an answer that reads nothing",
        report.limit_ms_p50, report.limit_ms_p99
    );
    for (title, list) in [("alone", &report.queries), ("under writes", &report.under_writes)] {
        println!("{title}");
        for one in list {
            println!(
                "  {:40} p50 {:8.2} ms  p99 {:8.2} ms  {:.1} entries",
                one.query, one.ms_p50, one.ms_p99, one.entries_mean
            );
        }
    }
    Ok(())
}
