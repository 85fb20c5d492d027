//! What there is not.

use crate::outcome::Failure;
use axum::http::{StatusCode, Uri};
use bxp_clinical::fhir::definitions::Definitions;
use bxp_fhir_store::{Kind, Parameters};

/// The first parts of the addresses that are no resource types.
const OWN_ADDRESSES: [&str; 24] = [
    "",
    "$device-data",
    "$export",
    "$export-file",
    "$export-status",
    "$ingest",
    "_history",
    "_search",
    "backlog",
    "consents",
    "content",
    "dags",
    "disclosures",
    "healthz",
    "hl7v2",
    "holdings",
    "ipfs",
    "keepers",
    "metadata",
    "patients",
    "privacy",
    "records",
    "requests",
    "scrub",
];

/// No such address.
pub(crate) async fn address() -> Failure {
    Failure::not_found("there is no such address here; GET /metadata says what there is")
}

/// No such method at this address, or no such address: any one-part path has the form of a resource type.
pub(crate) async fn method(uri: Uri) -> Failure {
    let first = uri.path().trim_start_matches('/').split('/').next().unwrap_or_default();
    if OWN_ADDRESSES.contains(&first) || kind(first).is_ok() {
        let text = "this address does not take that method; GET /metadata says what there is";
        Failure::new(StatusCode::METHOD_NOT_ALLOWED, "not-supported", text)
    } else {
        address().await
    }
}

/// The resource type that an address names, as the working copy knows it.
pub(crate) fn stored_kind(name: &str) -> Result<Kind, Failure> {
    let name = kind(name)?;
    let unknown = || Failure::not_found("there is no such resource type here");
    Parameters::r4().kind(name).ok_or_else(unknown)
}

/// The resource type that an address names.
pub(crate) fn kind(name: &str) -> Result<&'static str, Failure> {
    let unknown = || {
        let plausible = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphabetic());
        let said = if plausible { name } else { "this" };
        let text = format!("{said} is no resource type of FHIR R4 (4.0.1)");
        Failure::new(StatusCode::NOT_FOUND, "not-supported", text)
    };
    Definitions::r4().resource_name(name).ok_or_else(unknown)
}
