//! `GET /$export` and `GET /Patient/$export` (FHIR Bulk Data Access 2.0): kicked off, asked after, fetched as NDJSON.
//!
//! An export is a moment of the store and a list of types. Its files are written as they are fetched, from the store under
//! a permit, so that no clear copy lies on a disk; what was added after the moment is not in them.

use crate::{
    Edge,
    answer::{self, Answer},
    disclose::{reader, shown},
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
use bxp_fhir_store::{Kind, Parameters, search::Query, value::date};
use bxp_privacy::Purpose;
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;

/// Exports that are kept; the oldest goes when another comes.
const EXPORTS_MAX: usize = 32;
/// How long an export is kept, in milliseconds.
const KEPT_MS: i64 = 24 * 3_600_000;
/// Resources that are read, accounted for and sent together.
const PORTION: usize = 500;

const NDJSON: HeaderValue = HeaderValue::from_static("application/fhir+ndjson");
const PROGRESS: HeaderName = HeaderName::from_static("x-progress");

/// The exports of this process; a restart forgets them, and the client kicks off again.
#[derive(Default)]
pub(crate) struct Exports(Mutex<BTreeMap<u64, Export>>);

#[derive(Clone)]
struct Export {
    id: String,
    request: String,
    kinds: Vec<Kind>,
    since_ms: i64,
    upto: i64,
    began_ms: i64,
    purpose: Purpose,
    /// Types that have something; none while they are counted.
    files: Option<Vec<(Kind, u64)>>,
}

impl Exports {
    fn add(&self, export: Export) {
        let mut all = self.0.lock();
        all.retain(|_, one| export.began_ms - one.began_ms < KEPT_MS);
        while all.len() >= EXPORTS_MAX {
            all.pop_first();
        }
        let number = all.last_key_value().map_or(0, |(number, _)| number + 1);
        all.insert(number, export);
    }

    fn find(&self, id: &str) -> Result<Export, Failure> {
        let found = self.0.lock().values().find(|one| one.id == id).cloned();
        found.ok_or_else(|| Failure::not_found("there is no such export here; kick it off again"))
    }

    fn finish(&self, id: &str, files: Vec<(Kind, u64)>) {
        if let Some(one) = self.0.lock().values_mut().find(|one| one.id == id) {
            one.files = Some(files);
        }
    }

    fn remove(&self, id: &str) {
        self.0.lock().retain(|_, one| one.id != id);
    }
}

#[derive(Deserialize)]
pub(crate) struct ExportQuery {
    #[serde(rename = "_type")]
    kinds: Option<String>,
    #[serde(rename = "_since")]
    since: Option<String>,
    #[serde(rename = "_outputFormat")]
    format: Option<String>,
    purpose: Option<String>,
}

/// Kicks off an export of everything.
pub(crate) async fn system(
    State(shared): State<Shared>,
    QueryOf(query): QueryOf<ExportQuery>,
    headers: HeaderMap,
) -> Answer {
    kick_off(shared, query, headers, false).await
}

/// Kicks off an export of what belongs to patients.
pub(crate) async fn patients(
    State(shared): State<Shared>,
    QueryOf(query): QueryOf<ExportQuery>,
    headers: HeaderMap,
) -> Answer {
    kick_off(shared, query, headers, true).await
}

async fn kick_off(shared: Shared, query: ExportQuery, headers: HeaderMap, of_patients: bool) -> Answer {
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
    let mut wanted = kinds(query.kinds.as_deref())?;
    let parameters = Parameters::r4();
    let patient = parameters.kind("Patient");
    if wanted.is_empty() {
        wanted = parameters.kinds().collect();
    }
    if of_patients {
        wanted.retain(|kind| Some(*kind) == patient || !parameters.compartment(*kind).is_empty());
    }
    let (base, purpose) = (http::base(&headers), extract::purpose(query.purpose.as_deref())?);
    let id = format!("{:032x}", rand::random::<u128>());
    let began = shared.blocking(move |edge| Ok((reader(edge)?.newest()?, edge.ingest.now_ms())));
    let (upto, began_ms) = began.await?;
    let export = Export {
        id: id.clone(),
        request: format!("{base}{}$export", if of_patients { "Patient/" } else { "" }),
        kinds: wanted,
        since_ms,
        upto,
        began_ms: i64::try_from(began_ms).unwrap_or(i64::MAX),
        purpose,
        files: None,
    };
    shared.0.exports.add(export.clone());
    let counting = shared.clone();
    shared.0.tasks.spawn(async move {
        let id = export.id.clone();
        match counting.blocking(move |edge| count(edge, &export)).await {
            Ok(files) => counting.0.exports.finish(&id, files),
            Err(_) => counting.0.exports.remove(&id),
        }
    });
    let location = HeaderValue::from_str(&format!("{base}$export-status/{id}")).map_err(Failure::encoding)?;
    let mut response = StatusCode::ACCEPTED.into_response();
    response.headers_mut().insert(CONTENT_LOCATION, location);
    Ok(response)
}

fn count(edge: &Edge, export: &Export) -> Result<Vec<(Kind, u64)>, Failure> {
    let reader = reader(edge)?;
    let mut files = Vec::new();
    for kind in &export.kinds {
        let query = Query { kind: *kind, clauses: Vec::new(), sort: Vec::new() };
        let count = reader.count(&query, export.upto)?;
        if count > 0 {
            files.push((*kind, count));
        }
    }
    Ok(files)
}

/// How far an export is: 202 while it is prepared, then its manifest.
pub(crate) async fn status(
    State(shared): State<Shared>,
    PathOf(id): PathOf<String>,
    headers: HeaderMap,
) -> Answer {
    let export = shared.0.exports.find(&id)?;
    let Some(files) = &export.files else {
        let mut response = StatusCode::ACCEPTED.into_response();
        response.headers_mut().insert(PROGRESS, HeaderValue::from_static("counting"));
        return Ok(response);
    };
    let base = http::base(&headers);
    let output: Vec<_> = files
        .iter()
        .map(|(kind, count)| {
            let name = Parameters::r4().name(*kind);
            let mut file = json!({ "type": name, "url": format!("{base}$export-file/{id}/{name}") });
            // With a _since, what is older is left out as the file is written.
            if export.since_ms == i64::MIN {
                file["count"] = json!(count);
            }
            file
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
    shared.0.exports.find(&id)?;
    shared.0.exports.remove(&id);
    Ok(StatusCode::ACCEPTED.into_response())
}

/// One file: the resources of a type, one a line, in portions that are accounted for before they are sent.
pub(crate) async fn file(
    State(shared): State<Shared>,
    PathOf((id, kind)): PathOf<(String, String)>,
) -> Answer {
    let export = shared.0.exports.find(&id)?;
    let kind = super::unknown::stored_kind(&kind)?;
    if !export.kinds.contains(&kind) {
        return Err(Failure::not_found("the export has no such file"));
    }
    let first = portion(&shared, &export, kind, 0).await?;
    let rest = futures::stream::try_unfold(
        (shared, export, Some(first)),
        move |(shared, export, portion_)| async move {
            let Some((lines, after)) = portion_ else { return Ok(None) };
            let next = match after {
                Some(after) => Some(portion(&shared, &export, kind, after).await.map_err(broken_off)?),
                None => None,
            };
            Ok::<_, std::io::Error>(Some((lines, (shared, export, next))))
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

/// The lines behind number `after`, and behind which the next begin.
async fn portion(
    shared: &Shared,
    export: &Export,
    kind: Kind,
    after: i64,
) -> Result<(Bytes, Option<i64>), Failure> {
    let export = export.clone();
    let lines = shared.blocking(move |edge| {
        let found = reader(edge)?.of_kind(kind, after, export.upto, PORTION)?;
        let next = found.last().map(bxp_fhir_store::Resource::number).filter(|_| found.len() == PORTION);
        let recent = found.into_iter().filter(|one| one.updated_ms >= export.since_ms).collect();
        let mut lines = String::new();
        for one in shown(edge, recent, export.purpose)? {
            if let Some(text) = one.text {
                lines.push_str(&text);
                lines.push('\n');
            }
        }
        Ok((Bytes::from(lines), next))
    });
    lines.await
}
