//! The split on one core: from the text to both sealed sides, against parsing, hashing and sealing alone.

use anyhow::{Context, Result, ensure};
use bxp_clinical::{
    audit::{RandomNames, for_each, parsed},
    source::find,
};
use bxp_compression::compressed;
use bxp_enclave::{DataKey, Enclave};
use bxp_privacy::SplitText;
use bxp_storage::Store;
use bxp_types::{Address, Jurisdiction, NetworkId, Phi, SubjectId, ValidatorIndex};
use bxp_vault::{Clock, NewRecord, Vault, cid_of};
use clap::Args;
use nix::sys::{
    resource::{UsageWho, getrusage},
    time::TimeVal,
};
use serde::Serialize;
use std::{hint::black_box, path::PathBuf};

/// Of AES-256-GCM.
const NONCE_LEN: usize = 12;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Files or folders of FHIR R4 bundles or NDJSON; .gz and .bz2 too.
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// How often everything is measured; the median counts.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=99))]
    rounds: u8,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    resources: usize,
    megabytes: f64,
    /// The limit: parse, compress, encrypt, and hash one block for each resource.
    seal_alone_per_second: f64,
    /// As the limit, without compression.
    raw_per_second: f64,
    /// Split: the text is read once, by the split itself.
    split_per_second: f64,
    /// Split, and seal both sides as the vault does, with digests, CIDs and wrapped keys.
    split_and_seal_per_second: f64,
    /// Parse, and seal both sides of what was split before: what is left if the split cost nothing.
    seal_both_per_second: f64,
    ratio_to_seal_alone: f64,
    ratio_to_raw: f64,
    /// Bytes of both sealed blocks, and of the one of the limit, for each byte of JSON.
    sealed_ratio: f64,
    seal_alone_ratio: f64,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let report =
        tokio::task::spawn_blocking(move || measure(&arguments).map(|report| (report, arguments.json)));
    let (report, json) = report.await??;
    print(&report, json)
}

fn measure(arguments: &Arguments) -> Result<Report> {
    let mut texts: Vec<String> = Vec::new();
    for_each(&find(&arguments.paths)?.files, |entry| {
        texts.extend(sonic_rs::to_string(entry.resource.expose()).ok());
        Ok(())
    })?;
    ensure!(!texts.is_empty(), "there is no resource to measure with");
    let folder = tempfile::tempdir().context("make a folder for keys")?;
    let store = Store::open(&folder.path().join("data"), NetworkId([0; 32]))?;
    let enclave = Enclave::create(&folder.path().join("enclave"), None, None)?;
    let vault = Vault::open(&store, enclave.clone(), ValidatorIndex(0), Jurisdiction::US)?;
    let clock = Clock::system();
    let names = RandomNames::default();
    // Names are given once; a submission looks them up too.
    for text in &texts {
        black_box(names.split(&parsed(text.as_bytes())?, &clock).ok());
    }
    let mut sealed = Vec::new();
    let mut rates: [Vec<f64>; 5] = std::array::from_fn(|_| Vec::new());
    let records: Vec<NewRecord> =
        texts.iter().map(|text| Ok(record(names.split_text(text, &clock)?))).collect::<Result<_>>()?;
    let mut sealed_bytes = [0; 2];
    for _ in 0..arguments.rounds {
        sealed_bytes = [0; 2];
        rates[0].push(rate(&texts, |text| {
            black_box(parsed(text.as_bytes())?);
            let key = compressed(text.as_bytes(), |frame| seal_alone(&enclave, &mut sealed, frame))
                .context("compress")??;
            sealed_bytes[0] += sealed.len();
            black_box((cid_of(&sealed)?, key));
            Ok(())
        })?);
        rates[1].push(rate(&texts, |text| {
            black_box(parsed(text.as_bytes())?);
            let key = seal_alone(&enclave, &mut sealed, text.as_bytes())?;
            black_box((cid_of(&sealed)?, key));
            Ok(())
        })?);
        rates[2].push(rate(&texts, |text| {
            let text = std::str::from_utf8(text.as_bytes())?;
            black_box(names.split_text(text, &clock)?);
            Ok(())
        })?);
        rates[3].push(rate(&texts, |text| {
            let sides = names.split_text(std::str::from_utf8(text.as_bytes())?, &clock)?;
            let record = vault.seal_record(&record(sides))?;
            sealed_bytes[1] += record.identity.bytes.len() + record.deidentified.bytes.len();
            black_box(record);
            Ok(())
        })?);
        let mut unsealed = records.iter();
        rates[4].push(rate(&texts, |text| {
            black_box(parsed(text.as_bytes())?);
            black_box(unsealed.next().map(|record| vault.seal_record(record)).transpose()?);
            Ok(())
        })?);
    }
    Ok(report(&texts, rates.map(median), sealed_bytes))
}

