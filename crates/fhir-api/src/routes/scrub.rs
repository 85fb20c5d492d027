//! `POST /scrub`: looks at every block of this node, and fetches what is lost or damaged from nodes that have it.

use crate::{
    answer::{self, Answer},
    outcome::Failure,
    state::Shared,
};
use axum::extract::State;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Outcome {
    records: u64,
    /// Blocks that hash to their CIDs.
    sound: u64,
    /// Of these, own ones that open to what their record commits to.
    opened: u64,
    missing: usize,
    damaged: usize,
    /// Sound blocks of own records without a key that opens them.
    unopened: usize,
    /// Blocks that came back from other nodes.
    mended: u64,
    /// CIDs of blocks that no node gave.
    lost: Vec<String>,
}

/// Scrubs now and waits for the outcome.
pub(crate) async fn now(State(shared): State<Shared>) -> Answer {
    let ingest = shared.edge().ingest.clone();
    let repaired = shared.to_the_end(async move { Ok(ingest.scrub_now().await) }).await?;
    let one = repaired.ok_or_else(|| Failure::unavailable("the scrub broke off; see the node's log"))?;
    answer::json(&Outcome {
        records: one.seen.records,
        sound: one.seen.sound,
        opened: one.seen.opened,
        missing: one.seen.missing.len(),
        damaged: one.seen.damaged.len(),
        unopened: one.seen.unopened.len(),
        mended: one.mended,
        lost: one.lost.iter().map(ToString::to_string).collect(),
    })
}
