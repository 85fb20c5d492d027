//! A node's client: JSON-RPC, the record edge, metrics.

use bxp_node::Listen;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;

/// How long one answer may take; a node that is killed answers never.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// An answer of the record edge.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) body: Value,
}

/// A client of one node.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    listen: Listen,
    token: String,
}

impl Client {
    pub(super) fn new(listen: Listen, token: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_WITHIN).build().unwrap();
        Self { http, listen, token: token.to_owned() }
    }

    /// One JSON-RPC call with `params` as JSON. An error is the node's or the connection's.
    pub(crate) async fn rpc(&self, method: &str, params: &str) -> Result<Value, RpcError> {
        let params: Value = serde_json::from_str(params).unwrap();
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.post_rpc(&request).await.and_then(result)
    }

    /// One batch; the answers in the order of the calls.
    pub(crate) async fn rpc_batch(&self, calls: &[(&str, Value)]) -> Result<Vec<Value>, RpcError> {
        let calls: Vec<Value> = calls
            .iter()
            .enumerate()
            .map(|(id, (method, params))| json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
            .collect();
        let mut answers: Vec<Value> = serde_json::from_value(self.post_rpc(&json!(calls)).await?).unwrap();
        answers.sort_by_key(|answer| answer["id"].as_u64());
        answers.into_iter().map(result).collect()
    }

    async fn post_rpc(&self, request: &Value) -> Result<Value, RpcError> {
        let url = format!("http://{}", self.listen.rpc);
        let answer = self.http.post(url).json(request).send().await.map_err(|_| RpcError::Connection)?;
        answer.json().await.map_err(|_| RpcError::Connection)
    }

    /// `GET` at the record edge, as the operator.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, String::new()).await.unwrap()
    }

    /// `DELETE` at the record edge, as the operator.
    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, String::new()).await.unwrap()
    }

    /// `POST` at the record edge, as the operator; nothing when the node did not answer.
    pub(crate) async fn post(&self, path: &str, body: &str) -> Option<Answer> {
        self.ask(Method::POST, path, body.to_owned()).await
    }

    async fn ask(&self, method: Method, path: &str, body: String) -> Option<Answer> {
        let url = format!("http://{}{path}", self.listen.fhir);
        let request = self.http.request(method, url).bearer_auth(&self.token);
        let response =
            request.header("content-type", "application/fhir+json").body(body).send().await.ok()?;
        let status = response.status().as_u16();
        let text = response.text().await.ok()?;
        Some(Answer { status, body: serde_json::from_str(&text).unwrap_or_default(), text })
    }

    /// The text of `/metrics`.
    pub(crate) async fn metrics(&self) -> String {
        let url = format!("http://{}/metrics", self.listen.metrics);
        self.http.get(url).send().await.unwrap().text().await.unwrap()
    }

    /// What the node holds of a country.
    pub(crate) async fn holding(&self, country: &str) -> Value {
        self.get("/holdings").await.body["countries"][country].clone()
    }
}

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RpcError {
    /// The node did not answer: whether it did what was asked is not known.
    Connection,
    /// The node said no.
    Refused(String),
}

fn result(mut answer: Value) -> Result<Value, RpcError> {
    match answer.get("error") {
        Some(error) => Err(RpcError::Refused(error["message"].as_str().unwrap_or_default().to_owned())),
        None => Ok(answer["result"].take()),
    }
}
