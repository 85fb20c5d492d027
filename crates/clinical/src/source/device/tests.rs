//! What an upload says, what it becomes, and what is refused.

use super::*;
use crate::validate::{Mode, validate};
use proptest::prelude::*;

const NOW_MS: u64 = 1_774_000_000_000;

const READINGS: &str = r#"{"device":{"id":"SN-PLANTED","model":"Cuff 2","manufacturer":"Acme"},"readings":[
    {"code":"8867-4","value":62.50,"unit":"/min","time":"2026-03-01T07:30:00+01:00"},
    {"code":"59408-5","value":97,"unit":"%","time":"2026-03-01T07:30:00+01:00"},
    {"code":"85354-9","time":"2026-03-01T07:30:00+01:00","components":[
        {"code":"8480-6","value":121,"unit":"mm[Hg]"},{"code":"8462-4","value":79,"unit":"mm[Hg]"}]}]}"#;

fn name(domain: &str, parts: &[&str]) -> String {
    let joined: String = parts.iter().map(|part| format!("{}:{part}", part.len())).collect();
    let sum = joined.bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(1_099_511_628_211) ^ u64::from(byte));
    format!("{domain}-{sum:016x}")
}

fn translate(text: &str) -> Result<Submission, ClinicalError> {
    let upload = Upload { patient: "p", now_ms: NOW_MS, name: &name };
    translate_readings(text.as_bytes(), &Limits::default(), &upload)
}

fn texts(submission: &Submission) -> Vec<String> {
    submission.entries.iter().map(|entry| sonic_rs::to_string(entry.resource.expose()).unwrap()).collect()
}

fn refused(text: &str) -> String {
    translate(text).unwrap_err().to_string()
}

