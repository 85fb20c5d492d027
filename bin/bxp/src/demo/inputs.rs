//! Who hands in what: the caller's folder or invented patients, and the cases that the story needs.

use super::Station;
use anyhow::{Context, Result};
use bxp_clinical::{
    criterion::{Criterion, evaluate},
    generate::{GeneratedBundle, GeneratorConfig, augment, generate},
    source::{InputFile, Limits, find, read},
};
use bxp_types::{Jurisdiction, Phi};
use std::{fs, path::Path};

/// Invented cases of AFib or MI with an earlier EKG that are added to real data, which may lack them.
const CASES_ADDED: u32 = 6;
/// Number of the first added case, far above the invented patients'.
const FIRST_CASE: u32 = 1_000_000;

/// The files of each station, in the stations' order.
pub(super) struct Inputs {
    pub(super) files: Vec<Vec<InputFile>>,
    /// Charts that fit the criterion, found here by reading the files, independently of the holders.
    pub(super) fitting: usize,
}

/// Prepares the files.
pub(super) fn prepare(
    data: Option<&Path>,
    patients: u32,
    folder: &Path,
    stations: &[Station],
) -> Result<Inputs> {
    let mut spread = Spread { stations, files: stations.iter().map(|_| Vec::new()).collect(), turn: 0 };
    match data {
        Some(data) => {
            let found = find(&[data.to_owned()])?;
            println!("   {} files of {}", found.files.len(), data.display());
            found.files.into_iter().for_each(|file| spread.real(file));
            let us = [(Jurisdiction::US, 1)];
            let written = write(folder, augment(1, CASES_ADDED, FIRST_CASE, &us)?)?;
            println!(
                "   added, since real data may lack them: {CASES_ADDED} invented cases of AFib or MI with an EKG before"
            );
            spread.invented(folder, written)?;
        }
        None => {
            // The regulator oversees and holds no charts of its own, so no patient lives in Canada.
            let jurisdictions = vec![(Jurisdiction::US, 2), (Jurisdiction::DE, 1)];
            let config = GeneratorConfig { patients, jurisdictions, ..GeneratorConfig::default() };
            let written = write(folder, generate(&config)?)?;
            println!("   {patients} invented patients of the US and Germany (seed {})", config.seed);
            spread.invented(folder, written)?;
        }
    }
    let files = spread.files;
    let fitting = files.iter().map(|files| count_fitting(files)).sum::<Result<usize>>()?;
    println!("   {fitting} charts have AFib or MI with an EKG at least two weeks before");
    Ok(Inputs { files, fitting })
}

struct Spread<'a> {
    stations: &'a [Station],
    files: Vec<Vec<InputFile>>,
    turn: usize,
}

impl Spread<'_> {
    /// Real files: hospitals and practitioners go to all nodes of the US, patients to these in turn.
    fn real(&mut self, file: InputFile) {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.place(&file, (!name.starts_with("0-")).then_some(Jurisdiction::US));
    }

    fn invented(&mut self, folder: &Path, written: Vec<(String, Option<Jurisdiction>)>) -> Result<()> {
        for (name, country) in written {
            let found = find(&[folder.join(name)])?;
            found.files.iter().for_each(|file| self.place(file, country));
        }
        Ok(())
    }

    /// A patient's file goes to a hospital of its country, in turn where there are several; a hospitals' file to all.
    fn place(&mut self, file: &InputFile, country: Option<Jurisdiction>) {
        let hospitals = (0..self.stations.len()).filter(|&index| !self.stations[index].regulator);
        let Some(country) = country else {
            return hospitals.for_each(|index| self.files[index].push(file.clone()));
        };
        let of_country: Vec<usize> =
            hospitals.filter(|&index| self.stations[index].jurisdiction == country).collect();
        if let Some(&index) = of_country.get(self.turn % of_country.len().max(1)) {
            self.files[index].push(file.clone());
            self.turn += 1;
        }
    }
}

fn write(
    folder: &Path,
    bundles: impl Iterator<Item = GeneratedBundle>,
) -> Result<Vec<(String, Option<Jurisdiction>)>> {
    bundles
        .map(|bundle| {
            let path = folder.join(&bundle.file_name);
            fs::write(&path, &bundle.json).with_context(|| format!("write {}", path.display()))?;
            Ok((bundle.file_name, bundle.jurisdiction))
        })
        .collect()
}

/// Reads the files again and counts the charts that fit. One file holds one patient.
fn count_fitting(files: &[InputFile]) -> Result<usize> {
    let criterion = Criterion::afib_or_mi_with_earlier_ekg();
    let mut fitting = 0;
    for file in files {
        let mut chart = Vec::new();
        // A damaged file is named when it is handed in.
        for submission in read(file, &Limits::default())?.flatten() {
            chart.extend(submission.entries.into_iter().map(|entry| Phi::new(entry.resource.into_exposed())));
        }
        fitting += usize::from(evaluate(&criterion, &chart).matched);
    }
    Ok(fitting)
}
