//! Seeded, realistic patients of three countries, as US Core transaction bundles.
//!
//! Nothing in them is taken from a person: names are combined at random, social security numbers begin with 999,
//! telephone numbers and domains are those reserved for fiction and documentation. The same configuration gives the same
//! bytes on every machine. [`augment`] adds the cases that real data may lack (row E).

mod care;
mod chart;
mod draw;
mod ecg;
mod history;
mod hospital;
mod measure;
mod node;
mod person;
mod places;
mod words;

use crate::{ClinicalError, fhir::CivilDay};
use bxp_types::Jurisdiction;
use chart::Chart;
use draw::Draw;
use history::{EarlierEcg, HeartEvent};
use hospital::Hospital;
use person::Person;
use places::{Country, country};

/// What to generate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratorConfig {
    /// Everything follows from it.
    pub seed: u64,
    /// How many patients.
    pub patients: u32,
    /// Number of the first patient: two holders with disjoint numbers have disjoint patients.
    pub first_patient: u32,
    /// Countries (US, DE, CA) with their weights.
    pub jurisdictions: Vec<(Jurisdiction, u32)>,
    /// Of 100 patients, how many come to have atrial fibrillation.
    pub afib_percent: u8,
    /// Of 100 patients, how many come to have a myocardial infarction.
    pub mi_percent: u8,
    /// Of 100 of these, how many had an EKG at least two weeks before; of the rest every second had one too late.
    pub earlier_ekg_percent: u8,
    /// The day up to which histories go.
    pub today: CivilDay,
}

impl Default for GeneratorConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            patients: 30,
            first_patient: 1,
            jurisdictions: vec![(Jurisdiction::US, 2), (Jurisdiction::DE, 1), (Jurisdiction::CA, 1)],
            afib_percent: 15,
            mi_percent: 10,
            earlier_ekg_percent: 70,
            // 2026-06-30.
            today: CivilDay(20_634),
        }
    }
}

/// One bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GeneratedBundle {
    /// A file name; the hospitals' begins with `0-`, as Synthea's do.
    pub file_name: String,
    /// The JSON text of a transaction Bundle.
    pub json: String,
    /// Resources in it.
    pub resources: usize,
    /// The patient's country; none for hospitals.
    pub jurisdiction: Option<Jurisdiction>,
    /// Whether the chart fits [`crate::criterion::Criterion::afib_or_mi_with_earlier_ekg`].
    pub fits: bool,
}

/// Generates the hospitals of the configured countries, then one bundle for each patient.
///
/// # Errors
/// [`ClinicalError::Generator`] when a country is unknown to the generator or shares make no sense.
pub fn generate(
    config: &GeneratorConfig,
) -> Result<impl Iterator<Item = GeneratedBundle> + use<>, ClinicalError> {
    let event_percent = u16::from(config.afib_percent) + u16::from(config.mi_percent);
    if event_percent > 100 || config.earlier_ekg_percent > 100 {
        return Err(ClinicalError::Generator(
            "afib and mi percent together, and earlier EKG percent, are at most 100",
        ));
    }
    if config.jurisdictions.iter().all(|(_, weight)| *weight == 0) {
        return Err(ClinicalError::Generator("give at least one country a weight above 0"));
    }
    let known = |(jurisdiction, weight): &(Jurisdiction, u32)| Some((country(*jurisdiction)?, *weight));
    let weighted: Option<Vec<_>> = config.jurisdictions.iter().map(known).collect();
    let weighted = weighted.ok_or(ClinicalError::Generator("countries are US, DE and CA"))?;
    let hospitals: Vec<_> = weighted
        .iter()
        .map(|(country, _)| Hospital::new(country, &mut Draw::new(config.seed, stream_of(country))))
        .collect();
    let weights: Vec<_> = weighted.iter().map(|(_, weight)| *weight).collect();
    let numbers = config.first_patient..config.first_patient.saturating_add(config.patients);
    let config = config.clone();
    let first = hospital_bundle(&hospitals, config.seed);
    Ok(std::iter::once(first)
        .chain(numbers.map(move |number| patient_bundle(&config, &hospitals, &weights, number))))
}

/// Cases of AFib or MI with an EKG at least two weeks before, to add where real data lacks them: one hospital bundle,
/// then `cases` charts that all fit row E.
///
/// # Errors
/// As [`generate`].
pub fn augment(
    seed: u64,
    cases: u32,
    first_patient: u32,
    jurisdictions: &[(Jurisdiction, u32)],
) -> Result<impl Iterator<Item = GeneratedBundle> + use<>, ClinicalError> {
    generate(&GeneratorConfig {
        seed,
        patients: cases,
        first_patient,
        jurisdictions: jurisdictions.to_vec(),
        afib_percent: 60,
        mi_percent: 40,
        earlier_ekg_percent: 100,
        ..GeneratorConfig::default()
    })
}

/// Hospitals draw from streams that no patient number reaches.
fn stream_of(country: &Country) -> u64 {
    let [first, second] = country.jurisdiction.as_str().as_bytes() else { return 1 << 40 };
    1 << 40 | u64::from(*first) << 8 | u64::from(*second)
}

fn hospital_bundle(hospitals: &[Hospital], seed: u64) -> GeneratedBundle {
    let entries: Vec<_> = hospitals.iter().flat_map(Hospital::entries).collect();
    let file_name = format!("0-hospitals-{seed}.json");
    GeneratedBundle {
        file_name,
        resources: entries.len(),
        json: words::transaction(entries),
        jurisdiction: None,
        fits: false,
    }
}

fn patient_bundle(
    config: &GeneratorConfig,
    hospitals: &[Hospital],
    weights: &[u32],
    number: u32,
) -> GeneratedBundle {
    let mut draw = Draw::new(config.seed, u64::from(number));
    let hospital = &hospitals[draw.weighted(weights)];
    let healthy = 100_u32.saturating_sub(u32::from(config.afib_percent) + u32::from(config.mi_percent));
    let kind = match draw.weighted(&[u32::from(config.afib_percent), u32::from(config.mi_percent), healthy]) {
        0 => Some(HeartEvent::Fibrillation),
        1 => Some(HeartEvent::Infarction),
        _ => None,
    };
    let earlier = match (draw.chance(config.earlier_ekg_percent), draw.chance(50)) {
        (true, _) => EarlierEcg::Early,
        (false, true) => EarlierEcg::Late,
        (false, false) => EarlierEcg::Never,
    };
    let person = Person::new(hospital.country, number, config.today, &mut draw);
    let file_name = format!("patient-{number:06}-{}.json", person.id);
    let mut chart = Chart::new(person, hospital, draw);
    chart.live(config.today, kind.map(|kind| (kind, earlier)));
    GeneratedBundle {
        file_name,
        resources: chart.entries.len(),
        json: words::transaction(chart.entries),
        jurisdiction: Some(hospital.country.jurisdiction),
        fits: kind.is_some() && earlier == EarlierEcg::Early,
    }
}

#[cfg(test)]
mod tests;
