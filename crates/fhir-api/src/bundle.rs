//! Bundles, written around resources' texts as they are stored.

use crate::{answer, outcome::Failure};
use axum::{
    http::{HeaderValue, StatusCode},
    response::Response,
};
use bxp_fhir_store::{Method, Resource, value::date::instant};

const FHIR_JSON: HeaderValue = HeaderValue::from_static("application/fhir+json");

/// A Bundle in the making.
pub(crate) struct BundleText {
    text: String,
    entries: usize,
}

/// A text as a JSON string.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

impl BundleText {
    /// Begins a Bundle of a type, with links by relation.
    pub(crate) fn new(kind: &str, total: Option<u64>, links: &[(&str, String)]) -> Self {
        let mut text = format!("{{\"resourceType\":\"Bundle\",\"type\":\"{kind}\"");
        if let Some(total) = total {
            text.push_str(&format!(",\"total\":{total}"));
        }
        if !links.is_empty() {
            let links = links
                .iter()
                .map(|(relation, url)| format!("{{\"relation\":\"{relation}\",\"url\":{}}}", quoted(url)));
            text.push_str(&format!(",\"link\":[{}]", links.collect::<Vec<_>>().join(",")));
        }
        Self { text, entries: 0 }
    }

    fn begin_entry(&mut self) {
        self.text.push_str(if self.entries == 0 { ",\"entry\":[{" } else { ",{" });
        self.entries += 1;
    }

    /// Adds a resource that was found (`match`) or goes along (`include`).
    pub(crate) fn found(&mut self, base: &str, address: &str, resource: &str, mode: &str) {
        self.begin_entry();
        let url = quoted(&format!("{base}{address}"));
        self.text.push_str(&format!("\"fullUrl\":{url},\"resource\":"));
        self.text.push_str(resource);
        self.text.push_str(&format!(",\"search\":{{\"mode\":\"{mode}\"}}}}"));
    }

    /// Adds an OperationOutcome about the search itself.
    pub(crate) fn remark(&mut self, outcome: &serde_json::Value) {
        self.begin_entry();
        self.text.push_str(&format!("\"resource\":{outcome},\"search\":{{\"mode\":\"outcome\"}}}}"));
    }

    /// Adds a version of a history.
    pub(crate) fn version(&mut self, base: &str, one: &Resource) {
        self.begin_entry();
        let address = one.address();
        let (method, status, url) = match one.method {
            Method::Create => ("PUT", "201 Created", address.clone()),
            Method::Update => ("PUT", "200 OK", address.clone()),
            Method::Delete => ("DELETE", "204 No Content", address.clone()),
        };
        self.text.push_str(&format!("\"fullUrl\":{}", quoted(&format!("{base}{address}"))));
        if let Some(text) = &one.text {
            self.text.push_str(",\"resource\":");
            self.text.push_str(text);
        }
        self.text.push_str(&format!(
            ",\"request\":{{\"method\":\"{method}\",\"url\":\"{url}\"}},\"response\":{{\"status\":\"{status}\",\
             \"etag\":\"W/\\\"{}\\\"\",\"lastModified\":\"{}\"}}}}",
            one.version,
            instant(one.updated_ms)
        ));
    }

    /// Adds an entry that is JSON already.
    pub(crate) fn entry(&mut self, members: &str) {
        self.begin_entry();
        self.text.push_str(members);
        self.text.push('}');
    }

    /// The whole text.
    pub(crate) fn finish(mut self) -> String {
        self.text.push_str(if self.entries == 0 { "}" } else { "]}" });
        self.text
    }

    /// The answer.
    pub(crate) fn response(self) -> Response {
        answer::response(StatusCode::OK, FHIR_JSON, self.finish())
    }
}

/// An OperationOutcome of a warning.
pub(crate) fn warning(code: &str, text: &str) -> serde_json::Value {
    crate::outcome::outcome("warning", code, text)
}

/// A resource's text as an answer.
pub(crate) fn fhir_text(status: StatusCode, text: impl Into<axum::body::Body>) -> Result<Response, Failure> {
    Ok(answer::response(status, FHIR_JSON, text))
}
