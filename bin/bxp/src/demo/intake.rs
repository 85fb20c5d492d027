//! Records in, and where they are then.

use super::{Demo, Station, checks::Checks, inputs::Inputs, tables::table};
use crate::commands::ingest::{Taken, hand_in, progress_bar};
use anyhow::{Context, Result, ensure};
use bxp_contracts::{RECORD_REGISTRY, RecordRegistry};
use bxp_types::Jurisdiction;
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// How long replication and anchoring may take after the last record is in.
const SETTLED_WITHIN: Duration = Duration::from_secs(300);

#[derive(Deserialize)]
struct Holdings {
    countries: BTreeMap<Jurisdiction, Holding>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Holding {
    records: u64,
    own: u64,
    anchored: u64,
    identity_blocks: u64,
    identity_keys: u64,
    deidentified_blocks: u64,
    deidentified_keys: u64,
}

impl Demo {
    /// Hands every file in at its station, and once more to see that nothing doubles; waits until all is anchored.
    pub(super) async fn take_in(&self, inputs: &Inputs, checks: &mut Checks) -> Result<()> {
        let mut rows = Vec::new();
        let mut all = Taken::default();
        let mut holders = 0;
        for (station, files) in self.stations.iter().zip(&inputs.files).filter(|(_, files)| !files.is_empty())
        {
            let started = Instant::now();
            let taken = hand_in(&station.operator, files, &progress_bar(files.len(), &station.name)).await?;
            let rate = taken.resources as f64 / started.elapsed().as_secs_f64();
            let numbers =
                [taken.resources, taken.new, taken.refused, taken.patients_new].map(|n| n.to_string());
            let [resources, new, refused, patients] = numbers;
            let identifiers = taken.identifiers.values().sum::<u64>().to_string();
            let name = format!("{} ({})", station.name, station.jurisdiction);
            rows.push([
                name,
                files.len().to_string(),
                resources,
                new,
                refused,
                patients,
                identifiers,
                format!("{rate:.0}"),
            ]);
            holders += usize::from(taken.new > 0);
            all.add(taken);
        }
        let header = [
            "holder",
            "files",
            "resources",
            "taken",
            "refused",
            "patients",
            "identifying fields kept home",
            "resources/s",
        ];
        println!("{}", table(header, 1, rows));
        all.name_refusals();
        checks.that("records came in at two holders or more", holders >= 2);
        checks.that("every file was taken", all.files_refused.is_empty());
        checks.that(
            "every resource was taken or named with its reason",
            all.new + all.changed + all.duplicates + all.refused == all.resources,
        );
        self.hand_in_again(inputs, checks).await?;
        self.wait_until_settled().await?;
        self.show_anchors(all.new, checks).await
    }

    async fn hand_in_again(&self, inputs: &Inputs, checks: &mut Checks) -> Result<()> {
        let station = &self.stations[0];
        let last = inputs.files[0].last().cloned().context("the first node was handed no file")?;
        let taken = hand_in(&station.operator, &[last], &indicatif::ProgressBar::hidden()).await?;
        println!(
            "   {} handed one file in again: {} already there, {} new",
            station.name, taken.duplicates, taken.new
        );
        checks.that("a second ingest of the same file adds nothing", taken.new + taken.changed == 0);
        Ok(())
    }

