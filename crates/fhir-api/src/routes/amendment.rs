//! Amendment of a record on its patient's request (45 CFR 164.526; white paper row F2; ADR 69):
//!
//! - `POST /{type}/{id}/$request-amendment` keeps the request as a Task that names the version it is about.
//! - `POST /Task/{id}/$accept-amendment` takes the amended resource: a new version, with a Provenance that links it to the
//!   old one, which stays. All of it or nothing.
//! - `POST /Task/{id}/$deny-amendment` keeps the denial with its basis; `$disagree` adds the patient's statement of
//!   disagreement, and `$rebut` the holder's rebuttal.
//!
//! Every step is a new version of the Task, in the patient's compartment: what is given out of the chart later, by
//! `$everything` or an export, has the request, the denial and the statement with it (164.526(d)(5)).

use crate::{
    Edge,
    answer::Answer,
    disclose::reader,
    extract::{self, PathOf},
    http,
    outcome::Failure,
    routes::{respond::respond, unknown::stored_kind},
    state::Shared,
    write::{Action, Change, Done, When, apply},
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
};
use bxp_clinical::{
    compartment::{Subject, subject},
    fhir::element::text,
    source::{Entry, Position},
};
use bxp_fhir_store::{Kind, Parameters, Resource, value::date};
use bxp_types::Phi;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use sonic_rs::Value;

/// The holder has so long to act on a request (164.526(b)(2)(i)), in milliseconds.
const ANSWERED_WITHIN_MS: i64 = 60 * 24 * 3_600_000;
/// The longest statement in characters. A holder may bound it reasonably (164.526(d)(2)).
const STATEMENT_CHARACTERS_MAX: usize = 16_384;
/// The most statements and rebuttals of one request.
const STATEMENTS_MAX: usize = 16;
/// By which a Task is known to be a request for amendment.
const CODE: &str = "amendment (45 CFR 164.526)";

/// Why a request may be denied (164.526(a)(2)), each with its words.
const BASES: [(&str, &str); 4] = [
    ("not-created-here", "164.526(a)(2)(i): the record was not created by this holder"),
    ("not-in-the-record-set", "164.526(a)(2)(ii): it is not part of the designated record set"),
    ("not-open-to-inspection", "164.526(a)(2)(iii): it is not available for inspection under 164.524"),
    ("accurate-and-complete", "164.526(a)(2)(iv): the record is accurate and complete"),
];

/// Words of a patient or of the holder.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Words {
    text: String,
}

/// A denial.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Denial {
    basis: String,
}

