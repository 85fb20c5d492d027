//! What became of a submission, in numbers and reasons. No value of any resource is in it.

use crate::source::Refusal;
use bxp_types::B256;
use serde::Serialize;
use std::collections::BTreeMap;

/// The most refusals and warnings that a report lists one by one.
const LISTED_MAX: usize = 1_000;

/// What became of one or more submissions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Submissions.
    pub submissions: u64,
    /// Bytes of JSON.
    pub bytes: u64,
    /// Resources that were handed in.
    pub resources: u64,
    /// Resources that were not here before.
    pub new: u64,
    /// Resources that were here with other content: each is a new version.
    pub changed: u64,
    /// Resources that were here with the same content.
    pub duplicates: u64,
    /// Resources that were refused.
    pub refused: u64,
    /// Why, in the order of the submission; at most a thousand are listed.
    pub refusals: Vec<RefusedResource>,
    /// Validation issues of resources that were taken all the same.
    pub warnings: u64,
    /// Patients that were not known here.
    pub patients_new: u64,
    /// Patients without a country, for whom the configured one was taken.
    pub countries_defaulted: u64,
    /// Taken resources by type.
    pub by_type: BTreeMap<&'static str, u64>,
    /// Identifiers that went to the identity side, by kind (45 CFR 164.514(b)(2)(i)).
    pub identifiers: BTreeMap<String, u64>,
    /// What of another format (HL7 v2) has no place in FHIR, by field with its reason: how often.
    pub unmapped: BTreeMap<String, u64>,
    /// The Merkle roots under which the records will be anchored.
    pub roots: Vec<B256>,
}

/// A resource that was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RefusedResource {
    /// The file, or another name that the submitter knows.
    pub source_name: String,
    /// Where it stood.
    pub position: String,
    /// Its type, if it is one of R4.
    pub resource_type: Option<&'static str>,
    /// Why.
    pub reason: String,
}

impl Report {
    /// Resources that were taken.
    #[must_use]
    pub const fn taken(&self) -> u64 {
        self.new + self.changed
    }

    pub(crate) fn refuse(&mut self, source_name: &str, refusal: &Refusal) {
        self.refused += 1;
        if self.refusals.len() < LISTED_MAX {
            self.refusals.push(RefusedResource {
                source_name: source_name.to_owned(),
                position: refusal.position.to_string(),
                resource_type: refusal.resource_type,
                reason: refusal.reason.clone(),
            });
        }
    }

    /// Adds another report to this one.
    pub fn merge(&mut self, other: Self) {
        for (mine, theirs) in [
            (&mut self.submissions, other.submissions),
            (&mut self.bytes, other.bytes),
            (&mut self.resources, other.resources),
            (&mut self.new, other.new),
            (&mut self.changed, other.changed),
            (&mut self.duplicates, other.duplicates),
            (&mut self.refused, other.refused),
            (&mut self.warnings, other.warnings),
            (&mut self.patients_new, other.patients_new),
            (&mut self.countries_defaulted, other.countries_defaulted),
        ] {
            *mine += theirs;
        }
        let room = LISTED_MAX.saturating_sub(self.refusals.len());
        self.refusals.extend(other.refusals.into_iter().take(room));
        for (kind, count) in other.by_type {
            *self.by_type.entry(kind).or_default() += count;
        }
        for (kind, count) in other.identifiers {
            *self.identifiers.entry(kind).or_default() += count;
        }
        for (field, count) in other.unmapped {
            *self.unmapped.entry(field).or_default() += count;
        }
        self.roots.extend(other.roots);
    }
}
