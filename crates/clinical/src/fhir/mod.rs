//! FHIR R4's own words: element definitions, dates, and reading of JSON elements. Knows no patient and no store.

pub mod date;
pub mod definitions;
pub mod element;

pub use date::{CivilDay, FhirDate};
