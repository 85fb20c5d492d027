//! FHIR reads and searches at one node of a fresh network, over HTTP, with and without writes beside them.

use super::{
    quantile_ms,
    records::{self, Request},
};
use crate::{
    devnet::{Devnet, Plan, RunningDevnet},
    operator::Operator,
};
use anyhow::{Context, Result, ensure};
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
/// Requests under way while the files are handed in.
const AT_ONCE: usize = 4;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Files or folders of FHIR R4 bundles or NDJSON; .gz and .bz2 too.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How many resources the node has: the files' own, then copies of them under new ids.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    resources: Option<u64>,
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
    /// Of the files and their copies, until all of it was acknowledged.
    ingest_seconds: f64,
    /// Bytes of the node's folder, after it has stopped, for each byte of JSON.
    disk_ratio: f64,
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
    let bundles = tokio::task::spawn_blocking(move || records::bundles(&files)).await??;
    let copies = Copies::of(&bundles, arguments.resources)?;
    let patients = records::patients(&bundles, copies.count, PATIENTS)?;
    ensure!(!patients.is_empty(), "the files have no patient to ask for");
    let folder = tempfile::tempdir().context("make a folder for the network")?;
    let devnet = Devnet::open_or_create(&folder.path().join("net"), &Plan::usual(1))?;
    let config = devnet.config_file(&devnet.nodes[0]);
    let mut network = RunningDevnet::start(devnet).await?;
    let operator = Operator::of(&config)?;
    let started = Instant::now();
    let taken = records::hand_in(&operator, copies.requests(&bundles), AT_ONCE).await;
    let ingest_seconds = started.elapsed().as_secs_f64();
    let measured = match taken {
        Ok(taken) => {
            let resources = taken.new + taken.changed;
            measure(&operator, &arguments, &patients).await.map(|measured| (measured, resources, taken.bytes))
        }
        Err(error) => Err(error),
    };
    network.stop().await?;
    let (measured, resources, bytes) = measured?;
    let disk = records::bytes_under(config.parent().context("find the node's folder")?)?;
    let disk_ratio = disk as f64 / bytes.max(1) as f64;
    print(&Report { resources, ingest_seconds, disk_ratio, ..measured }, arguments.json)
}

/// How often the files are handed in, each time under other ids.
struct Copies {
    /// Resources of each file.
    resources: Vec<u64>,
    count: u32,
    wanted: u64,
}

impl Copies {
    fn of(bundles: &[Request], wanted: Option<u64>) -> Result<Self> {
        let resources: Vec<u64> =
            bundles.iter().map(|bundle| Ok(bundle.parsed()? as u64)).collect::<Result<_>>()?;
        let each: u64 = resources.iter().sum();
        ensure!(each > 0, "the files have no FHIR R4 resources in bundles");
        let wanted = wanted.unwrap_or(each);
        Ok(Self { resources, count: u32::try_from(wanted.div_ceil(each))?, wanted })
    }

    fn requests(&self, bundles: &[Request]) -> impl Iterator<Item = Request> {
        let all = (0..self.count)
            .flat_map(move |number| bundles.iter().zip(&self.resources).map(move |one| (number, one)));
        let within = all.scan(0_u64, move |before, (number, (bundle, resources))| {
            let more = *before < self.wanted;
            *before += resources;
            more.then_some((number, bundle))
        });
        within.map(|(number, bundle)| bundle.copied(number))
    }
}

async fn measure(operator: &Operator, arguments: &Arguments, patients: &[String]) -> Result<Report> {
    let times = arguments.times;
    let limit = timed(times, |_| operator.get::<Value>("healthz")).await?;
    let queries = all(operator, patients, times).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let writing = tokio::spawn(write(operator.clone(), Arc::clone(&stop)));
    let under_writes = all(operator, patients, times).await;
    stop.store(true, Ordering::Relaxed);
    writing.await??;
    let quantile = |quantile| quantile_ms(&limit.0, quantile).unwrap_or_default();
    let (limit_ms_p50, limit_ms_p99) = (quantile(0.5), quantile(0.99));
    let (resources, ingest_seconds, disk_ratio) = (0, 0.0, 0.0);
    let under_writes = under_writes?;
    Ok(Report {
        resources,
        ingest_seconds,
        disk_ratio,
        times,
        queries,
        under_writes,
        limit_ms_p50,
        limit_ms_p99,
    })
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
    println!("resources  {}, taken in {:.0} s", report.resources, report.ingest_seconds);
    println!("disk       {:.2} bytes for each of JSON", report.disk_ratio);
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
