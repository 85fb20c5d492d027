//! From changes to what the gate takes: ids, references, conditions.

use super::{Action, Change, Done, When};
use crate::{Edge, outcome::Failure};
use axum::http::StatusCode;
use bxp_clinical::{
    ingest::{Deletion, rewrite_references},
    source::{Entry, Position, Submission},
};
use bxp_fhir_store::{Kind, Parameters, Writer, extract::is_id, search};
use bxp_types::Phi;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};
use std::collections::{HashMap, HashSet};

/// What is done with a change.
pub(super) enum Step {
    /// Nothing more.
    Done(Done),
    /// It cannot be.
    Failed(Failure),
    /// The gate takes its resource: the entries of the submission, in order.
    Take { kind: Kind, entry: Option<usize> },
}

/// What the gate is given.
pub(super) struct Plan {
    pub(super) submission: Submission,
    pub(super) steps: Vec<Step>,
    pub(super) deletions: Vec<Deletion>,
}

/// What a change comes to.
enum Meant {
    Take { id: String },
    Delete { id: String },
    Done(Done),
}

/// Whether any change depends on what is stored.
pub(super) fn needs_turn(changes: &[Change]) -> bool {
    changes.iter().any(|change| match &change.action {
        Action::Create { unless } => unless.is_some() || refers_by_search(change.resource.as_ref()),
        Action::Update { when, .. } => *when != When::Always || refers_by_search(change.resource.as_ref()),
        Action::UpdateBy { .. } | Action::Delete { .. } | Action::DeleteBy { .. } => true,
    })
}

/// Whether a resource has a conditional reference (R4 section 3.1.0.11.2).
fn refers_by_search(resource: Option<&Value>) -> bool {
    let mut rest: Vec<&Value> = resource.into_iter().collect();
    while let Some(value) = rest.pop() {
        if let Some(array) = value.as_array() {
            rest.extend(array.iter());
        } else if let Some(object) = value.as_object() {
            for (name, child) in object.iter() {
                match child.as_str() {
                    Some(text) if name == "reference" && text.contains('?') => return true,
                    Some(_) => {}
                    None => rest.push(child),
                }
            }
        }
    }
    false
}

impl Plan {
    pub(super) fn make(
        edge: &Edge,
        changes: Vec<Change>,
        whole: bool,
        base: &str,
        store: Option<&Writer>,
    ) -> Result<Self, Failure> {
        let now_ms = i64::try_from(edge.ingest.now_ms()).unwrap_or(i64::MAX);
        let search = Search { store, now_ms, base };
        let mut touched: HashSet<(Kind, String)> = HashSet::new();
        let mut meant: Vec<Result<Meant, Failure>> = Vec::with_capacity(changes.len());
        for change in &changes {
            let one = mean(change, &search).and_then(|meant| match meant {
                Meant::Take { id } | Meant::Delete { id } if !touched.insert((change.kind, id.clone())) => {
                    Err(Failure::bad_request("two entries change the same resource"))
                }
                other => Ok(other),
            });
            let one = one.map_err(|failure| match change.entry {
                Some(entry) => failure.at_entry(entry),
                None => failure,
            });
            if whole && let Err(failure) = one {
                return Err(failure);
            }
            meant.push(one);
        }
        let addresses = addresses(&changes, &meant);
        let mut plan = Self {
            submission: Submission {
                source_name: "request".to_owned(),
                bytes: 0,
                entries: Vec::new(),
                refused: Vec::new(),
                unmapped: Vec::new(),
            },
            steps: Vec::with_capacity(changes.len()),
            deletions: Vec::new(),
        };
        for (change, meant) in changes.into_iter().zip(meant) {
            plan.add(change, meant, &addresses, &search, whole)?;
        }
        Ok(plan)
    }

