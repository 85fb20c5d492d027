//! `GET /$export`, `GET /Patient/$export` and `GET /Group/{id}/$export` (FHIR Bulk Data Access 2.0): kicked off, asked
//! after, fetched as NDJSON.
//!
//! An export is a moment of the store: what was added or changed after it is not in it. Its files are written as they are
//! fetched, from the store under a permit, so that no clear copy lies on a disk ([`crate::exports`]).

use crate::{
    answer::{self, Answer},
    disclose::{reader, shown},
    exports::{Export, KEPT_MS, Scope, prepare},
    extract::{self, PathOf, QueryOf},
    http,
    outcome::Failure,
    routes::everything::kinds,
    state::Shared,
};
use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{
        HeaderMap, HeaderName, HeaderValue, StatusCode,
        header::{CONTENT_LOCATION, EXPIRES},
    },
    response::{IntoResponse, Response},
};
use bxp_fhir_store::{Kind, Parameters, value::date};
use serde::Deserialize;
use serde_json::json;

const NDJSON: HeaderValue = HeaderValue::from_static("application/fhir+ndjson");
const PROGRESS: HeaderName = HeaderName::from_static("x-progress");

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExportQuery {
    #[serde(rename = "_type")]
    kinds: Option<String>,
    #[serde(rename = "_since")]
    since: Option<String>,
    #[serde(rename = "_outputFormat")]
    format: Option<String>,
    purpose: Option<String>,
}

/// Of what an export is asked.
enum Asked {
    System,
    Patients,
    Group(String),
}

impl Asked {
    fn path(&self) -> String {
        match self {
            Self::System => "$export".to_owned(),
            Self::Patients => "Patient/$export".to_owned(),
            Self::Group(id) => format!("Group/{id}/$export"),
        }
    }
}

/// Kicks off an export of everything.
pub(crate) async fn system(
    State(shared): State<Shared>,
    QueryOf(query): QueryOf<ExportQuery>,
    headers: HeaderMap,
) -> Answer {
    kick_off(shared, query, headers, Asked::System).await
}

/// Kicks off an export of what belongs to patients.
pub(crate) async fn patients(
    State(shared): State<Shared>,
    QueryOf(query): QueryOf<ExportQuery>,
    headers: HeaderMap,
) -> Answer {
    kick_off(shared, query, headers, Asked::Patients).await
}

/// Kicks off an export of the patients of a Group.
pub(crate) async fn group(
    State(shared): State<Shared>,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<ExportQuery>,
    headers: HeaderMap,
) -> Answer {
    kick_off(shared, query, headers, Asked::Group(id)).await
}

async fn kick_off(shared: Shared, query: ExportQuery, headers: HeaderMap, asked: Asked) -> Answer {
    if !http::is_async(&headers) {
        return Err(Failure::bad_request("an export needs the header Prefer: respond-async"));
    }
    let format = query.format.as_deref().unwrap_or("application/fhir+ndjson");
    if !matches!(format, "application/fhir+ndjson" | "application/ndjson" | "ndjson") {
        return Err(Failure::bad_request("parameter _outputFormat must be application/fhir+ndjson"));
    }
    let since_ms = match query.since.as_deref().map(date::parse) {
        None => i64::MIN,
        Some(Some(span)) => span.low,
        Some(None) => return Err(Failure::bad_request("parameter _since must be an instant")),
    };
    extract::purpose(query.purpose.as_deref())?;
    let wanted = wanted(kinds(query.kinds.as_deref())?, &asked);
    let base = http::base(&headers);
    let id = format!("{:032x}", rand::random::<u128>());
    let location = HeaderValue::from_str(&format!("{base}$export-status/{id}")).map_err(Failure::encoding)?;
    let request = format!("{base}{}", asked.path());
    let began = shared.clone();
    let export = shared.blocking(move |edge| {
        let reader = reader(edge)?;
        let scope = match asked {
            Asked::System | Asked::Patients => Scope::Kinds,
            Asked::Group(id) => {
                let group = Parameters::r4().kind("Group").map(|kind| reader.read(kind, &id)).transpose()?;
                let there = group.flatten().is_some_and(|group| group.text.is_some());
                if !there {
                    return Err(Failure::not_found("there is no such group here"));
                }
                Scope::Group(id)
            }
        };
        let export = Export {
            id,
            request,
            scope,
            kinds: wanted.iter().map(|kind| Parameters::r4().name(*kind).to_owned()).collect(),
            since_ms,
            upto: reader.newest()?,
            began_ms: now_ms(edge),
            purpose: query.purpose,
            files: None,
        };
        began.0.exports.add(&export)?;
        Ok(export)
    });
    begin(&shared, export.await?);
    let mut response = StatusCode::ACCEPTED.into_response();
    response.headers_mut().insert(CONTENT_LOCATION, location);
    Ok(response)
}

/// The types of an export: those asked for, as far as they belong to what is exported.
fn wanted(asked_for: Vec<Kind>, asked: &Asked) -> Vec<Kind> {
    let parameters = Parameters::r4();
    let patient = parameters.kind("Patient");
    let mut wanted = asked_for;
    if wanted.is_empty() {
        wanted = parameters.kinds().collect();
    }
    if matches!(asked, Asked::Patients) {
        wanted.retain(|kind| Some(*kind) == patient || !parameters.compartment(*kind).is_empty());
    }
    wanted
}

