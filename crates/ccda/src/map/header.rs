//! The header: the patient, who wrote and keeps the document, the encounter; and at the end the document itself.

use super::{
    context::{Context, reference},
    datatype::{Interval, codeable, codeable_at, date, identifier, identifiers, instant, time},
    identity, patient_candidates,
    people::{addresses, assigned, author, gender, location, names, organization, telecoms, v3},
};
use crate::{CcdaError, element::Element};
use bxp_hl7v2::build::{Json, base64, coding, derive_id};

const US_CORE: &str = "http://hl7.org/fhir/us/core/StructureDefinition";
const TITLE_BYTES_MAX: usize = 1_000;

/// recordTarget: the Patient.
pub(super) fn patient(context: &mut Context<'_>) -> Result<(), CcdaError> {
    let root = &context.document.root;
    if root.all("recordTarget").count() > 1 {
        return Err(CcdaError::NotCcda("it tells of more than one patient (recordTarget)"));
    }
    let Some(role) = root.at(&["recordTarget", "patientRole"]) else {
        return Err(CcdaError::NotCcda("it tells of no patient (recordTarget/patientRole)"));
    };
    let candidates = patient_candidates(context.document);
    let known = candidates.iter().find(|id| context.options.known.contains(*id));
    let id = known.or(candidates.first()).cloned();
    // A patient without any id is one of this document alone.
    context.patient_id = id.unwrap_or_else(|| derive_id("Patient", &["in document", &context.document_name]));
    context.path = vec!["recordTarget".to_owned()];
    let mut json = Json::object([("identifier", identifiers(role)), ("telecom", telecoms(role))]);
    json.put("address", addresses(context, role));
    if let Some(person) = role.child("patient") {
        demographics(context, &mut json, person);
    }
    if let Some(home) = role.child("providerOrganization").and_then(|one| organization(context, one)) {
        json.put("managingOrganization", home);
    }
    context.put("Patient", context.patient_id.clone(), json);
    context.path.clear();
    Ok(())
}

fn demographics(context: &mut Context<'_>, json: &mut Json, person: &Element) {
    json.put("name", names(person));
    if let Some(code) = person.child("administrativeGenderCode") {
        json.put("gender", gender(code));
    }
    let born = person.of("birthTime", "value");
    json.put("birthDate", date(context, born));
    let exact = instant(context, born);
    if !exact.is_empty() {
        let extension = Json::object([
            ("url", "http://hl7.org/fhir/StructureDefinition/patient-birthTime".into()),
            ("valueDateTime", exact),
        ]);
        json.put("_birthDate", Json::object([("extension", Json::List(vec![extension]))]));
    }
    let died = person.of("deceasedTime", "value");
    let dead = time(context, died);
    if dead.is_empty() {
        let said = person.of("deceasedInd", "value");
        json.put("deceasedBoolean", said.map(|said| Json::Bool(said == "true")).unwrap_or_default());
    } else {
        json.put("deceasedDateTime", dead);
        let _ = person.child("deceasedInd");
    }
    json.put("maritalStatus", codeable_at(context, person, "maritalStatusCode"));
    for (name, url) in [("raceCode", "us-core-race"), ("ethnicGroupCode", "us-core-ethnicity")] {
        if let Some(extension) = category(person, name, url) {
            json.push("extension", extension);
        }
    }
    if let Some(code) = person.child("religiousAffiliationCode") {
        let value = codeable(context, code);
        let url = "http://hl7.org/fhir/StructureDefinition/patient-religion";
        if !value.is_empty() {
            json.push("extension", Json::object([("url", url.into()), ("valueCodeableConcept", value)]));
        }
    }
    if let Some(addr) = person.at(&["birthplace", "place", "addr"]) {
        let value = super::people::address(context, addr);
        let url = "http://hl7.org/fhir/StructureDefinition/patient-birthPlace";
        if !value.is_empty() {
            json.push("extension", Json::object([("url", url.into()), ("valueAddress", value)]));
        }
    }
    for language in person.all("languageCommunication") {
        let Some(code) = language.of("languageCode", "code").map(crate::element::tidy) else { continue };
        let mut one = Json::object([("language", bxp_hl7v2::build::concept("urn:ietf:bcp:47", &code, ""))]);
        if let Some(preferred) = language.of("preferenceInd", "value") {
            one.put("preferred", Json::Bool(preferred == "true"));
        }
        json.push("communication", one);
    }
    for guardian in person.all("guardian") {
        let mut contact = Json::default();
        contact.push("relationship", codeable_at(context, guardian, "code"));
        if let Some(Json::List(names)) = guardian.child("guardianPerson").map(names) {
            contact.put("name", names.into_iter().next().unwrap_or_default());
        }
        contact.put("telecom", telecoms(guardian));
        if let Json::List(all) = addresses(context, guardian) {
            contact.put("address", all.into_iter().next().unwrap_or_default());
        }
        json.push("contact", contact);
    }
}