#[test]
fn readings_become_valid_resources_with_their_digits() {
    let submission = translate(READINGS).unwrap();
    for entry in &submission.entries {
        let found = validate(entry.resource.expose(), Mode::Strict);
        assert!(found.accepted() && found.issues.is_empty(), "{:?}", found.issues);
    }
    let texts = texts(&submission);
    let kinds: Vec<_> = submission.entries.iter().map(|one| resource_type(one.resource.expose())).collect();
    let expected = ["Device", "Observation", "Observation", "Observation", "Provenance"];
    assert_eq!(kinds, expected.map(Some));
    assert!(
        texts[1].contains(r#""value":62.50"#) && texts[1].contains(r#""code":"vital-signs""#),
        "{}",
        texts[1]
    );
    assert!(texts[2].contains(r#""code":"2708-6""#), "what the profile demands beside it: {}", texts[2]);
    assert!(
        texts[3].contains(r#""component":[{"code""#)
            && !texts[3].contains("\"valueQuantity\":{\"value\":null")
    );
    let device = texts[0].split(r#""id":""#).nth(1).and_then(|rest| rest.split('"').next()).unwrap();
    assert!(texts[1..].iter().all(|text| text.contains(&format!("Device/{device}"))));
    assert!(texts[1..].iter().all(|text| text.contains("Patient/p") && !text.contains("PLANTED")));
}

#[test]
fn the_same_reading_is_the_same_resource_in_both_forms() {
    let ids = |submission: &Submission| -> Vec<String> {
        let id =
            |entry: &Entry| crate::fhir::element::text(entry.resource.expose(), "id").unwrap().to_owned();
        submission.entries.iter().map(id).collect()
    };
    let one = ids(&translate(READINGS).unwrap());
    assert_eq!(one, ids(&translate(READINGS).unwrap()));
    let fhir = r##"{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"8867-4"}]},
        "contained":[{"resourceType":"Device","id":"d","serialNumber":"SN-PLANTED"}],"device":{"reference":"#d"},
        "effectiveDateTime":"2026-03-01T07:30:00+01:00",
        "valueQuantity":{"value":62.50,"unit":"beats","system":"http://unitsofmeasure.org","code":"/min"},"note":[{"text":"kept"}]}"##;
    let submission = translate(fhir).unwrap();
    assert_eq!(ids(&submission)[..2], one[..2]);
    let text = &texts(&submission)[1];
    assert!(text.contains("kept") && text.contains("beats") && text.contains("vital-signs"), "{text}");
    for entry in &submission.entries {
        assert!(validate(entry.resource.expose(), Mode::Strict).accepted(), "{:?}", entry.resource.expose());
    }
}

#[test]
fn what_is_wrong_is_told_by_place_and_not_by_value() {
    let with = |from: &str, to: &str| refused(&READINGS.replacen(from, to, 1));
    for (error, expected) in [
        (with("62.50", "\"62 Quillonia\""), "readings[0].value: must be a number"),
        (with("\"/min\"", "\"beats per Quillonia\""), "readings[0].unit: must be a unit of UCUM"),
        (with("\"/min\"", "\"kg\""), "readings[0].unit: is not a unit in which"),
        (with("8867-4", "8867-5"), "readings[0].code: must be a code of LOINC"),
        (with("2026-03-01T07:30:00+01:00", "2026-03-01"), "readings[0].time: must be a time with its zone"),
        (
            with("2026-03-01T07:30:00+01:00", "2027-03-01T07:30:00Z"),
            "readings[0].time: lies more than a day ahead",
        ),
        (with("\"manufacturer\"", "\"Quillonia\""), "device: has a member that is not known here"),
        (with("SN-PLANTED", ""), "device.id: must be a text of"),
        (with("SN-PLANTED", " \u{3000}"), "device.id: must be a text of"),
        (with("121", "null"), "readings[2].components[0].value: must be a number"),
        (refused(r#"{"device":{"id":"a","model":"b"},"readings":[]}"#), "the upload: has no reading in it"),
        (refused(r#"{"device":{"id":"a","model":"b"}}"#), "readings: must be an array"),
        (refused("[]"), "the upload: must be an object"),
        (refused(r#"{"resourceType":"Patient"}"#), "the resource: is neither Device nor Observation"),
        (
            refused(
                r#"{"resourceType":"Bundle","type":"collection","entry":[{"resource":{"resourceType":"Patient"}}]}"#,
            ),
            "Bundle.entry[0].resource: is neither Device nor Observation",
        ),
    ] {
        assert!(error.contains(expected), "{error} has not {expected}");
        assert!(!error.contains("Quillonia") && !error.contains("PLANTED"), "{error}");
    }
}

#[test]
fn an_observation_of_another_patient_or_of_no_device_is_refused() {
    let observation = |subject: &str, device: &str| {
        format!(
            r#"{{"resourceType":"Bundle","type":"collection","entry":[
            {{"fullUrl":"urn:uuid:1","resource":{{"resourceType":"Device","identifier":[{{"value":"7"}}]}}}},
            {{"fullUrl":"urn:uuid:2","resource":{{"resourceType":"Device","identifier":[{{"value":"8"}}]}}}},
            {{"resource":{{"resourceType":"Observation","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"29463-7"}}]}},
            "effectiveDateTime":"2026-03-01T07:30:00Z"{subject}{device}}}}}]}}"#
        )
    };
    let device = r#","device":{"reference":"urn:uuid:2"}"#;
    let mine = r#","subject":{"reference":"Patient/p"}"#;
    assert_eq!(
        translate(&observation(mine, device)).unwrap().entries.len(),
        4,
        "a device without readings is kept"
    );
    let error = refused(&observation(r#","subject":{"reference":"Patient/q"}"#, device));
    assert!(error.contains("entry[2].resource.subject: names another patient"), "{error}");
    let error = refused(&observation(mine, ""));
    assert!(error.contains("entry[2].resource.device: must refer"), "{error}");
    let error = refused(&observation(mine, r#","device":{"reference":"Device/elsewhere"}"#));
    assert!(error.contains("entry[2].resource.device: must refer"), "{error}");
}

proptest! {
    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let upload = Upload { patient: "p", now_ms: NOW_MS, name: &name };
        let _ = translate_readings(&bytes, &Limits::default(), &upload);
    }

    #[test]
    fn whatever_an_upload_says_its_resources_are_valid(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), "[A-Za-z0-9 /%.:-]{0,12}"), 1..4),
    ) {
        let mut pieces: Vec<String> = READINGS.split('"').map(str::to_owned).collect();
        for (at, text) in changes {
            let at = at.index(pieces.len() / 2) * 2 + 1;
            pieces[at] = text;
        }
        let Ok(submission) = translate(&pieces.join("\"")) else { return Ok(()) };
        for entry in &submission.entries {
            let found = validate(entry.resource.expose(), Mode::Strict);
            prop_assert!(found.accepted(), "{:?} of {:?}", found.issues, entry.resource.expose());
        }
    }
}
