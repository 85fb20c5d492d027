//! What R4 requires of a resource and a document need not say: FHIR's own words for "not said" are put.

use super::{context::Entry, datatype::absent};
use bxp_hl7v2::build::{Json, coding};

/// Required codes, by type and element, with what is put where the document says none.
const CODES: [(&str, &str, &str); 16] = [
    ("Coverage", "status", "active"),
    ("DeviceUseStatement", "status", "active"),
    ("DiagnosticReport", "status", "unknown"),
    ("DocumentReference", "status", "current"),
    ("Encounter", "status", "unknown"),
    ("FamilyMemberHistory", "status", "completed"),
    ("Goal", "lifecycleStatus", "active"),
    ("Immunization", "status", "completed"),
    ("MedicationRequest", "status", "unknown"),
    ("MedicationRequest", "intent", "order"),
    ("MedicationStatement", "status", "unknown"),
    ("Observation", "status", "unknown"),
    ("Procedure", "status", "unknown"),
    ("ServiceRequest", "status", "unknown"),
    ("ServiceRequest", "intent", "plan"),
    ("CareTeam", "status", "active"),
];

/// Required concepts.
const CONCEPTS: [(&str, &str); 7] = [
    ("DiagnosticReport", "code"),
    ("FamilyMemberHistory", "relationship"),
    ("Goal", "description"),
    ("Immunization", "vaccineCode"),
    ("MedicationRequest", "medicationCodeableConcept"),
    ("MedicationStatement", "medicationCodeableConcept"),
    ("Observation", "code"),
];

/// Fills in what is missing.
pub(super) fn fill(entry: &mut Entry) {
    let (kind, json) = (entry.kind, &mut entry.json);
    for (of, element, code) in CODES {
        if of == kind {
            json.put(element, code);
        }
    }
    for (of, element) in CONCEPTS {
        if of == kind {
            json.put(element, absent("unknown"));
        }
    }
    match kind {
        "Encounter" => json.put("class", coding("v3-NullFlavor", "UNK", "")),
        "Immunization" if !json.has("occurrenceDateTime") => {
            json.put("_occurrenceDateTime", absent("unknown"));
        }
        "Provenance" if !json.has("recorded") => json.put("_recorded", absent("unknown")),
        "Coverage" if !json.has("payor") => json.push("payor", said_nowhere("payor")),
        "Organization" | "Location" if !json.has("name") && !json.has("identifier") => {
            json.put("_name", absent("unknown"));
        }
        _ => {}
    }
    if kind == "Provenance" && !json.has("agent") {
        json.push("agent", Json::object([("who", said_nowhere("author"))]));
    }
}

fn said_nowhere(what: &str) -> Json {
    Json::object([("display", format!("{what} not stated in the document").into())])
}
