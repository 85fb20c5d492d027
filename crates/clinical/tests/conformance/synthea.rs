//! The 82 Synthea bundles: every resource is read, valid, and finds its patient and country.

use bxp_clinical::{
    compartment::{ReferenceIndex, Subject, Target, subject},
    criterion::{Criterion, evaluate},
    fhir::FhirDate,
    residence::country_of_residence,
    source::{Limits, Submission, find, read},
    validate::{Mode, validate},
};
use bxp_types::Jurisdiction;
use std::collections::BTreeMap;

fn submissions() -> impl Iterator<Item = Submission> {
    let found = find(&[crate::data("synthea")]).unwrap();
    assert_eq!((found.files.len(), found.skipped), (82, 0));
    assert!(found.files[0].path.file_name().unwrap().to_str().unwrap().starts_with("0-"));
    found.files.into_iter().flat_map(|file| read(&file, &Limits::default()).unwrap()).map(Result::unwrap)
}

#[test]
fn every_resource_is_valid_and_finds_its_patient() {
    let today = FhirDate::parse("2021-07-10").unwrap().earliest_day();
    let criterion = Criterion::afib_or_mi_with_earlier_ekg();
    let (mut resources, mut issues, mut without_patient) = (0, BTreeMap::new(), BTreeMap::new());
    let mut matched = 0;
    for submission in submissions() {
        assert!(submission.refused.is_empty());
        let index = ReferenceIndex::new(&submission.entries);
        for entry in &submission.entries {
            let resource = entry.resource.expose();
            let validation = validate(resource, Mode::Strict);
            resources += 1;
            for issue in validation.issues {
                *issues.entry(issue.to_string()).or_insert(0) += 1;
            }
            let found = match subject(resource) {
                Subject::Itself => {
                    assert_eq!(country_of_residence(resource, today), Some(Jurisdiction::US));
                    true
                }
                Subject::Referred(list) => {
                    list.iter().any(|one| matches!(index.follow(resource, one), Some(Target::Entry(_))))
                }
                Subject::None => false,
            };
            if !found {
                *without_patient.entry(validation.resource_type.unwrap()).or_insert(0) += 1;
            }
        }
        let chart: Vec<_> = submission.entries.into_iter().map(|entry| entry.resource).collect();
        matched += usize::from(evaluate(&criterion, &chart).matched);
    }
    assert_eq!(issues, BTreeMap::new());
    assert_eq!(resources, 84_881);
    let expected = BTreeMap::from([("Location", 194), ("Medication", 203), ("Organization", 194)]);
    assert_eq!(without_patient, expected);
    assert_eq!(matched, 0, "Synthea's three cases of atrial fibrillation have no EKG");
}
