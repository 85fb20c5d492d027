//! Validation against FHIR R4: structure, cardinality, primitive types, required codes, references.
//!
//! It checks what the base specification says of every resource, and what the profiles ask that a resource follows (US Core).
//! Terminologies beyond small required code sets are not its business. An issue says where and what is wrong and never repeats a value: issues are shown,
//! logged and returned to submitters.

mod issue;
mod primitive;
mod profile;
mod reference;
mod structure;

pub use issue::{Code, Issue, Severity, operation_outcome};
pub use profile::{Profile, Profiles, validate_profiles};
pub use reference::{ReferenceShape, reference_shape};

use crate::fhir::{definitions::Definitions, element::resource_type};
use serde::{Deserialize, Serialize};
use sonic_rs::{JsonValueTrait, Value};

/// What validation does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A resource with an error is refused.
    #[default]
    Strict,
    /// A resource with an error is taken and the errors are reported as warnings.
    Warn,
    /// Only what storing needs is checked: a known type and a usable id.
    Off,
}

/// What validation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validation {
    /// The resource type, if it is one of R4.
    pub resource_type: Option<&'static str>,
    /// What is wrong, in the order of the resource.
    pub issues: Vec<Issue>,
}

impl Validation {
    /// Whether the resource may be taken.
    #[must_use]
    pub fn accepted(&self) -> bool {
        self.resource_type.is_some() && self.issues.iter().all(|issue| issue.severity != Severity::Error)
    }

    /// The first error, for a one-line reason.
    #[must_use]
    pub fn first_error(&self) -> Option<&Issue> {
        self.issues.iter().find(|issue| issue.severity == Severity::Error)
    }
}

/// Validates one resource.
#[must_use]
pub fn validate(resource: &Value, mode: Mode) -> Validation {
    let definitions = Definitions::r4();
    let refused = |issue| Validation { resource_type: None, issues: vec![issue] };
    if !resource.is_object() {
        return refused(Issue::error(Code::Structure, "Resource", "a resource must be a JSON object"));
    }
    let Some(name) = resource_type(resource) else {
        let issue = Issue::error(Code::Required, "Resource", "resourceType is missing or not a text");
        return refused(issue);
    };
    let Some(id) = definitions.resource(name) else {
        let what = "resourceType is not one of the resource types of FHIR R4 (4.0.1)";
        return refused(Issue::error(Code::NotSupported, "Resource", what));
    };
    let structure = definitions.structure(id);
    let mut issues = Vec::new();
    if mode != Mode::Off {
        issues = structure::check_resource(definitions, structure, resource);
    }
    if mode == Mode::Warn {
        issues.iter_mut().for_each(|issue| issue.severity = Severity::Warning);
    }
    let stored_id = resource.get("id");
    if mode != Mode::Strict && stored_id.is_some_and(|id| !id.as_str().is_some_and(primitive::is_id)) {
        issues.push(Issue::error(Code::Value, &format!("{}.id", structure.name), primitive::ID));
    }
    Validation { resource_type: Some(structure.name), issues }
}

#[cfg(test)]
mod tests;
