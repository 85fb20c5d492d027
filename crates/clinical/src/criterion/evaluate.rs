//! Evaluation on one patient's chart. Where a date leaves a doubt, the chart does not match.

use super::{CodePattern, Criterion};
use crate::fhir::{
    FhirDate,
    element::{child, codings, items, resource_type, text},
};
use bxp_types::Phi;
use sonic_rs::Value;

/// What came out for one chart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MatchOutcome {
    /// Whether the chart fits.
    pub matched: bool,
    /// The chart's index of the condition that fits.
    pub index_record: Option<usize>,
    /// The chart's index of the examination before it.
    pub evidence_record: Option<usize>,
}

/// Evaluates `criterion` on the records of one patient.
///
/// Conditions that are refuted, entered in error or not confirmed don't count, nor examinations that were cancelled or
/// not done. Without an onset there is no match: a date of recording says nothing of what came before the onset.
#[must_use]
pub fn evaluate(criterion: &Criterion, chart: &[Phi<Value>]) -> MatchOutcome {
    let examinations: Vec<_> = chart
        .iter()
        .enumerate()
        .filter_map(|(index, record)| {
            Some((index, examination_date(record.expose(), &criterion.evidence_any)?))
        })
        .collect();
    let enough = |onset: &FhirDate, date: &FhirDate| {
        onset.days_since_at_least(date) >= i32::from(criterion.days_before_min)
    };
    for (index, record) in chart.iter().enumerate() {
        let Some(onset) = onset(record.expose(), &criterion.condition_any) else { continue };
        if let Some((evidence, _)) = examinations.iter().find(|(_, date)| enough(&onset, date)) {
            return MatchOutcome {
                matched: true,
                index_record: Some(index),
                evidence_record: Some(*evidence),
            };
        }
    }
    MatchOutcome::default()
}

/// The onset of a Condition that counts.
fn onset(record: &Value, patterns: &[CodePattern]) -> Option<FhirDate> {
    if resource_type(record) != Some("Condition") || !coded(record, patterns) {
        return None;
    }
    let verification = child(record, "verificationStatus");
    if verification.is_some_and(|status| !codings(status).any(|(_, code)| code == "confirmed")) {
        return None;
    }
    let period_start = || child(record, "onsetPeriod").and_then(|period| text(period, "start"));
    text(record, "onsetDateTime").or_else(period_start).and_then(FhirDate::parse)
}

/// The last moment that an examination that counts may mean.
fn examination_date(record: &Value, patterns: &[CodePattern]) -> Option<FhirDate> {
    let (date, period) = match resource_type(record)? {
        "Observation" | "DiagnosticReport" => (
            text(record, "effectiveDateTime").or_else(|| text(record, "effectiveInstant")),
            "effectivePeriod",
        ),
        "Procedure" => (text(record, "performedDateTime"), "performedPeriod"),
        _ => return None,
    };
    let done =
        matches!(text(record, "status"), Some("final" | "amended" | "corrected" | "appended" | "completed"));
    if !done || !coded(record, patterns) {
        return None;
    }
    let period_end = || child(record, period).and_then(|period| text(period, "end"));
    date.or_else(period_end).and_then(FhirDate::parse)
}

fn coded(record: &Value, patterns: &[CodePattern]) -> bool {
    items(record, "code")
        .flat_map(codings)
        .any(|(system, code)| patterns.iter().any(|pattern| pattern.matches(system, code)))
}
