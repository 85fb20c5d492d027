//! `POST /`: a Bundle of interactions (R4 section 3.1.0.11): `transaction`, all or nothing; `batch`, each for itself.
//!
//! Writes of a Bundle go through the gate together, reads are answered after them. A `collection` or `searchset` is a
//! submission: it goes to `$ingest`.

use crate::{
    Edge,
    answer::Answer,
    bundle::{BundleText, quoted},
    disclose::{reader, shown_one},
    extract::{self, Form},
    http::{self, Wanted},
    outcome::Failure,
    routes::{patch, search, unknown},
    state::Shared,
    write::{Action, Change, Done, When, apply},
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, StatusCode},
};
use bxp_clinical::{
    fhir::element::{child, resource_type, text},
    source::{Limits, parse_tree},
};
use bxp_fhir_store::{Kind, Resource, value::date::instant};
use bxp_privacy::Purpose;
use sonic_rs::{JsonContainerTrait, Value};

/// The most entries of one Bundle.
const ENTRIES_MAX: usize = 250_000;

/// An entry, understood.
enum Asked {
    Change(Change),
    Read(String),
}

/// What an entry is answered with.
enum Answered {
    Done(Done),
    Failed(Failure),
    Read(String),
}

/// Carries a Bundle out.
pub(crate) async fn bundle(State(shared): State<Shared>, request: Request) -> Answer {
    if extract::form(&request)? == Form::Ndjson {
        return Err(Failure::bad_request("NDJSON goes to POST /$ingest"));
    }
    let headers = request.headers().clone();
    let place = shared.submission_place().await?;
    let body = extract::body(request).await?;
    let answer = shared.blocking(move |edge| {
        let _place = place;
        let bundle = parse_tree("Bundle", &body, &Limits::default())?;
        drop(body);
        carry_out(edge, &bundle, &headers)
    });
    answer.await
}

fn carry_out(edge: &Edge, bundle: &Value, headers: &HeaderMap) -> Answer {
    if resource_type(bundle) != Some("Bundle") {
        return Err(Failure::bad_request("POST / takes a Bundle; a single resource goes to POST /{type}"));
    }
    let whole = match text(bundle, "type") {
        Some("transaction") => true,
        Some("batch") => false,
        Some("collection" | "searchset") => {
            return Err(Failure::bad_request("a collection or searchset goes to POST /$ingest"));
        }
        _ => return Err(Failure::bad_request("POST / takes a Bundle of type transaction or batch")),
    };
    let entries = match child(bundle, "entry") {
        None => &[][..],
        Some(list) => {
            list.as_array().ok_or_else(|| Failure::bad_request("Bundle.entry must be an array"))?.as_slice()
        }
    };
    if entries.len() > ENTRIES_MAX {
        let text = "more than 250000 entries in one Bundle; split it";
        return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-long", text));
    }
    let base = http::base(headers);
    let (mut changes, mut order) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
    let mut answers: Vec<Option<Answered>> = entries.iter().map(|_| None).collect();
    let mut reads = Vec::new();
    for (number, entry) in entries.iter().enumerate() {
        match asked(edge, entry, number, &base) {
            Ok(Asked::Change(change)) => {
                changes.push(change);
                order.push(number);
            }
            Ok(Asked::Read(url)) => reads.push((number, url)),
            Err(failure) if whole => return Err(failure.at_entry(number)),
            Err(failure) => answers[number] = Some(Answered::Failed(failure)),
        }
    }
    if !changes.is_empty() {
        let results = apply(edge, changes, whole, &base)?;
        for (number, result) in order.into_iter().zip(results) {
            answers[number] = Some(result.map_or_else(Answered::Failed, Answered::Done));
        }
    }
    for (number, url) in reads {
        // A read that fails undoes nothing: what was written is there.
        let answer = read(edge, &url, headers, &base);
        answers[number] = Some(answer.map_or_else(Answered::Failed, Answered::Read));
    }
    respond(edge, answers, headers, whole, &base)
}

