//! Whose record a resource is: the patient compartment (R4, CompartmentDefinition/patient), and references between the
//! resources of a submission.

use crate::{
    fhir::element::{child, items, resource_type, text},
    source::Entry,
    validate::{ReferenceShape, reference_shape},
};
use bxp_types::Phi;
use sonic_rs::{JsonValueTrait, Value};
use std::collections::HashMap;

/// The patient whom a resource is about, as the resource says it.
#[derive(Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    /// The resource is the patient.
    Itself,
    /// References, of which the first that leads to a patient counts.
    Referred(Vec<&'a Value>),
    /// It is about no patient: an organization, a practitioner, a location.
    None,
}

/// Elements that lead to the patient, by type. Other types are looked at for [`COMMON`].
const ELEMENTS: [(&str, &[&str]); 15] = [
    ("Appointment", &["participant.actor"]),
    ("AppointmentResponse", &["actor"]),
    ("AuditEvent", &["entity.what", "agent.who"]),
    ("Coverage", &["beneficiary", "subscriber", "policyHolder"]),
    ("EnrollmentRequest", &["candidate"]),
    ("Group", &["member.entity"]),
    ("Linkage", &["item.resource"]),
    ("MessageHeader", &["focus"]),
    ("Person", &["link.target"]),
    ("Provenance", &["target", "agent.who"]),
    ("QuestionnaireResponse", &["subject", "source"]),
    ("ResearchSubject", &["individual"]),
    ("Schedule", &["actor"]),
    ("SupplyRequest", &["deliverTo"]),
    ("Task", &["for", "focus"]),
];

const COMMON: [&str; 3] = ["patient", "subject", "beneficiary"];

/// The patient whom `resource` is about.
#[must_use]
pub fn subject(resource: &Value) -> Subject<'_> {
    let kind = resource_type(resource).unwrap_or_default();
    if kind == "Patient" {
        return Subject::Itself;
    }
    let special = ELEMENTS.iter().find(|(name, _)| *name == kind).map_or(&COMMON[..], |(_, paths)| paths);
    let references: Vec<_> = special.iter().flat_map(|path| at_path(resource, path)).collect();
    if references.is_empty() { Subject::None } else { Subject::Referred(references) }
}

fn at_path<'a>(resource: &'a Value, path: &str) -> Vec<&'a Value> {
    match path.split_once('.') {
        Some((outer, inner)) => items(resource, outer).flat_map(|item| items(item, inner)).collect(),
        None => items(resource, path).collect(),
    }
}

/// The entries of a submission by the names under which others refer to them.
#[derive(Debug)]
pub struct ReferenceIndex {
    by_name: Phi<HashMap<String, usize>>,
}

/// Where a reference leads.
#[derive(Debug)]
pub enum Target<'a> {
    /// To another entry of the submission.
    Entry(usize),
    /// To a resource contained in the one that refers.
    Contained(&'a Value),
    /// Out of the submission, under this name (`Patient/1`, a URL, a URN, `Patient?identifier=…`).
    Outside(Phi<String>),
}

impl ReferenceIndex {
    /// Indexes `entries` by `fullUrl`, `Type/id` and `Type?identifier=system|value`.
    #[must_use]
    pub fn new(entries: &[Entry]) -> Self {
        let mut by_name = HashMap::with_capacity(entries.len() * 3);
        for (index, entry) in entries.iter().enumerate() {
            for name in names(entry) {
                by_name.entry(name).or_insert(index);
            }
        }
        Self { by_name: Phi::new(by_name) }
    }

    /// Follows `reference`, which stands in `resource`; nothing if it has no usable form.
    #[must_use]
    pub fn follow<'a>(&self, resource: &'a Value, reference: &'a Value) -> Option<Target<'a>> {
        let Some(literal) = text(reference, "reference") else {
            let kind = text(reference, "type").unwrap_or("Patient");
            let identifier = child(reference, "identifier")?;
            return Some(self.look_up(identifier_name(kind, identifier)?));
        };
        match reference_shape(literal)? {
            ReferenceShape::Contained(id) => items(resource, "contained")
                .find(|inner| text(inner, "id") == Some(id))
                .map(Target::Contained),
            ReferenceShape::Relative { resource_type, id } => {
                Some(self.look_up(format!("{resource_type}/{id}")))
            }
            ReferenceShape::Urn(name) => Some(self.look_up(name.to_owned())),
            ReferenceShape::Absolute(url) => {
                let whole = self.by_name.expose().get(url).map(|&index| Target::Entry(index));
                Some(
                    whole.unwrap_or_else(|| {
                        self.look_up(relative_part(url).unwrap_or_else(|| url.to_owned()))
                    }),
                )
            }
            ReferenceShape::Conditional { .. } => Some(self.look_up(literal.to_owned())),
        }
    }

