//! Issues, shaped as in `OperationOutcome.issue`.

use serde::Serialize;

/// How bad an issue is (`OperationOutcome.issue.severity`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// For information.
    Information,
    /// Taken all the same.
    Warning,
    /// The resource is not valid.
    Error,
}

/// The kind of an issue (`OperationOutcome.issue.code`, code system issue-type).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// The JSON does not have the structure.
    Structure,
    /// A required element is missing.
    Required,
    /// A value has the wrong form.
    Value,
    /// A code is not in its required code set.
    CodeInvalid,
    /// A rule between elements is broken.
    Invariant,
    /// The content is not supported.
    NotSupported,
    /// There is more wrong than is listed.
    TooLong,
}

/// One thing that is wrong. `diagnostics` never repeats a value of the resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Issue {
    /// How bad.
    pub severity: Severity,
    /// What kind.
    pub code: Code,
    /// Where, as a FHIRPath of R4's own element names.
    pub expression: String,
    /// What is wrong and what is expected.
    pub diagnostics: String,
}

impl Issue {
    pub(crate) fn error(code: Code, expression: &str, diagnostics: &str) -> Self {
        let (expression, diagnostics) = (expression.to_owned(), diagnostics.to_owned());
        Self { severity: Severity::Error, code, expression, diagnostics }
    }
}

impl std::fmt::Display for Issue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.expression, self.diagnostics)
    }
}

/// The issues as an `OperationOutcome` resource.
#[must_use]
pub fn operation_outcome(issues: &[Issue]) -> serde_json::Value {
    let all_ok = serde_json::json!([{ "severity": "information", "code": "informational", "diagnostics": "no issue" }]);
    let list = issues.iter().map(|issue| {
        serde_json::json!({
            "severity": issue.severity,
            "code": issue.code,
            "expression": [issue.expression],
            "diagnostics": issue.diagnostics,
        })
    });
    let issue = if issues.is_empty() { all_ok } else { list.collect() };
    serde_json::json!({ "resourceType": "OperationOutcome", "issue": issue })
}
