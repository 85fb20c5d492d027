//! `GET /metadata`: the CapabilityStatement (R4 section 5.1), made from what is there, and `GET /healthz`.

use crate::{
    answer::{self, Answer},
    state::Shared,
};
use axum::{extract::State, http::StatusCode};
use bxp_clinical::{
    fhir::definitions::Definitions,
    validate::{Profile, Profiles},
};
use bxp_fhir_store::{Class, Kind, Parameters};
use serde_json::{Value, json};
use std::sync::LazyLock;

/// When this server began: the statement is of this instance (`CapabilityStatement.kind`).
static BEGAN: LazyLock<String> =
    LazyLock::new(|| jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string());

const SECURITY: &str = "All but this statement, /healthz and /content needs the operator's token: Authorization: \
                        Bearer TOKEN.";

const HOW_IT_STORES: &str = "Every resource is kept whole on this node, and split into an identity side and a \
                             de-identified side that are sealed and anchored. A write is answered when both are on \
                             disk. POST /$ingest takes a Bundle or NDJSON whose resources keep their ids, and answers \
                             with a report. POST /$device-data takes readings \
                             of a patient's own devices, also with a device's token.";

const HOW_IT_READS: &str = "Every reading is decided on for a purpose (parameter purpose: treatment, operations, \
                            oversight) and accounted for, unless it is the holder's own operations. By record id a \
                            resource is read at any node: whole in the patient's country, its de-identified side \
                            elsewhere.";

const INTERACTIONS: [&str; 9] = [
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
];

/// Says what this server can do.
pub(crate) async fn capabilities(State(shared): State<Shared>) -> Answer {
    let edge = shared.edge();
    let kinds: Vec<(Kind, &str)> = Definitions::r4()
        .resource_names()
        .filter(|name| !matches!(*name, "Bundle" | "Parameters"))
        .filter_map(|name| Some((Parameters::r4().kind(name)?, name)))
        .collect();
    let resources: Vec<Value> = kinds.iter().map(|(kind, name)| resource(*kind, name)).collect();
    let statement = json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": *BEGAN,
        "kind": "instance",
        "software": { "name": "bxp", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": format!("BXP node {} in {}", edge.name(), edge.home()) },
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "patchFormat": ["application/json-patch+json"],
        "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
        "rest": [{
            "mode": "server",
            "documentation": format!("{HOW_IT_STORES} {HOW_IT_READS}"),
            "security": { "cors": false, "description": SECURITY },
            "interaction": [{ "code": "transaction" }, { "code": "batch" }, { "code": "history-system" }, { "code": "search-system" }],
            "compartment": ["http://hl7.org/fhir/CompartmentDefinition/patient"],
            "searchParam": [
                { "name": "_id", "type": "token" },
                { "name": "_lastUpdated", "type": "date" },
            ],
            "operation": [
                { "name": "export", "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export" },
            ],
            "resource": resources,
        }],
    });
    answer::fhir(StatusCode::OK, &statement)
}

fn resource(kind: Kind, name: &str) -> Value {
    let parameters = Parameters::r4();
    let listed = parameters.of(kind).map(|one| json!({ "name": one.code, "type": one.class.name() }));
    let own = [("_id", "token"), ("_lastUpdated", "date")]
        .map(|(name, class)| json!({ "name": name, "type": class }));
    let references = |kind: Kind| parameters.of(kind).filter(|one| one.class == Class::Reference);
    let includes: Vec<String> = references(kind).map(|one| format!("{name}:{}", one.code)).collect();
    let mut operations = vec![
        json!({ "name": "validate", "definition": "http://hl7.org/fhir/OperationDefinition/Resource-validate" }),
    ];
    if name == "Patient" {
        operations.push(json!({ "name": "everything", "definition": "http://hl7.org/fhir/OperationDefinition/Patient-everything" }));
        operations.push(json!({ "name": "export", "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/patient-export" }));
    }
    if name == "Group" {
        operations.push(json!({ "name": "export", "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/group-export" }));
    }
    let mut stated = json!({
        "type": name,
        "interaction": INTERACTIONS.map(|code| json!({ "code": code })),
        "versioning": "versioned-update",
        "readHistory": true,
        "updateCreate": true,
        "conditionalCreate": true,
        "conditionalRead": "full-support",
        "conditionalUpdate": true,
        "conditionalDelete": "single",
        "searchParam": own.into_iter().chain(listed).collect::<Vec<_>>(),
        "operation": operations,
    });
    let profiles: Vec<String> = Profiles::us_core().of(name).map(Profile::url).collect();
    // FHIR has no empty arrays.
    if !profiles.is_empty() {
        stated["supportedProfile"] = json!(profiles);
    }
    if !includes.is_empty() {
        stated["searchInclude"] = json!(includes);
    }
    stated
}

/// Says that the server answers.
pub(crate) async fn health() -> Answer {
    answer::json(&json!({ "status": "ok" }))
}