    fn look_up<'a>(&self, name: String) -> Target<'a> {
        match self.by_name.expose().get(&name) {
            Some(&index) => Target::Entry(index),
            None => Target::Outside(Phi::new(name)),
        }
    }
}

/// All names of an entry: its ids first, which are its own, then its identifiers, which it may share with others.
fn names(entry: &Entry) -> Vec<String> {
    let mut names = ids(entry);
    names.extend(identifiers(entry));
    names
}

/// `Type/id` and `fullUrl`.
fn ids(entry: &Entry) -> Vec<String> {
    address(entry).into_iter().chain(entry.full_url.as_ref().map(|url| url.expose().clone())).collect()
}

/// `Type/id`.
pub(crate) fn address(entry: &Entry) -> Option<String> {
    let resource = entry.resource.expose();
    let id = text(resource, "id")?;
    Some([resource_type(resource).unwrap_or_default(), "/", id].concat())
}

/// `Type?identifier=system|value` for each identifier.
pub(crate) fn identifiers(entry: &Entry) -> Vec<String> {
    let resource = entry.resource.expose();
    let kind = resource_type(resource).unwrap_or_default();
    items(resource, "identifier").filter_map(|identifier| identifier_name(kind, identifier)).collect()
}

fn identifier_name(kind: &str, identifier: &Value) -> Option<String> {
    let value = text(identifier, "value")?;
    let system = child(identifier, "system").and_then(|system| system.as_str()).unwrap_or_default();
    Some(format!("{kind}?identifier={system}|{value}"))
}

/// `Type/id` at the end of a URL.
pub(crate) fn relative_part(url: &str) -> Option<String> {
    let mut parts = url.split("/_history/").next()?.rsplit('/');
    let (id, kind) = (parts.next()?, parts.next()?);
    let relative = format!("{kind}/{id}");
    matches!(reference_shape(&relative), Some(ReferenceShape::Relative { .. })).then_some(relative)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Limits, parse_json};

    fn entries(list: &str) -> Vec<Entry> {
        let bundle = format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{list}]}}"#);
        parse_json("x", bundle.as_bytes(), &Limits::default()).unwrap().entries
    }

    fn first_target(entries: &[Entry], at: usize) -> String {
        let index = ReferenceIndex::new(entries);
        let resource = entries[at].resource.expose();
        match subject(resource) {
            Subject::Itself => "itself".to_owned(),
            Subject::None => "none".to_owned(),
            Subject::Referred(references) => match index.follow(resource, references[0]) {
                Some(Target::Entry(index)) => format!("entry {index}"),
                Some(Target::Contained(inner)) => format!("contained {}", text(inner, "id").unwrap()),
                Some(Target::Outside(name)) => name.into_exposed(),
                None => "nothing".to_owned(),
            },
        }
    }

    #[test]
    fn references_of_every_form_lead_to_the_patient() {
        let uuid = "urn:uuid:057aa36e-b892-9964-75b9-ffb46b097e34";
        let patient = format!(
            r#"{{"fullUrl":"{uuid}","resource":{{"resourceType":"Patient","id":"p","identifier":[{{"system":"s","value":"7"}}]}}}}"#
        );
        let table = [
            (format!(r#""resourceType":"Observation","subject":{{"reference":"{uuid}"}}"#), "entry 0"),
            (r#""resourceType":"Immunization","patient":{"reference":"Patient/p"}"#.to_owned(), "entry 0"),
            (r#""resourceType":"Claim","patient":{"reference":"https://h.example/fhir/Patient/p"}"#.to_owned(), "entry 0"),
            (r#""resourceType":"Coverage","beneficiary":{"reference":"Patient?identifier=s|7"}"#.to_owned(), "entry 0"),
            (r#""resourceType":"Task","for":{"identifier":{"system":"s","value":"7"}}"#.to_owned(), "entry 0"),
            (r#""resourceType":"Appointment","participant":[{"actor":{"reference":"Patient/p"}}]"#.to_owned(), "entry 0"),
            (r#""resourceType":"ResearchSubject","individual":{"reference":"Patient/q/_history/3"}"#.to_owned(), "Patient/q"),
            (
                r##""resourceType":"Observation","contained":[{"resourceType":"Patient","id":"c"}],"subject":{"reference":"#c"}"##.to_owned(),
                "contained c",
            ),
            (r#""resourceType":"Observation","subject":{"reference":"nonsense"}"#.to_owned(), "nothing"),
            (r#""resourceType":"Organization","name":"Star""#.to_owned(), "none"),
            (r#""resourceType":"Patient""#.to_owned(), "itself"),
        ];
        for (resource, expected) in table {
            let entries = entries(&format!("{patient},{{\"resource\":{{{resource}}}}}"));
            assert_eq!(first_target(&entries, 1), expected, "{resource}");
        }
    }
}
