//! What the profiles ask, and what is said where it is not there.

use super::{path::Path, rules::Rule, table::Profiles, *};
use crate::fhir::definitions::{Definitions, Kind};

const BASE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/";

fn issues(json: &str, profile: &str) -> Vec<String> {
    let resource = sonic_rs::from_str(json).unwrap();
    let url = format!("{BASE}{profile}");
    validate_profiles(&resource, &[&url], Mode::Strict).iter().map(ToString::to_string).collect()
}

const PATIENT: &str = r#"{"resourceType":"Patient","identifier":[{"system":"urn:x","value":"1"}],"name":[{"family":"Doe"}],"gender":"female",
  "extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[
    {"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3"}},{"url":"text","valueString":"White"}]}]}"#;
const PRESSURE: &str = r#"{"resourceType":"Observation","status":"final","category":[{"coding":[
    {"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],
  "code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},"subject":{"reference":"Patient/1"},"effectiveDateTime":"2020-01-01",
  "component":[{"code":{"coding":[{"system":"http://loinc.org","code":"8480-6"}]},
     "valueQuantity":{"value":120,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},
    {"code":{"coding":[{"system":"http://loinc.org","code":"8462-4"}]},
     "valueQuantity":{"value":80,"unit":"mmHg","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}"#;
const CONDITION: &str = r#"{"resourceType":"Condition","clinicalStatus":{"coding":[
    {"system":"http://terminology.hl7.org/CodeSystem/condition-clinical","code":"active"}]},
  "category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/condition-category","code":"problem-list-item"}]}],
  "code":{"text":"x"},"subject":{"reference":"Patient/1"}}"#;

#[test]
fn what_follows_its_profile_has_no_issue() {
    let none: [&str; 0] = [];
    assert_eq!(issues(PATIENT, "us-core-patient"), none);
    assert_eq!(issues(PRESSURE, "us-core-blood-pressure"), none);
    assert_eq!(issues(PRESSURE, "us-core-vital-signs|6.1.0"), none);
    assert_eq!(issues(CONDITION, "us-core-condition-problems-health-concerns"), none);
}

/// Resource, profile, what is changed into what, and what is said.
const FAULTS: &[(&str, &str, &str, &str, &str)] = &[
    (PATIENT, "us-core-patient", "\"system\":\"urn:x\",", "", "Patient.identifier[0]: system is required"),
    (PATIENT, "us-core-patient", ",\"gender\":\"female\"", "", "Patient: gender is required"),
    (
        PATIENT,
        "us-core-patient",
        "\"family\"",
        "\"text\"",
        "Patient.name[0]: one of family, given, extension",
    ),
    (
        PATIENT,
        "us-core-patient",
        "2106-3",
        "Plantedcode",
        "Patient.extension[0].extension[0].valueCoding: has no code",
    ),
    (
        PATIENT,
        "us-core-patient",
        "\"url\":\"text\"",
        "\"url\":\"other\"",
        "Patient.extension[0]: one extension must",
    ),
    (PRESSURE, "us-core-blood-pressure", "8462-4", "0000-0", "Observation: one component must be"),
    (PRESSURE, "us-core-blood-pressure", "vital-signs", "exam", "Observation: one category must be"),
    (
        PRESSURE,
        "us-core-blood-pressure",
        "Patient/1",
        "Group/1",
        "Observation.subject: must refer to Patient",
    ),
    (
        PRESSURE,
        "us-core-blood-pressure",
        "2020-01-01",
        "2020-01",
        "Observation.effectiveDateTime: must be precise",
    ),
    (
        PRESSURE,
        "us-core-blood-pressure",
        "mm[Hg]\"}},",
        "kPa\"}},",
        "Observation.component[0].valueQuantity.code: must be \"mm[Hg]\"",
    ),
    (
        PRESSURE,
        "us-core-blood-pressure",
        "\"value\":80,",
        "",
        "Observation.component[1].valueQuantity: value is required",
    ),
    (
        PRESSURE,
        "us-core-blood-pressure",
        "effectiveDateTime",
        "effectiveInstant",
        "Observation.effectiveInstant: must be effectiveDateTime or",
    ),
    (PRESSURE, "us-core-body-weight", "x", "x", "Observation: one code must be"),
    (
        CONDITION,
        "us-core-condition-problems-health-concerns",
        "\"active\"",
        "\"Plantedcode\"",
        "Condition.clinicalStatus: has no code",
    ),
    (
        CONDITION,
        "us-core-condition-problems-health-concerns",
        "problem-list-item",
        "encounter-diagnosis",
        "Condition: one category must be",
    ),
    (CONDITION, "us-core-patient", "x", "x", "Condition: profile us-core-patient is of Patient"),
];

#[test]
fn faults_are_found_named_and_never_repeated() {
    for (resource, profile, from, to, said) in FAULTS {
        let found = issues(&resource.replacen(from, to, 1), profile);
        assert!(found.iter().any(|issue| issue.starts_with(said)), "{said}: {found:?}");
        assert!(!found.join(" ").contains("Planted"), "{found:?}");
    }
}

