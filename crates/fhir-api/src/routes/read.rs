//! `GET /{type}/{id}`: one resource (R4 section 3.1.0.1), by the submitter's id where this node took it in, by record id
//! everywhere.

use crate::{
    Edge,
    answer::{self, Answer},
    extract::{self, PathOf, QueryOf},
    outcome::Failure,
    present,
    routes::unknown,
    state::Shared,
};
use axum::{
    extract::State,
    http::{HeaderName, HeaderValue},
};
use bxp_clinical::fhir::element::resource_type;
use bxp_types::RecordId;
use serde::Deserialize;

/// Tells whether the resource is `whole` or its `de-identified` side.
const PART: HeaderName = HeaderName::from_static("x-bxp-part");

/// FHIR clients add parameters of their own, such as `_format`; what is not known here is passed over.
#[derive(Deserialize)]
pub(crate) struct ReadQuery {
    purpose: Option<String>,
}

/// Shows one resource.
pub(crate) async fn resource(
    State(shared): State<Shared>,
    PathOf((kind, id)): PathOf<(String, String)>,
    QueryOf(query): QueryOf<ReadQuery>,
) -> Answer {
    let kind = unknown::kind(&kind)?;
    let purpose = extract::purpose(query.purpose.as_deref())?;
    let record = shared.blocking(move |edge| find(edge, kind, &id)).await?;
    let shown = present::present(&shared, record, purpose).await?;
    let resource = present::resource(&shown.content);
    if resource_type(resource) != Some(kind) {
        return Err(missing());
    }
    let mut response = answer::stored(resource)?;
    response.headers_mut().insert(PART, HeaderValue::from_static(present::part(&shown.content)));
    Ok(response)
}

fn find(edge: &Edge, kind: &'static str, id: &str) -> Result<RecordId, Failure> {
    if let Some(found) = edge.ingest.find(kind, id)? {
        return Ok(found.record);
    }
    id.parse().map_err(|_| missing())
}

fn missing() -> Failure {
    Failure::not_found("no such resource here")
}
