//! `GET /{type}/{id}` and `GET /{type}/{id}/_history/{version}` (R4 sections 3.1.0.1 and 3.1.0.2).
//!
//! At the node that took the resource in, it comes whole from the working copy. Elsewhere, by record id, it comes from the
//! vault: whole in the patient's country, its de-identified side in others.

use crate::{
    Edge,
    answer::{self, Answer},
    bundle::fhir_text,
    disclose::{reader, shown_one},
    extract::{self, PathOf, QueryOf},
    http,
    outcome::Failure,
    present,
    routes::unknown,
    state::Shared,
    subset::Subset,
};
use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode},
    response::IntoResponse,
};
use bxp_clinical::fhir::element::resource_type;
use bxp_fhir_store::{Kind, Resource};
use bxp_privacy::Purpose;
use bxp_types::RecordId;
use serde::Deserialize;

/// Tells whether the resource is `whole` or its `de-identified` side.
const PART: HeaderName = HeaderName::from_static("x-bxp-part");

/// FHIR clients add parameters of their own, such as `_format`; what is not known here is passed over.
#[derive(Deserialize)]
pub(crate) struct ReadQuery {
    purpose: Option<String>,
    #[serde(rename = "_summary")]
    summary: Option<String>,
    #[serde(rename = "_elements")]
    elements: Option<String>,
}

/// Shows the newest version.
pub(crate) async fn resource(
    State(shared): State<Shared>,
    PathOf((kind_name, id)): PathOf<(String, String)>,
    QueryOf(query): QueryOf<ReadQuery>,
    headers: HeaderMap,
) -> Answer {
    let kind = unknown::stored_kind(&kind_name)?;
    let purpose = extract::purpose(query.purpose.as_deref())?;
    let subset = Subset::read(query.summary.as_deref(), query.elements.as_deref())?;
    let record: Option<RecordId> = id.parse().ok();
    // Oversight sees the de-identified side, which the working copy does not have.
    let from_vault = purpose == Purpose::Oversight;
    let found = shared.blocking(move |edge| {
        let Some(found) = reader(edge)?.read(kind, &id)? else { return Ok(None) };
        if from_vault {
            return Ok(found.record.map(Err));
        }
        whole(edge, found, purpose, &subset, &headers).map(|answer| Some(Ok(answer)))
    });
    let record = match found.await? {
        Some(Ok(answer)) => return Ok(answer),
        Some(Err(record)) => record,
        None => record.ok_or_else(missing)?,
    };
    let kind = unknown::kind(&kind_name)?;
    let shown = present::present(&shared, record, purpose).await?;
    let resource = present::resource(&shown.content);
    if resource_type(resource) != Some(kind) {
        return Err(missing());
    }
    let mut response = answer::stored(resource)?;
    response.headers_mut().insert(PART, HeaderValue::from_static(present::part(&shown.content)));
    Ok(response)
}

/// Shows one version.
pub(crate) async fn version(
    State(shared): State<Shared>,
    PathOf((kind, id, version)): PathOf<(String, String, String)>,
    QueryOf(query): QueryOf<ReadQuery>,
    headers: HeaderMap,
) -> Answer {
    let kind = unknown::stored_kind(&kind)?;
    let purpose = extract::purpose(query.purpose.as_deref())?;
    let subset = Subset::read(query.summary.as_deref(), query.elements.as_deref())?;
    let version: i64 = version.parse().map_err(|_| missing())?;
    let found = shared.blocking(move |edge| {
        let found = reader(edge)?.version(kind, &id, version)?.ok_or_else(missing)?;
        whole(edge, found, purpose, &subset, &headers)
    });
    found.await
}

fn whole(edge: &Edge, found: Resource, purpose: Purpose, subset: &Subset, headers: &HeaderMap) -> Answer {
    if found.text.is_none() {
        return Err(Failure::gone("the resource was deleted"));
    }
    if http::is_unchanged(headers, &found) {
        let mut response = StatusCode::NOT_MODIFIED.into_response();
        http::mark(response.headers_mut(), found.version, found.updated_ms);
        return Ok(response);
    }
    let shown = shown_one(edge, found, purpose)?;
    let (kind, version, updated_ms): (Kind, i64, i64) = (shown.kind, shown.version, shown.updated_ms);
    let text = subset.of(kind, shown.text.unwrap_or_default())?;
    let mut response = fhir_text(StatusCode::OK, text)?;
    http::mark(response.headers_mut(), version, updated_ms);
    response.headers_mut().insert(PART, HeaderValue::from_static("whole"));
    Ok(response)
}

fn missing() -> Failure {
    Failure::not_found("no such resource here")
}
