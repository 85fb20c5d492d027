//! FHIR: JSON, NDJSON, the split and its way back, searches, criteria.

use bxp_clinical::{
    criterion::Criterion,
    generate::{GeneratorConfig, generate},
    source::{Limits, Submission, parse_json, parse_ndjson},
    validate::{Mode, validate},
};
use bxp_fhir_store::{Parameters, search};
use bxp_privacy::{Remainder, SplitContext, join};
use sonic_rs::{JsonValueTrait, Value};

const LIMITS: Limits = Limits { bytes_max: 1 << 20, depth_max: 64, resources_max: 1_000 };
/// The longest resource of the generator that is worth changing.
const SEED_BYTES_MAX: usize = 6_000;

fn looked_at(submission: Submission) {
    for entry in submission.entries {
        let _ = validate(entry.resource.expose(), Mode::Strict);
    }
}

/// A file of JSON is resources or an error.
pub(crate) fn json(bytes: &[u8]) {
    if let Ok(submission) = parse_json("file", bytes, &LIMITS) {
        looked_at(submission);
    }
}

/// A file of lines is resources or an error.
pub(crate) fn ndjson(bytes: &[u8]) {
    if let Ok(submission) = parse_ndjson("file", bytes, &LIMITS) {
        looked_at(submission);
    }
}

fn context() -> SplitContext<'static> {
    let pseudonym = |reference: &str| {
        let kind =
            reference.split(['/', '?']).next().filter(|kind| kind.bytes().all(|b| b.is_ascii_alphabetic()));
        Some(format!("{}/b5c1f1d2", kind.unwrap_or("Patient")))
    };
    // A closure that takes nothing lives for ever.
    SplitContext { mapping: Box::leak(Box::new(pseudonym)), now_year: 2026 }
}

/// A resource that is split joins to the original, to its last digit, and holds no name that stood in `family`.
pub(crate) fn split(bytes: &[u8]) {
    let Ok(submission) = parse_json("file", bytes, &LIMITS) else { return };
    let context = context();
    for entry in submission.entries {
        let original = entry.resource.expose();
        let Ok(split) = bxp_privacy::split(original, &context) else { continue };
        let identity = split.identity.expose();
        let joined = join(identity, &split.deidentified).expect("two sides of one resource join");
        assert_eq!(text(&joined), text(original), "nothing is lost");
        let read = Remainder::from_bytes(identity.as_bytes()).expect("an own remainder is read");
        assert_eq!(read.as_bytes(), identity.as_bytes());
        for planted in PLANTED {
            let planted_there = text(original).contains(planted);
            assert!(
                !planted_there || !text(&split.deidentified).contains(planted),
                "an identifier is on the de-identified side"
            );
        }
    }
}

fn text(value: &Value) -> String {
    sonic_rs::to_string(value).expect("a value is JSON")
}

/// Names that no code system has: the split must move them wherever a change of the input puts them.
const PLANTED: [&str; 3] = ["Zyxwvutsrq", "+1-555-0100-77", "1 Planted Lane"];

/// The identity side's bytes may be anything: they are read or refused, and never join to another resource.
pub(crate) fn remainder(bytes: &[u8]) {
    if let Ok(remainder) = Remainder::from_bytes(bytes) {
        let _ = join(&remainder, &sonic_rs::json!({"resourceType": "Patient"}));
    }
}

/// Parameters of a search, `name=value` by line, for a type chosen by the first byte.
pub(crate) fn search(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let parameters = Parameters::r4();
    let kinds: Vec<_> = parameters.kinds().collect();
    let Some(kind) = kinds.get(usize::from(*first) % kinds.len().max(1)) else { return };
    let text = String::from_utf8_lossy(rest);
    let pairs: Vec<(String, String)> = text
        .lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let _ = search::parse(*kind, &pairs, &["https://node.example/fhir".to_owned()], 1_800_000_000_000);
    let _ = bxp_fhir_store::value::date::parse(&text);
}

/// What a buyer asks for.
pub(crate) fn criterion(bytes: &[u8]) {
    if let Ok(criterion) = Criterion::from_json(bytes) {
        let again = serde_json::to_vec(&criterion).expect("a criterion is JSON");
        assert_eq!(Criterion::from_json(&again).ok(), Some(criterion));
    }
}

