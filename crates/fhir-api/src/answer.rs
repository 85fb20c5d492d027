//! Answers in JSON.

use crate::outcome::Failure;
use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::Response,
};
use serde::Serialize;
use serde_json::value::RawValue;
use sonic_rs::Value;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const FHIR_JSON: HeaderValue = HeaderValue::from_static("application/fhir+json");

/// What a handler gives.
pub(crate) type Answer = Result<Response, Failure>;

/// An answer of the operator's routes.
pub(crate) fn json(value: &impl Serialize) -> Answer {
    Ok(response(StatusCode::OK, JSON, serde_json::to_vec(value).map_err(Failure::encoding)?))
}

/// A FHIR resource that this crate made.
pub(crate) fn fhir(status: StatusCode, resource: &impl Serialize) -> Answer {
    Ok(response(status, FHIR_JSON, serde_json::to_vec(resource).map_err(Failure::encoding)?))
}

/// A FHIR resource as it was handed in, with its decimals and the order of its elements.
pub(crate) fn stored(resource: &Value) -> Answer {
    Ok(response(StatusCode::OK, FHIR_JSON, sonic_rs::to_vec(resource).map_err(Failure::encoding)?))
}

/// A stored resource as a part of another answer, character by character.
pub(crate) fn raw(resource: &Value) -> Result<Box<RawValue>, Failure> {
    let text = sonic_rs::to_string(resource).map_err(Failure::encoding)?;
    RawValue::from_string(text).map_err(Failure::encoding)
}

pub(crate) fn response(status: StatusCode, content_type: HeaderValue, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