    fn add(
        &mut self,
        change: Change,
        meant: Result<Meant, Failure>,
        addresses: &HashMap<String, String>,
        search: &Search<'_>,
        whole: bool,
    ) -> Result<(), Failure> {
        let step = match meant {
            Err(failure) => Step::Failed(failure),
            Ok(Meant::Done(done)) => Step::Done(done),
            Ok(Meant::Delete { id }) => {
                self.deletions.push(Deletion { kind: change.kind, id: id.clone() });
                let status = StatusCode::NO_CONTENT;
                Step::Done(Done { status, kind: change.kind, id, version: 0, updated_ms: 0 })
            }
            Ok(Meant::Take { id }) => match resource(&change, &id, addresses, search) {
                Err(failure) => {
                    let failure = match change.entry {
                        Some(entry) => failure.at_entry(entry),
                        None => failure,
                    };
                    if whole {
                        return Err(failure);
                    }
                    Step::Failed(failure)
                }
                Ok(value) => {
                    let position = change.entry.map_or(Position::Whole, Position::Entry);
                    self.submission.entries.push(Entry::new(position, None, Phi::new(value)));
                    Step::Take { kind: change.kind, entry: change.entry }
                }
            },
        };
        self.steps.push(step);
        Ok(())
    }
}

/// What a change comes to, by its conditions.
fn mean(change: &Change, search: &Search<'_>) -> Result<Meant, Failure> {
    let kind = change.kind;
    let own_id = change.resource.as_ref().and_then(|value| value.get("id")).and_then(|id| id.as_str());
    match &change.action {
        Action::Create { unless: None } => Ok(Meant::Take { id: new_id() }),
        Action::Create { unless: Some(query) } => match search.one(kind, query)? {
            None => Ok(Meant::Take { id: new_id() }),
            Some(id) => {
                let version = search.version(kind, &id)?;
                Ok(Meant::Done(Done { status: StatusCode::OK, kind, id, version, updated_ms: 0 }))
            }
        },
        Action::Update { id, when } => {
            if own_id != Some(id.as_str()) {
                let text = "the resource's id must be there and equal the one of the address";
                return Err(Failure::bad_request(text));
            }
            search.expect(kind, id, *when)?;
            Ok(Meant::Take { id: id.clone() })
        }
        Action::UpdateBy { search: query, when } => match (search.one(kind, query)?, own_id) {
            (None, None) => Ok(Meant::Take { id: new_id() }),
            (None, Some(id)) if search.version(kind, id)? == 0 => Ok(Meant::Take { id: id.to_owned() }),
            (Some(found), own) if own.is_none_or(|own| own == found) => {
                search.expect(kind, &found, *when)?;
                Ok(Meant::Take { id: found })
            }
            _ => Err(Failure::bad_request("the resource's id is not that of what the search finds")),
        },
        Action::Delete { id, when } => {
            search.expect(kind, id, *when)?;
            Ok(search.deletion(kind, id.clone())?)
        }
        Action::DeleteBy { search: query } => match search.one(kind, query)? {
            Some(id) => Ok(search.deletion(kind, id)?),
            None => Ok(Meant::Done(nothing(kind, String::new()))),
        },
    }
}

const fn nothing(kind: Kind, id: String) -> Done {
    Done { status: StatusCode::NO_CONTENT, kind, id, version: 0, updated_ms: 0 }
}