fn now_ms(edge: &crate::Edge) -> i64 {
    i64::try_from(edge.ingest.now_ms()).unwrap_or(i64::MAX)
}

/// Prepares an export in the background, one at a time.
pub(crate) fn begin(shared: &Shared, export: Export) {
    let preparing = shared.clone();
    shared.0.tasks.spawn(async move {
        let Ok(_turn) = preparing.0.preparing.acquire().await else { return };
        let (inner, id) = (preparing.clone(), export.id.clone());
        let prepared = preparing.blocking(move |_| prepare(&inner, &export)).await;
        // One that the node's stop interrupts stays, and is prepared after the start.
        if prepared.is_err() && !preparing.0.stopping.is_cancelled() {
            let inner = preparing.clone();
            let _ = preparing.blocking(move |_| inner.0.exports.remove(&id)).await;
        }
    });
}

async fn found(shared: &Shared, id: &str) -> Result<Export, Failure> {
    shared.0.exports.find(id, now_ms(shared.edge()))
}

/// How far an export is: 202 while it is prepared, then its manifest.
pub(crate) async fn status(
    State(shared): State<Shared>,
    PathOf(id): PathOf<String>,
    headers: HeaderMap,
) -> Answer {
    let export = found(&shared, &id).await?;
    let Some(files) = &export.files else {
        let mut response = StatusCode::ACCEPTED.into_response();
        response.headers_mut().insert(PROGRESS, HeaderValue::from_static("being listed"));
        return Ok(response);
    };
    let base = http::base(&headers);
    let output: Vec<_> = files
        .iter()
        .map(|file| {
            let url = format!("{base}$export-file/{id}/{}", file.kind);
            json!({ "type": file.kind, "url": url, "count": file.count })
        })
        .collect();
    let manifest = json!({
        "transactionTime": date::instant(export.began_ms),
        "request": export.request,
        "requiresAccessToken": true,
        "output": output,
        "error": [],
    });
    let mut response = answer::json(&manifest)?;
    let until = jiff::Timestamp::from_millisecond(export.began_ms + KEPT_MS).map_err(Failure::encoding)?;
    let until = until.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    response.headers_mut().insert(EXPIRES, HeaderValue::from_str(&until).map_err(Failure::encoding)?);
    Ok(response)
}

/// Ends an export.
pub(crate) async fn cancel(State(shared): State<Shared>, PathOf(id): PathOf<String>) -> Answer {
    found(&shared, &id).await?;
    let inner = shared.clone();
    shared.blocking(move |_| inner.0.exports.remove(&id)).await?;
    Ok(StatusCode::ACCEPTED.into_response())
}

/// One file: the resources of a type, one a line, in portions that are accounted for before they are sent.
pub(crate) async fn file(
    State(shared): State<Shared>,
    PathOf((id, kind)): PathOf<(String, String)>,
) -> Answer {
    let export = found(&shared, &id).await?;
    let kind = super::unknown::stored_kind(&kind)?;
    let name = Parameters::r4().name(kind);
    if !export.files.as_ref().is_some_and(|files| files.iter().any(|file| file.kind == name)) {
        return Err(Failure::not_found("the export has no such file"));
    }
    let first = portion(&shared, &export, kind, 0).await?;
    let rest = futures::stream::try_unfold(
        (shared, export, first, 1),
        move |(shared, export, lines, number)| async move {
            let Some(lines) = lines else { return Ok(None) };
            let next = portion(&shared, &export, kind, number).await.map_err(broken_off)?;
            Ok::<_, std::io::Error>(Some((lines, (shared, export, next, number + 1))))
        },
    );
    let mut response = Response::new(Body::from_stream(rest));
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, NDJSON);
    Ok(response)
}

/// The status has been sent already: the client sees the connection break off, and not a whole file.
fn broken_off(failure: Failure) -> std::io::Error {
    std::io::Error::other(failure.diagnostics())
}

/// The resources of row `number` of a file; none behind the last row. What was erased since is left out.
async fn portion(
    shared: &Shared,
    export: &Export,
    kind: Kind,
    number: u32,
) -> Result<Option<Bytes>, Failure> {
    let (inner, id, purpose) = (shared.clone(), export.id.clone(), export.purpose.clone());
    let lines = shared.blocking(move |edge| {
        let Some(row) = inner.0.exports.row(&id, Parameters::r4().name(kind), number)? else {
            return Ok(None);
        };
        let reader = reader(edge)?;
        let mut found = Vec::with_capacity(row.len());
        for line in &row {
            let version = reader.version(kind, &line.id, line.version.into())?;
            found.extend(version.filter(|one| one.record.is_some_and(|record| record.0 == line.record)));
        }
        let mut lines = String::new();
        for one in shown(edge, found, extract::purpose(purpose.as_deref())?)? {
            if let Some(text) = one.text {
                lines.push_str(&text);
                lines.push('\n');
            }
        }
        Ok(Some(Bytes::from(lines)))
    });
    lines.await
}
