//! Results, vital signs, social history and functional status: Observation, and DiagnosticReport for panels of results.

use super::{
    context::Context,
    datatype::{
        Interval, codeable, codeable_at, comments, identifiers, is_negated, or_absent, quantity, range,
        related, text_of, value,
    },
    people::{author, performers},
    section::Section,
};
use crate::element::Element;
use bxp_hl7v2::build::{Json, concept, system_of_oid};

const STATUS: [(&str, &str); 7] = [
    ("completed", "final"),
    ("active", "preliminary"),
    ("aborted", "cancelled"),
    ("cancelled", "cancelled"),
    ("held", "registered"),
    ("suspended", "preliminary"),
    ("nullified", "entered-in-error"),
];

fn status_of(element: &Element) -> &'static str {
    super::datatype::status(element, &STATUS).unwrap_or("unknown")
}

/// FHIR's category of what stands in a section.
const fn category(section: Section) -> &'static str {
    match section {
        Section::Results => "laboratory",
        Section::Vitals => "vital-signs",
        Section::Social => "social-history",
        Section::Procedures => "procedure",
        _ => "survey",
    }
}

/// A panel. Of results it is a report; of others, an Observation that has the others for members.
pub(super) fn organizer(context: &mut Context<'_>, section: Section, element: &Element) -> bool {
    let mut members = Vec::new();
    let inner: Vec<&Element> = element
        .all("component")
        .flat_map(Element::elements)
        .filter(|one| one.name == "observation")
        .collect();
    for one in inner {
        one.mark();
        let made = context.within("observation", |context| observation(context, section, one));
        members.extend(made);
    }
    let mut json =
        Json::object([("identifier", identifiers(element)), ("status", status_of(element).into())]);
    let code = element.child("code").filter(|_| element.child("code").is_some_and(|code| !code.is_null()));
    let code = code.map(|code| codeable(context, code)).unwrap_or_default();
    json.put("subject", context.patient());
    let times = Interval::of(context, element);
    times.put(&mut json, "effective");
    let (who, when) = author(context, element);
    element.all("text").for_each(Element::see_all);
    for specimen in element.all("specimen") {
        let found = specimen.at(&["specimenRole", "specimenPlayingEntity"]);
        let kind = found.map(|one| codeable_at(context, one, "code")).unwrap_or_default();
        if let Some(role) = specimen.child("specimenRole").filter(|_| !kind.is_empty()) {
            let made = Json::object([("type", kind), ("subject", context.patient())]);
            let made = context.add("Specimen", role, made);
            if section == Section::Results {
                json.push("specimen", made);
            }
        }
    }
    if section != Section::Results {
        json.push("category", concept("observation-category", category(section), ""));
        json.put("code", or_absent(code, element.child("code")));
        json.put("hasMember", Json::List(members));
        context.add("Observation", element, json);
        return true;
    }
    json.push("category", concept("v2-0074", "LAB", ""));
    json.put("code", or_absent(code, element.child("code")));
    let issued = matches!(&when, Json::Text(text) if text.contains('T'));
    json.put("issued", if issued { when } else { Json::default() });
    json.put("performer", Json::List(performers(context, element)));
    if let Some(who) = who {
        json.push("performer", who);
    }
    json.put("result", Json::List(members));
    // A report cannot be final before its results; CDA says it of the act, FHIR of the report.
    context.add("DiagnosticReport", element, json);
    true
}

