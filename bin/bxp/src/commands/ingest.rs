//! `bxp ingest`: hands files of FHIR, HL7 v2 and C-CDA in at a node.

use crate::{demo::tables::table, operator::Operator};
use anyhow::{Result, bail};
use bxp_clinical::source::{Found, InputFile, Limits, Shape, contents, find};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf, time::Instant};

/// Refusals printed one by one.
const REFUSALS_SHOWN: usize = 20;
/// Fields without a place printed one by one.
const UNMAPPED_SHOWN: usize = 20;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Files or folders of FHIR R4 bundles or NDJSON, HL7 v2 messages (.hl7) or C-CDA documents (.xml); .gz and .bz2 too.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The configuration file of the node that takes them in.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

/// The node's report of one or more files, without any value of a resource.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Taken {
    pub(crate) bytes: u64,
    pub(crate) resources: u64,
    pub(crate) new: u64,
    pub(crate) changed: u64,
    pub(crate) duplicates: u64,
    pub(crate) refused: u64,
    pub(crate) refusals: Vec<Refused>,
    pub(crate) patients_new: u64,
    pub(crate) countries_defaulted: u64,
    pub(crate) identifiers: BTreeMap<String, u64>,
    /// Fields of HL7 v2, and paths of C-CDA, without a place in FHIR, each with the reason and how often.
    #[serde(default)]
    pub(crate) unmapped: BTreeMap<String, u64>,
    /// Files that were not taken, each with the reason.
    #[serde(default)]
    pub(crate) files_refused: Vec<String>,
}

/// One refused resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Refused {
    source_name: String,
    position: String,
    resource_type: Option<String>,
    reason: String,
}

impl Taken {
    /// Adds another report.
    pub(crate) fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.resources += other.resources;
        self.new += other.new;
        self.changed += other.changed;
        self.duplicates += other.duplicates;
        self.refused += other.refused;
        self.refusals.extend(other.refusals);
        self.patients_new += other.patients_new;
        self.countries_defaulted += other.countries_defaulted;
        for (kind, count) in other.identifiers {
            *self.identifiers.entry(kind).or_default() += count;
        }
        for (field, count) in other.unmapped {
            *self.unmapped.entry(field).or_default() += count;
        }
        self.files_refused.extend(other.files_refused);
    }

    /// Names what was refused, each with its reason.
    pub(crate) fn name_refusals(&self) {
        for reason in &self.files_refused {
            println!("  not taken: {reason}");
        }
        for refused in self.refusals.iter().take(REFUSALS_SHOWN) {
            let kind = refused.resource_type.as_deref().unwrap_or("resource");
            println!(
                "  refused: {kind}, {} of {}: {}",
                refused.position, refused.source_name, refused.reason
            );
        }
        if self.refusals.len() > REFUSALS_SHOWN {
            println!("  and {} more", self.refusals.len() - REFUSALS_SHOWN);
        }
    }
}

impl Taken {
    /// Names what of HL7 v2 messages and C-CDA documents is kept in the original only.
    fn name_unmapped(&self) {
        if self.unmapped.is_empty() {
            return;
        }
        let all: u64 = self.unmapped.values().sum();
        println!(
            "{all} fields of HL7 v2 messages and C-CDA documents have no place in FHIR; these are kept whole beside:"
        );
        let mut fields: Vec<_> = self.unmapped.iter().collect();
        fields.sort_by_key(|(field, count)| (std::cmp::Reverse(**count), *field));
        for (field, count) in fields.iter().take(UNMAPPED_SHOWN) {
            println!("  {count} x {field}");
        }
        if fields.len() > UNMAPPED_SHOWN {
            println!("  and {} other fields; --json lists all", fields.len() - UNMAPPED_SHOWN);
        }
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let operator = Operator::of(&arguments.config)?;
    let Found { files, skipped } = find(&arguments.paths)?;
    let started = Instant::now();
    let taken = hand_in(&operator, &files, &progress_bar(files.len(), "ingest")).await?;
    if arguments.json {
        println!("{}", serde_json::to_string(&taken)?);
    } else {
        print(&taken, files.len(), skipped, started.elapsed().as_secs_f64());
    }
    if !taken.files_refused.is_empty() {
        bail!("{} of {} files could not be taken", taken.files_refused.len(), files.len());
    }
    Ok(())
}

/// Hands files in, one after the other. A damaged file does not hold up the others.
pub(crate) async fn hand_in(operator: &Operator, files: &[InputFile], bar: &ProgressBar) -> Result<Taken> {
    let mut all = Taken::default();
    for file in files {
        let read = file.clone();
        let bytes = tokio::task::spawn_blocking(move || contents(&read, &Limits::default())).await?;
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let taken: Result<Taken> = match bytes {
            Ok(bytes) => operator.ingest(&name, media_type(file.shape), bytes).await,
            Err(error) => Err(error.into()),
        };
        match taken {
            Ok(taken) => all.add(taken),
            Err(error) => all.files_refused.push(format!("{name}: {error:#}")),
        }
        bar.inc(1);
        bar.set_message(format!("{} resources", all.resources));
    }
    bar.finish();
    Ok(all)
}

const fn media_type(shape: Shape) -> &'static str {
    match shape {
        Shape::Json => "application/fhir+json",
        Shape::Ndjson => "application/fhir+ndjson",
        Shape::Hl7v2 => "x-application/hl7-v2+er7",
        Shape::Ccda => "application/hl7-cda+xml",
    }
}

/// A bar over files; where the output is no terminal, nothing is drawn.
pub(crate) fn progress_bar(files: usize, what: &str) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:>12} [{bar:30}] {pos}/{len} files, {msg}, {elapsed}");
    let bar = ProgressBar::new(files as u64).with_prefix(what.to_owned());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

fn print(taken: &Taken, files: usize, skipped: usize, seconds: f64) {
    let header = ["files", "resources", "new", "changed", "already here", "refused", "new patients"];
    let Taken { resources, new, changed, duplicates, refused, patients_new, .. } = taken;
    let numbers = [files as u64, *resources, *new, *changed, *duplicates, *refused, *patients_new];
    println!("{}", table(header, 0, vec![numbers.map(|number| number.to_string())]));
    println!(
        "{:.0} resources/s, {:.1} MB/s",
        taken.resources as f64 / seconds,
        taken.bytes as f64 / 1e6 / seconds
    );
    if skipped > 0 {
        println!("{skipped} files in the folders have other endings and were left alone");
    }
    if taken.countries_defaulted > 0 {
        println!("{} patients name no country; the node's default was taken", taken.countries_defaulted);
    }
    taken.name_refusals();
    taken.name_unmapped();
}
