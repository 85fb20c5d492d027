//! `bxp privacy risk`: of a folder of FHIR files or of a running node's patients.

use crate::{demo::tables::table, operator::Operator};
use anyhow::{Result, bail};
use bxp_clinical::{
    audit::{RandomNames, for_each},
    fhir::element::{resource_type, text},
    risk::{conditions, empty_table, quasi_identifiers},
    source::{InputFile, find},
};
use bxp_privacy::risk::{Row, Table, assess};
use bxp_vault::Clock;
use clap::Args;
use serde_json::Value;
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Files or folders of FHIR R4 bundles or NDJSON: the release.
    #[arg(required_unless_present = "config", value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The population that the release's patients belong to; by default the release itself.
    #[arg(long, value_name = "PATH", conflicts_with = "config")]
    population: Vec<PathBuf>,
    /// Assess all patients of the running node with this configuration file.
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    config: Option<PathBuf>,
    /// The threshold: refuse a release with a smaller class of patients who are alike.
    #[arg(long, default_value_t = 11)]
    k: usize,
    /// Print one JSON line.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(arguments: Arguments) -> Result<()> {
    let Arguments { paths, population, config, k, json } = arguments;
    let assessment: Value = match config {
        Some(config) => Operator::of(&config)?.get(&format!("privacy/risk?k={k}")).await?,
        None => {
            let read = move || {
                let release = patients(&find(&paths)?.files)?;
                let population =
                    if population.is_empty() { None } else { Some(patients(&find(&population)?.files)?) };
                let assessment = assess(&release, population.as_ref().unwrap_or(&release), k);
                Ok::<_, anyhow::Error>(serde_json::to_value(&assessment)?)
            };
            tokio::task::spawn_blocking(read).await??
        }
    };
    if json {
        println!("{}", serde_json::to_string(&assessment)?);
    } else {
        print(&assessment);
    }
    let below = assessment["below"].as_u64().unwrap_or_default();
    if below > 0 {
        bail!("{below} patients are alike fewer than {k}: such a release is refused");
    }
    Ok(())
}

/// One row a patient, by what is left after the split. Conditions are told apart by the patient that they refer to.
fn patients(files: &[InputFile]) -> Result<Table> {
    let (names, clock) = (RandomNames::default(), Clock::system());
    let mut rows: BTreeMap<String, Row> = BTreeMap::new();
    let mut conditions_of: BTreeMap<String, Vec<sonic_rs::Value>> = BTreeMap::new();
    for_each(files, |entry| {
        let Ok(sides) = names.split(entry.resource.expose(), &clock) else { return Ok(()) };
        let rest = sides.deidentified;
        match resource_type(&rest) {
            Some("Patient") => {
                let id = text(&rest, "id").unwrap_or_default().to_owned();
                rows.insert(id, Row { quasi: quasi_identifiers(&rest), sensitive: String::new() });
            }
            Some("Condition") => {
                let subject = bxp_clinical::fhir::element::child(&rest, "subject");
                let reference = subject.and_then(|subject| text(subject, "reference")).unwrap_or_default();
                let id = reference.rsplit(['/', ':']).next().unwrap_or_default().to_owned();
                conditions_of.entry(id).or_default().push(rest);
            }
            _ => {}
        }
        Ok(())
    })?;
    for (id, row) in &mut rows {
        row.sensitive = conditions(conditions_of.get(id).into_iter().flatten());
    }
    Ok(Table { rows: rows.into_values().collect(), ..empty_table() })
}

fn print(assessment: &Value) {
    let number = |name: &str| assessment[name].to_string();
    let risk = |name: &str, part: &str| percent(&assessment[name][part]);
    println!("patients in the release          {}", number("patients"));
    println!("patients in the population       {}", number("population"));
    println!("classes of patients alike        {}", number("classes"));
    println!("k in the release                 {}", number("kRelease"));
    println!("k in the population              {} (threshold {})", number("k"), number("kMin"));
    println!("l, distinct sets of conditions   {}", number("l"));
    println!("patients below the threshold     {}", number("below"));
    println!(
        "prosecutor risk                  {} at most, {} on average",
        risk("prosecutor", "highest"),
        risk("prosecutor", "average")
    );
    println!(
        "journalist risk                  {} at most, {} on average",
        risk("journalist", "highest"),
        risk("journalist", "average")
    );
    println!("marketer risk                    {}", percent(&assessment["marketer"]));
    let row = |one: &Value| {
        let text = |name: &str| one[name].as_str().map_or_else(|| one[name].to_string(), str::to_owned);
        [text("column"), text("values"), text("kWithout"), text("belowWithout")]
    };
    let rows = assessment["columns"].as_array().into_iter().flatten().map(row).collect();
    println!("{}", table(["column", "values", "k without it", "below without it"], 1, rows));
}

fn percent(share: &Value) -> String {
    format!("{:.1} %", share.as_f64().unwrap_or_default() * 100.0)
}
