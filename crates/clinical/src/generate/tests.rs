//! What the generator promises: the same bytes for a seed, valid resources, true counts.

use super::*;
use crate::{
    compartment::{ReferenceIndex, Subject, Target, subject},
    criterion::{Criterion, evaluate},
    fhir::element::resource_type,
    residence::country_of_residence,
    source::{Limits, parse_json},
    validate::{Mode, validate},
};
use bxp_types::Digest;
use std::collections::BTreeSet;

fn config(patients: u32) -> GeneratorConfig {
    GeneratorConfig { patients, ..GeneratorConfig::default() }
}

#[test]
fn a_seed_gives_the_same_bytes_everywhere() {
    let all: String = generate(&config(5)).unwrap().map(|bundle| bundle.json).collect();
    assert_eq!(
        Digest::of(all.as_bytes()).to_string(),
        "a2681acfd0ea786db98cd164e8d43a5cc383296545e0d81f75ccb693e32b9900"
    );
    let other = GeneratorConfig { seed: 2, ..config(5) };
    assert_ne!(generate(&other).unwrap().map(|bundle| bundle.json).collect::<String>(), all);
}

#[test]
fn a_patient_does_not_depend_on_how_many_there_are() {
    let later = GeneratorConfig { first_patient: 4, ..config(2) };
    let alone: Vec<_> = generate(&later).unwrap().skip(1).collect();
    let among: Vec<_> = generate(&config(5)).unwrap().skip(4).collect();
    assert_eq!(alone, among);
}

#[test]
fn resources_are_valid_and_charts_fit_as_told() {
    let criterion = Criterion::afib_or_mi_with_earlier_ekg();
    let config = GeneratorConfig { afib_percent: 40, mi_percent: 30, ..config(60) };
    let (mut types, mut countries, mut fitting) = (BTreeSet::new(), BTreeSet::new(), 0);
    for bundle in generate(&config).unwrap() {
        let submission = parse_json(&bundle.file_name, bundle.json.as_bytes(), &Limits::default()).unwrap();
        assert_eq!(submission.entries.len(), bundle.resources);
        let index = ReferenceIndex::new(&submission.entries);
        for entry in &submission.entries {
            let resource = entry.resource.expose();
            assert_eq!(validate(resource, Mode::Strict).issues, [], "{}", bundle.file_name);
            types.insert(resource_type(resource).unwrap().to_owned());
            match subject(resource) {
                Subject::Itself => {
                    let country = country_of_residence(resource, config.today);
                    assert_eq!(country, bundle.jurisdiction);
                    countries.insert(country);
                }
                Subject::Referred(list) => {
                    assert!(matches!(index.follow(resource, list[0]), Some(Target::Entry(0))));
                }
                Subject::None => assert_eq!(bundle.jurisdiction, None),
            }
        }
        let chart: Vec<_> = submission.entries.into_iter().map(|entry| entry.resource).collect();
        assert_eq!(evaluate(&criterion, &chart).matched, bundle.fits, "{}", bundle.file_name);
        fitting += usize::from(bundle.fits);
    }
    assert_eq!((types.len(), countries.len()), (15, 3), "{types:?}");
    assert!((15..45).contains(&fitting), "{fitting}");
}

#[test]
fn augmented_cases_all_fit() {
    let bundles: Vec<_> = augment(7, 12, 5_000, &[(Jurisdiction::DE, 1)]).unwrap().collect();
    assert_eq!(bundles.len(), 13);
    assert!(bundles[1..].iter().all(|bundle| bundle.fits && bundle.jurisdiction == Some(Jurisdiction::DE)));
    let names: BTreeSet<_> = bundles.iter().map(|bundle| &bundle.file_name).collect();
    assert_eq!(names.len(), 13);
}

#[test]
fn senseless_configurations_are_refused() {
    let refused = |config: GeneratorConfig| generate(&config).err().map(|error| error.to_string());
    let france = vec![("FR".parse().unwrap(), 1)];
    assert!(refused(GeneratorConfig { jurisdictions: france, ..config(1) }).is_some());
    assert!(refused(GeneratorConfig { jurisdictions: vec![(Jurisdiction::US, 0)], ..config(1) }).is_some());
    assert!(refused(GeneratorConfig { afib_percent: 60, mi_percent: 41, ..config(1) }).is_some());
}
