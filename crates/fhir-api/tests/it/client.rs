//! A client of one node.

use crate::net::{Node, TOKEN};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::Value;

/// An answer: its status and its body as JSON, null where it is none.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) text: String,
    pub(crate) headers: reqwest::header::HeaderMap,
}

impl Answer {
    pub(crate) async fn of(response: Response) -> Self {
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Self { status, body: serde_json::from_str(&text).unwrap_or_default(), text, headers }
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The diagnostics of an OperationOutcome.
    pub(crate) fn diagnostics(&self) -> &str {
        assert_eq!(self.body["resourceType"], "OperationOutcome", "{}", self.text);
        assert_eq!(self.header("content-type"), "application/fhir+json");
        self.body["issue"][0]["diagnostics"].as_str().unwrap()
    }
}

impl Node {
    /// A request without a token.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("http://{}{path}", self.server.local_addr());
        reqwest::Client::builder().no_proxy().build().unwrap().request(method, url)
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request(Method::GET, path).bearer_auth(TOKEN).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path).bearer_auth(TOKEN).body(body);
        let request = request.header("content-type", "application/fhir+json");
        Answer::of(request.send().await.unwrap()).await
    }

    /// A request with a body and headers of its own.
    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: String,
    ) -> Answer {
        let mut request = self.request(method, path).bearer_auth(TOKEN).body(body);
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/fhir+json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answer::of(request.send().await.unwrap()).await
    }

    pub(crate) async fn put(&self, path: &str, body: String) -> Answer {
        self.send(Method::PUT, path, &[], body).await
    }

    pub(crate) async fn post_ndjson(&self, path: &str, body: impl Into<reqwest::Body>) -> Answer {
        let request = self.request(Method::POST, path).bearer_auth(TOKEN).body(body);
        let request = request.header("content-type", "application/fhir+ndjson");
        Answer::of(request.send().await.unwrap()).await
    }
}

/// A Bundle of these resources; each is put under its id, or posted where it has none.
pub(crate) fn bundle(kind: &str, resources: &[&str]) -> String {
    let entries: Vec<_> = resources.iter().map(|one| entry(one)).collect();
    format!(r#"{{"resourceType":"Bundle","type":"{kind}","entry":[{}]}}"#, entries.join(","))
}

fn entry(resource: &str) -> String {
    let value: Value = serde_json::from_str(resource).unwrap_or_default();
    let name = value["resourceType"].as_str().unwrap_or("Patient");
    let (method, url) = match value["id"].as_str() {
        Some(id) => ("PUT", format!("{name}/{id}")),
        None => ("POST", name.to_owned()),
    };
    format!(r#"{{"resource":{resource},"request":{{"method":"{method}","url":"{url}"}}}}"#)
}

/// Patient `number`, who lives in `country`.
pub(crate) fn patient(number: usize, country: &str) -> String {
    format!(
        r#"{{"resourceType":"Patient","id":"original-{number}","name":[{{"family":"Plantedname"}}],"gender":"female","birthDate":"1970-01-0{}","address":[{{"city":"Plantedcity","country":"{country}"}}]}}"#,
        1 + number % 9
    )
}

/// An observation of patient `number`, with a decimal that ends in a nought.
pub(crate) fn weight(number: usize) -> String {
    format!(
        r#"{{"resourceType":"Observation","id":"weight-{number}","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"29463-7"}}]}},"subject":{{"reference":"Patient/original-{number}"}},"valueQuantity":{{"value":71.50,"unit":"kg"}}}}"#
    )
}
