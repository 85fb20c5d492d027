//! What R4 requires of a resource and a message need not say. Where a message says nothing, FHIR's own words for "not
//! said" are put: a null flavor, a data-absent-reason, a status `unknown`.

use super::{context::Context, json::Json};

const ABSENT: &str = "http://hl7.org/fhir/StructureDefinition/data-absent-reason";

/// An element that is required and not there.
pub(crate) fn absent() -> Json {
    let extension = Json::object([("url", ABSENT.into()), ("valueCode", "unknown".into())]);
    Json::object([("extension", Json::List(vec![extension]))])
}

/// Required codes, by type and element, with what is put where the message says none.
const CODES: [(&str, &str, &str); 26] = [
    ("Account", "status", "unknown"),
    ("Appointment", "status", "proposed"),
    ("CarePlan", "status", "unknown"),
    ("CarePlan", "intent", "plan"),
    ("ChargeItem", "status", "unknown"),
    ("Coverage", "status", "active"),
    ("DiagnosticReport", "status", "unknown"),
    ("DocumentReference", "status", "current"),
    ("Encounter", "status", "unknown"),
    ("EpisodeOfCare", "status", "active"),
    ("Goal", "lifecycleStatus", "active"),
    ("Immunization", "status", "completed"),
    ("Linkage", "active", ""),
    ("MedicationAdministration", "status", "unknown"),
    ("MedicationDispense", "status", "unknown"),
    ("MedicationRequest", "status", "unknown"),
    ("MedicationRequest", "intent", "order"),
    ("NutritionOrder", "status", "unknown"),
    ("NutritionOrder", "intent", "order"),
    ("Observation", "status", "unknown"),
    ("Procedure", "status", "unknown"),
    ("ServiceRequest", "status", "unknown"),
    ("ServiceRequest", "intent", "order"),
    ("Task", "status", "requested"),
    ("Task", "intent", "order"),
    ("ResearchStudy", "status", "active"),
];

/// Required concepts and references without a value of their own.
const ELEMENTS: [(&str, &str); 5] = [
    ("ChargeItem", "code"),
    ("DiagnosticReport", "code"),
    ("Goal", "description"),
    ("Immunization", "vaccineCode"),
    ("Observation", "code"),
];

/// Required choices: any of the names will do, else the element stands as not said.
const CHOICES: [(&str, &[&str], &str); 5] = [
    ("Immunization", &["occurrenceDateTime", "occurrenceString"], "_occurrenceDateTime"),
    ("MedicationAdministration", &["effectiveDateTime", "effectivePeriod"], "_effectiveDateTime"),
    ("MedicationAdministration", MEDICATION, "medicationCodeableConcept"),
    ("MedicationDispense", MEDICATION, "medicationCodeableConcept"),
    ("MedicationRequest", MEDICATION, "medicationCodeableConcept"),
];

const MEDICATION: &[&str] = &["medicationCodeableConcept", "medicationReference"];

/// Elements under which a type requires its patient.
const PATIENTS: [(&str, &str); 16] = [
    ("AllergyIntolerance", "patient"),
    ("CarePlan", "subject"),
    ("ChargeItem", "subject"),
    ("Condition", "subject"),
    ("Coverage", "beneficiary"),
    ("EpisodeOfCare", "patient"),
    ("Goal", "subject"),
    ("Immunization", "patient"),
    ("MedicationAdministration", "subject"),
    ("MedicationRequest", "subject"),
    ("NutritionOrder", "patient"),
    ("Procedure", "subject"),
    ("RelatedPerson", "patient"),
    ("ServiceRequest", "subject"),
    ("MedicationDispense", "subject"),
    ("Flag", "subject"),
];

/// Fills in what is missing. What is about a patient in a message without one is about a Patient of whom nothing is
/// known, named within the message: it is kept rather than lost.
pub(super) fn fill(context: &mut Context<'_>) {
    let wanting = context
        .entries
        .iter()
        .any(|entry| PATIENTS.iter().any(|(kind, element)| *kind == entry.kind && !entry.json.has(element)));
    let unknown = wanting.then(|| {
        let id = context.local_id("Patient", "unknown");
        let patient = context.share("Patient", id, Json::object([("active", Json::Bool(true))]));
        context.reference(patient)
    });
    for entry in &mut context.entries {
        for (kind, element, code) in CODES {
            if kind == entry.kind {
                entry.json.put(element, code);
            }
        }
        for (kind, element) in ELEMENTS {
            if kind == entry.kind {
                entry.json.put(element, absent());
            }
        }
        for (kind, names, element) in CHOICES {
            if kind == entry.kind && !names.iter().any(|name| entry.json.has(name)) {
                entry.json.put(element, absent());
            }
        }
        for (kind, element) in PATIENTS {
            if let Some(unknown) = unknown.as_ref().filter(|_| kind == entry.kind) {
                entry.json.put(element, unknown.clone());
            }
        }
        rest(entry.kind, &mut entry.json);
    }
}

/// What is required of one type alone.
fn rest(kind: &str, json: &mut Json) {
    match kind {
        "Encounter" => {
            let unknown = [
                ("system", "http://terminology.hl7.org/CodeSystem/v3-NullFlavor".into()),
                ("code", "UNK".into()),
            ];
            json.put("class", Json::object(unknown));
        }
        "Coverage" if !json.has("payor") => json.push("payor", said_nowhere("payor")),
        "Appointment" => {
            let mut all = match json.get("participant") {
                Some(Json::List(all)) if !all.is_empty() => all.clone(),
                _ => vec![Json::default()],
            };
            all.iter_mut().for_each(|one| one.put("status", "needs-action"));
            json.replace("participant", Json::List(all));
        }
        "DocumentReference" if !json.has("content") => {
            json.push("content", Json::object([("attachment", absent())]));
        }
        "Provenance" => {
            json.put("_recorded", if json.has("recorded") { Json::default() } else { absent() });
            if !json.has("agent") {
                json.push("agent", Json::object([("who", said_nowhere("sender"))]));
            }
        }
        _ => {}
    }
}

fn said_nowhere(what: &str) -> Json {
    Json::object([("display", format!("{what} not stated in the message").into())])
}
