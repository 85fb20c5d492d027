//! `GET /hl7v2/dead-letters` and `POST /hl7v2/dead-letters/replay?number=`: messages of HL7 v2 feeds that were not taken,
//! and trying them again. Nothing of a message is shown, only why it was not taken.

use crate::{
    answer::{self, Answer},
    extract::{QueryOf, parameter},
    state::Shared,
};
use axum::extract::State;
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReplayQuery {
    number: Option<String>,
}

/// Lists dead letters.
pub(crate) async fn dead_letters(State(shared): State<Shared>) -> Answer {
    let letters = shared.blocking(|edge| Ok(edge.inbox.dead_letters()?));
    answer::json(&letters.await?)
}

/// Tries one, or all, again.
pub(crate) async fn replay(State(shared): State<Shared>, QueryOf(query): QueryOf<ReplayQuery>) -> Answer {
    let number = parameter("number", query.number.as_deref(), "the number of a dead letter")?;
    let replayed = shared.blocking(move |edge| Ok(edge.inbox.replay(number)?));
    answer::json(&replayed.await?)
}
