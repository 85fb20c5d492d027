//! `GET /patients`: the patients whose records this node took in, by pseudonym and account.

use crate::{
    Edge,
    answer::{self, Answer},
    extract::{self, QueryOf},
    outcome::Failure,
    state::Shared,
};
use axum::extract::State;
use bxp_types::{Address, Jurisdiction, SubjectId};
use serde::{Deserialize, Serialize};

const LISTED: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatientsQuery {
    limit: Option<String>,
    after: Option<String>,
}

#[derive(Serialize)]
struct PatientView {
    subject: SubjectId,
    /// The account in custody: it signs consents and is paid.
    account: Address,
    home: Jurisdiction,
    /// The contribution switch on the chain (row B2).
    contributing: bool,
}

#[derive(Serialize)]
struct PatientPage {
    patients: Vec<PatientView>,
    /// The `after` of the next page; none on the last.
    next: Option<SubjectId>,
}

/// Lists patients in the order of their pseudonyms.
pub(crate) async fn list(State(shared): State<Shared>, QueryOf(query): QueryOf<PatientsQuery>) -> Answer {
    let limit = extract::limit(query.limit.as_deref(), LISTED)?;
    let after = extract::parameter("after", query.after.as_deref(), "32 hexadecimal digits")?;
    answer::json(&shared.blocking(move |edge| page(edge, after, limit)).await?)
}

fn page(edge: &Edge, after: Option<SubjectId>, limit: usize) -> Result<PatientPage, Failure> {
    let (mut patients, mut last) = (Vec::new(), None);
    for patient in edge.ingest.patients() {
        let patient = patient?;
        if after.is_some_and(|after| patient.subject <= after) {
            continue;
        }
        if patients.len() == limit {
            return Ok(PatientPage { patients, next: last });
        }
        patients.push(PatientView {
            subject: patient.subject,
            account: patient.account,
            home: patient.home,
            contributing: edge.facts.contribution(patient.account)?.unwrap_or(false),
        });
        last = Some(patient.subject);
    }
    Ok(PatientPage { patients, next: None })
}
