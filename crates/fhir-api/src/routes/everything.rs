//! `GET /Patient/{id}/$everything`: a patient's compartment, and what it refers to.

use crate::{
    answer::Answer,
    bundle::BundleText,
    disclose::{reader, shown},
    extract::{self, PathOf, QueryOf},
    http,
    outcome::Failure,
    page::Next,
    state::Shared,
};
use axum::{extract::State, http::HeaderMap};
use bxp_fhir_store::{Everything, Kind, Parameters, value::date};
use serde::Deserialize;

/// Resources of a page, unless `_count` says another number: what a usual patient has in one answer.
const LISTED: usize = 1_000;

#[derive(Deserialize)]
pub(crate) struct EverythingQuery {
    #[serde(rename = "_count")]
    count: Option<String>,
    #[serde(rename = "_since")]
    since: Option<String>,
    #[serde(rename = "_type")]
    kinds: Option<String>,
    #[serde(rename = "_page")]
    page: Option<String>,
    purpose: Option<String>,
}

/// Shows the compartment of a patient.
pub(crate) async fn patient(
    State(shared): State<Shared>,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<EverythingQuery>,
    headers: HeaderMap,
) -> Answer {
    let purpose = extract::purpose(query.purpose.as_deref())?;
    let limit = extract::limit_named("_count", query.count.as_deref(), LISTED)?;
    let kinds = kinds(query.kinds.as_deref())?;
    let since_ms = match query.since.as_deref().map(date::parse) {
        None => i64::MIN,
        Some(Some(span)) => span.low,
        Some(None) => return Err(Failure::bad_request("parameter _since must be an instant")),
    };
    let base = http::base(&headers);
    let answered = shared.blocking(move |edge| {
        let of = format!("Patient/{id}/$everything");
        let next = query.page.as_deref().map(|page| Next::open(edge, &of, page)).transpose()?;
        let reader = reader(edge)?;
        let patient = Parameters::r4().kind("Patient").and_then(|kind| reader.read(kind, &id).transpose());
        let patient = patient.transpose()?.ok_or_else(|| Failure::not_found("no such patient here"))?;
        if patient.text.is_none() {
            return Err(Failure::gone("the patient was deleted"));
        }
        let (after, upto) = match next {
            Some(next) => (next.after.1, next.upto),
            None => (0, reader.newest()?),
        };
        let asked = Everything { kinds, since_ms, after, upto };
        let (found, last) = reader.everything(&id, &asked, limit)?;
        let mut links = vec![("self", format!("{base}{of}"))];
        if let Some(last) = last {
            let next =
                Next { of: of.clone(), kind: None, parameters: Vec::new(), upto, after: (Vec::new(), last) };
            let rest = rest(&query);
            links.push(("next", format!("{base}{of}?_count={limit}{rest}&_page={}", next.seal(edge)?)));
        }
        let mut bundle = BundleText::new("searchset", None, &links);
        for one in shown(edge, found, purpose)? {
            if let Some(text) = &one.text {
                bundle.found(&base, &one.address(), text, "match");
            }
        }
        Ok(bundle.response())
    });
    answered.await
}

fn rest(query: &EverythingQuery) -> String {
    let of = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("&{name}={value}")).unwrap_or_default()
    };
    of("_type", &query.kinds) + &of("_since", &query.since) + &of("purpose", &query.purpose)
}

/// The resource types of `_type`.
pub(crate) fn kinds(list: Option<&str>) -> Result<Vec<Kind>, Failure> {
    let kind = |name: &str| {
        let wrong =
            || Failure::bad_request("parameter _type must be names of resource types, with commas between");
        Parameters::r4().kind(name.trim()).ok_or_else(wrong)
    };
    list.into_iter().flat_map(|list| list.split(',')).map(kind).collect()
}
