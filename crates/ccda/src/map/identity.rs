//! Ids of resources from the ids in a document.

use crate::{Document, element::Element};
use bxp_hl7v2::build::{derive_id, system_of_oid};

/// US social security numbers: they name a person, but are mistyped and shared too often to tell patients apart.
const SOCIAL_SECURITY: &str = "2.16.840.1.113883.4.1";
/// The most identifiers of a patient that are looked at.
const CANDIDATES_MAX: usize = 16;

/// System and value of an II. A root alone is a name of its own (a UUID or an OID).
pub(crate) fn names(id: &Element) -> Option<(String, String)> {
    let root = id.attribute("root").map(crate::element::tidy).filter(|root| !root.is_empty())?;
    let value = id.attribute("extension").map(crate::element::tidy).filter(|value| !value.is_empty());
    let uuid = is_uuid(&root).then(|| format!("urn:uuid:{}", root.to_ascii_lowercase()));
    match (value, uuid) {
        (Some(value), Some(uuid)) => Some((uuid, value)),
        (None, Some(uuid)) => Some(("urn:ietf:rfc3986".to_owned(), uuid)),
        (Some(value), None) => Some((identifier_system(&root), value)),
        (None, None) => {
            let oid = system_of_oid(&root);
            let named = if oid.starts_with("urn:") { oid } else { format!("urn:oid:{root}") };
            Some(("urn:ietf:rfc3986".to_owned(), named))
        }
    }
}

fn identifier_system(root: &str) -> String {
    match root {
        SOCIAL_SECURITY => "http://hl7.org/fhir/sid/us-ssn".to_owned(),
        "2.16.840.1.113883.4.6" => "http://hl7.org/fhir/sid/us-npi".to_owned(),
        "2.16.840.1.113883.4.572" => "http://hl7.org/fhir/sid/us-medicare".to_owned(),
        _ => system_of_oid(root),
    }
}

fn is_uuid(text: &str) -> bool {
    let hyphen = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let fits = |(at, byte): (usize, u8)| if hyphen(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

/// The ids that the patient may have, the preferred one first. They are those that an HL7 v2 message gives for the same
/// assigner and number.
#[must_use]
pub fn patient_candidates(document: &Document) -> Vec<String> {
    let role = document.root.at(&["recordTarget", "patientRole"]);
    let ids: Vec<&Element> = role.map(|role| role.all("id").collect()).unwrap_or_default();
    let (weak, strong): (Vec<&Element>, Vec<&Element>) =
        ids.into_iter().take(CANDIDATES_MAX).partition(|id| id.attribute("root") == Some(SOCIAL_SECURITY));
    let of = |ids: &[&Element]| -> Vec<String> {
        let named = ids.iter().filter_map(|id| names(id));
        named.map(|(system, value)| derive_id("Patient", &[&system, &value])).collect()
    };
    let strong = of(&strong);
    if strong.is_empty() { of(&weak) } else { strong }
}