/// What the vault seals of a resource that was split.
fn record(sides: SplitText) -> NewRecord {
    NewRecord {
        subject: SubjectId([1; 16]),
        patient: Address::ZERO,
        home: Jurisdiction::US,
        identity: Phi::new(sides.identity.into_exposed().into_bytes().into()),
        deidentified: sides.deidentified.into(),
    }
}

/// Seals in memory that is used again: the limit allocates nothing and copies once.
fn seal_alone(enclave: &Enclave, sealed: &mut Vec<u8>, text: &[u8]) -> Result<DataKey> {
    sealed.clear();
    sealed.extend_from_slice(&[0; NONCE_LEN]);
    sealed.extend_from_slice(text);
    Ok(enclave.seal_in_place(sealed, 0, b"bench")?)
}

/// Of the rates of the limit with compression, the limit without, the split, everything, and sealing both sides; and of the
/// sealed bytes of the limit and of the records.
fn report(texts: &[String], rates: [f64; 5], sealed_bytes: [usize; 2]) -> Report {
    let [seal_alone, raw, split, both, seal_both] = rates;
    let bytes = texts.iter().map(String::len).sum::<usize>() as f64;
    let [alone_ratio, sealed_ratio] = sealed_bytes.map(|sealed| sealed as f64 / bytes);
    Report {
        resources: texts.len(),
        megabytes: bytes / 1e6,
        seal_alone_per_second: seal_alone,
        raw_per_second: raw,
        split_per_second: split,
        split_and_seal_per_second: both,
        seal_both_per_second: seal_both,
        ratio_to_seal_alone: both / seal_alone,
        ratio_to_raw: both / raw,
        sealed_ratio,
        seal_alone_ratio: alone_ratio,
    }
}

/// Resources in a second of this thread's processor time, so that what else runs on the machine counts little.
fn rate(texts: &[String], mut each: impl FnMut(&str) -> Result<()>) -> Result<f64> {
    let started = processor_seconds()?;
    for text in texts {
        each(text)?;
    }
    Ok(texts.len() as f64 / (processor_seconds()? - started))
}

/// Seconds of processor time that this thread has used, the system's work for it included.
fn processor_seconds() -> Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).context("ask for the thread's processor time")?;
    let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    Ok(seconds(usage.user_time()) + seconds(usage.system_time()))
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

fn print(report: &Report, json: bool) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string(report)?);
        return Ok(());
    }
    println!("resources                            {} ({:.0} MB)", report.resources, report.megabytes);
    println!("split, one core                      {:.0} a second", report.split_per_second);
    println!("split and seal, one core             {:.0} a second", report.split_and_seal_per_second);
    println!("parse and seal both sides            {:.0} a second", report.seal_both_per_second);
    println!("limit: parse, compress, seal, hash   {:.0} a second", report.seal_alone_per_second);
    println!("limit without compression            {:.0} a second", report.raw_per_second);
    println!("ratio                                {:.3}", report.ratio_to_seal_alone);
    println!("ratio to the limit without           {:.3}", report.ratio_to_raw);
    println!(
        "sealed bytes for each of JSON        {:.3}; limit {:.3}",
        report.sealed_ratio, report.seal_alone_ratio
    );
    Ok(())
}
