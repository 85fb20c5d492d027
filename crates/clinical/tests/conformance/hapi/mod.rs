//! HAPI's validator agrees with ours: on each structure of the Synthea bundles and of what is made of the HL7 v2 messages, and on
//! resources made from R4's definitions, right ones and ones that are broken in one way each (ADR 88).
//!
//! Agreeing is that both take a resource, or both refuse it and name an element, or its owner, alike. A kind of difference
//! must be listed with its reason in `differences.txt`. `tests/clients/hapi/install.sh` builds what is asked; without it this
//! is skipped.

mod made;
mod verdict;
mod wrong;

use bxp_clinical::{
    fhir::element::resource_type,
    source::{Limits, find, read},
    validate::{Mode, validate},
};
use made::Case;
use sonic_rs::{JsonContainerTrait, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};
use verdict::{Verdict, difference};

/// Resources of each structure (set of paths) that are asked for: all 89,000 of both corpora would take HAPI a quarter of an hour.
const OF_EACH_STRUCTURE: usize = 4;
/// Examples that are named of each kind of difference.
const NAMED: usize = 3;

/// The compiled program with its libraries, where they were built.
fn program() -> Option<PathBuf> {
    let built = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/clients/hapi/target");
    built.join("installed").exists().then_some(built)
}

/// The paths of all values of a resource.
fn paths(value: &Value, path: &str, into: &mut BTreeSet<String>) {
    if let Some(object) = value.as_object() {
        object.iter().for_each(|(name, inner)| paths(inner, &format!("{path}.{name}"), into));
    } else if let Some(array) = value.as_array() {
        array.iter().for_each(|inner| paths(inner, path, into));
    } else {
        into.insert(path.to_owned());
    }
}

/// Takes the first resources of each structure.
#[derive(Default)]
struct Structures(BTreeMap<BTreeSet<String>, usize>);

impl Structures {
    /// The resource as a case, unless enough of its structure are there.
    fn case(&mut self, corpus: &str, resource: &Value) -> Option<Case> {
        let kind = resource_type(resource).unwrap();
        let mut structure = BTreeSet::new();
        paths(resource, kind, &mut structure);
        let count = self.0.entry(structure).or_default();
        *count += 1;
        (*count <= OF_EACH_STRUCTURE).then(|| case(format!("{corpus}/{kind}/{count}"), resource))
    }
}

fn synthea() -> Vec<Case> {
    let mut structures = Structures::default();
    let mut cases = Vec::new();
    for file in find(&[crate::data("synthea")]).unwrap().files {
        for submission in read(&file, &Limits::default()).unwrap().map(Result::unwrap) {
            let entries = submission.entries.iter();
            cases.extend(entries.filter_map(|entry| structures.case("synthea", entry.resource.expose())));
        }
    }
    cases
}

fn hl7v2() -> Vec<Case> {
    let mut structures = Structures::default();
    let mut cases = Vec::new();
    for (name, submission) in crate::hl7v2::submissions() {
        let entries = submission.entries.iter();
        let corpus = format!("hl7v2/{name}");
        cases.extend(entries.filter_map(|entry| structures.case(&corpus, entry.resource.expose())));
    }
    cases
}

fn case(name: String, resource: &Value) -> Case {
    Case { name, json: sonic_rs::to_string(resource).unwrap() }
}

fn ours(json: &str) -> Verdict {
    let found = validate(&sonic_rs::from_str(json).unwrap(), Mode::Strict);
    let issues = found.issues.iter().filter(|_| !found.accepted());
    Verdict(issues.map(|issue| (issue.expression.clone(), verdict::kind_of(&issue.diagnostics))).collect())
}

#[test]
fn every_kind_of_difference_from_hapi_has_its_reason() {
    let Some(program) = program() else {
        println!("skipped: HAPI's validator is not built; tests/clients/hapi/install.sh says why");
        return;
    };
    let cases: Vec<Case> = [synthea(), hl7v2(), made::all()].into_iter().flatten().collect();
    let theirs = verdict::ask(&program, &cases);
    let mut kinds = BTreeMap::<String, Vec<&str>>::new();
    let mut counts = BTreeMap::<String, [usize; 4]>::new();
    for (case, theirs) in cases.iter().zip(&theirs) {
        let ours = ours(&case.json);
        let corpus = case.name.split('/').take(if case.name.starts_with("broken") { 2 } else { 1 });
        let corpus = corpus.collect::<Vec<_>>().join("/");
        let differences = difference(&ours, theirs);
        let count = counts.entry(corpus.clone()).or_default();
        count[0] += 1;
        count[1] += usize::from(!ours.0.is_empty());
        count[2] += usize::from(!theirs.0.is_empty());
        count[3] += usize::from(!differences.is_empty());
        for kind in differences {
            kinds.entry(format!("{corpus}, {kind}")).or_default().push(&case.name);
        }
    }
    println!(
        "{:<24} {:>9} {:>12} {:>13} {:>11}",
        "corpus", "resources", "refused here", "refused there", "differences"
    );
    for (corpus, [all, here, there, differ]) in &counts {
        println!("{corpus:<24} {all:>9} {here:>12} {there:>13} {differ:>11}");
    }
    for (kind, names) in &kinds {
        println!("{:>5}  {kind}: {:?}", names.len(), &names[..names.len().min(NAMED)]);
    }
    listed(&kinds);
}

/// That each kind is listed with its reason.
fn listed(kinds: &BTreeMap<String, Vec<&str>>) {
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/conformance/hapi/differences.txt");
    let list = fs::read_to_string(list).unwrap();
    let listed: BTreeMap<&str, &str> = list
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once(": ").unwrap_or((line, "")))
        .collect();
    let unlisted: Vec<_> = kinds.keys().filter(|kind| !listed.contains_key(kind.as_str())).collect();
    let gone: Vec<_> = listed.keys().filter(|kind| !kinds.contains_key(**kind)).collect();
    assert!(unlisted.is_empty(), "mend each, or give it a reason: {unlisted:#?}");
    // HAPI's own releases and tables make some come and go; what counts is that none is there without a reason.
    if !gone.is_empty() {
        println!("not seen this time; take out what is gone for good: {gone:#?}");
    }
    assert!(listed.values().all(|reason| !reason.is_empty()));
}
