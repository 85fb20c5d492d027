//! `POST /{type}/$validate` (R4, Operation Resource-validate): checks, and stores nothing.

use crate::{
    answer::{self, Answer},
    extract::{self, PathOf},
    outcome::Failure,
    routes::unknown,
    state::Shared,
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
};
use bxp_clinical::{
    fhir::element::{items, resource_type, text},
    source::{Limits, parse_json},
    validate::{Mode, operation_outcome, validate},
};
use bxp_fhir_store::Parameters;

/// Validates a resource, or the one in the parameter `resource`.
pub(crate) async fn resource(
    State(shared): State<Shared>,
    PathOf(kind): PathOf<String>,
    request: Request,
) -> Answer {
    check(shared, &kind, request).await
}

/// As [`resource`], for a resource that is here already.
pub(crate) async fn existing(
    State(shared): State<Shared>,
    PathOf((kind, _)): PathOf<(String, String)>,
    request: Request,
) -> Answer {
    check(shared, &kind, request).await
}

async fn check(shared: Shared, kind: &str, request: Request) -> Answer {
    let kind = Parameters::r4().name(unknown::stored_kind(kind)?);
    extract::form(&request)?;
    let place = shared.submission_place().await?;
    let body = extract::body(request).await?;
    let outcome = shared.blocking(move |_| {
        let _place = place;
        let submission = parse_json("resource", &body, &Limits::default())?;
        let Some(entry) = submission.entries.first() else {
            return Err(Failure::bad_request("the body must be one resource"));
        };
        let given = entry.resource.expose();
        let within = items(given, "parameter").find(|one| text(one, "name") == Some("resource"));
        let value = match resource_type(given) {
            Some("Parameters") if kind != "Parameters" => within
                .and_then(|one| bxp_clinical::fhir::element::child(one, "resource"))
                .ok_or_else(|| Failure::bad_request("parameter resource is missing"))?,
            _ => given,
        };
        if resource_type(value) != Some(kind) {
            return Err(Failure::bad_request(format!("resourceType must be {kind}, as the address says")));
        }
        Ok(operation_outcome(&validate(value, Mode::Strict).issues))
    });
    answer::fhir(StatusCode::OK, &outcome.await?)
}
