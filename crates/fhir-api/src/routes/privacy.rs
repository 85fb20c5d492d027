//! `POST /privacy/scan`: looks for identifiers on the de-identified side of all records of this node, and
//! `GET /privacy/risk?k=`: how well the node's patients are hidden among each other. Both work under the holder's own
//! permit, and tell paths and numbers only.

use crate::{
    answer::{self, Answer},
    extract::{self, QueryOf},
    state::Shared,
};
use axum::extract::State;
use bxp_clinical::{audit::scan_vault, replicate::holder_permit, risk::empty_table};
use bxp_privacy::risk::assess;
use bxp_types::BlockClass;
use bxp_vault::Clock;
use serde::Deserialize;

/// Scans all records that this node took in.
pub(crate) async fn scan(State(shared): State<Shared>) -> Answer {
    let report = shared.blocking(|edge| Ok(scan_vault(edge.vault(), &Clock::system())?)).await?;
    answer::json(&report)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RiskQuery {
    k: Option<String>,
}

/// Assesses a release of all patients of this node.
pub(crate) async fn risk(State(shared): State<Shared>, QueryOf(query): QueryOf<RiskQuery>) -> Answer {
    let k_min: Option<usize> = extract::parameter("k", query.k.as_deref(), "a number")?;
    let assessment = shared.blocking(move |edge| {
        let permit = holder_permit(edge.vault(), &Clock::system(), BlockClass::Deidentified)?;
        let mut table = empty_table();
        for patient in edge.ingest.patients() {
            let row = edge.ingest.patient_row(patient?.subject, &permit)?;
            table.rows.extend(row.map(|(_, row)| row));
        }
        Ok(assess(&table, &table, k_min.unwrap_or(1)))
    });
    answer::json(&assessment.await?)
}
