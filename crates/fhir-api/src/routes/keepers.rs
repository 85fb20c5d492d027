//! `GET /keepers`: where nodes stand by the directory that this node goes by, and who has left a country and still owes
//! the proof that it deleted that country's identity blocks.

use crate::{
    Edge,
    answer::{self, Answer},
    outcome::Failure,
    state::Shared,
};
use axum::extract::State;
use bxp_clinical::registry::{OnChain, departure_on_chain};
use bxp_types::{Digest, Jurisdiction};
use bxp_vault::Departure;
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
    /// What the chain has of it, on a network with a `NodeRegistry`.
    #[serde(skip_serializing_if = "Option::is_none")]
    chain: Option<ChainView>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChainView {
    /// The block in which the node filed its proof; none while it is owed.
    proven_at: Option<u64>,
    /// The filed hash of the node's statement, and how many blocks it says to name.
    #[serde(skip_serializing_if = "Option::is_none")]
    proof: Option<Digest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    blocks: Option<u64>,
    /// Whether it is the hash of the statement that this node keeps; none while one of the two is missing.
    #[serde(skip_serializing_if = "Option::is_none")]
    agrees: Option<bool>,
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
    let departures = vault.departures()?.into_iter().map(|departure| view(edge, &departure));
    let departures = departures.collect::<Result<_, _>>()?;
    Ok(Keepers { height: directory.height, nodes, departures, leaving: vault.leaving() })
}

fn view(edge: &Edge, departure: &Departure) -> Result<DepartureView, Failure> {
    let Departure { node, country, height, .. } = *departure;
    let chain = match departure_on_chain(edge.ledger().as_ref(), node, country, height)? {
        OnChain::Unknown => None,
        OnChain::Owed => Some(ChainView { proven_at: None, proof: None, blocks: None, agrees: None }),
        OnChain::Proven(filed) => Some(ChainView {
            proven_at: Some(filed.height),
            proof: Some(filed.digest),
            blocks: Some(filed.blocks),
            agrees: departure.proof.map(|proof| proof == filed.digest && departure.deleted == filed.blocks),
        }),
    };
    Ok(DepartureView {
        node: edge.name_of(node),
        country,
        height,
        owes_proof: departure.proven_ms.is_none(),
        deleted: departure.deleted,
        unnamed: departure.unnamed,
        noted_ms: departure.noted_ms,
        proven_ms: departure.proven_ms,
        chain,
    })
}
