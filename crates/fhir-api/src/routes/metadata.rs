//! `GET /metadata`: the CapabilityStatement (R4 section 5.1), and `GET /healthz`.

use crate::{
    answer::{self, Answer},
    state::Shared,
};
use axum::{extract::State, http::StatusCode};
use bxp_clinical::fhir::definitions::Definitions;
use serde_json::{Value, json};
use std::sync::LazyLock;

/// When this server began: the statement is of this instance (`CapabilityStatement.kind`).
static BEGAN: LazyLock<String> =
    LazyLock::new(|| jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());

const SECURITY: &str = "All but this statement, /healthz and /content needs the operator's token: Authorization: \
                        Bearer TOKEN.";

const HOW_IT_STORES: &str = "Every resource is split into an identity side and a de-identified side, sealed and \
                             anchored. Ids of the submitter are kept. Entries of a bundle that cannot be taken are \
                             refused one by one, also in a transaction, and the others are taken. POST /$ingest \
                             takes a Bundle or NDJSON and answers with a report.";

const HOW_IT_READS: &str = "By the submitter's id at the node that took the resource in; by record id at any node: whole \
                            on a node of the patient's country, the de-identified side elsewhere.";

/// Says what this server can do.
pub(crate) async fn capabilities(State(shared): State<Shared>) -> Answer {
    let edge = shared.edge();
    let resources: Vec<Value> =
        Definitions::r4().resource_names().filter(|name| *name != "Bundle").map(resource).collect();
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": *BEGAN,
        "kind": "instance",
        "software": { "name": "bxp", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": format!("BXP node {} in {}", edge.name(), edge.home()) },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [{
            "mode": "server",
            "documentation": HOW_IT_STORES,
            "security": { "cors": false, "description": SECURITY },
            "interaction": [{ "code": "transaction" }, { "code": "batch" }],
            "resource": resources,
        }],
    });
    answer::fhir(StatusCode::OK, &statement)
}

fn resource(name: &'static str) -> Value {
    json!({
        "type": name,
        "interaction": [{ "code": "create" }, { "code": "read", "documentation": HOW_IT_READS }],
        "versioning": "no-version",
        "readHistory": false,
        "updateCreate": false,
        "conditionalCreate": false,
    })
}

/// Says that the server answers.
pub(crate) async fn health() -> Answer {
    answer::json(&json!({ "status": "ok" }))
}
