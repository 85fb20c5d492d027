//! `POST /{type}/$validate` (R4, Operation Resource-validate): checks, and stores nothing.
//!
//! The resource is checked against R4, the profiles that it names in `meta.profile`, and those of the parameter `profile`, which
//! stands in the query or in the Parameters of the body, as often as there are profiles.

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
    validate::{Mode, operation_outcome, validate, validate_profiles},
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
    let query = request.uri().query().unwrap_or_default();
    let named = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "profile");
    let mut profiles: Vec<String> = named.map(|(_, url)| url.into_owned()).collect();
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
        let said = items(given, "parameter").filter(|one| text(one, "name") == Some("profile"));
        let said = said.filter_map(|one| text(one, "valueUri").or_else(|| text(one, "valueCanonical")));
        if resource_type(given) == Some("Parameters") && kind != "Parameters" {
            profiles.extend(said.map(str::to_owned));
        }
        let value = match resource_type(given) {
            Some("Parameters") if kind != "Parameters" => within
                .and_then(|one| bxp_clinical::fhir::element::child(one, "resource"))
                .ok_or_else(|| Failure::bad_request("parameter resource is missing"))?,
            _ => given,
        };
        if resource_type(value) != Some(kind) {
            return Err(Failure::bad_request(format!("resourceType must be {kind}, as the address says")));
        }
        let mut issues = validate(value, Mode::Strict).issues;
        let asked: Vec<&str> = profiles.iter().map(String::as_str).collect();
        issues.extend(validate_profiles(value, &asked, Mode::Strict));
        Ok(operation_outcome(&issues))
    });
    answer::fhir(StatusCode::OK, &outcome.await?)
}
