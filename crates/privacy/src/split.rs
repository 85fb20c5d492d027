//! The split: a FHIR resource taken apart by default deny (row F1).

mod classify;
mod datatype;
pub(crate) mod date;
mod scalar;
mod walk;

use crate::{
    Remainder, Removed,
    json::{DEPTH_MAX, write_value},
    rules::rules,
    rules_digest,
    tape::Tape,
};
use bxp_types::Phi;
use sonic_rs::Value;

/// What a split needs to know beside the resource.
#[derive(Clone, Copy)]
pub struct SplitContext<'a> {
    /// Gives the pseudonymous reference for a reference as it stands in the resource (`Patient/123`, `urn:uuid:...`,
    /// `Practitioner?identifier=...`), and for a resource's own id, asked as `Type/id`. The answer is `Type/pseudonym`,
    /// `urn:uuid:pseudonym` or a bare pseudonym of ASCII letters, digits, `-` and `.`; random, and never derived from the
    /// original (45 CFR 164.514(c)). `None` drops the reference. References to contained resources are not asked for.
    pub mapping: &'a dyn Fn(&str) -> Option<String>,
    /// The current year, from which ages over 89 are told.
    pub now_year: i32,
}

/// The two sides of a resource.
#[derive(Debug)]
pub struct Split {
    /// What was removed or changed.
    pub identity: Phi<Remainder>,
    /// What is left: free of the identifiers of 45 CFR 164.514(b)(2)(i).
    pub deidentified: Value,
    /// How many identifiers of each kind went to the identity side.
    pub removed: Removed,
    /// SHA-256 of the rule table that decided: [`rules_digest`].
    pub rules: [u8; 32],
}

/// The two sides of a resource, the de-identified one as the text that is sealed.
#[derive(Debug)]
pub struct SplitText {
    /// What was removed or changed.
    pub identity: Phi<Remainder>,
    /// JSON text of what is left: free of the identifiers of 45 CFR 164.514(b)(2)(i).
    pub deidentified: Vec<u8>,
    /// How many identifiers of each kind went to the identity side.
    pub removed: Removed,
    /// SHA-256 of the rule table that decided: [`rules_digest`].
    pub rules: [u8; 32],
}

/// Why a resource cannot be split. Never tells a value.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SplitError {
    /// The value is no JSON object with one `resourceType`.
    #[error("split resource: it is no JSON object with a resourceType")]
    NotAResource,
    /// The `resourceType` is none of FHIR R4.
    #[error("split resource: its resourceType is none of FHIR R4")]
    UnknownResourceType,
    /// An object has the same key twice, so that readers may disagree on what it says.
    #[error("split resource: an object has the same key twice")]
    DuplicateKey,
    /// Nested deeper than [`DEPTH_MAX`].
    #[error("split resource: it is nested deeper than {DEPTH_MAX} levels")]
    TooDeep,
    /// The caller's mapping gave back the original, or what is no pseudonym.
    #[error("split resource: the mapping gave no valid pseudonym")]
    Pseudonym,
    /// The built-in rule table cannot be read, so nothing may leave.
    #[error("split resource: the rule table cannot be read")]
    Rules,
    /// The de-identified side is no JSON.
    #[error("split resource: the de-identified side cannot be encoded")]
    Encode,
}

/// Takes `resource` apart.
///
/// The resource is best parsed right before: a value that was changed in memory has lost its key order.
///
/// # Errors
/// The value is no FHIR R4 resource, or the mapping gives an unusable pseudonym.
pub fn split(resource: &Value, context: &SplitContext<'_>) -> Result<Split, SplitError> {
    let mut text = Vec::new();
    write_value(&mut text, resource).map_err(|_| SplitError::TooDeep)?;
    let text = std::str::from_utf8(&text).map_err(|_| SplitError::NotAResource)?;
    let SplitText { identity, deidentified, removed, rules } = split_text(text, context)?;
    let deidentified = sonic_rs::from_slice(&deidentified).map_err(|_| SplitError::Encode)?;
    Ok(Split { identity, deidentified, removed, rules })
}

/// As [`split`], from the JSON text of a resource to the text of its de-identified side: for who seals it.
///
/// What stays behind is taken over as it stands, so a text without spaces makes a short identity side.
///
/// # Errors
/// As [`split`]; [`SplitError::NotAResource`] also for a text that is no JSON.
pub fn split_text(resource: &str, context: &SplitContext<'_>) -> Result<SplitText, SplitError> {
    let table = rules().map_err(|_| SplitError::Rules)?;
    let tape = Tape::read(resource, &table.names)?;
    let sides = walk::resource(table, context, tape.root(), Remainder::begin(resource.len()))?;
    Ok(SplitText {
        identity: Phi::new(Remainder::finish(sides.patch, &sides.deidentified)),
        deidentified: sides.deidentified,
        removed: sides.removed,
        rules: rules_digest(),
    })
}
