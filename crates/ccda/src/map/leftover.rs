//! What no one looked at: reported by path, so that who hands a document in knows what FHIR does not have of it.

use super::context::Context;
use crate::element::Element;

const WHAT: &str = "an element that has no place in FHIR here; it is kept in the document only";

/// Elements that say how the document is made, and none of the patient's health.
const FORM: [&str; 8] = [
    "realmCode",
    "typeId",
    "templateId",
    "languageCode",
    "versionNumber",
    "setId",
    "signatureCode",
    "confidentialityCode",
];

/// Names that a report may say. Others could be of a sender's making, and are called `element`.
const NAMES: [&str; 107] = [
    "ClinicalDocument",
    "act",
    "addr",
    "administrativeGenderCode",
    "approachSiteCode",
    "assignedAuthor",
    "assignedAuthoringDevice",
    "assignedCustodian",
    "assignedEntity",
    "assignedPerson",
    "associatedEntity",
    "associatedPerson",
    "author",
    "authorization",
    "authenticator",
    "birthTime",
    "birthplace",
    "code",
    "component",
    "componentOf",
    "consumable",
    "criterion",
    "custodian",
    "dataEnterer",
    "deceasedInd",
    "deceasedTime",
    "desc",
    "dischargeDispositionCode",
    "documentationOf",
    "doseQuantity",
    "effectiveTime",
    "encompassingEncounter",
    "encounter",
    "encounterParticipant",
    "entry",
    "entryRelationship",
    "ethnicGroupCode",
    "expirationTime",
    "externalAct",
    "externalDocument",
    "functionCode",
    "guardian",
    "guardianPerson",
    "healthCareFacility",
    "high",
    "id",
    "inFulfillmentOf",
    "informant",
    "informationRecipient",
    "intendedRecipient",
    "interpretationCode",
    "languageCommunication",
    "legalAuthenticator",
    "location",
    "lotNumberText",
    "low",
    "maintainedEntity",
    "manufacturedMaterial",
    "manufacturedProduct",
    "manufacturerOrganization",
    "maritalStatusCode",
    "maxDoseQuantity",
    "methodCode",
    "name",
    "observation",
    "observationRange",
    "order",
    "organizer",
    "originalText",
    "parentDocument",
    "participant",
    "participantRole",
    "patient",
    "patientRole",
    "performer",
    "playingDevice",
    "playingEntity",
    "precondition",
    "priorityCode",
    "procedure",
    "product",
    "providerOrganization",
    "qualifier",
    "quantity",
    "raceCode",
    "rateQuantity",
    "recordTarget",
    "reference",
    "referenceRange",
    "relatedDocument",
    "relatedEntity",
    "repeatNumber",
    "representedOrganization",
    "routeCode",
    "scopingEntity",
    "section",
    "serviceEvent",
    "specimen",
    "statusCode",
    "structuredBody",
    "subject",
    "substanceAdministration",
    "supply",
    "targetSiteCode",
    "text",
    "time",
    "value",
];

/// Names what is left.
pub(super) fn note(context: &mut Context<'_>) {
    let root = &context.document.root;
    let mut path = Vec::new();
    walk(context, root, &mut path);
}

/// Below what was looked at; of what was not, the outermost element is named.
fn walk(context: &mut Context<'_>, element: &Element, path: &mut Vec<&'static str>) {
    for inner in element.elements() {
        if FORM.contains(&inner.name.as_str()) {
            continue;
        }
        let passage = inner.name == "entryRelationship";
        path.push(name(&inner.name));
        if inner.is_seen() || passage {
            walk(context, inner, path);
        } else if says_something(inner) {
            context.note_at(path.join("/"), WHAT);
        }
        path.pop();
    }
}

fn name(name: &str) -> &'static str {
    NAMES.into_iter().find(|known| *known == name).unwrap_or("element")
}

/// Whether there is any text, code or value in it.
fn says_something(element: &Element) -> bool {
    let own = ["value", "code", "extension", "root"].iter().any(|name| element.attribute(name).is_some());
    own || !element.text(1).is_empty() || element.elements().any(says_something)
}
