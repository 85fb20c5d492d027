//! `GET /disclosures?subject=`: the accounting of disclosures (45 CFR 164.528, white paper row F2).

use crate::{
    Edge,
    answer::{self, Answer},
    extract::{self, LIMIT_MAX, QueryOf},
    outcome::Failure,
    state::Shared,
};
use axum::extract::State;
use bxp_privacy::Purpose;
use bxp_types::{BlockClass, RecordId, SubjectId};
use bxp_vault::Disclosure;
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DisclosuresQuery {
    subject: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

#[derive(Serialize)]
struct DisclosureView {
    /// The row's number.
    number: u64,
    /// When, RFC 3339 in UTC.
    time: String,
    record_id: RecordId,
    /// The name of the node to which it was disclosed.
    requester: String,
    purpose: String,
    /// `identity` or `de-identified`.
    class: &'static str,
}

#[derive(Serialize)]
struct Accounting {
    subject: SubjectId,
    disclosures: Vec<DisclosureView>,
    /// The `after` of the next page; none on the last.
    next: Option<u64>,
}

/// Lists to whom, when and what for this node showed or handed over records of a patient, oldest first.
pub(crate) async fn accounting(
    State(shared): State<Shared>,
    QueryOf(query): QueryOf<DisclosuresQuery>,
) -> Answer {
    let subject = extract::parameter("subject", query.subject.as_deref(), "32 hexadecimal digits")?;
    let subject: SubjectId = subject.ok_or_else(|| Failure::bad_request("parameter subject is missing"))?;
    let limit = extract::limit(query.limit.as_deref(), LIMIT_MAX)?;
    let after: Option<u64> = extract::parameter("after", query.after.as_deref(), "a number")?;
    let rows = shared.blocking(move |edge| {
        let mut rows = edge.vault().disclosures_of(subject)?;
        rows.retain(|row| after.is_none_or(|after| row.number > after));
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().map(|row| row.number).filter(|_| more);
        let disclosures = rows.iter().map(|row| view(edge, row)).collect::<Result<_, _>>()?;
        Ok(Accounting { subject, disclosures, next })
    });
    answer::json(&rows.await?)
}

fn view(edge: &Edge, row: &Disclosure) -> Result<DisclosureView, Failure> {
    let time = i64::try_from(row.time_ms).map_err(Failure::encoding)?;
    let time = jiff::Timestamp::from_millisecond(time).map_err(Failure::encoding)?;
    Ok(DisclosureView {
        number: row.number,
        time: time.to_string(),
        record_id: row.record_id,
        requester: edge.name_of(row.requester),
        purpose: purpose(row.purpose),
        class: match row.class {
            BlockClass::Identity(_) => "identity",
            BlockClass::Deidentified => "de-identified",
        },
    })
}

fn purpose(purpose: Purpose) -> String {
    match purpose {
        Purpose::Treatment => "treatment".to_owned(),
        Purpose::Operations => "operations".to_owned(),
        Purpose::PatientAccess => "patient-access".to_owned(),
        Purpose::Oversight => "oversight".to_owned(),
        Purpose::Research { request } => format!("research/{request}"),
    }
}
