//! Family history organizers: FamilyMemberHistory.

use super::{
    context::Context,
    datatype::{codeable, codeable_at, date, identifiers, or_absent, related, related_value, time},
    people::gender,
};
use crate::element::Element;
use bxp_hl7v2::build::{Json, decimal_json};

/// A relative and what the relative had.
pub(super) fn history(context: &mut Context<'_>, element: &Element) -> bool {
    let Some(relative) = element.at(&["subject", "relatedSubject"]) else { return false };
    let mut json = Json::object([("identifier", identifiers(element)), ("status", "completed".into())]);
    json.put("patient", context.patient());
    element.all("effectiveTime").for_each(Element::see_all);
    element.all("statusCode").for_each(Element::mark);
    let code = relative.child("code");
    let relationship = code.map(|code| codeable(context, code)).unwrap_or_default();
    json.put("relationship", or_absent(relationship, code));
    if let Some(person) = relative.child("subject") {
        if let Some(code) = person.child("administrativeGenderCode") {
            let system = "http://hl7.org/fhir/administrative-gender";
            json.put("sex", bxp_hl7v2::build::concept(system, gender(code), ""));
        }
        json.put("bornDate", date(context, person.of("birthTime", "value")));
        if let Some(name) = person.child("name") {
            json.put("name", name.text(1_000));
        }
        let died = time(context, person.of("deceasedTime", "value"));
        let died = match died {
            Json::Text(text) => Json::from(text.split('T').next().unwrap_or_default()),
            other => other,
        };
        json.put("deceasedDate", died);
        if let Some(said) = person.of("deceasedInd", "value").filter(|_| !json.has("deceasedDate")) {
            json.put("deceasedBoolean", Json::Bool(said == "true"));
        }
    }
    let conditions: Vec<&Element> = element
        .all("component")
        .flat_map(Element::elements)
        .filter(|one| one.name == "observation")
        .collect();
    for one in conditions {
        one.mark();
        let found = context.within("observation", |context| condition(context, one));
        json.push("condition", found);
    }
    context.add("FamilyMemberHistory", element, json);
    true
}

fn condition(context: &mut Context<'_>, element: &Element) -> Json {
    for said in ["id", "code", "statusCode", "text", "effectiveTime"] {
        element.all(said).for_each(Element::see_all);
    }
    let value = element.child("value");
    let code = value.map(|value| codeable(context, value)).unwrap_or_default();
    let mut json = Json::object([("code", or_absent(code, value))]);
    // Age at onset has HL7's code 445518008 of SNOMED CT.
    if let Some(age) = related_value(element, "445518008") {
        let years = age.attribute("value").map(decimal_json).unwrap_or_default();
        let unit = age.attribute("unit").unwrap_or("a");
        if !years.is_empty() && ["a", "mo", "wk", "d"].contains(&unit) {
            let system = "http://unitsofmeasure.org";
            json.put(
                "onsetAge",
                Json::object([("value", years), ("system", system.into()), ("code", unit.into())]),
            );
        }
    }
    // A relative who died of it.
    let died = related(element, "observation").find(|one| one.of("value", "code") == Some("419099009"));
    if let Some(died) = died {
        died.see_all();
        json.put("contributedToDeath", Json::Bool(true));
    }
    let _ = codeable_at(context, element, "interpretationCode");
    json
}
