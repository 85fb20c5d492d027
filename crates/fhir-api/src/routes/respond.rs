//! The answer to a write: what the client wants back of it, with version, time and address.

use crate::{
    Edge,
    bundle::fhir_text,
    disclose::reader,
    http::{self, Wanted},
    outcome::{self, Failure},
    write::Done,
};
use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, header::LOCATION},
    response::Response,
};

/// Answers a change that was carried out.
pub(crate) fn respond(edge: &Edge, headers: &HeaderMap, done: &Done) -> Result<Response, Failure> {
    let stored = reader(edge)?.version(done.kind, &done.id, done.version)?;
    let updated_ms = stored.as_ref().map_or(done.updated_ms, |stored| stored.updated_ms);
    let mut response = match http::wanted(headers).unwrap_or_default() {
        Wanted::Minimal => {
            let mut empty = Response::new(Body::empty());
            *empty.status_mut() = done.status;
            empty
        }
        Wanted::Outcome => {
            let outcome = outcome::outcome("information", "informational", "stored");
            fhir_text(done.status, outcome.to_string())?
        }
        // What was just handed in is given back to who handed it in: nothing is disclosed.
        Wanted::Representation => {
            let text = stored.and_then(|stored| stored.text).unwrap_or_default();
            fhir_text(done.status, text)?
        }
    };
    let location = format!("{}{}/_history/{}", http::base(headers), done.address(), done.version);
    let location = HeaderValue::from_str(&location).map_err(Failure::encoding)?;
    response.headers_mut().insert(LOCATION, location);
    http::mark(response.headers_mut(), done.version, updated_ms);
    Ok(response)
}