/// An observation; gives a reference to it.
pub(super) fn observation(context: &mut Context<'_>, section: Section, element: &Element) -> Option<Json> {
    if element.is_null() {
        element.see_all();
        return None;
    }
    if is_negated(element) {
        // Who reads codes and values alone would take it for the contrary of what it says.
        context.note("a negated observation has no place in FHIR; it stands in the document");
        element.see_all();
        return None;
    }
    let mut json =
        Json::object([("identifier", identifiers(element)), ("status", status_of(element).into())]);
    json.push("category", concept("observation-category", category(section), ""));
    let code = element.child("code");
    let found = code.map(|code| context.within("code", |context| codeable(context, code)));
    json.put("code", or_absent(found.unwrap_or_default(), code));
    json.put("subject", context.patient());
    Interval::of(context, element).put(&mut json, "effective");
    let values: Vec<&Element> = element.all("value").collect();
    for (at, one) in values.iter().enumerate() {
        if at == 0 {
            value(context, &mut json, one);
        } else {
            context.within("value", |context| context.note("a second value has no place in FHIR"));
        }
    }
    for one in element.all("interpretationCode") {
        let code = one.attribute("code").map(crate::element::tidy).unwrap_or_default();
        let system = one.attribute("codeSystem").map(system_of_oid).unwrap_or_default();
        if !code.is_empty() {
            let system = if system.is_empty() { "v3-ObservationInterpretation".to_owned() } else { system };
            json.push("interpretation", concept(&system, &code, ""));
        }
    }
    json.put("method", codeable_at(context, element, "methodCode"));
    json.put("bodySite", codeable_at(context, element, "targetSiteCode"));
    references(context, &mut json, element);
    if let Some(specimen) = element.at(&["specimen", "specimenRole", "specimenPlayingEntity"]) {
        // The specimen of a single result stands beside it.
        let kind = codeable_at(context, specimen, "code");
        if !kind.is_empty() {
            let made = Json::object([("type", kind), ("subject", context.patient())]);
            let id = context
                .local_id("Specimen", &format!("{} {}", context.path.join("/"), context.entries.len()));
            let made = context.put("Specimen", id, made);
            json.put("specimen", made);
        }
    }
    let mut performers = performers(context, element);
    let (who, when) = author(context, element);
    if performers.is_empty() {
        performers
            .extend(who.filter(|who| !who.text("reference").is_some_and(|one| one.starts_with("Device/"))));
    }
    json.put("performer", Json::List(performers));
    let issued = matches!(&when, Json::Text(text) if text.contains('T'));
    json.put("issued", if issued { when } else { Json::default() });
    for comment in list(comments(context, element)) {
        json.push("note", comment);
    }
    if let Some(text) = element.child("text") {
        let text = text_of(context, text);
        if !json.has("code") && !text.is_empty() {
            json.put("code", Json::object([("text", text.into())]));
        }
    }
    components(context, section, &mut json, element);
    Some(context.add("Observation", element, json))
}

fn list(json: Json) -> Vec<Json> {
    match json {
        Json::List(items) => items,
        _ => Vec::new(),
    }
}

/// Reference ranges.
fn references(context: &mut Context<'_>, json: &mut Json, element: &Element) {
    for one in element.all("referenceRange") {
        let Some(range_of) = one.child("observationRange") else { continue };
        let mut made = Json::default();
        if let Some(value) = range_of.child("value") {
            let kind = value.attribute("type").unwrap_or_default();
            if kind.ends_with("IVL_PQ") {
                let found = range(context, value);
                for bound in ["low", "high"] {
                    made.put(bound, found.get(bound).cloned().unwrap_or_default());
                }
            } else if kind.ends_with("PQ") {
                made.put("high", quantity(context, value));
            } else {
                made.put("text", text_of(context, value));
            }
        }
        if let Some(text) = range_of.child("text") {
            let text = text_of(context, text);
            made.put("text", text);
        }
        let _ = range_of.child("interpretationCode");
        json.push("referenceRange", made);
    }
}

/// Observations below an observation (answers of an assessment, what a finding is made of) are members of it.
fn components(context: &mut Context<'_>, section: Section, json: &mut Json, element: &Element) {
    let inner: Vec<&Element> = related(element, "observation").collect();
    for one in inner {
        one.mark();
        let made = context.within("observation", |context| observation(context, section, one));
        json.push("hasMember", made.unwrap_or_default());
    }
}
