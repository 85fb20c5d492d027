//! `POST /`: a Bundle (R4 section 3.1.0.11), answered entry by entry.
//!
//! Unlike FHIR's transaction, entries that cannot be taken are refused one by one: refusing a patient's whole history for
//! one resource would serve nobody. The answer says of each what became of it.

use crate::{
    Edge,
    answer::{self, Answer},
    extract::{self, Form},
    outcome::{self, Failure},
    state::Shared,
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use bxp_clinical::{
    fhir::element::{resource_type, text},
    ingest::{FoundEntry, Report},
    source::{Entry, Limits, Position, Submission, parse_json},
    validate::{Mode, validate},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Takes a Bundle in.
pub(crate) async fn bundle(State(shared): State<Shared>, request: Request) -> Answer {
    if extract::form(&request)? == Form::Ndjson {
        return Err(Failure::bad_request("NDJSON goes to POST /$ingest"));
    }
    let place = shared.submission_place().await?;
    let body = extract::body(request).await?;
    let answer = shared.blocking(move |edge| {
        let _place = place;
        let submission = parse_json("Bundle", &body, &Limits::default())?;
        if submission.entries.iter().any(|entry| entry.position == Position::Whole) {
            return Err(Failure::bad_request(
                "POST / takes a Bundle; a single resource goes to POST /{type}",
            ));
        }
        let batch = sonic_rs::get(body.as_ref(), ["type"]).is_ok_and(|kind| kind.as_raw_str() == "\"batch\"");
        drop(body);
        let entries = take(edge, &submission)?;
        let kind = if batch { "batch-response" } else { "transaction-response" };
        Ok(json!({ "resourceType": "Bundle", "type": kind, "entry": entries }))
    });
    answer::fhir(StatusCode::OK, &answer.await?)
}

/// Ingests the entries and says of each what became of it, in the order of the Bundle.
fn take(edge: &Edge, submission: &Submission) -> Result<Vec<Value>, Failure> {
    let before = found(edge, submission)?;
    let report = edge.ingest.ingest_submission(submission)?;
    let after = found(edge, submission)?;
    let reasons = reasons(&report);
    let mut answers = BTreeMap::new();
    for ((entry, before), after) in submission.entries.iter().zip(before).zip(after) {
        let reason = reasons.get(entry.position.to_string().as_str()).copied();
        answers.insert(entry.position, entry_answer(entry, before, after, reason));
    }
    for refusal in &submission.refused {
        answers.insert(refusal.position, refused_answer(outcome::refusal(&refusal.reason, &[])));
    }
    Ok(answers.into_values().collect())
}

fn found(edge: &Edge, submission: &Submission) -> Result<Vec<Option<FoundEntry>>, Failure> {
    submission.entries.iter().map(|entry| Ok(edge.ingest.find_entry(entry)?)).collect()
}

/// The reasons of refusal by the place of the entry; the report lists the first thousand.
pub(crate) fn reasons(report: &Report) -> BTreeMap<&str, &str> {
    report.refusals.iter().map(|one| (one.position.as_str(), one.reason.as_str())).collect()
}

fn entry_answer(
    entry: &Entry,
    before: Option<FoundEntry>,
    after: Option<FoundEntry>,
    reason: Option<&str>,
) -> Value {
    match (after, reason) {
        (Some(after), None) if after.equal => {
            let status = if before.is_none() { "201 Created" } else { "200 OK" };
            json!({ "response": { "status": status, "location": location(entry, after) } })
        }
        (_, reason) => {
            let reason =
                reason.unwrap_or("it was refused; the first thousand refusals of a Bundle have a reason");
            let issues = validate(entry.resource.expose(), Mode::Strict).issues;
            refused_answer(outcome::refusal(reason, &issues))
        }
    }
}

fn refused_answer(outcome: Value) -> Value {
    json!({ "response": { "status": "422 Unprocessable Entity", "outcome": outcome } })
}

/// Where a resource can be read: by the submitter's id, else by the record's.
pub(crate) fn location(entry: &Entry, found: FoundEntry) -> String {
    let resource = entry.resource.expose();
    let kind = resource_type(resource).unwrap_or_default();
    let record = found.found.record.to_string();
    format!("{kind}/{}", text(resource, "id").unwrap_or(&record))
}
