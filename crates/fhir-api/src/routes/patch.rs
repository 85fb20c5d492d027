//! `PATCH /{type}/{id}` with JSON Patch (R4 section 3.1.0.6).

use crate::{
    Edge,
    answer::Answer,
    disclose::reader,
    extract::{self, PathOf},
    http,
    outcome::Failure,
    patch::{PatchError, patched},
    routes::{respond::respond, unknown, update::when},
    state::Shared,
    write::{Action, Change, Done, When, apply_one},
};
use axum::{
    extract::{Request, State},
    http::{StatusCode, header::CONTENT_TYPE},
};
use bxp_fhir_store::Kind;
use sonic_rs::Value;

/// How often a patch is tried on the newest version when others write at the same time.
const TRIES_MAX: usize = 5;

/// Patches a resource.
pub(crate) async fn resource(
    State(shared): State<Shared>,
    PathOf((kind, id)): PathOf<(String, String)>,
    request: Request,
) -> Answer {
    let kind = unknown::stored_kind(&kind)?;
    let headers = request.headers().clone();
    let form = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if !form.starts_with("application/json-patch+json") {
        let text = "a patch is JSON Patch: Content-Type: application/json-patch+json";
        return Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", text));
    }
    let when = when(&headers)?;
    let place = shared.submission_place().await?;
    let body = extract::body(request).await?;
    let base = http::base(&headers);
    let done = shared.blocking(move |edge| {
        let _place = place;
        let patch: Value = sonic_rs::from_slice(&body).map_err(|_| failure(PatchError::Form))?;
        let done = apply(edge, kind, &id, &patch, when, &base, None)?;
        respond(edge, &headers, &done)
    });
    done.await
}

/// Patches the newest version, again where another write came between.
pub(crate) fn apply(
    edge: &Edge,
    kind: Kind,
    id: &str,
    patch: &Value,
    when: When,
    base: &str,
    entry: Option<usize>,
) -> Result<Done, Failure> {
    let mut tries = 0;
    loop {
        let change = change(edge, kind, id, patch, when, entry)?;
        tries += 1;
        match apply_one(edge, change, base) {
            Err(failure) if failure.status() == StatusCode::PRECONDITION_FAILED => {
                if matches!(when, When::Version(_)) || tries == TRIES_MAX {
                    return Err(failure);
                }
            }
            other => return other,
        }
    }
}

/// The update that a patch comes to.
pub(crate) fn change(
    edge: &Edge,
    kind: Kind,
    id: &str,
    patch: &Value,
    when: When,
    entry: Option<usize>,
) -> Result<Change, Failure> {
    // What is patched is not shown: finding it is the holder's own work.
    let missing = || Failure::not_found("no such resource here");
    let current = reader(edge)?.read(kind, id)?.ok_or_else(missing)?;
    let text = current.text.ok_or_else(|| Failure::gone("the resource was deleted"))?;
    let when = match when {
        When::Version(version) => When::Version(version),
        _ => When::Version(current.version),
    };
    let value: Value = sonic_rs::from_str(&text).map_err(Failure::encoding)?;
    let text = patched(&value, patch).map_err(failure)?;
    let resource: Value = sonic_rs::from_str(&text).map_err(Failure::encoding)?;
    let name = bxp_fhir_store::Parameters::r4().name(kind);
    if bxp_clinical::fhir::element::resource_type(&resource) != Some(name) {
        return Err(Failure::bad_request("a patch cannot change the resource's type"));
    }
    let action = Action::Update { id: id.to_owned(), when };
    Ok(Change { kind, action, resource: Some(resource), full_url: None, entry })
}

fn failure(error: PatchError) -> Failure {
    let unprocessable = |text: String| Failure::new(StatusCode::UNPROCESSABLE_ENTITY, "processing", text);
    match error {
        PatchError::Form => Failure::bad_request("a patch is a list of at most 1000 operations (RFC 6902)"),
        PatchError::Operation(number) => Failure::bad_request(format!(
            "operation {number} of the patch is none of RFC 6902, or lacks op, path, from or value"
        )),
        PatchError::Path(number) => unprocessable(format!("operation {number} of the patch leads nowhere")),
        PatchError::Test(number) => {
            unprocessable(format!("the test in operation {number} of the patch does not hold"))
        }
    }
}
