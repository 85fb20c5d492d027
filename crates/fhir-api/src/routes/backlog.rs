//! `GET /backlog`: what this node has taken in that is not everywhere yet where it belongs.

use crate::{
    answer::{self, Answer},
    state::Shared,
};
use axum::extract::State;
use serde::Serialize;

#[derive(Serialize)]
struct Waiting {
    /// Hand-overs that other nodes have not acknowledged.
    handovers: usize,
    /// Own batches that are not anchored.
    batches: usize,
}

/// Counts what waits.
pub(crate) async fn counts(State(shared): State<Shared>) -> Answer {
    let backlog = shared.blocking(|edge| Ok(edge.ingest.backlog()?)).await?;
    answer::json(&Waiting { handovers: backlog.handovers, batches: backlog.batches })
}
