//! Every message of `hl7v2/` goes in and is valid; and what is made of it is held against what Microsoft's converter made
//! (`hl7v2/expected`), which is one opinion. A kind of difference must be listed, with its reason, in
//! `hl7v2-differences.txt`.

use crate::ingesting::ingest_in;
use bxp_clinical::{
    fhir::element::{items, resource_type, text},
    source::{Limits, Submission, find, read},
    validate::{Mode, validate},
};
use bxp_types::Jurisdiction;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

const LISTED: &str = include_str!("hl7v2-differences.txt");
const MESSAGES: usize = 93;
/// Messages about patients who live outside of the US.
const ELSEWHERE: usize = 2;

pub(crate) fn submissions() -> Vec<(String, Submission)> {
    let found = find(&[crate::data("hl7v2")]).unwrap();
    let files = found.files.iter().filter(|file| file.path.extension().is_some_and(|ending| ending == "hl7"));
    let all = files.flat_map(|file| {
        let name = file.path.file_stem().unwrap().to_string_lossy().into_owned();
        read(file, &Limits::default()).unwrap().map(move |one| (name.clone(), one.unwrap()))
    });
    all.collect()
}

#[test]
fn every_message_goes_in_and_a_second_time_nothing_happens() {
    let all = submissions();
    assert_eq!(all.len(), MESSAGES);
    for (name, submission) in &all {
        assert!(submission.refused.is_empty(), "{name}: {:?}", submission.refused);
        for entry in &submission.entries {
            let found = validate(entry.resource.expose(), Mode::Strict);
            assert!(found.accepted(), "{name}: {:?} {:?}", found.resource_type, found.issues);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let ingest = ingest_in(dir.path(), Jurisdiction::US);
    let mut report = bxp_clinical::ingest::Report::default();
    for (_, submission) in &all {
        report.merge(ingest.ingest_submission(submission).unwrap());
    }
    // Nothing is refused but what belongs to patients who live elsewhere, as one in Japan does.
    let refused: BTreeSet<&str> = report.refusals.iter().map(|one| one.reason.as_str()).collect();
    assert!(refused.iter().all(|reason| reason.contains("(row A12)")), "{refused:?}");
    let of: BTreeSet<&str> = report.refusals.iter().map(|one| one.source_name.as_str()).collect();
    assert!(of.len() <= ELSEWHERE, "{of:?}");
    println!("{} resources of {MESSAGES} messages, {} patients", report.resources, report.patients_new);
    println!("{} kinds of fields without a place", report.unmapped.len());
    for (_, submission) in &all[..20] {
        let again = ingest.ingest_submission(submission).unwrap();
        assert_eq!(again.new, 0, "what came before is recognised");
    }
}

/// Resources by type.
fn by_type<'a>(all: impl Iterator<Item = &'a Value>) -> BTreeMap<String, Vec<&'a Value>> {
    let mut map: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for resource in all {
        map.entry(resource_type(resource).unwrap_or_default().to_owned()).or_default().push(resource);
    }
    map
}

fn elements(all: &[&Value]) -> BTreeSet<String> {
    let names = all.iter().filter_map(|one| one.as_object()).flat_map(|one| one.iter());
    names.map(|(name, _)| name.to_owned()).filter(|name| name != "resourceType" && name != "id").collect()
}

/// Values that must agree wherever both have the element: by type and path.
const VALUES: [(&str, &str); 10] = [
    ("Patient", "gender"),
    ("Patient", "birthDate"),
    ("Patient", "name.family"),
    ("Encounter", "class.code"),
    ("Immunization", "vaccineCode.coding.code"),
    ("Immunization", "lotNumber"),
    ("AllergyIntolerance", "code.coding.code"),
    ("Appointment", "status"),
    ("DocumentReference", "docStatus"),
    ("RelatedPerson", "gender"),
];

fn values(resource: &Value, path: &str, into: &mut BTreeSet<String>) {
    match path.split_once('.') {
        Some((name, rest)) => items(resource, name).for_each(|item| values(item, rest, into)),
        None => into.extend(text(resource, path).map(str::to_owned)),
    }
}

fn differences(name: &str, ours: &Submission, kinds: &mut BTreeMap<String, BTreeSet<String>>) {
    let path = crate::data("hl7v2/expected").join(format!("{name}.json"));
    let Ok(bytes) = fs::read(path) else { return };
    let bundle: Value = sonic_rs::from_slice(&bytes).unwrap();
    let expected = by_type(items(&bundle, "entry").filter_map(|entry| entry.get("resource")));
    let made = by_type(ours.entries.iter().map(|entry| entry.resource.expose()));
    let mut differ = |kind: String| {
        kinds.entry(kind).or_default().insert(name.to_owned());
    };
    for (kind, theirs) in &expected {
        let own = made.get(kind).map_or(&[][..], Vec::as_slice);
        if own.len() < theirs.len() {
            differ(format!("{kind} fewer"));
        }
        if own.len() > theirs.len() {
            differ(format!("{kind} more"));
        }
        if own.is_empty() {
            continue;
        }
        for element in elements(theirs).difference(&elements(own)) {
            differ(format!("{kind}.{element} lacks"));
        }
        for (of, path) in VALUES.iter().filter(|(of, _)| of == kind) {
            let (mut one, mut other) = (BTreeSet::new(), BTreeSet::new());
            theirs.iter().for_each(|resource| values(resource, path, &mut one));
            own.iter().for_each(|resource| values(resource, path, &mut other));
            if !one.is_subset(&other) && !other.is_empty() {
                differ(format!("{of}.{path} differs"));
            }
        }
    }
    for kind in made.keys().filter(|kind| !expected.contains_key(*kind)) {
        differ(format!("{kind} more"));
    }
}

#[test]
fn every_kind_of_difference_from_the_other_converter_has_its_reason() {
    let mut kinds: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let all = submissions();
    for (name, submission) in &all {
        differences(name, submission, &mut kinds);
    }
    let listed: BTreeMap<&str, &str> = LISTED
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once(": ").unwrap_or((line, "")))
        .collect();
    let unlisted: Vec<_> = kinds.iter().filter(|(kind, _)| !listed.contains_key(kind.as_str())).collect();
    let gone: Vec<_> = listed.keys().filter(|kind| !kinds.contains_key(**kind)).collect();
    assert!(unlisted.is_empty(), "give each a reason: {unlisted:#?}");
    assert!(gone.is_empty(), "these differences are gone, take them out: {gone:?}");
    assert!(listed.values().all(|reason| !reason.is_empty()));
    for (kind, messages) in &kinds {
        println!("{:>3} messages  {kind}: {}", messages.len(), listed[kind.as_str()]);
    }
}
