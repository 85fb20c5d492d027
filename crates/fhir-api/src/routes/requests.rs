//! `GET /requests`: the market's data requests: price, scope, service (white paper row F7).

use crate::{
    answer::{self, Answer},
    extract::{self, QueryOf},
    state::Shared,
};
use axum::extract::State;
use serde::Deserialize;
use serde_json::json;

const LISTED: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RequestsQuery {
    limit: Option<String>,
    offset: Option<String>,
}

/// Lists requests in the order of their opening, by the chain's state.
pub(crate) async fn list(State(shared): State<Shared>, QueryOf(query): QueryOf<RequestsQuery>) -> Answer {
    let limit = extract::limit(query.limit.as_deref(), LISTED)?;
    let offset: u64 = extract::parameter("offset", query.offset.as_deref(), "a number")?.unwrap_or(0);
    let views = shared.blocking(move |edge| Ok(edge.requests.views(offset, limit as u64)?)).await?;
    let (requests, total) = views;
    answer::json(&json!({ "total": total, "requests": requests }))
}
