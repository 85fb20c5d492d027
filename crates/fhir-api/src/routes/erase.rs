//! `DELETE /records/{id}` and `DELETE /patients/{id}`: erasure (white paper row F2), and `GET /records/{id}/erasure`: the
//! tombstone and the receipts of the other nodes.

use crate::{
    Edge,
    answer::{self, Answer},
    exports::Forgotten,
    extract::PathOf,
    outcome::Failure,
    state::Shared,
};
use axum::extract::State;
use bxp_types::{RecordId, SubjectId};
use bxp_vault::Tombstone;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Erased {
    /// The records that were erased now, or were before.
    records: Vec<RecordId>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Erasure {
    record_id: RecordId,
    /// Milliseconds since the epoch.
    time_ms: u64,
    /// The tombstone, signed by this node: DAG-CBOR in hexadecimal.
    tombstone: String,
    receipts: Vec<ReceiptView>,
    /// Nodes that have not answered yet.
    waiting: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReceiptView {
    node: String,
    time_ms: u64,
    /// The receipt, signed by that node: DAG-CBOR in hexadecimal.
    receipt: String,
}

/// Erases a record that this node holds.
pub(crate) async fn record(State(shared): State<Shared>, PathOf(id): PathOf<String>) -> Answer {
    let record: RecordId = id.parse().map_err(|_| Failure::not_found("no record with this id here"))?;
    let inner = shared.clone();
    let tombstone = shared
        .blocking(move |edge| {
            // Before, for a crash in between; after, for an export that is being listed.
            inner.0.exports.forget(Forgotten::Record(record))?;
            let tombstone = edge.ingest.erase_record(record);
            // Also after an error: it may have come behind the erasure.
            inner.0.exports.forget(Forgotten::Record(record))?;
            edge.publisher.sweep()?;
            Ok(tombstone?)
        })
        .await?;
    answer::json(&erased(&[tombstone]))
}

/// Erases a patient whose records this node took in.
pub(crate) async fn patient(State(shared): State<Shared>, PathOf(id): PathOf<String>) -> Answer {
    let subject: SubjectId = id.parse().map_err(|_| Failure::not_found("no patient with this id here"))?;
    let inner = shared.clone();
    let tombstones = shared
        .blocking(move |edge| {
            inner.0.exports.forget(Forgotten::Subject(subject))?;
            let tombstones = edge.ingest.erase_patient(subject);
            inner.0.exports.forget(Forgotten::Subject(subject))?;
            edge.publisher.sweep()?;
            Ok(tombstones?)
        })
        .await?;
    answer::json(&erased(&tombstones))
}

fn erased(tombstones: &[Tombstone]) -> Erased {
    Erased { records: tombstones.iter().map(|tombstone| tombstone.record_id).collect() }
}

/// Tells which nodes have erased their copies.
pub(crate) async fn receipts(State(shared): State<Shared>, PathOf(id): PathOf<String>) -> Answer {
    let missing = || Failure::not_found("no erased record with this id here");
    let record: RecordId = id.parse().map_err(|_| missing())?;
    let erasure = shared.blocking(move |edge| {
        let tombstone = edge.vault().tombstone(record, edge.vault().me())?.ok_or_else(missing)?;
        erasure(edge, &tombstone)
    });
    answer::json(&erasure.await?)
}

fn erasure(edge: &Edge, tombstone: &Tombstone) -> Result<Erasure, Failure> {
    let record_id = tombstone.record_id;
    let mut receipts = Vec::new();
    let mut answered = vec![edge.name_of(edge.vault().me())];
    for receipt in edge.vault().receipts(record_id)? {
        let node = edge.name_of(receipt.node);
        answered.push(node.clone());
        receipts.push(ReceiptView {
            node,
            time_ms: receipt.time_ms,
            receipt: hex::encode(receipt.encode()?),
        });
    }
    let names = edge.ledger().genesis().validators.iter().map(|entry| entry.name.clone());
    let waiting = names.filter(|name| !answered.contains(name)).collect();
    let tombstone_hex = hex::encode(tombstone.encode()?);
    Ok(Erasure { record_id, time_ms: tombstone.time_ms, tombstone: tombstone_hex, receipts, waiting })
}
