//! `POST /{type}`: a new resource (R4 section 3.1.0.8), under an id of this server.

use crate::{
    answer::Answer,
    extract::{self, PathOf},
    routes::{respond::respond, unknown},
    state::Shared,
    write::{Action, Change, apply_one},
};
use axum::extract::{Request, State};

/// Creates a resource, unless `If-None-Exist` finds one.
pub(crate) async fn resource(
    State(shared): State<Shared>,
    PathOf(kind): PathOf<String>,
    request: Request,
) -> Answer {
    let kind = unknown::stored_kind(&kind)?;
    let headers = request.headers().clone();
    let unless = extract::header(&headers, "if-none-exist");
    let place = shared.submission_place().await?;
    let value = extract::resource(kind, request).await?;
    let base = crate::http::base(&headers);
    let done = shared.blocking(move |edge| {
        let _place = place;
        let action = Action::Create { unless };
        let change = Change { kind, action, resource: Some(value), full_url: None, entry: None };
        let done = apply_one(edge, change, &base)?;
        respond(edge, &headers, &done)
    });
    done.await
}
