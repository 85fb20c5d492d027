//! Allergy concerns and allergy observations: AllergyIntolerance.

use super::{
    context::Context,
    datatype::{
        Interval, codeable, comments, identifiers, is_negated, or_absent, related, related_value, status,
    },
    people::author,
    problem::clinical_of,
};
use crate::element::Element;
use bxp_hl7v2::build::{Json, concept};

const CONCERN: [(&str, &str); 4] =
    [("active", "active"), ("completed", "resolved"), ("aborted", "inactive"), ("suspended", "inactive")];
/// SNOMED CT: no known allergy.
const NONE_KNOWN: &str = "716186003";

/// A wrapper of allergies.
pub(super) fn concern(context: &mut Context<'_>, element: &Element) -> bool {
    for wrapper in ["code", "id", "effectiveTime", "statusCode", "text"] {
        element.all(wrapper).for_each(Element::see_all);
    }
    let said = status(element, &CONCERN);
    let _ = author(context, element);
    let found: Vec<&Element> = related(element, "observation").collect();
    let mut any = false;
    for one in found {
        one.mark();
        any |= context.within("observation", |context| allergy(context, one, said));
    }
    any
}

/// An allergy.
pub(super) fn allergy(context: &mut Context<'_>, element: &Element, concern: Option<&'static str>) -> bool {
    element.all("code").for_each(Element::see_all);
    element.all("statusCode").for_each(Element::mark);
    element.all("text").for_each(Element::see_all);
    let times = Interval::of(context, element);
    let mut json = Json::object([("identifier", identifiers(element))]);
    let clinical = related_value(element, "33999-4").and_then(|value| value.attribute("code"));
    let clinical =
        clinical.and_then(clinical_of).filter(|one| matches!(*one, "active" | "inactive" | "resolved"));
    // What the document says of the status goes before an end date, which may be that of a reaction.
    let ended = (!times.high.is_empty()).then_some("resolved");
    let clinical = clinical.or(concern).or(ended);
    json.put("clinicalStatus", concept("allergyintolerance-clinical", clinical.unwrap_or("active"), ""));
    let (substance, ruled_out) = agent(context, element);
    let verified = if ruled_out { "refuted" } else { "confirmed" };
    json.put("verificationStatus", concept("allergyintolerance-verification", verified, ""));
    let (kind, category) = kind_of(element.of("value", "code").unwrap_or_default());
    json.put("type", kind);
    if !category.is_empty() {
        json.push("category", category);
    }
    if let Some(critical) = related_value(element, "82606-5").and_then(|value| value.attribute("code")) {
        json.put("criticality", criticality(critical));
    }
    json.put("code", substance);
    json.put("patient", context.patient());
    json.put("onsetDateTime", times.start());
    let (who, when) = author(context, element);
    json.put("recordedDate", when);
    let person = who.filter(|who| who.text("reference").is_some_and(|one| one.starts_with("Practitioner/")));
    json.put("recorder", person.unwrap_or_default());
    let reactions: Vec<&Element> = related(element, "observation").filter(|one| is_reaction(one)).collect();
    for one in reactions {
        one.mark();
        let found = context.within("observation", |context| reaction(context, one));
        json.push("reaction", found);
    }
    // A severity of the allergy as a whole is a thing of the past; FHIR has it with the reactions.
    if let Some(code) = related_value(element, "SEV").and_then(|value| value.attribute("code"))
        && let Some(severity) = severity(code)
        && !json.has("reaction")
    {
        let unknown = super::datatype::absent("unknown");
        json.push(
            "reaction",
            Json::object([("manifestation", Json::List(vec![unknown])), ("severity", severity.into())]),
        );
    }
    json.put("note", comments(context, element));
    context.add("AllergyIntolerance", element, json);
    true
}

/// The substance, and whether the document rules an allergy to it out; or that there are no allergies at all.
fn agent(context: &mut Context<'_>, element: &Element) -> (Json, bool) {
    let substance = element.at(&["participant", "participantRole", "playingEntity"]);
    let code = substance.and_then(|one| one.child("code"));
    let mut found = code.map(|code| codeable(context, code)).unwrap_or_default();
    let name = substance.and_then(|one| one.child("name")).map(|name| name.text(1_000)).unwrap_or_default();
    found.put("text", name);
    match (is_negated(element), found.is_empty()) {
        (true, true) => (concept("http://snomed.info/sct", NONE_KNOWN, "No known allergy"), false),
        (negated, _) => (or_absent(found, code), negated),
    }
}

fn is_reaction(element: &Element) -> bool {
    element.elements().any(|one| {
        one.name == "templateId" && one.attribute("root") == Some("2.16.840.1.113883.10.20.22.4.9")
    })
}

fn reaction(context: &mut Context<'_>, element: &Element) -> Json {
    for said in ["id", "code", "statusCode", "text"] {
        element.all(said).for_each(Element::see_all);
    }
    let value = element.child("value");
    let found = value.map(|value| codeable(context, value)).unwrap_or_default();
    let mut json = Json::object([("manifestation", Json::List(vec![or_absent(found, value)]))]);
    json.put("onset", Interval::of(context, element).start());
    let code = related_value(element, "SEV").and_then(|value| value.attribute("code"));
    json.put("severity", code.and_then(severity).unwrap_or_default());
    json
}

fn severity(code: &str) -> Option<&'static str> {
    Some(match code {
        "255604002" => "mild",
        "371923003" | "6736007" => "moderate",
        "371924009" | "24484000" | "399166001" => "severe",
        _ => return None,
    })
}

fn criticality(code: &str) -> &'static str {
    match code {
        "CRITH" => "high",
        "CRITL" => "low",
        _ => "unable-to-assess",
    }
}

/// Type and category of SNOMED CT's kinds of propensity.
fn kind_of(code: &str) -> (&'static str, &'static str) {
    match code {
        "419199007" | "609328004" => ("allergy", ""),
        "416098002" => ("allergy", "medication"),
        "414285001" => ("allergy", "food"),
        "232347008" => ("allergy", "environment"),
        "59037007" => ("intolerance", "medication"),
        "235719002" => ("intolerance", "food"),
        "419511003" => ("", "medication"),
        "418471000" => ("", "food"),
        "418038007" => ("", "environment"),
        _ => ("", ""),
    }
}
