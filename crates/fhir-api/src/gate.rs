//! The gate that every request passes: its id, its place, the operator's token, the log line.

use crate::{metric, outcome::Failure, state::Shared};
use axum::{
    extract::{MatchedPath, Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method,
        header::{AUTHORIZATION, CACHE_CONTROL, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS},
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use bxp_clinical::ingest::DEVICE_TOKEN_PREFIX;
use bxp_types::Secret;
use std::time::Instant;
use subtle::ConstantTimeEq;
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NO_SNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"bxp\"");
const SCHEME: &[u8] = b"bearer ";

/// Lets a request in, or not, and notes how it ended.
pub(crate) async fn pass(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let id = format!("{:016x}", rand::random::<u64>());
    // The route's pattern, never the path: a path may hold a patient's original id.
    let route = request.extensions().get::<MatchedPath>().map_or("unknown", MatchedPath::as_str).to_owned();
    let method = method_name(request.method());
    let span = tracing::info_span!("fhir.request", request = id, method, route);
    let mut response = admit(&shared, request, next).instrument(span.clone()).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    metric::answered(&route, status, took);
    span.in_scope(|| tracing::info!(status, milliseconds = took.as_millis(), "answered"));
    let headers = response.headers_mut();
    headers.insert(X_CONTENT_TYPE_OPTIONS, NO_SNIFF);
    headers.entry(CACHE_CONTROL).or_insert(NO_STORE);
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert(REQUEST_ID, id);
    }
    response
}

async fn admit(shared: &Shared, request: Request, next: Next) -> Response {
    let Ok(_place) = shared.0.requests.try_acquire() else {
        return Failure::busy("the node answers too many requests at once; try again").into_response();
    };
    let public = is_public(request.method(), request.uri().path()) || shows_device(&request);
    if public || is_operator(request.headers(), &shared.edge().operator_token) {
        return next.run(request).await;
    }
    challenge()
}

/// What may be asked without the operator's token. Everything else needs it, also what does not exist. The gateway under
/// `/ipfs/` looks at tokens itself, since it takes those of publications too.
fn is_public(method: &Method, path: &str) -> bool {
    let reads = *method == Method::GET || *method == Method::HEAD;
    reads
        && (path == "/metadata"
            || path == "/healthz"
            || path.starts_with("/content/")
            || path.starts_with("/ipfs/"))
}

/// Whether a request hands in readings with what can be the token of a device. The route looks whether it is one, before
/// anything is read of the body.
fn shows_device(request: &Request) -> bool {
    let prefix = DEVICE_TOKEN_PREFIX.as_bytes();
    *request.method() == Method::POST
        && request.uri().path() == "/$device-data"
        && bearer(request.headers()).is_some_and(|token| token.starts_with(prefix))
}

/// What a request without a token that opens this route is told.
pub(crate) fn challenge() -> Response {
    challenge_with("this needs the operator's token: Authorization: Bearer TOKEN")
}

/// The same, with what else would open it.
pub(crate) fn challenge_with(text: &'static str) -> Response {
    let failure = Failure::new(axum::http::StatusCode::UNAUTHORIZED, "login", text);
    let mut response = failure.into_response();
    response.headers_mut().insert(WWW_AUTHENTICATE, CHALLENGE);
    response
}

/// Whether the request shows the operator's token; compared in a time that does not tell how much of it is right.
pub(crate) fn is_operator(headers: &HeaderMap, token: &Secret<String>) -> bool {
    bearer(headers).is_some_and(|given| bool::from(given.ct_eq(token.expose().as_bytes())))
}

/// The token that a request shows (RFC 6750).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, given) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| given.trim_ascii())
}

/// A method for the log; a client can make up others.
fn method_name(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shows(value: &'static str) -> bool {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
        is_operator(&headers, &Secret::new("0123456789abcdef".to_owned()))
    }

    #[test]
    fn only_the_whole_token_counts() {
        assert!(shows("Bearer 0123456789abcdef"));
        assert!(shows("bearer  0123456789abcdef "));
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer 0123456789abcde",
            "Bearer 0123456789abcdef0",
            "Bearer 0123456789abcdeF",
            "Basic 0123456789abcdef",
            "0123456789abcdef",
        ] {
            assert!(!shows(wrong), "{wrong}");
        }
        assert!(!is_operator(&HeaderMap::new(), &Secret::new(String::new())));
    }

    #[test]
    fn few_routes_are_public_for_reading() {
        for (method, path, public) in [
            (Method::GET, "/metadata", true),
            (Method::HEAD, "/content/x", true),
            (Method::GET, "/healthz", true),
            (Method::GET, "/ipfs/x", true),
            (Method::POST, "/ipfs/x", false),
            (Method::GET, "/dags", false),
            (Method::POST, "/metadata", false),
            (Method::GET, "/", false),
            (Method::GET, "/contents", false),
            (Method::GET, "/metadata/", false),
            (Method::GET, "/records", false),
        ] {
            assert_eq!(is_public(&method, path), public, "{method} {path}");
        }
    }
}
