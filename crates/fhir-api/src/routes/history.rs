//! `GET /{type}/{id}/_history`, `GET /{type}/_history`, `GET /_history` (R4 section 3.1.0.12), newest first.

use crate::{
    answer::Answer,
    bundle::BundleText,
    disclose::{reader, shown},
    extract::{self, PathOf, QueryOf},
    http,
    outcome::Failure,
    page::Next,
    routes::unknown,
    state::Shared,
};
use axum::{extract::State, http::HeaderMap};
use bxp_fhir_store::{Kind, Scope, value::date};
use serde::Deserialize;

const LISTED: usize = 50;

#[derive(Deserialize)]
pub(crate) struct HistoryQuery {
    #[serde(rename = "_count")]
    count: Option<String>,
    #[serde(rename = "_since")]
    since: Option<String>,
    #[serde(rename = "_page")]
    page: Option<String>,
    purpose: Option<String>,
}

/// The history of one resource.
pub(crate) async fn of_resource(
    State(shared): State<Shared>,
    PathOf((kind, id)): PathOf<(String, String)>,
    QueryOf(query): QueryOf<HistoryQuery>,
    headers: HeaderMap,
) -> Answer {
    let name = kind.clone();
    let kind = unknown::stored_kind(&kind)?;
    history(shared, Some(kind), Some(id.clone()), format!("{name}/{id}/_history"), query, headers).await
}

/// The history of a resource type.
pub(crate) async fn of_kind(
    State(shared): State<Shared>,
    PathOf(kind): PathOf<String>,
    QueryOf(query): QueryOf<HistoryQuery>,
    headers: HeaderMap,
) -> Answer {
    let name = kind.clone();
    let kind = unknown::stored_kind(&kind)?;
    history(shared, Some(kind), None, format!("{name}/_history"), query, headers).await
}

/// The history of everything.
pub(crate) async fn of_system(
    State(shared): State<Shared>,
    QueryOf(query): QueryOf<HistoryQuery>,
    headers: HeaderMap,
) -> Answer {
    history(shared, None, None, "_history".to_owned(), query, headers).await
}

async fn history(
    shared: Shared,
    kind: Option<Kind>,
    id: Option<String>,
    of: String,
    query: HistoryQuery,
    headers: HeaderMap,
) -> Answer {
    let purpose = extract::purpose(query.purpose.as_deref())?;
    let limit = extract::limit_named("_count", query.count.as_deref(), LISTED)?;
    let since = query.since.as_deref().map(|since| date::parse(since).map(|span| span.low));
    let since_ms = match since {
        None => i64::MIN,
        Some(Some(since)) => since,
        Some(None) => return Err(Failure::bad_request("parameter _since must be an instant")),
    };
    let base = http::base(&headers);
    let answered = shared.blocking(move |edge| {
        let before = match &query.page {
            None => None,
            Some(page) => Some(Next::open(edge, &of, page)?.after.1),
        };
        let scope = match (kind, &id) {
            (Some(kind), Some(id)) => Scope::Instance(kind, id),
            (Some(kind), None) => Scope::Kind(kind),
            _ => Scope::System,
        };
        let mut found = reader(edge)?.history(scope, before, since_ms, limit + 1)?;
        if found.is_empty() && before.is_none() && id.is_some() {
            return Err(Failure::not_found("no such resource here"));
        }
        let more = found.len() > limit;
        found.truncate(limit);
        let mut links = vec![("self", format!("{base}{of}"))];
        if let Some(last) = found.last().filter(|_| more) {
            let next = Next {
                of: of.clone(),
                kind: None,
                parameters: Vec::new(),
                upto: 0,
                after: (Vec::new(), last.place()),
            };
            let since = query.since.as_ref().map(|since| format!("&_since={since}")).unwrap_or_default();
            links.push(("next", format!("{base}{of}?_count={limit}{since}&_page={}", next.seal(edge)?)));
        }
        let mut bundle = BundleText::new("history", None, &links);
        for one in shown(edge, found, purpose)? {
            bundle.version(&base, &one);
        }
        Ok(bundle.response())
    });
    answered.await
}
