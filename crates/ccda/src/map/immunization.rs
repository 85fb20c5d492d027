//! Immunization activities: Immunization.

use super::{
    context::Context,
    datatype::{
        INDICATION, Interval, codeable, codeable_at, comments, identifiers, is_negated, quantity, related,
        related_value,
    },
    medication::medicine,
    people::{author, organization, performers},
    section::is_planned,
};
use crate::element::Element;
use bxp_hl7v2::build::{Json, concept};

/// An immunization that was given, or was not.
pub(super) fn immunization(context: &mut Context<'_>, element: &Element) -> bool {
    if is_planned(element) {
        return super::plan::request(context, element);
    }
    let mut json = Json::object([("identifier", identifiers(element))]);
    let negated = is_negated(element);
    let said = element.of("statusCode", "code").unwrap_or_default();
    let status = match said {
        _ if negated => "not-done",
        "completed" | "active" | "" => "completed",
        "nullified" => "entered-in-error",
        _ => "not-done",
    };
    json.put("status", status);
    let product = element.at(&["consumable", "manufacturedProduct"]);
    let maker = product.and_then(|product| product.child("manufacturerOrganization"));
    let maker = maker.and_then(|maker| organization(context, maker));
    json.put("vaccineCode", medicine(context, product));
    json.put("manufacturer", maker.unwrap_or_default());
    let lot = product.and_then(|product| product.at(&["manufacturedMaterial", "lotNumberText"]));
    json.put("lotNumber", lot.map(|lot| lot.text(1_000)).unwrap_or_default());
    json.put("patient", context.patient());
    json.put("occurrenceDateTime", Interval::of(context, element).start());
    json.put("route", codeable_at(context, element, "routeCode"));
    json.put("site", codeable_at(context, element, "approachSiteCode"));
    let dose = element.child("doseQuantity").map(|one| quantity(context, one)).unwrap_or_default();
    if dose.has("value") {
        json.put("doseQuantity", dose);
    }
    for who in performers(context, element) {
        let function = concept("v2-0443", "AP", "");
        json.push("performer", Json::object([("function", function), ("actor", who)]));
    }
    let (_, when) = author(context, element);
    json.put("recorded", when);
    reasons(context, &mut json, element, negated);
    if let Some(number) = element.of("repeatNumber", "value").and_then(|text| text.parse::<u32>().ok())
        && (1..=1_000).contains(&number)
    {
        let dose = Json::object([("doseNumberPositiveInt", Json::Number(number.to_string()))]);
        json.push("protocolApplied", dose);
    }
    if let Some(value) = related_value(element, "30973-2").and_then(|value| value.attribute("value"))
        && let Ok(number) = value.parse::<u32>()
        && (1..=1_000).contains(&number)
        && !json.has("protocolApplied")
    {
        let dose = Json::object([("doseNumberPositiveInt", Json::Number(number.to_string()))]);
        json.push("protocolApplied", dose);
    }
    json.put("note", comments(context, element));
    element.all("text").for_each(Element::see_all);
    context.add("Immunization", element, json);
    true
}

/// Why it was given, or why not (template .53).
fn reasons(context: &mut Context<'_>, json: &mut Json, element: &Element, negated: bool) {
    let found: Vec<&Element> = related(element, "observation").collect();
    for one in found {
        let refusal = one.follows("2.16.840.1.113883.10.20.22.4.53");
        let indication = one.follows(INDICATION);
        if !refusal && !indication {
            continue;
        }
        one.mark();
        for said in ["id", "statusCode", "effectiveTime"] {
            one.all(said).for_each(Element::see_all);
        }
        let code = one.child("code");
        if refusal && negated {
            json.put("statusReason", code.map(|code| codeable(context, code)).unwrap_or_default());
        } else if let Some(value) = one.child("value") {
            let value = codeable(context, value);
            json.push("reasonCode", value);
        }
    }
}