/// What an entry asks for.
fn asked(edge: &Edge, entry: &Value, number: usize, base: &str) -> Result<Asked, Failure> {
    let request = child(entry, "request").ok_or_else(|| Failure::bad_request("the entry has no request"))?;
    let url = text(request, "url").ok_or_else(|| Failure::bad_request("the entry's request has no url"))?;
    let url = url.strip_prefix(base).unwrap_or(url).trim_start_matches('/');
    let resource = child(entry, "resource").cloned();
    let full_url = text(entry, "fullUrl").map(str::to_owned);
    let when = match text(request, "ifMatch") {
        Some(tag) => {
            let version = http::version(tag);
            When::Version(version.ok_or_else(|| Failure::bad_request("request.ifMatch looks like W/\"3\""))?)
        }
        None if text(request, "ifNoneMatch") == Some("*") => When::New,
        None => When::Always,
    };
    let method = text(request, "method");
    if matches!(method, Some("GET" | "HEAD")) {
        return Ok(Asked::Read(url.to_owned()));
    }
    let (path, query) =
        url.split_once('?').map_or((url, None), |(path, query)| (path, Some(query.to_owned())));
    let mut parts = path.split('/');
    let kind = unknown::stored_kind(parts.next().unwrap_or_default())?;
    let id = parts.next().filter(|id| !id.is_empty()).map(str::to_owned);
    if parts.next().is_some() {
        return Err(Failure::bad_request("request.url of a write is Type, Type/id or Type?search"));
    }
    let action = match (method, id, query) {
        (Some("POST"), None, _) => Action::Create { unless: text(request, "ifNoneExist").map(str::to_owned) },
        (Some("PUT"), Some(id), None) => Action::Update { id, when },
        (Some("PUT"), None, Some(search)) => Action::UpdateBy { search, when },
        (Some("DELETE"), Some(id), None) => Action::Delete { id, when },
        (Some("DELETE"), None, Some(search)) => Action::DeleteBy { search },
        (Some("PATCH"), Some(id), None) => return patch_of(edge, kind, &id, resource.as_ref(), when, number),
        _ => return Err(Failure::bad_request("request.method and request.url do not fit each other")),
    };
    let deletes = matches!(action, Action::Delete { .. } | Action::DeleteBy { .. });
    let name = bxp_fhir_store::Parameters::r4().name(kind);
    if !deletes && resource.as_ref().and_then(resource_type) != Some(name) {
        return Err(Failure::bad_request("the entry's resource is not of the type that request.url says"));
    }
    let resource = if deletes { None } else { resource };
    Ok(Asked::Change(Change { kind, action, resource, full_url, entry: Some(number) }))
}

/// A JSON Patch stands in a Binary, as base64 (R4 section 3.1.0.6.1).
fn patch_of(
    edge: &Edge,
    kind: Kind,
    id: &str,
    resource: Option<&Value>,
    when: When,
    number: usize,
) -> Result<Asked, Failure> {
    let wrong = || Failure::bad_request("a patch in a Bundle is a Binary of application/json-patch+json");
    let binary = resource.filter(|value| resource_type(value) == Some("Binary")).ok_or_else(wrong)?;
    let data = text(binary, "data").and_then(decode_base64).ok_or_else(wrong)?;
    let patch: Value = sonic_rs::from_slice(&data).map_err(|_| wrong())?;
    Ok(Asked::Change(patch::change(edge, kind, id, &patch, when, Some(number))?))
}

