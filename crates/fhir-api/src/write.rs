//! Writing: changes of resources on their way to the gate, for single interactions and for Bundles alike.
//!
//! What can be done before a change's turn comes is done before: ids, references, checks. What depends on what is stored
//! (conditions, expected versions, deletions) is looked at within the turn, so that nothing can come between.

mod plan;

use crate::{Edge, outcome::Failure};
use axum::http::StatusCode;
use bxp_clinical::{
    ingest::{Outcome, REFUSED_WITH_OTHERS, Work},
    source::Submission,
    validate::{Mode, validate, validate_profiles},
};
use bxp_fhir_store::{Kind, Parameters, Writer};
use plan::{Plan, Step};
use sonic_rs::Value;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    /// A new resource; none where this search finds one (`If-None-Exist`).
    Create { unless: Option<String> },
    /// The next version, or the first under this id.
    Update { id: String, when: When },
    /// The next version of what this search finds.
    UpdateBy { search: String, when: When },
    /// No more.
    Delete { id: String, when: When },
    /// No more of what this search finds.
    DeleteBy { search: String },
}

/// On which version a change stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum When {
    /// Any or none.
    #[default]
    Always,
    /// This one (`If-Match`).
    Version(i64),
    /// None (`If-None-Match: *`).
    New,
}

/// A change of one resource.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) kind: Kind,
    pub(crate) action: Action,
    /// None for a deletion.
    pub(crate) resource: Option<Value>,
    /// By what others in the same Bundle refer to it.
    pub(crate) full_url: Option<String>,
    /// Its place in a Bundle.
    pub(crate) entry: Option<usize>,
}

/// A change that was carried out.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) status: StatusCode,
    pub(crate) kind: Kind,
    pub(crate) id: String,
    /// 0 where there is none.
    pub(crate) version: i64,
    pub(crate) updated_ms: i64,
}

impl Done {
    /// `Type/id`.
    pub(crate) fn address(&self) -> String {
        format!("{}/{}", Parameters::r4().name(self.kind), self.id)
    }
}

/// What became of each change.
pub(crate) type Results = Vec<Result<Done, Failure>>;

/// Carries changes out in one step: all of them or, where `whole` is not asked for, those that can be.
pub(crate) fn apply(edge: &Edge, changes: Vec<Change>, whole: bool, base: &str) -> Result<Results, Failure> {
    if plan::needs_turn(&changes) {
        return edge.ingest.transact(|session| {
            let plan = Plan::make(edge, changes, whole, base, Some(session.store()))?;
            let checked = edge.ingest.check(&plan.submission);
            let Plan { submission, steps, deletions } = plan;
            let work = Work { submission: &submission, checked, deletions: &deletions, whole };
            let (_, outcomes) = session.take(work)?;
            results(session.store(), &submission, steps, outcomes, whole)
        });
    }
    let plan = Plan::make(edge, changes, whole, base, None)?;
    let checked = edge.ingest.check(&plan.submission);
    let Plan { submission, steps, deletions } = plan;
    let work = Work { submission: &submission, checked, deletions: &deletions, whole };
    edge.ingest.take(work, |store, _, outcomes| results(store, &submission, steps, outcomes, whole))
}

/// One change.
pub(crate) fn apply_one(edge: &Edge, change: Change, base: &str) -> Result<Done, Failure> {
    let mut results = apply(edge, vec![change], false, base)?;
    let missing = || Failure::internal("carry a change out", &std::io::Error::other("it has no result"));
    results.pop().ok_or_else(missing)?
}

/// What became of each change, by what the gate gave for each entry.
fn results(
    store: &Writer,
    submission: &Submission,
    steps: Vec<Step>,
    outcomes: Vec<Outcome>,
    whole: bool,
) -> Result<Results, Failure> {
    let mut outcomes = outcomes.into_iter().zip(&submission.entries);
    let mut results = Vec::with_capacity(steps.len());
    for step in steps {
        let result = match step {
            Step::Done(done) => Ok(done),
            Step::Failed(failure) => Err(failure),
            Step::Take { kind, entry } => match outcomes.next() {
                None => Err(Failure::bad_request("the entry was not taken")),
                Some((outcome, taken)) => {
                    let done = taken_as(store, kind, outcome, taken.resource.expose());
                    done.map_err(|failure| match entry {
                        Some(entry) => failure.at_entry(entry),
                        None => failure,
                    })
                }
            },
        };
        results.push(result);
    }
    if whole {
        // The gate has written nothing where it refused anything. What is wrong is told, not what fell with it.
        let cause = |one: &Result<Done, Failure>| {
            one.as_ref().is_err_and(|failure| failure.diagnostics() != REFUSED_WITH_OTHERS)
        };
        let at = results.iter().position(cause).or_else(|| results.iter().position(Result::is_err));
        if let Some(Err(failure)) = at.map(|at| results.swap_remove(at)) {
            return Err(failure);
        }
    }
    Ok(results)
}

fn taken_as(store: &Writer, kind: Kind, outcome: Outcome, resource: &Value) -> Result<Done, Failure> {
    match outcome {
        Outcome::Stored { id, version, updated_ms, created } => {
            let status = if created { StatusCode::CREATED } else { StatusCode::OK };
            Ok(Done { status, kind, id, version, updated_ms })
        }
        Outcome::Same { id } => {
            let version = store.current(kind, &id)?.map_or(0, |current| current.version);
            Ok(Done { status: StatusCode::OK, kind, id, version, updated_ms: 0 })
        }
        Outcome::Refused(refusal) => {
            let mut issues = validate(resource, Mode::Strict).issues;
            issues.extend(validate_profiles(resource, &[], Mode::Strict));
            Err(Failure::refused(&refusal.reason, &issues))
        }
    }
}