/// Keeps a request.
pub(crate) async fn request(
    State(shared): State<Shared>,
    PathOf((kind, id)): PathOf<(String, String)>,
    request: Request,
) -> Answer {
    let kind = stored_kind(&kind)?;
    let headers = request.headers().clone();
    let words = words(&extract::body(request).await?)?;
    let answered = shared.blocking(move |edge| {
        let found = current(edge, kind, &id)?;
        let patient = patient_of(&found)?;
        let now_ms = now_ms(edge);
        let task = json!({
            "resourceType": "Task",
            "status": "requested",
            "intent": "proposal",
            "code": {
                "coding": [{ "system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "change" }],
                "text": CODE,
            },
            "description": words,
            "focus": { "reference": versioned(&found) },
            "for": { "reference": patient },
            "requester": { "reference": patient },
            "authoredOn": date::instant(now_ms),
            "lastModified": date::instant(now_ms),
            "restriction": { "period": { "end": date::instant(now_ms.saturating_add(ANSWERED_WITHIN_MS)) } },
        });
        let action = Action::Create { unless: None };
        let change = change(kind_of("Task")?, action, value(&task)?, 0);
        finished(edge, &headers, vec![change], 0)
    });
    answered.await
}

/// Accepts a request: the body is the amended resource.
pub(crate) async fn accept(
    State(shared): State<Shared>,
    PathOf(id): PathOf<String>,
    request: Request,
) -> Answer {
    let headers = request.headers().clone();
    let body = extract::body(request).await?;
    let answered = shared.blocking(move |edge| {
        let (mut task, version) = open_task(edge, &id, "requested")?;
        let (kind, about, old) = focus(&task)?;
        let found = current(edge, kind, &about)?;
        if found.version != old {
            return Err(Failure::precondition(
                "the resource has changed since the request; deny the request, or have it made for the newest version",
            ));
        }
        let amended = amended(edge, kind, &about, &body)?;
        let new = format!("{}/_history/{}", found.address(), old + 1);
        let now_ms = now_ms(edge);
        let provenance = json!({
            "resourceType": "Provenance",
            "target": [{ "reference": new }],
            "recorded": date::instant(now_ms),
            "activity": { "coding": [{
                "system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "UPDATE",
            }], "text": CODE },
            "agent": [{
                "type": { "coding": [{
                    "system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "author",
                }] },
                "who": task["for"],
            }],
            "entity": [{ "role": "revision", "what": { "reference": versioned(&found) } }],
        });
        task["status"] = json!("completed");
        task["lastModified"] = json!(date::instant(now_ms));
        task["output"] = json!([{ "type": { "text": "the amended version" }, "valueReference": { "reference": new } }]);
        let update = |id: &str, version| Action::Update { id: id.to_owned(), when: When::Version(version) };
        let changes = vec![
            change(kind, update(&about, old), amended, 0),
            change(kind_of("Provenance")?, Action::Create { unless: None }, value(&provenance)?, 1),
            change(kind_of("Task")?, update(&id, version), value(&task)?, 2),
        ];
        finished(edge, &headers, changes, 0)
    });
    answered.await
}

/// Denies a request.
pub(crate) async fn deny(
    State(shared): State<Shared>,
    PathOf(id): PathOf<String>,
    request: Request,
) -> Answer {
    let headers = request.headers().clone();
    let body = extract::body(request).await?;
    let known = || BASES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let wrong = || Failure::bad_request(format!("the body is {{\"basis\": NAME}}, one of {}", known()));
    let denial: Denial = serde_json::from_slice(&body).map_err(|_| wrong())?;
    let (_, basis) = BASES.iter().find(|(name, _)| *name == denial.basis).ok_or_else(wrong)?;
    let answered = shared.blocking(move |edge| {
        let (mut task, version) = open_task(edge, &id, "requested")?;
        task["status"] = json!("rejected");
        task["statusReason"] = json!({ "text": basis });
        next(edge, &headers, &id, version, task)
    });
    answered.await
}

/// Adds the patient's statement of disagreement with a denial.
pub(crate) async fn disagree(state: State<Shared>, id: PathOf<String>, request: Request) -> Answer {
    say(state, id, request, "statement of disagreement (164.526(d)(2))", true).await
}

/// Adds the holder's rebuttal of a statement of disagreement.
pub(crate) async fn rebut(state: State<Shared>, id: PathOf<String>, request: Request) -> Answer {
    say(state, id, request, "rebuttal (164.526(d)(3))", false).await
}

async fn say(
    State(shared): State<Shared>,
    PathOf(id): PathOf<String>,
    request: Request,
    what: &'static str,
    by_patient: bool,
) -> Answer {
    let headers = request.headers().clone();
    let words = words(&extract::body(request).await?)?;
    let answered = shared.blocking(move |edge| {
        let (mut task, version) = open_task(edge, &id, "rejected")?;
        let mut notes = task["note"].as_array().cloned().unwrap_or_default();
        if notes.len() == STATEMENTS_MAX {
            return Err(Failure::bad_request(
                "the request has 16 statements and rebuttals, which is the most",
            ));
        }
        if !by_patient && notes.is_empty() {
            return Err(Failure::bad_request("there is no statement of disagreement to rebut"));
        }
        let mut note = json!({ "time": date::instant(now_ms(edge)), "text": format!("{what}: {words}") });
        if by_patient {
            note["authorReference"] = task["for"].clone();
        }
        notes.push(note);
        task["note"] = json!(notes);
        next(edge, &headers, &id, version, task)
    });
    answered.await
}

/// Writes the next version of a request.
fn next(edge: &Edge, headers: &HeaderMap, id: &str, version: i64, mut task: Json) -> Answer {
    task["lastModified"] = json!(date::instant(now_ms(edge)));
    let action = Action::Update { id: id.to_owned(), when: When::Version(version) };
    finished(edge, headers, vec![change(kind_of("Task")?, action, value(&task)?, 0)], 0)
}

/// Carries all changes out together, and answers with what became of one of them.
fn finished(edge: &Edge, headers: &HeaderMap, changes: Vec<Change>, shown: usize) -> Answer {
    let results: Result<Vec<Done>, Failure> =
        apply(edge, changes, true, &http::base(headers))?.into_iter().collect();
    let missing = || Failure::internal("amend", &std::io::Error::other("a change has no result"));
    respond(edge, headers, results?.get(shown).ok_or_else(missing)?)
}

fn change(kind: Kind, action: Action, resource: Value, entry: usize) -> Change {
    Change { kind, action, resource: Some(resource), full_url: None, entry: Some(entry) }
}

fn kind_of(name: &str) -> Result<Kind, Failure> {
    stored_kind(name)
}

fn now_ms(edge: &Edge) -> i64 {
    i64::try_from(edge.ingest.now_ms()).unwrap_or(i64::MAX)
}

fn value(resource: &Json) -> Result<Value, Failure> {
    sonic_rs::from_str(&resource.to_string()).map_err(Failure::encoding)
}

fn words(body: &[u8]) -> Result<String, Failure> {
    let wrong = || Failure::bad_request("the body is {\"text\": WORDS}, of 1 to 16384 characters");
    let Words { text } = serde_json::from_slice(body).map_err(|_| wrong())?;
    let characters = text.chars().count();
    if (1..=STATEMENT_CHARACTERS_MAX).contains(&characters) { Ok(text) } else { Err(wrong()) }
}

/// The newest version of a resource.
fn current(edge: &Edge, kind: Kind, id: &str) -> Result<Resource, Failure> {
    let found = reader(edge)?.read(kind, id)?;
    found.filter(|one| one.text.is_some()).ok_or_else(|| Failure::not_found("no such resource here"))
}

fn versioned(resource: &Resource) -> String {
    format!("{}/_history/{}", resource.address(), resource.version)
}

/// The patient whose record a resource is, as a reference.
fn patient_of(resource: &Resource) -> Result<String, Failure> {
    let none =
        || Failure::bad_request("the resource is of no patient, so that none can ask for its amendment");
    let value: Value =
        sonic_rs::from_str(resource.text.as_deref().unwrap_or("null")).map_err(Failure::encoding)?;
    match subject(&value) {
        Subject::Itself => Ok(resource.address()),
        Subject::Referred(references) => {
            let mut named = references.into_iter().filter_map(|reference| text(reference, "reference"));
            named.find(|name| name.starts_with("Patient/")).map(str::to_owned).ok_or_else(none)
        }
        Subject::None => Err(none()),
    }
}

/// A request for amendment that is in `status`, with its version.
fn open_task(edge: &Edge, id: &str, status: &str) -> Result<(Json, i64), Failure> {
    let found = current(edge, kind_of("Task")?, id)?;
    let mut task: Json =
        serde_json::from_str(found.text.as_deref().unwrap_or("null")).map_err(Failure::encoding)?;
    if task["code"]["text"] != CODE {
        return Err(Failure::bad_request("the Task is no request for amendment"));
    }
    if task["status"] != status {
        let text = format!("the request is not in the status {status}");
        return Err(Failure::new(StatusCode::CONFLICT, "business-rule", text));
    }
    // The server's own; the next version gets its own.
    if let Some(members) = task.as_object_mut() {
        members.remove("meta");
    }
    Ok((task, found.version))
}

/// What a request is about: type, id and version.
fn focus(task: &Json) -> Result<(Kind, String, i64), Failure> {
    let parts: Vec<&str> = task["focus"]["reference"].as_str().unwrap_or_default().split('/').collect();
    let [kind, id, "_history", version] = parts.as_slice() else {
        return Err(Failure::bad_request("the request names no version of a resource"));
    };
    let version = version.parse().map_err(|_| Failure::bad_request("the request names no version"))?;
    Ok((stored_kind(kind)?, (*id).to_owned(), version))
}

/// The amended resource of a body: of the same type and id, and not what is there already.
fn amended(edge: &Edge, kind: Kind, id: &str, body: &[u8]) -> Result<Value, Failure> {
    let limits = bxp_clinical::source::Limits::default();
    let resource = bxp_clinical::source::parse_tree("resource", body, &limits)?;
    let name = Parameters::r4().name(kind);
    if text(&resource, "resourceType") != Some(name) || text(&resource, "id") != Some(id) {
        return Err(Failure::bad_request(format!("the body is the amended {name}, with its id")));
    }
    let entry = Entry::new(Position::Whole, None, Phi::new(resource.clone()));
    if edge.ingest.find_entry(&entry)?.is_some_and(|found| found.equal) {
        return Err(Failure::bad_request("the body is what is there already: nothing would be amended"));
    }
    Ok(resource)
}