/// US Core's extensions for race and ethnicity: categories of OMB, details, and a text.
fn category(person: &Element, name: &str, url: &str) -> Option<Json> {
    const CATEGORIES: [&str; 9] =
        ["1002-5", "2028-9", "2054-5", "2076-8", "2106-3", "2135-2", "2186-5", "2131-1", "ASKU"];
    let (mut parts, mut text) = (Vec::new(), Vec::new());
    for code in person.all(name) {
        let Some(value) = code.attribute("code").map(crate::element::tidy) else { continue };
        let display = code.attribute("displayName").map(crate::element::tidy).unwrap_or_default();
        let kind = if CATEGORIES.contains(&value.as_str()) { "ombCategory" } else { "detailed" };
        text.push(if display.is_empty() { value.clone() } else { display.clone() });
        let coding = coding("urn:oid:2.16.840.1.113883.6.238", &value, &display);
        parts.push(Json::object([("url", kind.into()), ("valueCoding", coding)]));
    }
    if parts.is_empty() {
        return None;
    }
    parts.push(Json::object([("url", "text".into()), ("valueString", text.join(", ").into())]));
    Some(Json::object([("url", format!("{US_CORE}/{url}").into()), ("extension", Json::List(parts))]))
}

/// Author, custodian and the encounter that the document is about.
pub(super) fn people(context: &mut Context<'_>) {
    let root = &context.document.root;
    context.author = context.within("author", |context| author(context, root).0);
    let keeper = root.at(&["custodian", "assignedCustodian", "representedCustodianOrganization"]);
    context.custodian = keeper.and_then(|keeper| organization(context, keeper));
    if let Some(role) = root.at(&["legalAuthenticator", "assignedEntity"]) {
        let _ = assigned(context, role);
    }
    context.path = vec!["componentOf".to_owned(), "encompassingEncounter".to_owned()];
    if let Some(visit) = root.at(&["componentOf", "encompassingEncounter"]) {
        let times = Interval::of(context, visit);
        let mut json = Json::object([("identifier", identifiers(visit)), ("period", times.period())]);
        json.put("status", if times.high.is_empty() { "unknown" } else { "finished" });
        super::encounter::class(context, &mut json, visit);
        json.put("subject", context.patient());
        let charge = visit.at(&["responsibleParty", "assignedEntity"]);
        let others = visit.all("encounterParticipant").filter_map(|one| one.child("assignedEntity"));
        let roles: Vec<&Element> = charge.into_iter().chain(others).collect();
        for role in roles {
            if let Some(who) = assigned(context, role) {
                json.push("participant", Json::object([("individual", who)]));
            }
        }
        if let Some(place) =
            visit.at(&["location", "healthCareFacility"]).and_then(|one| location(context, one))
        {
            json.push("location", Json::object([("location", place)]));
        }
        let disposition = codeable_at(context, visit, "dischargeDispositionCode");
        if !disposition.is_empty() {
            json.put("hospitalization", Json::object([("dischargeDisposition", disposition)]));
        }
        context.encounter = Some(context.add("Encounter", visit, json));
    }
    context.path.clear();
}

