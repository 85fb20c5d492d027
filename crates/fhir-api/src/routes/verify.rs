//! `GET /records/{id}/proof`: the inclusion proof of a record version, checked here and by the contract.

use crate::{
    answer::{self, Answer},
    extract::PathOf,
    outcome::Failure,
    state::Shared,
};
use axum::extract::State;
use bxp_clinical::verify::verify;
use bxp_types::{Address, B256, RecordId};
use serde::Serialize;

/// All that somebody else needs to check it with `RecordRegistry.verify(batchId, leaf, index, siblings)` on any node.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    record_id: RecordId,
    commitment: B256,
    patient: Address,
    leaf: B256,
    root: B256,
    index: u32,
    count: u32,
    siblings: Vec<B256>,
    batch_id: u64,
    block: u64,
    holder: Address,
    /// Block time, seconds since the epoch.
    time: u64,
    /// The proof leads to the root in this program, and the contract says so too.
    verified: bool,
}

/// Proves a record of this node.
pub(crate) async fn proof(State(shared): State<Shared>, PathOf(id): PathOf<String>) -> Answer {
    let record_id: RecordId = id.parse().map_err(|_| Failure::not_found("no record with this id here"))?;
    let one =
        shared.blocking(move |edge| Ok(verify(edge.vault(), edge.ledger().as_ref(), record_id)?)).await?;
    answer::json(&Proof {
        record_id,
        commitment: one.commitment,
        patient: one.patient,
        leaf: one.leaf,
        root: one.root,
        index: one.index,
        count: one.count,
        siblings: one.siblings,
        batch_id: one.batch_id,
        block: one.height.0,
        holder: one.holder,
        time: one.time,
        verified: true,
    })
}
