//! `PUT /{type}/{id}` and `PUT /{type}?search` (R4 section 3.1.0.4): the next version, or the first under this id.

use crate::{
    answer::Answer,
    extract::{self, PathOf},
    http,
    outcome::Failure,
    routes::{respond::respond, unknown},
    state::Shared,
    write::{Action, Change, When, apply_one},
};
use axum::{
    extract::{Request, State},
    http::HeaderMap,
};

/// The version that the headers expect.
pub(crate) fn when(headers: &HeaderMap) -> Result<When, Failure> {
    if let Some(tag) = http::if_match(headers) {
        let version = http::version(tag);
        return version.map(When::Version).ok_or_else(|| Failure::bad_request("If-Match looks like W/\"3\""));
    }
    let new = extract::header(headers, "if-none-match").is_some_and(|tag| tag.trim() == "*");
    Ok(if new { When::New } else { When::Always })
}

/// Updates by id.
pub(crate) async fn by_id(
    State(shared): State<Shared>,
    PathOf((kind, id)): PathOf<(String, String)>,
    request: Request,
) -> Answer {
    let action = Action::Update { id, when: when(request.headers())? };
    carry_out(shared, &kind, action, request).await
}

/// Updates what a search finds.
pub(crate) async fn by_search(
    State(shared): State<Shared>,
    PathOf(kind): PathOf<String>,
    request: Request,
) -> Answer {
    let search = request.uri().query().unwrap_or_default().to_owned();
    let action = Action::UpdateBy { search, when: when(request.headers())? };
    carry_out(shared, &kind, action, request).await
}

/// Does `action` with the resource in the request's body.
pub(crate) async fn carry_out(shared: Shared, kind: &str, action: Action, request: Request) -> Answer {
    let kind = unknown::stored_kind(kind)?;
    let headers = request.headers().clone();
    let place = shared.submission_place().await?;
    let value = extract::resource(kind, request).await?;
    let base = http::base(&headers);
    let done = shared.blocking(move |edge| {
        let _place = place;
        let change = Change { kind, action, resource: Some(value), full_url: None, entry: None };
        let done = apply_one(edge, change, &base)?;
        respond(edge, &headers, &done)
    });
    done.await
}
