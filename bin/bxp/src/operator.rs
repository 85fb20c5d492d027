//! The operator's client of a node's HTTP edge, with the token from the node's own folder.

use anyhow::{Context, Result, bail};
use bxp_node::NodeConfig;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{fs, path::Path};

/// A client of one node.
#[derive(Clone)]
pub(crate) struct Operator {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Operator {
    /// The client of the node that `config` configures, on this machine.
    pub(crate) fn of(config: &Path) -> Result<Self> {
        let node = NodeConfig::read(config)?;
        let path = node.data_dir.join("operator.token");
        let token = fs::read_to_string(&path)
            .with_context(|| format!("read {}; has node {} been started yet?", path.display(), node.name))?;
        let base = format!("http://{}", node.listen.fhir);
        Ok(Self { http: reqwest::Client::new(), base, token: token.trim().to_owned() })
    }

    /// Hands in one file's bytes; gives the node's report.
    pub(crate) async fn ingest<T: DeserializeOwned>(
        &self,
        source: &str,
        media_type: &'static str,
        bytes: Vec<u8>,
    ) -> Result<T> {
        let request = self.request(Method::POST, "$ingest").query(&[("source", source)]);
        self.answer(request.header("content-type", media_type).body(bytes)).await
    }

    /// One GET.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.answer(self.request(Method::GET, path)).await
    }

    /// One POST of JSON.
    pub(crate) async fn post<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        self.answer(self.request(Method::POST, path).json(body)).await
    }

    /// One PUT without a body.
    pub(crate) async fn put<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.answer(self.request(Method::PUT, path)).await
    }

    /// One POST of bytes.
    pub(crate) async fn send<T: DeserializeOwned>(
        &self,
        path: &str,
        media_type: &'static str,
        bytes: Vec<u8>,
    ) -> Result<T> {
        self.answer(self.request(Method::POST, path).header("content-type", media_type).body(bytes)).await
    }

    /// Opens a download.
    pub(crate) async fn download(&self, path: &str, media_type: &'static str) -> Result<reqwest::Response> {
        let response = self.request(Method::GET, path).header("accept", media_type).send().await;
        let response =
            response.with_context(|| format!("reach the node at {}; is it running?", self.base))?;
        let status = response.status();
        if !status.is_success() {
            bail!("{}", refusal(status, &response.bytes().await?));
        }
        Ok(response)
    }

    /// One DELETE.
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        self.answer(self.request(Method::DELETE, path)).await
    }

    /// Sealed bytes by their CID; nothing where the node does not give them.
    pub(crate) async fn content(&self, cid: &str) -> Result<Option<Vec<u8>>> {
        let response = self.request(Method::GET, &format!("content/{cid}")).send().await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        Ok(Some(response.error_for_status()?.bytes().await?.to_vec()))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/{path}", self.base)).bearer_auth(&self.token)
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        answer(&self.base, request).await
    }
}

/// Hands a device's readings in at the node whose FHIR address is `base`, with the token that the device was given.
pub(crate) async fn send_as_device<T: DeserializeOwned>(
    base: &str,
    token: &str,
    bytes: Vec<u8>,
) -> Result<T> {
    let url = format!("{}/$device-data", base.trim_end_matches('/'));
    let request = reqwest::Client::new().post(url).bearer_auth(token);
    answer(base, request.header("content-type", "application/json").body(bytes)).await
}

async fn answer<T: DeserializeOwned>(base: &str, request: RequestBuilder) -> Result<T> {
    let response =
        request.send().await.with_context(|| format!("reach the node at {base}; is it running?"))?;
    let status = response.status();
    let body = response.bytes().await?;
    if !status.is_success() {
        bail!("{}", refusal(status, &body));
    }
    serde_json::from_slice(&body).context("understand the node's answer")
}

/// What an OperationOutcome says.
fn refusal(status: StatusCode, body: &[u8]) -> String {
    let outcome: Value = serde_json::from_slice(body).unwrap_or_default();
    let texts = outcome["issue"].as_array().into_iter().flatten();
    let texts: Vec<&str> = texts.filter_map(|issue| issue["diagnostics"].as_str()).collect();
    if texts.is_empty() { format!("the node answers {status}") } else { texts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_the_outcomes_words() {
        let body = br#"{"resourceType":"OperationOutcome","issue":[{"diagnostics":"line 1: cut"}]}"#;
        assert_eq!(refusal(StatusCode::BAD_REQUEST, body), "line 1: cut");
        assert_eq!(refusal(StatusCode::BAD_REQUEST, b"?"), "the node answers 400 Bad Request");
    }
}
