//! `GET /records`: the list of records, and `GET /records/{id}`: one record, or a page of one patient's.

use crate::{
    Edge,
    answer::{self, Answer},
    extract::{self, PathOf, QueryOf},
    outcome::Failure,
    present::{self, RecordView},
    state::Shared,
};
use axum::extract::State;
use bxp_privacy::Purpose;
use bxp_types::{Jurisdiction, RecordId, SubjectId};
use bxp_vault::RecordEntry;
use serde::{Deserialize, Serialize};

const LISTED: usize = 100;
const ID: &str = "32 hexadecimal digits";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    subject: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

/// A record as it is listed: nothing is opened for it.
#[derive(Serialize)]
struct EntryView {
    record_id: RecordId,
    subject: SubjectId,
    home: Jurisdiction,
    holder: String,
    anchor: Option<Place>,
}

/// Where the vault noted the record's anchor.
#[derive(Serialize)]
struct Place {
    block: u64,
    batch: u64,
}

#[derive(Serialize)]
struct EntryPage {
    records: Vec<EntryView>,
    /// The `after` of the next page; none on the last.
    next: Option<String>,
}

/// Lists records in the order of their arrival, or one patient's in the order of their ids.
pub(crate) async fn list(State(shared): State<Shared>, QueryOf(query): QueryOf<ListQuery>) -> Answer {
    let limit = extract::limit(query.limit.as_deref(), LISTED)?;
    let subject: Option<SubjectId> = extract::parameter("subject", query.subject.as_deref(), ID)?;
    let after = query.after;
    let page = shared.blocking(move |edge| match subject {
        None => {
            let after: Option<u64> = extract::parameter("after", after.as_deref(), "a number")?;
            list_all(edge, after, limit)
        }
        Some(subject) => {
            let after: Option<RecordId> = extract::parameter("after", after.as_deref(), ID)?;
            let (entries, next) = page_of(edge, subject, after, limit)?;
            let records = entries.iter().map(|entry| entry_view(edge, entry)).collect::<Result<_, _>>()?;
            Ok(EntryPage { records, next: next.map(|record| record.to_string()) })
        }
    });
    answer::json(&page.await?)
}

fn list_all(edge: &Edge, after: Option<u64>, limit: usize) -> Result<EntryPage, Failure> {
    let first = after.map_or(0, |after| after.saturating_add(1));
    let (mut records, mut last) = (Vec::new(), None);
    for row in edge.vault().entries(first) {
        let (number, entry) = row?;
        if records.len() == limit {
            return Ok(EntryPage { records, next: last });
        }
        records.push(entry_view(edge, &entry)?);
        last = Some(number.to_string());
    }
    Ok(EntryPage { records, next: None })
}

/// A page of one patient's records by their ids, and the last one where there are more.
fn page_of(
    edge: &Edge,
    subject: SubjectId,
    after: Option<RecordId>,
    limit: usize,
) -> Result<(Vec<RecordEntry>, Option<RecordId>), Failure> {
    let mut entries = edge.vault().entries_of(subject)?;
    entries.sort_by_key(|entry| entry.record_id);
    entries.retain(|entry| after.is_none_or(|after| entry.record_id > after));
    let more = entries.len() > limit;
    entries.truncate(limit);
    let next = entries.last().map(|entry| entry.record_id).filter(|_| more);
    Ok((entries, next))
}

fn entry_view(edge: &Edge, entry: &RecordEntry) -> Result<EntryView, Failure> {
    let anchor = edge.vault().placement(entry.record_id)?.and_then(|placement| placement.anchor);
    Ok(EntryView {
        record_id: entry.record_id,
        subject: entry.subject,
        home: entry.home,
        holder: edge.name_of(entry.holder),
        anchor: anchor.map(|anchor| Place { block: anchor.height.0, batch: anchor.batch_id }),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ShowQuery {
    purpose: Option<String>,
    limit: Option<String>,
    after: Option<String>,
}

/// A page of what may be shown of one patient's records.
#[derive(Serialize)]
struct SubjectPage {
    subject: SubjectId,
    records: Vec<Shown>,
    next: Option<RecordId>,
}

/// A record of a page: shown, or why not.
#[derive(Serialize)]
#[serde(untagged)]
enum Shown {
    Record(Box<RecordView>),
    Problem { record_id: RecordId, problem: String },
}

/// Shows a record, or all records of a patient, for a purpose.
pub(crate) async fn one_or_all(
    State(shared): State<Shared>,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<ShowQuery>,
) -> Answer {
    let purpose = extract::purpose(query.purpose.as_deref())?;
    let limit = extract::limit(query.limit.as_deref(), LISTED)?;
    let after: Option<RecordId> = extract::parameter("after", query.after.as_deref(), ID)?;
    let missing = || Failure::not_found("no record and no patient with this id here");
    let record: RecordId = id.parse().map_err(|_| missing())?;
    let subject = SubjectId(record.0);
    let is_record = shared.blocking(move |edge| Ok(edge.vault().entry(record)?.is_some())).await?;
    if is_record {
        return answer::json(&show_one(&shared, record, purpose).await?);
    }
    let known = shared.blocking(move |edge| {
        let page = page_of(edge, subject, after, limit)?;
        Ok((page, after.is_some()))
    });
    let ((entries, next), later_page) = known.await?;
    if entries.is_empty() && !later_page {
        return Err(missing());
    }
    let mut records = Vec::with_capacity(entries.len());
    for entry in entries {
        let record_id = entry.record_id;
        records.push(match show_one(&shared, record_id, purpose).await {
            Ok(view) => Shown::Record(Box::new(view)),
            Err(failure) => Shown::Problem { record_id, problem: failure.diagnostics() },
        });
    }
    answer::json(&SubjectPage { subject, records, next })
}

async fn show_one(shared: &Shared, record: RecordId, purpose: Purpose) -> Result<RecordView, Failure> {
    let shown = present::present(shared, record, purpose).await?;
    present::view(shared.edge(), &shown)
}