#[test]
fn a_procedure_that_was_done_says_when() {
    let procedure = |rest: &str| {
        format!(
            r#"{{"resourceType":"Procedure","code":{{"text":"x"}},"subject":{{"reference":"Patient/1"}},{rest}}}"#
        )
    };
    let said = |rest: &str| issues(&procedure(rest), "us-core-procedure").join(" ");
    assert!(said(r#""status":"completed""#).starts_with("Procedure: performed[x] is required"));
    assert_eq!(said(r#""status":"not-done""#), "");
    assert_eq!(said(r#""status":"completed","performedString":"x""#), "");
}

#[test]
fn a_value_that_is_said_to_be_absent_is_there() {
    let absent = PATIENT.replace(
        "\"gender\":\"female\"",
        "\"_gender\":{\"extension\":[{\"url\":\"http://hl7.org/fhir/StructureDefinition/data-absent-reason\",\"valueCode\":\"unknown\"}]}",
    );
    assert_eq!(issues(&absent, "us-core-patient"), Vec::<String>::new());
}

#[test]
fn large_value_sets_and_unknown_profiles_are_said_not_to_be_checked() {
    let document = r#"{"resourceType":"DocumentReference","status":"current","type":{"text":"x"},"category":[{"text":"x"}],
        "subject":{"reference":"Patient/1"},"content":[{"attachment":{"url":"http://x"}}]}"#;
    let resource = sonic_rs::from_str(document).unwrap();
    let url = format!("{BASE}us-core-documentreference");
    let found = validate_profiles(&resource, &[&url], Mode::Strict);
    assert!(found.iter().all(|issue| issue.severity == Severity::Information));
    assert!(
        found[0]
            .to_string()
            .starts_with("DocumentReference.type: its value set (the document types of LOINC)")
    );
    let claimed = PATIENT.replacen('{', r#"{"meta":{"profile":["http://x/Planted","http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient|3.1.1"]},"#, 1);
    let claimed = sonic_rs::from_str(&claimed).unwrap();
    let found = validate_profiles(&claimed, &[], Mode::Strict);
    assert_eq!(found.len(), 2);
    assert!(
        found
            .iter()
            .all(|issue| issue.severity == Severity::Information && !issue.to_string().contains("Planted"))
    );
    let asked = validate_profiles(&claimed, &["http://x/asked"], Mode::Strict);
    assert_eq!(asked[0].severity, Severity::Error);
}

#[test]
fn what_a_resource_claims_is_checked_as_the_mode_says() {
    let claims = format!(r#"{{"resourceType":"Patient","meta":{{"profile":["{BASE}us-core-patient"]}}}}"#);
    let resource = sonic_rs::from_str(&claims).unwrap();
    let strict = validate_profiles(&resource, &[], Mode::Strict);
    assert!(strict.len() >= 3 && strict.iter().all(|issue| issue.severity == Severity::Error));
    let warned = validate_profiles(&resource, &[], Mode::Warn);
    assert_eq!(warned.len(), strict.len());
    assert!(warned.iter().all(|issue| issue.severity == Severity::Warning));
    assert!(validate_profiles(&resource, &[], Mode::Off).is_empty());
}

#[test]
fn the_table_is_understood_and_its_paths_are_of_r4() {
    let profiles = Profiles::us_core();
    assert_eq!(profiles.wrong, Vec::<&str>::new());
    assert_eq!(profiles.all().count(), 49);
    for profile in profiles.all() {
        assert!(Definitions::r4().resource(profile.resource).is_some(), "{}", profile.name);
        for rule in &profile.rules {
            let paths: Vec<&Path> = match rule {
                Rule::Need(path) | Rule::Only(path, ..) | Rule::Equal(path, _) | Rule::Refer(path, _) => {
                    vec![path]
                }
                Rule::Type(path, _) | Rule::Day(path) | Rule::Unchecked(path, _) => vec![path],
                Rule::When(first, _, second) => vec![first, second],
                Rule::Either(paths) => paths.iter().collect(),
            };
            for path in paths {
                assert!(is_of_r4(profile.resource, path), "{}: {path:?}", profile.name);
            }
        }
    }
}

fn is_of_r4(resource: &str, path: &Path) -> bool {
    let definitions = Definitions::r4();
    let mut at = definitions.resource(resource);
    for step in &path.0 {
        let Some(structure) = at.map(|id| definitions.structure(id)) else { return false };
        let mut properties =
            structure.properties.iter().filter(|(name, _)| match name.strip_prefix(step.name) {
                Some("") => !step.choice,
                Some(rest) => step.choice && rest.starts_with(|letter: char| letter.is_ascii_uppercase()),
                None => false,
            });
        let Some((_, property)) = properties.next() else { return false };
        at = match property.kind {
            Kind::Structure(id) => Some(id),
            _ => None,
        };
    }
    true
}
