//! `GET /holdings`: what this node holds, by class and country.

use crate::{
    answer::{self, Answer},
    state::Shared,
};
use axum::extract::State;
use bxp_types::Jurisdiction;
use bxp_vault::Holding;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Serialize)]
struct Holdings {
    node: String,
    jurisdiction: Jurisdiction,
    countries: BTreeMap<Jurisdiction, Holding>,
}

/// Counts records, sealed blocks and keys from the tables as they are.
pub(crate) async fn counts(State(shared): State<Shared>) -> Answer {
    let countries = shared.blocking(|edge| Ok(edge.vault().holdings()?)).await?;
    let edge = shared.edge();
    answer::json(&Holdings { node: edge.name(), jurisdiction: edge.home(), countries })
}