/// A random UUID (RFC 9562, version 4).
fn new_id() -> String {
    let mut bytes: [u8; 16] = rand::random();
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex = hex::encode(bytes);
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// `fullUrl` to `Type/id`, for what is written and for what a conditional create has found.
fn addresses(changes: &[Change], meant: &[Result<Meant, Failure>]) -> HashMap<String, String> {
    let mut addresses = HashMap::new();
    for (change, meant) in changes.iter().zip(meant) {
        let (Some(url), Ok(Meant::Take { id } | Meant::Done(Done { id, .. }))) = (&change.full_url, meant)
        else {
            continue;
        };
        let name = Parameters::r4().name(change.kind);
        let address = format!("{name}/{id}");
        // References relative to where the entry comes from mean it too.
        if let Some((_, old)) = url.rsplit_once('/').filter(|(before, _)| before.ends_with(name)) {
            addresses.insert(format!("{name}/{old}"), address.clone());
        }
        addresses.insert(url.clone(), address);
    }
    addresses
}

/// The resource with its id, without what only the server says, with references that lead to ids.
fn resource(
    change: &Change,
    id: &str,
    addresses: &HashMap<String, String>,
    search: &Search<'_>,
) -> Result<Value, Failure> {
    let name = Parameters::r4().name(change.kind);
    let object = change.resource.as_ref().and_then(|value| value.as_object());
    let object = object.ok_or_else(|| Failure::bad_request("the entry needs a resource"))?;
    let mut text = format!("{{\"resourceType\":\"{name}\",\"id\":\"{id}\"");
    for (name, value) in object.iter() {
        let member = match name {
            "resourceType" | "id" => continue,
            "meta" => meta(value),
            _ => sonic_rs::to_string(value).ok(),
        };
        // What cannot be encoded was never parsed; an empty meta is left out.
        if let Some(member) = member {
            text.push(',');
            text.push_str(&sonic_rs::to_string(name).map_err(Failure::encoding)?);
            text.push(':');
            text.push_str(&member);
        }
    }
    text.push('}');
    let failed = std::cell::RefCell::new(None);
    let lookup = |reference: &str| {
        if let Some(address) = addresses.get(reference) {
            return Some(address.clone());
        }
        let (kind, query) = reference.split_once('?')?;
        let kind_of = Parameters::r4().kind(kind)?;
        match search.one(kind_of, query) {
            Ok(Some(id)) => Some(format!("{kind}/{id}")),
            Ok(None) => {
                let text = "a conditional reference finds nothing; hand in what it refers to first";
                failed.replace(Some(Failure::precondition(text)));
                None
            }
            Err(failure) => {
                failed.replace(Some(failure));
                None
            }
        }
    };
    let rewritten = rewrite_references(&text, &lookup);
    if let Some(failure) = failed.into_inner() {
        return Err(failure);
    }
    sonic_rs::from_str(rewritten.as_deref().unwrap_or(&text)).map_err(Failure::encoding)
}

/// `meta` without version and time; none where nothing is left.
fn meta(value: &Value) -> Option<String> {
    let Some(object) = value.as_object() else { return sonic_rs::to_string(value).ok() };
    let own = |name: &str| matches!(name.trim_start_matches('_'), "versionId" | "lastUpdated");
    let members: Vec<String> = object
        .iter()
        .filter(|(name, _)| !own(name))
        .filter_map(|(name, value)| {
            Some(format!("{}:{}", sonic_rs::to_string(name).ok()?, sonic_rs::to_string(value).ok()?))
        })
        .collect();
    (!members.is_empty() || object.is_empty()).then(|| format!("{{{}}}", members.join(",")))
}

/// What is stored, as far as conditions ask for it.
struct Search<'a> {
    store: Option<&'a Writer>,
    now_ms: i64,
    base: &'a str,
}

impl Search<'_> {
    fn store(&self) -> Result<&Writer, Failure> {
        let outside = || Failure::internal("look up a condition", &std::io::Error::other("it has no turn"));
        self.store.ok_or_else(outside)
    }

    /// The one resource that a query finds; none; or a refusal where there are more.
    fn one(&self, kind: Kind, query: &str) -> Result<Option<String>, Failure> {
        let parameters: Vec<(String, String)> =
            form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if parameters.is_empty() {
            return Err(Failure::bad_request("a condition needs a search parameter"));
        }
        let parsed = search::parse(kind, &parameters, &[self.base.to_owned()], self.now_ms)?;
        if let Some(name) = parsed.ignored.first() {
            let text = format!("a condition has {name}, which is no search parameter of its type");
            return Err(Failure::precondition(text));
        }
        match self.store()?.matches(&parsed.query)? {
            (_, true) => Err(Failure::precondition("a condition finds more than one resource")),
            (found, false) => Ok(found),
        }
    }

    /// The version that is there; 0 for none.
    fn version(&self, kind: Kind, id: &str) -> Result<i64, Failure> {
        let current = self.store()?.current(kind, id)?;
        Ok(current.filter(|current| !current.deleted).map_or(0, |current| current.version))
    }

    fn expect(&self, kind: Kind, id: &str, when: When) -> Result<(), Failure> {
        if !is_id(id) {
            return Err(Failure::bad_request("an id has 1 to 64 of the characters A-Z a-z 0-9 - ."));
        }
        let expected = match when {
            When::Always => return Ok(()),
            When::Version(version) => version,
            When::New => 0,
        };
        if self.version(kind, id)? == expected {
            return Ok(());
        }
        Err(Failure::precondition("the resource has another version by now; read it again"))
    }

    fn deletion(&self, kind: Kind, id: String) -> Result<Meant, Failure> {
        let is_there = self.version(kind, &id)? > 0;
        Ok(if is_there { Meant::Delete { id } } else { Meant::Done(nothing(kind, id)) })
    }
}
