//! `GET /keepers`: where nodes stand by the directory that this node goes by, and who has left a country and still owes
//! the proof that it deleted that country's identity blocks.

use crate::{
    Edge,
    answer::{self, Answer},
    outcome::Failure,
    state::Shared,
};
use axum::extract::State;
use bxp_types::Jurisdiction;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Keepers {
    /// The height of the chain from which the directory holds.
    height: u64,
    nodes: Vec<NodeView>,
    departures: Vec<DepartureView>,
    /// Countries that this node has left and still has identity blocks of.
    leaving: Vec<Jurisdiction>,
}

#[derive(Serialize)]
struct NodeView {
    node: String,
    country: Jurisdiction,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DepartureView {
    node: String,
    country: Jurisdiction,
    /// The height of the directory by which the node left.
    height: u64,
    /// Whether it has not signed yet that nothing is left.
    owes_proof: bool,
    /// Identity blocks that its signed statements name.
    deleted: u64,
    /// Records that were placed on it and that its statements do not name; copies that never reached it are among them.
    unnamed: u64,
    /// When this node learned of the departure, in milliseconds since the epoch.
    noted_ms: u64,
    /// When the node signed that nothing is left, in milliseconds since the epoch.
    proven_ms: Option<u64>,
}

/// Tells who keeps what, and who owes what.
pub(crate) async fn state(State(shared): State<Shared>) -> Answer {
    answer::json(&shared.blocking(read).await?)
}

fn read(edge: &Edge) -> Result<Keepers, Failure> {
    let vault = edge.vault();
    let directory = vault.directory();
    let nodes = directory
        .members()
        .map(|member| NodeView { node: edge.name_of(member.validator), country: member.country })
        .collect();
    let departures = vault
        .departures()?
        .into_iter()
        .map(|departure| DepartureView {
            node: edge.name_of(departure.node),
            country: departure.country,
            height: departure.height,
            owes_proof: departure.proven_ms.is_none(),
            deleted: departure.deleted,
            unnamed: departure.unnamed,
            noted_ms: departure.noted_ms,
            proven_ms: departure.proven_ms,
        })
        .collect();
    Ok(Keepers { height: directory.height, nodes, departures, leaving: vault.leaving() })
}