fn decode_base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for letter in text.bytes().filter(|byte| !byte.is_ascii_whitespace() && *byte != b'=') {
        let value = ALPHABET.iter().position(|one| *one == letter)?;
        held = (held << 6) | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push(u8::try_from((held >> bits) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

/// `Type/id`, `Type/id/_history/version`, `Type?search`.
fn read(edge: &Edge, url: &str, headers: &HeaderMap, base: &str) -> Result<String, Failure> {
    let (path, query) = url.split_once('?').map_or((url, ""), |(path, query)| (path, query));
    let parts: Vec<&str> = path.split('/').collect();
    let missing = || Failure::not_found("no such resource here");
    let found = match parts.as_slice() {
        [kind] => {
            let bundle = search::within_bundle(edge, unknown::stored_kind(kind)?, query, headers)?;
            return Ok(format!("\"resource\":{bundle},\"response\":{{\"status\":\"200 OK\"}}"));
        }
        [kind, id] => reader(edge)?.read(unknown::stored_kind(kind)?, id)?,
        [kind, id, "_history", version] => {
            let version = version.parse().map_err(|_| missing())?;
            reader(edge)?.version(unknown::stored_kind(kind)?, id, version)?
        }
        _ => return Err(Failure::bad_request("request.url of a read is Type/id or Type?search")),
    };
    let found = found.ok_or_else(missing)?;
    if found.text.is_none() {
        return Err(Failure::gone("the resource was deleted"));
    }
    let shown = shown_one(edge, found, Purpose::Treatment)?;
    Ok(resource_entry(&shown, base, "200 OK"))
}

fn resource_entry(one: &Resource, base: &str, status: &str) -> String {
    let address = quoted(&format!("{base}{}", one.address()));
    let text = one.text.as_deref().unwrap_or("null");
    format!(
        "\"fullUrl\":{address},\"resource\":{text},\"response\":{{\"status\":\"{status}\",\"etag\":\"W/\\\"{}\\\"\",\
         \"lastModified\":\"{}\"}}",
        one.version,
        instant(one.updated_ms)
    )
}

fn respond(
    edge: &Edge,
    answers: Vec<Option<Answered>>,
    headers: &HeaderMap,
    whole: bool,
    base: &str,
) -> Answer {
    let represents = http::wanted(headers) == Some(Wanted::Representation);
    let reader = if represents { Some(reader(edge)?) } else { None };
    let kind = if whole { "transaction-response" } else { "batch-response" };
    let mut bundle = BundleText::new(kind, None, &[]);
    for answer in answers.into_iter().flatten() {
        match answer {
            Answered::Read(entry) => bundle.entry(&entry),
            Answered::Failed(failure) => {
                let (status, outcome) = failure.parts();
                let status = quoted(&status);
                bundle.entry(&format!("\"response\":{{\"status\":{status},\"outcome\":{outcome}}}"));
            }
            Answered::Done(done) => {
                let stored = match &reader {
                    Some(reader) => reader.version(done.kind, &done.id, done.version)?,
                    None => None,
                };
                bundle.entry(&done_entry(&done, stored.as_ref(), base));
            }
        }
    }
    Ok(bundle.response())
}

fn done_entry(done: &Done, stored: Option<&Resource>, base: &str) -> String {
    let status = quoted(&done.status.to_string());
    if done.version == 0 {
        return format!("\"response\":{{\"status\":{status}}}");
    }
    let address = done.address();
    let mut entry = String::new();
    if let Some(text) = stored.and_then(|stored| stored.text.as_ref()) {
        entry = format!("\"fullUrl\":{},\"resource\":{text},", quoted(&format!("{base}{address}")));
    }
    let version = done.version;
    entry.push_str(&format!(
        "\"response\":{{\"status\":{status},\"location\":\"{address}/_history/{version}\",\"etag\":\"W/\\\"{version}\\\""
    ));
    entry.push('"');
    if done.updated_ms > 0 {
        entry.push_str(&format!(",\"lastModified\":\"{}\"", instant(done.updated_ms)));
    }
    entry.push('}');
    entry
}

#[cfg(test)]
mod tests {
    use super::decode_base64;

    #[test]
    fn base64_is_read_with_and_without_its_end() {
        assert_eq!(decode_base64("W3sib3AiOiJ4In1d").as_deref(), Some(&b"[{\"op\":\"x\"}]"[..]));
        assert_eq!(decode_base64("YQ==").as_deref(), Some(&b"a"[..]));
        assert_eq!(decode_base64("YWI").as_deref(), Some(&b"ab"[..]));
        assert_eq!(decode_base64("?"), None);
    }
}