    /// Waits until every node knows every record, and every record is anchored.
    async fn wait_until_settled(&self) -> Result<()> {
        let deadline = Instant::now() + SETTLED_WITHIN;
        loop {
            let mut totals = Vec::new();
            for station in &self.stations {
                totals.push(total(&holdings(station).await?));
            }
            let own: u64 = totals.iter().map(|holding| holding.own).sum();
            if totals.iter().all(|holding| holding.records == own && holding.anchored == own) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "records are not anchored and replicated after {SETTLED_WITHIN:?}"
            );
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn show_anchors(&self, taken: u64, checks: &mut Checks) -> Result<()> {
        let anchors = self.reader().events::<RecordRegistry::Anchored>(RECORD_REGISTRY).await?;
        let mut by_holder: BTreeMap<&str, (u64, u64, u64, u64)> = BTreeMap::new();
        for (block, anchor) in &anchors {
            let name = self.name_of(anchor.holder);
            let row = by_holder.entry(name).or_insert((0, 0, u64::MAX, 0));
            *row = (row.0 + 1, row.1 + u64::from(anchor.count), row.2.min(*block), row.3.max(*block));
        }
        let rows = by_holder.iter().map(|(name, (batches, records, first, last))| {
            [(*name).to_owned(), batches.to_string(), records.to_string(), format!("{first} to {last}")]
        });
        println!("{}", table(["holder", "Merkle roots", "records anchored", "blocks"], 1, rows.collect()));
        let anchored: u64 = anchors.iter().map(|(_, anchor)| u64::from(anchor.count)).sum();
        checks.that(format!("all {taken} records are anchored on the chain"), anchored == taken);
        Ok(())
    }

    pub(super) fn name_of(&self, account: bxp_types::Address) -> &str {
        let found = self.stations.iter().find(|station| station.account == account);
        found.map_or("someone else", |station| station.name.as_str())
    }

    /// What each node holds of each country, and that identity data is nowhere but at home.
    pub(super) async fn show_holdings(&self, _inputs: &Inputs, checks: &mut Checks) -> Result<()> {
        let mut rows = Vec::new();
        let (mut abroad, mut at_home) = (0, true);
        for station in &self.stations {
            for (country, holding) in holdings(station).await?.countries {
                let (blocks, keys) = (holding.identity_blocks, holding.identity_keys);
                if country == station.jurisdiction {
                    at_home &= blocks == holding.records && keys == holding.records;
                } else {
                    abroad += blocks + keys;
                }
                let numbers =
                    [holding.records, blocks, keys, holding.deidentified_blocks, holding.deidentified_keys];
                let [records, blocks, keys, rest, rest_keys] = numbers.map(|number| number.to_string());
                let node = format!("{} ({})", station.name, station.jurisdiction);
                rows.push([node, country.to_string(), records, blocks, keys, rest, rest_keys]);
            }
        }
        let header = [
            "node",
            "patients of",
            "records known",
            "identity blocks",
            "keys to them",
            "de-identified blocks",
            "keys to them",
        ];
        println!("{}", table(header, 2, rows));
        checks.that("no node holds an identity block or key of another country's patient", abroad == 0);
        checks.that("every node holds all identity blocks of its own country", at_home);
        Ok(())
    }

    /// Opens one record at its holder and at a node of another country.
    pub(super) async fn show_one_record(&self, checks: &mut Checks) -> Result<()> {
        let home = &self.stations[0];
        let foreign = self.stations.iter().find(|station| station.jurisdiction != home.jurisdiction);
        let foreign = foreign.context("all nodes stand in one country")?;
        let record = patient_record(home).await?;
        let path = format!("records/{record}");
        let whole: Value = home.operator.get(&path).await?;
        let rest: Value = foreign.operator.get(&format!("{path}?purpose=treatment")).await?;
        for (station, shown) in [(home, &whole), (foreign, &rest)] {
            println!(
                "   {} ({}) sees the {} Patient, anchored at block {}: {}",
                station.name,
                station.jurisdiction,
                shown["part"].as_str().unwrap_or("?"),
                shown["anchor"]["block"],
                elements(&shown["resource"])
            );
        }
        checks.that(
            "a node of the patient's country sees the whole record",
            whole["part"] == "whole" && whole["resource"].get("name").is_some(),
        );
        let bare =
            ["name", "telecom", "identifier"].iter().all(|element| rest["resource"].get(*element).is_none());
        checks.that(
            "a node of another country sees the de-identified rest only",
            rest["part"] == "de-identified" && bare,
        );
        let verified = [&whole, &rest].iter().all(|shown| shown["anchor"]["verified"] == true);
        checks.that("both proved it against the root on the chain", verified);
        Ok(())
    }

    /// Every patient in custody says yes; each signs, the holder only carries it.
    pub(super) async fn switch_contribution_on(&self, checks: &mut Checks) -> Result<()> {
        let (mut patients, mut contributing) = (0, 0);
        for station in &self.stations {
            let done: Value = station.operator.post("consents", &json!({"all": true, "on": true})).await?;
            patients += done["patients"].as_u64().unwrap_or_default();
            contributing += done["contributing"].as_u64().unwrap_or_default();
        }
        println!(
            "   {contributing} of {patients} patients contribute, each by a signature of their own account"
        );
        checks.that("every patient's switch is on", patients > 0 && patients == contributing);
        Ok(())
    }
}

async fn holdings(station: &Station) -> Result<Holdings> {
    station.operator.get("holdings").await
}

fn total(holdings: &Holdings) -> Holding {
    holdings.countries.values().fold(Holding::default(), |sum, one| Holding {
        records: sum.records + one.records,
        own: sum.own + one.own,
        anchored: sum.anchored + one.anchored,
        ..sum
    })
}

/// The id of a Patient record that the station took in.
async fn patient_record(station: &Station) -> Result<String> {
    let page: Value = station.operator.get("patients?limit=1").await?;
    let subject = page["patients"][0]["subject"].as_str().context("the node has no patient")?.to_owned();
    let mut after = String::new();
    loop {
        let page: Value = station.operator.get(&format!("records/{subject}?limit=100{after}")).await?;
        let records = page["records"].as_array().context("the node lists no records")?;
        let patient = records.iter().find(|record| record["resource"]["resourceType"] == "Patient");
        if let Some(id) = patient.and_then(|record| record["record_id"].as_str()) {
            return Ok(id.to_owned());
        }
        let next = page["next"].as_str().context("the patient has no Patient record")?;
        after = format!("&after={next}");
    }
}

/// Names of a resource's elements, never their values.
fn elements(resource: &Value) -> String {
    let names = resource.as_object().into_iter().flatten().map(|(name, _)| name.as_str());
    names.filter(|name| *name != "resourceType").collect::<Vec<_>>().join(", ")
}
