//! Documents to FHIR, as a user of the crate sees it.

mod mapping;
mod robustness;
