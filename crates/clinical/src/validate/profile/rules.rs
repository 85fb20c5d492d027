//! The rules of profiles: what is checked, and what is said. No text repeats a value of the resource.

use super::{
    path::{Node, Path, Wanted},
    table::Profile,
};
use crate::{
    fhir::element::text,
    validate::{Code, Issue, ReferenceShape, Severity, reference_shape},
};
use sonic_rs::{JsonValueTrait, Value};

/// One rule of a profile.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Rule {
    /// Wherever what leads to it is there, it must be there.
    Need(Path),
    /// Each value has a code of a set; the set's name.
    Only(Path, &'static str, Wanted),
    /// Each value is this text.
    Equal(Path, &'static str),
    /// References name resources of these types.
    Refer(Path, Vec<&'static str>),
    /// A choice has one of these properties.
    Type(Path, Vec<&'static str>),
    /// One of these must be there.
    Either(Vec<Path>),
    /// Where the first is one of these texts, the second must be there.
    When(Path, Vec<&'static str>, Path),
    /// A time is precise to the day.
    Day(Path),
    /// A value set that is not here; what it has.
    Unchecked(Path, &'static str),
}

struct Report<'a> {
    profile: &'a Profile,
    issues: &'a mut Vec<Issue>,
}

impl Report<'_> {
    fn error(&mut self, code: Code, at: &str, what: &str) {
        let what = format!("{what} (profile {})", self.profile.name);
        self.issues.push(Issue::error(code, at, &what));
    }
}

impl Rule {
    /// Adds what `resource` breaks of this rule.
    pub(super) fn check(&self, profile: &Profile, resource: &Value, issues: &mut Vec<Issue>) {
        let mut report = Report { profile, issues };
        let nodes = |path: &Path| path.nodes(resource, profile.resource);
        match self {
            Self::Need(path) => need(path, resource, &mut report),
            Self::Only(path, set, wanted) => {
                for node in nodes(path).iter().filter(|node| !node.bare && !wanted.is(node.value)) {
                    report.error(
                        Code::CodeInvalid,
                        &node.at,
                        &format!("has no code of the required value set {set}"),
                    );
                }
            }
            Self::Equal(path, wanted) => {
                for node in
                    nodes(path).iter().filter(|node| !node.bare && node.value.as_str() != Some(wanted))
                {
                    report.error(Code::Value, &node.at, &format!("must be {wanted:?}"));
                }
            }
            Self::Refer(path, kinds) => {
                for node in nodes(path).iter().filter(|node| names_another(node.value, kinds)) {
                    let what = format!("must refer to {}", kinds.join(", "));
                    report.error(Code::Structure, &node.at, &what);
                }
            }
            Self::Type(path, names) => {
                let other = |node: &Node<'_>| {
                    let name = node.at.rsplit('.').next().unwrap_or_default();
                    !names.contains(&name)
                };
                for node in nodes(path).iter().filter(|node| other(node)) {
                    report.error(Code::Structure, &node.at, &format!("must be {}", names.join(" or ")));
                }
            }
            Self::Either(paths) => either(paths, resource, &mut report),
            Self::When(path, texts, needed) => {
                let holds = nodes(path)
                    .iter()
                    .any(|node| node.value.as_str().is_some_and(|text| texts.contains(&text)));
                if holds {
                    need(needed, resource, &mut report);
                }
            }
            Self::Day(path) => {
                for node in
                    nodes(path).iter().filter(|node| node.value.as_str().is_some_and(|time| time.len() < 10))
                {
                    report.error(Code::Invariant, &node.at, "must be precise to the day");
                }
            }
            Self::Unchecked(path, what) => {
                for node in nodes(path).iter().take(1) {
                    let diagnostics = format!(
                        "its value set ({what}) is not here, and was not checked (profile {})",
                        profile.name
                    );
                    let (severity, code) = (Severity::Information, Code::NotSupported);
                    report.issues.push(Issue { severity, code, expression: node.at.clone(), diagnostics });
                }
            }
        }
    }
}

fn need(path: &Path, resource: &Value, report: &mut Report<'_>) {
    let (parents, last) = path.parents(resource, report.profile.resource);
    let Some(last) = last else { return };
    for parent in parents.iter().filter(|parent| !parent.bare && !last.is_under(parent)) {
        let what = match &last.filter {
            None => format!("{} is required", last.shown()),
            Some(filter) => format!("one {} must be {}", last.shown(), filter.shown()),
        };
        report.error(Code::Required, &parent.at, &what);
    }
}

fn either(paths: &[Path], resource: &Value, report: &mut Report<'_>) {
    let Some((parents, _)) = paths.first().map(|path| path.parents(resource, report.profile.resource)) else {
        return;
    };
    let lasts: Vec<_> = paths.iter().filter_map(|path| path.0.last()).collect();
    for parent in parents.iter().filter(|parent| !lasts.iter().any(|last| last.is_under(parent))) {
        let names: Vec<String> = lasts.iter().map(|last| last.shown()).collect();
        report.error(Code::Invariant, &parent.at, &format!("one of {} is required", names.join(", ")));
    }
}

/// Whether a reference names a type, and it is none of `kinds`.
fn names_another(reference: &Value, kinds: &[&str]) -> bool {
    let literal = text(reference, "reference").unwrap_or_default();
    let named = match reference_shape(literal) {
        Some(
            ReferenceShape::Relative { resource_type, .. }
            | ReferenceShape::Conditional { resource_type, .. },
        ) => Some(resource_type),
        _ => text(reference, "type"),
    };
    named.is_some_and(|named| !kinds.contains(&named))
}
