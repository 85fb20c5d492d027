//! The headers of FHIR REST: versions, times, preferences, and the server's own address.

use axum::http::{
    HeaderMap, HeaderValue,
    header::{ETAG, HOST, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED},
};
use bxp_fhir_store::Resource;
use jiff::fmt::rfc2822::DateTimeParser;

/// What the client wants back from a write (R4 section 3.1.0.1.7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wanted {
    Minimal,
    #[default]
    Representation,
    Outcome,
}

fn text(headers: &HeaderMap, name: impl axum::http::header::AsHeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// `Prefer: return=`.
pub(crate) fn wanted(headers: &HeaderMap) -> Option<Wanted> {
    let prefer = text(headers, "prefer")?;
    let return_ = prefer.split([',', ';']).find_map(|one| one.trim().strip_prefix("return="))?;
    match return_ {
        "minimal" => Some(Wanted::Minimal),
        "representation" => Some(Wanted::Representation),
        "OperationOutcome" => Some(Wanted::Outcome),
        _ => None,
    }
}

/// `Prefer: handling=strict`.
pub(crate) fn is_strict(headers: &HeaderMap) -> bool {
    text(headers, "prefer")
        .is_some_and(|prefer| prefer.split([',', ';']).any(|one| one.trim() == "handling=strict"))
}

/// `Prefer: respond-async`.
pub(crate) fn is_async(headers: &HeaderMap) -> bool {
    text(headers, "prefer")
        .is_some_and(|prefer| prefer.split([',', ';']).any(|one| one.trim() == "respond-async"))
}

/// The version in `W/"3"`; a strong tag is taken too.
pub(crate) fn version(tag: &str) -> Option<i64> {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag).trim_matches('"').parse().ok()
}

/// `If-Match`.
pub(crate) fn if_match(headers: &HeaderMap) -> Option<&str> {
    text(headers, IF_MATCH)
}

/// Whether a read need not be answered with the resource (R4 section 3.1.0.1.3).
pub(crate) fn is_unchanged(headers: &HeaderMap, resource: &Resource) -> bool {
    if let Some(tags) = text(headers, IF_NONE_MATCH) {
        return tags.split(',').any(|tag| version(tag) == Some(resource.version));
    }
    let since =
        text(headers, IF_MODIFIED_SINCE).and_then(|since| DateTimeParser::new().parse_timestamp(since).ok());
    since.is_some_and(|since| resource.updated_ms / 1_000 <= since.as_second())
}

/// `ETag` and `Last-Modified` of a version.
pub(crate) fn mark(headers: &mut HeaderMap, version: i64, updated_ms: i64) {
    if let Ok(tag) = HeaderValue::from_str(&format!("W/\"{version}\"")) {
        headers.insert(ETAG, tag);
    }
    let time = jiff::Timestamp::from_millisecond(updated_ms)
        .map(|time| time.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string());
    if let Some(time) = time.ok().and_then(|time| HeaderValue::from_str(&time).ok()) {
        headers.insert(LAST_MODIFIED, time);
    }
}

/// The address by which the client reached this server, with a slash at its end.
pub(crate) fn base(headers: &HeaderMap) -> String {
    let host = text(headers, HOST).filter(|host| {
        host.len() <= 255
            && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]_".contains(&byte))
    });
    format!("http://{}/", host.unwrap_or("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preferences_and_versions_are_read() {
        let with = |name: &'static str, value: &'static str| {
            HeaderMap::from_iter([(
                axum::http::HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )])
        };
        assert_eq!(wanted(&with("prefer", "handling=strict; return=minimal")), Some(Wanted::Minimal));
        assert!(is_strict(&with("prefer", "handling=strict, return=minimal")));
        assert!(is_async(&with("prefer", "respond-async")));
        assert_eq!(wanted(&HeaderMap::new()), None);
        assert_eq!((version("W/\"3\""), version("\"4\""), version("x")), (Some(3), Some(4), None));
        assert_eq!(base(&with("host", "h.example:8080")), "http://h.example:8080/");
        assert_eq!(base(&with("host", "evil\"host")), "http://localhost/");
    }
}
