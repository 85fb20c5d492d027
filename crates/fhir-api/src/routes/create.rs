//! `POST /{type}`: one resource (R4 section 3.1.0.8). An id of the submitter is kept, so that what comes again is recognised.

use crate::{
    Edge,
    answer::{self, Answer},
    extract::{self, Form, PathOf},
    outcome::{self, Failure},
    routes::{
        transaction::{location, reasons},
        unknown,
    },
    state::Shared,
};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header::LOCATION},
};
use bxp_clinical::{
    fhir::element::resource_type,
    source::{Limits, Position, parse_json},
    validate::{Mode, validate},
};

/// Takes one resource in.
pub(crate) async fn resource(
    State(shared): State<Shared>,
    PathOf(kind): PathOf<String>,
    request: Request,
) -> Answer {
    let kind = unknown::kind(&kind)?;
    if extract::form(&request)? == Form::Ndjson {
        return Err(Failure::bad_request("NDJSON goes to POST /$ingest"));
    }
    let place = shared.submission_place().await?;
    let body = extract::body(request).await?;
    let taking = shared.blocking(move |edge| {
        let _place = place;
        take(edge, kind, &body)
    });
    let (status, location) = taking.await?;
    let text =
        if status == StatusCode::CREATED { "taken in" } else { "here already, or a new version of it" };
    let mut response = answer::fhir(status, &outcome::outcome("information", "informational", text))?;
    let location = HeaderValue::from_str(&format!("/{location}")).map_err(Failure::encoding)?;
    response.headers_mut().insert(LOCATION, location);
    Ok(response)
}

fn take(edge: &Edge, kind: &'static str, body: &[u8]) -> Result<(StatusCode, String), Failure> {
    let submission = parse_json("resource", body, &Limits::default())?;
    let entry = match submission.entries.as_slice() {
        [entry] if entry.position == Position::Whole => entry,
        _ => return Err(Failure::bad_request("a Bundle goes to POST /")),
    };
    if resource_type(entry.resource.expose()) != Some(kind) {
        let text = format!("resourceType must be {kind}, as the address says");
        return Err(Failure::new(StatusCode::BAD_REQUEST, "invariant", text));
    }
    let before = edge.ingest.find_entry(entry)?;
    let report = edge.ingest.ingest_submission(&submission)?;
    let reason = reasons(&report).into_values().next();
    match (edge.ingest.find_entry(entry)?, reason) {
        (Some(found), None) => {
            let status = if before.is_none() { StatusCode::CREATED } else { StatusCode::OK };
            Ok((status, location(entry, found)))
        }
        (_, reason) => {
            let issues = validate(entry.resource.expose(), Mode::Strict).issues;
            Err(Failure::refused(reason.unwrap_or("it was refused"), &issues))
        }
    }
}
