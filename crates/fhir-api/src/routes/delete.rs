//! `DELETE /{type}/{id}` and `DELETE /{type}?search` (R4 section 3.1.0.7). The history stays; erasure is another thing.

use crate::{
    answer::Answer,
    extract::PathOf,
    http,
    routes::{unknown, update::when},
    state::Shared,
    write::{Action, Change, apply_one},
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::IntoResponse,
};

/// Deletes by id.
pub(crate) async fn by_id(
    State(shared): State<Shared>,
    PathOf((kind, id)): PathOf<(String, String)>,
    request: Request,
) -> Answer {
    let action = Action::Delete { id, when: when(request.headers())? };
    delete(shared, &kind, action, request).await
}

/// Deletes what a search finds, if it is one.
pub(crate) async fn by_search(
    State(shared): State<Shared>,
    PathOf(kind): PathOf<String>,
    request: Request,
) -> Answer {
    let search = request.uri().query().unwrap_or_default().to_owned();
    delete(shared, &kind, Action::DeleteBy { search }, request).await
}

async fn delete(shared: Shared, kind: &str, action: Action, request: Request) -> Answer {
    let kind = unknown::stored_kind(kind)?;
    let base = http::base(request.headers());
    let done = shared.blocking(move |edge| {
        let change = Change { kind, action, resource: None, full_url: None, entry: None };
        apply_one(edge, change, &base)
    });
    done.await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
