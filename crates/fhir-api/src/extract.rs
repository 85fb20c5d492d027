//! Reading requests, with errors of this crate's form.

use crate::{outcome::Failure, state::Shared};
use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Path, Query, Request},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_ENCODING, CONTENT_TYPE},
        request::Parts,
    },
};
use bxp_clinical::{
    fhir::element::resource_type,
    source::{Limits, Position, parse_json},
};
use bxp_fhir_store::{Kind, Parameters};
use bxp_privacy::Purpose;
use serde::de::DeserializeOwned;
use sonic_rs::Value;
use std::{str::FromStr, time::Duration};

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(600);
/// Rows of one answer.
pub(crate) const LIMIT_MAX: usize = 1_000;

/// The parts of the path.
pub(crate) struct PathOf<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for PathOf<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Failure> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value)).map_err(|_| Failure::not_found("there is no such address here"))
    }
}

/// The query.
pub(crate) struct QueryOf<T>(pub(crate) T);

impl<T: DeserializeOwned + Send> FromRequestParts<Shared> for QueryOf<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, _: &Shared) -> Result<Self, Failure> {
        let query = Query::try_from_uri(&parts.uri);
        let wrong =
            |_| Failure::bad_request("the query has a parameter that this route does not know, or twice");
        query.map(|Query(value)| Self(value)).map_err(wrong)
    }
}

/// A parameter of the query that is missing or of its form.
pub(crate) fn parameter<T: FromStr>(
    name: &'static str,
    text: Option<&str>,
    form: &'static str,
) -> Result<Option<T>, Failure> {
    let wrong = |_| Failure::bad_request(format!("parameter {name} must be {form}"));
    text.map(|text| text.parse().map_err(wrong)).transpose()
}

/// The number of rows that is asked for.
pub(crate) fn limit(text: Option<&str>, usual: usize) -> Result<usize, Failure> {
    limit_named("limit", text, usual)
}

/// As [`limit`], by another parameter.
pub(crate) fn limit_named(name: &'static str, text: Option<&str>, usual: usize) -> Result<usize, Failure> {
    let form = "a number from 1 to 1000";
    let limit = parameter(name, text, form)?.unwrap_or(usual);
    if (1..=LIMIT_MAX).contains(&limit) {
        Ok(limit)
    } else {
        Err(Failure::bad_request(format!("parameter {name} must be {form}")))
    }
}

/// A header's text.
pub(crate) fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// The one resource in a body, of the type that the address says.
pub(crate) async fn resource(kind: Kind, request: Request) -> Result<Value, Failure> {
    if matches!(form(&request)?, Form::Ndjson | Form::Hl7v2 | Form::Ccda) {
        return Err(Failure::bad_request("NDJSON, HL7 v2 and C-CDA go to POST /$ingest"));
    }
    let body = body(request).await?;
    let submission = parse_json("resource", &body, &Limits::default())?;
    let [entry] = submission.entries.as_slice() else {
        return Err(Failure::bad_request("a Bundle goes to POST /"));
    };
    let name = Parameters::r4().name(kind);
    if entry.position != Position::Whole {
        return Err(Failure::bad_request("a Bundle goes to POST /"));
    }
    if resource_type(entry.resource.expose()) != Some(name) {
        let text = format!("resourceType must be {name}, as the address says");
        return Err(Failure::new(StatusCode::BAD_REQUEST, "invariant", text));
    }
    Ok(entry.resource.expose().clone())
}

/// What records are opened for, `treatment` unless it is said.
pub(crate) fn purpose(text: Option<&str>) -> Result<Purpose, Failure> {
    match text {
        None | Some("treatment") => Ok(Purpose::Treatment),
        Some("operations") => Ok(Purpose::Operations),
        Some("oversight") => Ok(Purpose::Oversight),
        Some(_) => Err(Failure::bad_request("parameter purpose must be treatment, operations or oversight")),
    }
}

/// How a body says that it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Ndjson,
    /// HL7 v2 messages in their usual encoding.
    Hl7v2,
    /// A C-CDA document.
    Ccda,
    /// It does not say.
    Unsaid,
}

/// The form of the body by its headers.
pub(crate) fn form(request: &Request) -> Result<Form, Failure> {
    let headers = request.headers();
    let unsupported = |text| Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-supported", text));
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding.as_bytes() != b"identity") {
        return unsupported("send the body without Content-Encoding");
    }
    let Some(kind) = headers.get(CONTENT_TYPE) else { return Ok(Form::Unsaid) };
    let kind = kind.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    match kind.to_ascii_lowercase().as_str() {
        "application/fhir+json" | "application/json" | "text/json" => Ok(Form::Json),
        "application/fhir+ndjson" | "application/ndjson" | "application/x-ndjson" => Ok(Form::Ndjson),
        "x-application/hl7-v2+er7" | "application/hl7-v2" | "application/edi-hl7v2" => Ok(Form::Hl7v2),
        "application/hl7-cda+xml" | "application/cda+xml" | "application/xml" | "text/xml" => Ok(Form::Ccda),
        "" | "application/octet-stream" => Ok(Form::Unsaid),
        _ => unsupported("Content-Type must be application/fhir+json or application/fhir+ndjson"),
    }
}

/// Reads the whole body, up to the bound of its route.
pub(crate) async fn body(request: Request) -> Result<Bytes, Failure> {
    let read = tokio::time::timeout(BODY_TIMEOUT, Bytes::from_request(request, &())).await;
    let late = |_| Failure::new(StatusCode::REQUEST_TIMEOUT, "timeout", "the body did not arrive in time");
    read.map_err(late)?.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Failure::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too-long",
            "the body is larger than this node takes at once; split it",
        ),
        _ => Failure::bad_request("the body broke off"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_purposes_are_bounded() {
        assert_eq!(limit(None, 100).unwrap(), 100);
        assert_eq!(limit(Some("1000"), 100).unwrap(), 1_000);
        for wrong in ["0", "1001", "-1", "ten", ""] {
            assert_eq!(limit(Some(wrong), 100).unwrap_err().status().as_u16(), 400, "{wrong}");
        }
        assert_eq!(purpose(None).unwrap(), Purpose::Treatment);
        assert_eq!(purpose(Some("oversight")).unwrap(), Purpose::Oversight);
        assert!(purpose(Some("curiosity")).is_err());
    }

    #[test]
    fn hl7_v2_is_told_by_its_media_type() {
        let request = Request::builder().header("content-type", "x-application/hl7-v2+er7; charset=utf-8");
        assert_eq!(form(&request.body(axum::body::Body::empty()).unwrap()).unwrap(), Form::Hl7v2);
    }

    #[test]
    fn the_form_is_read_from_the_headers() {
        let of = |name: &str, value: &str| {
            form(&Request::builder().header(name, value).body(axum::body::Body::empty()).unwrap())
        };
        assert_eq!(of("content-type", "application/fhir+json; charset=utf-8").unwrap(), Form::Json);
        assert_eq!(of("content-type", "Application/NDJSON").unwrap(), Form::Ndjson);
        assert_eq!(of("content-type", "application/hl7-cda+xml").unwrap(), Form::Ccda);
        assert_eq!(of("x-other", "1").unwrap(), Form::Unsaid);
        assert_eq!(of("content-type", "application/pdf").unwrap_err().status().as_u16(), 415);
        assert_eq!(of("content-encoding", "gzip").unwrap_err().status().as_u16(), 415);
    }
}
