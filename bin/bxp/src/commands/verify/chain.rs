//! `bxp verify chain`: a stopped node's whole chain, recomputed offline.

use anyhow::{Context, Result, bail};
use bxp_chain::verify::{Finding, Report, Verifier};
use bxp_node::NodeConfig;
use bxp_storage::Store;
use bxp_types::Height;
use clap::Args;
use serde_json::json;
use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

/// How often it says how far it is.
const TOLD_EVERY: Duration = Duration::from_secs(2);

#[derive(Args)]
pub(crate) struct Arguments {
    /// The node's folder, with its node.toml. The node must be stopped.
    #[arg(long, value_name = "DIR", default_value = ".")]
    data: PathBuf,
    /// Also execute every block from genesis on, in a temporary folder, and compare every entry of the state.
    #[arg(long)]
    deep: bool,
    /// Print one JSON object at the end.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let config = NodeConfig::read(&arguments.data.join("node.toml"))?;
    let genesis = config.read_genesis()?;
    let folder = config.data_dir.join("chain");
    if !folder.is_dir() {
        bail!("there is no chain in {}: name a node's folder with --data", config.data_dir.display());
    }
    let store = Store::open(&folder, genesis.network_id())?;
    let beside = tempfile::tempdir().context("make a temporary folder; TMPDIR says where")?;
    let scratch = arguments.deep.then(|| Store::open(&beside.path().join("chain"), genesis.network_id()));
    let scratch = scratch.transpose()?;
    let begun = Instant::now();
    let mut told = begun;
    let report = Verifier::new(&genesis, &store)?.run(scratch.as_ref(), |height, head| {
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            eprintln!("block {height} of {head}");
        }
    })?;
    print(&report, arguments.json, begun.elapsed());
    match report.findings.len() {
        0 => Ok(()),
        1 => bail!(
            "the stored chain is damaged: restore the folder from a backup, or let a new one synchronise"
        ),
        faults => bail!(
            "the stored chain is damaged in {faults} places: restore the folder from a backup, or let a new one \
             synchronise"
        ),
    }
}

fn print(report: &Report, json: bool, took: Duration) {
    if json {
        let findings: Vec<_> = report.findings.iter().map(finding).collect();
        let report = json!({
            "head": report.head.0,
            "certified": report.certified.0,
            "transactions": report.transactions,
            "index_entries": report.index_entries,
            "segments": report.segments,
            "executed": report.executed.map(|height| height.0),
            "state_entries": report.state_entries,
            "duration_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            "findings": findings,
        });
        println!("{report}");
        return;
    }
    for finding in &report.findings {
        println!("{finding}");
    }
    let Height(head) = report.head;
    println!(
        "blocks 0 to {head}, {} transactions, certified up to {}",
        report.transactions, report.certified
    );
    if report.index_entries > 0 {
        println!("{} entries of the index of logs and accounts compared", report.index_entries);
    }
    if report.segments > 0 {
        println!("{} segments of old blocks read whole", report.segments);
    }
    if let Some(executed) = report.executed {
        println!("executed anew up to block {executed}");
    }
    match report.state_entries {
        Some(entries) => println!("{entries} entries of the state compared"),
        None => println!("the state was not compared"),
    }
}

fn finding(finding: &Finding) -> serde_json::Value {
    json!({
        "block": finding.height.map(|height| height.0),
        "field": finding.field,
        "expected": finding.expected,
        "found": finding.found,
    })
}
