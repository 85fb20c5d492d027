//! Validation against profiles: what a resource says it follows (`meta.profile`), and what a caller asks for.
//!
//! US Core 6.1.0 is known, as a table of facts (`data/us-core-6.1.txt`, ADR 72): required elements and slices, required
//! value sets that are small, fixed values, types of references and choices, and the invariants that these can say. That an
//! element is `mustSupport` is a duty of systems, and no property of a resource. Value sets of thousands of codes are not
//! here, which is said and not passed over.

mod path;
mod rules;
mod table;

pub use table::{Profile, Profiles};

use super::{Code, Issue, Mode, Severity};
use crate::fhir::element::{child, resource_type, text};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// The most profiles of one resource that are looked at.
const PROFILES_MAX: usize = 16;
/// The most issues that are listed of one resource and profile.
const ISSUES_MAX: usize = 50;

/// What a resource breaks of the profiles that it says it follows, and of `asked`, whose addresses are canonical URLs. Under
/// [`Mode::Warn`] nothing of it is an error, under [`Mode::Off`] nothing is looked at.
#[must_use]
pub fn validate_profiles(resource: &Value, asked: &[&str], mode: Mode) -> Vec<Issue> {
    if mode == Mode::Off {
        return Vec::new();
    }
    let mut issues = Vec::new();
    let claims =
        child(resource, "meta").and_then(|meta| child(meta, "profile")).and_then(|list| list.as_array());
    let claims = claims.map_or(&[][..], |list| list.as_slice());
    let mut seen: Vec<&str> = Vec::new();
    let claimed = claims.iter().enumerate().filter_map(|(place, claim)| Some((Some(place), claim.as_str()?)));
    for (place, url) in asked.iter().map(|url| (None, *url)).chain(claimed) {
        if seen.contains(&url) {
            continue;
        }
        if seen.len() == PROFILES_MAX {
            let what = "it names more profiles than are looked at";
            issues.push(note(Severity::Warning, Code::TooLong, "meta.profile", resource, what));
            break;
        }
        seen.push(url);
        against(resource, url, place, &mut issues);
    }
    if mode == Mode::Warn {
        issues.iter_mut().for_each(|issue| issue.severity = issue.severity.min(Severity::Warning));
    }
    issues
}

/// `place` is where the resource claims it; none where a caller asks for it.
fn against(resource: &Value, url: &str, place: Option<usize>, issues: &mut Vec<Issue>) {
    let Some(profile) = Profiles::us_core().find(url) else {
        // What a resource claims may be anything; what is asked for must be answered.
        let (severity, at) = match place {
            Some(place) => (Severity::Information, format!("meta.profile[{place}]")),
            None => (Severity::Error, String::new()),
        };
        let what = "this profile, or this version of it, is not known here, and was not checked";
        issues.push(note(severity, Code::NotSupported, &at, resource, what));
        return;
    };
    if resource_type(resource) != Some(profile.resource) {
        let what = format!("profile {} is of {}", profile.name, profile.resource);
        issues.push(note(Severity::Error, Code::Structure, "", resource, &what));
        return;
    }
    let before = issues.len();
    for rule in &profile.rules {
        if issues.len() - before >= ISSUES_MAX {
            let what = format!("more is wrong by profile {} than is listed", profile.name);
            issues.push(note(Severity::Error, Code::TooLong, "", resource, &what));
            break;
        }
        rule.check(profile, resource, issues);
    }
}

fn note(severity: Severity, code: Code, at: &str, resource: &Value, what: &str) -> Issue {
    // An unknown type is R4's validation's to report.
    let name = text(resource, "resourceType")
        .and_then(|name| crate::fhir::definitions::Definitions::r4().resource_name(name))
        .unwrap_or("Resource");
    let expression = if at.is_empty() { name.to_owned() } else { format!("{name}.{at}") };
    Issue { severity, code, expression, diagnostics: what.to_owned() }
}

#[cfg(test)]
mod tests;