fn generated() -> Vec<String> {
    let config = GeneratorConfig { patients: 2, ..GeneratorConfig::default() };
    generate(&config).map(|bundles| bundles.map(|bundle| bundle.json).collect()).unwrap_or_default()
}

/// One resource of each type of the generator, and a patient with planted names.
pub(crate) fn resources() -> Vec<Vec<u8>> {
    let mut seen = std::collections::BTreeMap::new();
    for bundle in generated() {
        let Ok(submission) = parse_json("generated", bundle.as_bytes(), &LIMITS) else { continue };
        for entry in submission.entries {
            let resource = entry.resource.expose();
            let kind = resource.get("resourceType").as_str().unwrap_or_default().to_owned();
            let resource = text(resource);
            if resource.len() <= SEED_BYTES_MAX {
                seen.entry(kind).or_insert(resource);
            }
        }
    }
    let patient = r#"{"resourceType":"Patient","id":"p1","name":[{"family":"Zyxwvutsrq","given":["Zyxwvutsrq"]}],
        "telecom":[{"system":"phone","value":"+1-555-0100-77"}],"address":[{"line":["1 Planted Lane"],"postalCode":"02139"}],
        "birthDate":"1931-02-03","contained":[{"resourceType":"Practitioner","id":"a","name":[{"text":"Zyxwvutsrq"}]}],
        "text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\">Zyxwvutsrq</div>"},
        "extension":[{"url":"http://example.org/any","valueString":"1 Planted Lane"}]}"#;
    seen.into_values().map(String::into_bytes).chain([patient.into()]).collect()
}

pub(crate) fn bundles() -> Vec<Vec<u8>> {
    let entries = resources().into_iter().map(|resource| String::from_utf8_lossy(&resource).into_owned());
    let entries: Vec<String> =
        entries.map(|one| format!(r#"{{"fullUrl":"urn:uuid:1","resource":{one}}}"#)).collect();
    let bundles = entries.chunks(3).map(|some| {
        format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{}]}}"#, some.join(","))
            .into_bytes()
    });
    bundles.chain(resources()).collect()
}

pub(crate) fn lines() -> Vec<Vec<u8>> {
    let line = |resource: Vec<u8>| resource.into_iter().filter(|byte| *byte != b'\n').collect::<Vec<u8>>();
    let lines: Vec<Vec<u8>> = resources().into_iter().map(line).collect();
    lines.chunks(3).map(|some| some.join(&b'\n')).collect()
}

pub(crate) fn remainders() -> Vec<Vec<u8>> {
    let context = context();
    let split = |resource: Vec<u8>| {
        let value: Value = sonic_rs::from_slice(&resource).ok()?;
        let split = bxp_privacy::split(&value, &context).ok()?;
        Some(split.identity.expose().as_bytes().to_vec())
    };
    resources().into_iter().filter_map(split).collect()
}

pub(crate) fn searches() -> Vec<Vec<u8>> {
    let texts = [
        "name:exact=Jane\nbirthdate=ge1980-01-01&_sort=-birthdate",
        "code=http://loinc.org|8480-6,|8462-4\n_include=Observation:patient\nvalue-quantity=lt5.4|http://unitsofmeasure.org|mg",
        "patient.name=Doe\n_has:Observation:patient:code=1234-5\n_sort=-date,_id\n_revinclude:iterate=Provenance:target",
        "date=sa2020-02-30T25:61:00Z\nnear=42.1|-71.2|10|km\ncode-value-quantity=8480-6$gt100",
        "identifier:of-type=http://a|MR|1\n_lastUpdated=ap2020\n_text=heart\nstatus:not=final\nsubject:missing=true",
    ];
    (0_u8..).zip(texts).map(|(kind, text)| [&[kind * 23], text.as_bytes()].concat()).collect()
}

pub(crate) fn criteria() -> Vec<Vec<u8>> {
    let usual = serde_json::to_vec(&Criterion::afib_or_mi_with_earlier_ekg());
    usual.into_iter().collect()
}
