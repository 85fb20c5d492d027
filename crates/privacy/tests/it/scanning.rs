//! A scan finds what leaked in any of its usual forms, and nothing where nothing leaked.

use crate::fixtures::{Pseudonyms, parse};
use bxp_privacy::{
    Split,
    scan::{Haystack, Scan, ScanReport},
};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"057aa36e-b892-9964-75b9-ffb46b097e34","name":[{"family":"Cormier","given":["Chi","Ana"]}],"telecom":[{"system":"phone","value":"+1 (555) 942-8848"}],"identifier":[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-82-5655"}],"gender":"female","birthDate":"1949-03-21","address":[{"line":["310 Daugherty Path"],"city":"Ware","state":"MA","postalCode":"01516","country":"US"}],"text":{"status":"generated","div":"<div>Chi Cormier of Ware</div>"}}"#;

fn sides() -> Split {
    Pseudonyms::default().split(&parse(PATIENT)).unwrap()
}

/// Scans the identity side of the patient against its own other side and a leak.
fn scan(leak: &str) -> ScanReport {
    let split = sides();
    let mut haystack = Haystack::new();
    haystack.add(&split.deidentified);
    haystack.add(&parse(leak));
    let mut scan = Scan::new(haystack);
    scan.look_for(split.identity.expose(), &split.deidentified).unwrap();
    scan.finish()
}

#[test]
fn a_clean_split_is_clean() {
    let clean = r#"{"resourceType":"Observation","id":"0af0","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8302-2"}]},"valueQuantity":{"value":1949.5,"unit":"cm"}}"#;
    let report = scan(clean);
    assert!(report.is_clean(), "{:?}", report.residual);
    assert_eq!(report.records, 1);
    assert!(report.strings > 15 && report.variants > report.strings && report.leaves > 3);
    assert!(report.held.contains_key("Patient.name.family") && report.held.contains_key("Patient.birthDate"));
}

#[test]
fn a_leak_is_found_in_every_form() {
    for (leak, held_at) in [
        ("Cormier", "Patient.name.family"),
        ("CORMIER, CHI ANA", "Patient.name"),
        ("seen with Ana Cormier today", "Patient.name.family"),
        ("Cormier Chi", "Patient.name.family"),
        ("cormierchi", "Patient.name"),
        ("999825655", "Patient.identifier.value"),
        ("SSN:999 82 5655.", "Patient.identifier.value"),
        ("5559428848", "Patient.telecom.value"),
        ("tel:+15559428848", "Patient.telecom.value"),
        ("555.942.8848", "Patient.telecom.value"),
        ("1949-03-21", "Patient.birthDate"),
        ("21.03.1949", "Patient.birthDate"),
        ("born 3/21/1949", "Patient.birthDate"),
        ("Mar 21, 1949", "Patient.birthDate"),
        ("21 March 1949", "Patient.birthDate"),
        ("19490321", "Patient.birthDate"),
        ("01516-0001", "Patient.address.postalCode"),
        ("310 daugherty path", "Patient.address.line"),
        ("Ware", "Patient.address.city"),
        ("urn:uuid:057aa36e-b892-9964-75b9-ffb46b097e34", "Patient.id"),
        ("057AA36EB892996475B9FFB46B097E34", "Patient.id"),
        ("eE1ybiBNYXJsbyAzMTAgRGF1Z2hlcnR5IFBhdGggLi4u", "Patient.address.line"),
        ("33313020446175676865727479205061746821", "Patient.address.line"),
    ] {
        let json = format!(r#"{{"resourceType":"Observation","valueString":"{leak}"}}"#);
        let report = scan(&json);
        let found = report.residual.iter().any(|one| one.held_at == held_at);
        assert!(found, "{leak}: {:?}", report.residual);
        assert!(report.residual.iter().all(|one| one.found_at == "Observation.valueString"));
    }
}

#[test]
fn a_leak_as_a_key_or_a_number_is_found() {
    let report = scan(r#"{"resourceType":"Observation","Cormier":1,"valueInteger":9998256550}"#);
    let places: Vec<_> = report.residual.iter().map(|one| one.held_at.as_str()).collect();
    assert!(places.contains(&"Patient.name.family"), "{places:?}");
    let report = scan(r#"{"resourceType":"Observation","valueInteger":999825655}"#);
    assert!(!report.is_clean());
}

#[test]
fn parts_of_other_words_are_no_leak() {
    for harmless in ["Chile", "software", "0151600", "19490", "X9998"] {
        let json = format!(r#"{{"resourceType":"Observation","valueString":"{harmless}"}}"#);
        let report = scan(&json);
        assert!(report.is_clean(), "{harmless}: {:?}", report.residual);
    }
}

#[test]
fn no_report_repeats_a_string() {
    let report = scan(r#"{"resourceType":"Observation","valueString":"Chi Cormier 999-82-5655"}"#);
    let text = format!("{report:?}");
    for secret in ["Cormier", "Chi", "999-82-5655", "999825655"] {
        assert!(!text.contains(secret), "{text}");
    }
}