/// The document, whole, and the Provenance of all that was made of it.
pub(super) fn finish(context: &mut Context<'_>, original: &[u8]) {
    let targets: Vec<Json> = context.entries.iter().map(|entry| reference(entry.kind, &entry.id)).collect();
    let root = &context.document.root;
    let made = root.of("effectiveTime", "value");
    let title = root.child("title").map(|title| title.text(TITLE_BYTES_MAX)).unwrap_or_default();
    let mut attachment = Json::object([
        ("contentType", "application/hl7-cda+xml".into()),
        ("data", base64(original).into()),
        ("title", title.into()),
    ]);
    attachment.put("creation", time(context, made));
    let mut json = Json::object([("type", codeable_at(context, root, "code"))]);
    if let Some(id) = root.child("id").filter(|id| !id.is_null()).and_then(identifier) {
        json.put("masterIdentifier", id);
    }
    if let Some(set) = root.child("setId").and_then(identifier) {
        json.push("identifier", set);
    }
    json.put("subject", context.patient());
    json.put("date", instant(context, made));
    if let Some(author) = context.author.clone() {
        json.push("author", author);
    }
    json.put("custodian", context.custodian.clone().unwrap_or_default());
    if let Some(code) = root.of("confidentialityCode", "code").map(crate::element::tidy) {
        json.push("securityLabel", v3("Confidentiality", &code));
    }
    for related in root.all("relatedDocument") {
        relation(&mut json, related);
    }
    json.push("content", Json::object([("attachment", attachment)]));
    let mut about = Json::default();
    about.push("encounter", context.encounter.clone().unwrap_or_default());
    let event = root.at(&["documentationOf", "serviceEvent"]);
    if let Some(event) = event {
        let roles: Vec<&Element> =
            event.all("performer").filter_map(|one| one.child("assignedEntity")).collect();
        for role in roles {
            let _ = assigned(context, role);
        }
        about.put("period", Interval::of(context, event).period());
    }
    json.put("context", about);
    let id = match root.child("id").and_then(identity::names) {
        Some((system, value)) => derive_id("DocumentReference", &[&context.patient_id, &system, &value]),
        None => context.local_id("DocumentReference", "document"),
    };
    let kept = context.put("DocumentReference", id, json);
    provenance(context, targets, kept, made);
}

fn relation(json: &mut Json, related: &Element) {
    let code = match related.attribute("typeCode") {
        Some("RPLC") => "replaces",
        Some("XFRM") => "transforms",
        _ => "appends",
    };
    let target = related.at(&["parentDocument", "id"]).and_then(identifier).unwrap_or_default();
    if !target.is_empty() {
        let target = Json::object([("identifier", target)]);
        json.push("relatesTo", Json::object([("code", code.into()), ("target", target)]));
    }
}

fn provenance(context: &mut Context<'_>, mut targets: Vec<Json>, kept: Json, made: Option<&str>) {
    targets.push(kept.clone());
    let mut json = Json::object([("target", Json::List(targets))]);
    json.put("recorded", instant(context, made));
    json.put("activity", Json::object([("text", "C-CDA document".into())]));
    for (kind, who) in [("author", context.author.clone()), ("custodian", context.custodian.clone())] {
        if let Some(who) = who {
            let role = bxp_hl7v2::build::concept("provenance-participant-type", kind, "");
            json.push("agent", Json::object([("type", role), ("who", who)]));
        }
    }
    json.push("entity", Json::object([("role", "source".into()), ("what", kept)]));
    let id = context.local_id("Provenance", "document");
    context.put("Provenance", id, json);
}
