//! What each of the two says of a resource, and where they differ.

use super::made::Case;
use std::{fmt::Write as _, fs, path::Path, process::Command};

/// What a validator refuses a resource for: elements, each with what is wrong there. Nothing where it takes it.
#[derive(Debug, Default)]
pub(super) struct Verdict(pub(super) Vec<(String, String)>);

/// Asks HAPI's validator of all, in one run of its program.
pub(super) fn ask(program: &Path, cases: &[Case]) -> Vec<Verdict> {
    let dir = tempfile::tempdir().unwrap();
    let (asked, answered) = (dir.path().join("asked"), dir.path().join("answered"));
    let mut lines = String::new();
    for (at, case) in cases.iter().enumerate() {
        let _ = writeln!(lines, "{at}\t{}", case.json);
    }
    fs::write(&asked, lines).unwrap();
    let classes = format!("{0}/classes:{0}/lib/*", program.display());
    let mut java = Command::new("java");
    java.args(["-Xmx3g", "-cp", &classes, "Verdicts"]).args([&asked, &answered]);
    assert!(java.status().unwrap().success(), "HAPI's validator ends well");
    let mut verdicts: Vec<Option<Verdict>> = cases.iter().map(|_| None).collect();
    for line in fs::read_to_string(&answered).unwrap().lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        let verdict = verdicts[fields[0].parse::<usize>().unwrap()].get_or_insert_default();
        if let [_, _, path, message] = fields[..] {
            verdict.0.push((path.to_owned(), message.to_owned()));
        }
    }
    verdicts.into_iter().map(|verdict| verdict.expect("each has its answer")).collect()
}

/// What is wrong, without the numbers and names that are of one resource.
pub(super) fn kind_of(what: &str) -> String {
    match what {
        text if text.ends_with("is not defined by R4") => "not defined by R4".to_owned(),
        text if text.ends_with(" is required") => "required".to_owned(),
        // `http://hl7.org/fhir/StructureDefinition/Patient#pat-1`
        text if text.contains("/StructureDefinition/") => "an invariant".to_owned(),
        text => text.replace(": ", " "),
    }
}

/// The kinds of difference between two verdicts.
pub(super) fn difference(ours: &Verdict, theirs: &Verdict) -> Vec<String> {
    let all = |verdict: &Verdict| {
        let mut kinds: Vec<String> = verdict.0.iter().map(|(_, what)| kind_of(what)).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    };
    match (ours.0.is_empty(), theirs.0.is_empty()) {
        (true, true) => Vec::new(),
        (true, false) => all(theirs).iter().map(|what| format!("there only, {what}")).collect(),
        (false, true) => all(ours).iter().map(|what| format!("here only, {what}")).collect(),
        (false, false) => {
            let same = |(here, _): &(String, String)| theirs.0.iter().any(|(there, _)| near(here, there));
            if ours.0.iter().any(same) {
                return Vec::new();
            }
            vec![format!("elsewhere, {} / {}", all(ours).join("; "), all(theirs).join("; "))]
        }
    }
}

/// The steps of a path: without numbers, and the type of a choice in the name of its step.
fn steps(path: &str) -> Vec<String> {
    let mut steps: Vec<String> = Vec::new();
    for step in path.split('.') {
        let step = step.split('[').next().unwrap_or_default();
        match (step.strip_prefix("ofType(").and_then(|rest| rest.strip_suffix(')')), steps.last_mut()) {
            (Some(kind), Some(choice)) => {
                let (first, rest) = kind.split_at(kind.len().min(1));
                let _ = write!(choice, "{}{rest}", first.to_ascii_uppercase());
            }
            _ => steps.push(step.to_owned()),
        }
    }
    steps
}

/// Whether two paths are of the same element, or one is of the owner of the other. A choice may lack its type.
fn near(one: &str, other: &str) -> bool {
    let (one, other) = (steps(one), steps(other));
    let choice = |long: &str, short: &str| {
        long.strip_prefix(short).and_then(|rest| rest.chars().next()).is_some_and(char::is_uppercase)
    };
    let same = |(a, b): (&String, &String)| a == b || choice(a, b) || choice(b, a);
    one.len().abs_diff(other.len()) <= 1 && one.iter().zip(&other).all(same)
}
