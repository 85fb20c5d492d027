//! What making FHIR of HL7's other formats needs too: JSON with exact decimals, ids from names, times and code systems.

pub use crate::map::{
    concept::{concept_of, system_of_oid},
    datatype::{base64, datetime_json, decimal_json},
    identity::derive as derive_id,
    json::Json,
    table::{coding, concept},
};
