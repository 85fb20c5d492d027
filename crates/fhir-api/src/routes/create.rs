//! `POST /{type}`: a new resource (R4 section 3.1.0.8), under an id of this server.

use crate::{
    answer::Answer,
    extract::{self, PathOf},
    routes::update::carry_out,
    state::Shared,
    write::Action,
};
use axum::extract::{Request, State};

/// Creates a resource, unless `If-None-Exist` finds one.
pub(crate) async fn resource(
    State(shared): State<Shared>,
    PathOf(kind): PathOf<String>,
    request: Request,
) -> Answer {
    let unless = extract::header(request.headers(), "if-none-exist");
    carry_out(shared, &kind, Action::Create { unless }, request).await
}
