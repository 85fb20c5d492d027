//! Medication activities: MedicationRequest where they are meant to be, MedicationStatement where they were (ADR 45).

use super::{
    context::Context,
    datatype::{
        Interval, codeable, codeable_at, comments, identifiers, indications, is_negated, is_periodic,
        or_absent, quantity, related, status, text_of,
    },
    people::{author, organization},
    section::{Section, is_planned},
};
use crate::element::Element;
use bxp_hl7v2::build::Json;

const REQUEST: [(&str, &str); 6] = [
    ("active", "active"),
    ("completed", "completed"),
    ("aborted", "stopped"),
    ("cancelled", "cancelled"),
    ("suspended", "on-hold"),
    ("nullified", "entered-in-error"),
];
const STATEMENT: [(&str, &str); 6] = [
    ("active", "active"),
    ("completed", "completed"),
    ("aborted", "stopped"),
    ("cancelled", "not-taken"),
    ("suspended", "on-hold"),
    ("nullified", "entered-in-error"),
];
/// UCUM's units of time that FHIR's Timing takes.
const UNITS: [&str; 7] = ["s", "min", "h", "d", "wk", "mo", "a"];

/// A medication activity.
pub(super) fn medication(context: &mut Context<'_>, section: Section, element: &Element) -> bool {
    let product = element.at(&["consumable", "manufacturedProduct"]);
    let planned = is_planned(element);
    let mut json = Json::object([("identifier", identifiers(element))]);
    let code = medicine(context, product);
    json.put("subject", context.patient());
    let times = Interval::of(context, element);
    let (who, when) = author(context, element);
    indications(context, &mut json, element);
    json.put("note", comments(context, element));
    let dosage = dosage(context, element, &times, planned);
    element.all("text").for_each(Element::see_all);
    if !planned {
        json.put("status", status(element, &STATEMENT).unwrap_or("unknown"));
        if is_negated(element) {
            json.replace("status", "not-taken");
        }
        json.put("medicationCodeableConcept", code);
        times.put(&mut json, "effective");
        json.put("dateAsserted", when);
        json.put("informationSource", who.filter(|who| !is_device(who)).unwrap_or_default());
        json.push("dosage", dosage);
        context.add("MedicationStatement", element, json);
        return true;
    }
    json.put("status", status(element, &REQUEST).unwrap_or("unknown"));
    json.put("intent", if section == Section::Plan { "plan" } else { "order" });
    if is_negated(element) {
        json.put("doNotPerform", Json::Bool(true));
    }
    json.put("medicationCodeableConcept", code);
    json.put("authoredOn", when);
    json.put("requester", who.unwrap_or_default());
    json.push("dosageInstruction", dosage);
    dispense(context, &mut json, element);
    context.add("MedicationRequest", element, json);
    true
}

fn is_device(who: &Json) -> bool {
    who.text("reference").is_some_and(|reference| reference.starts_with("Device/"))
}

/// The medicine of a product.
pub(super) fn medicine(context: &mut Context<'_>, product: Option<&Element>) -> Json {
    if let Some(product) = product {
        product.all("id").for_each(Element::mark);
        if let Some(maker) = product.child("manufacturerOrganization") {
            let _ = organization(context, maker);
        }
    }
    let material = product.and_then(|product| product.child("manufacturedMaterial"));
    let code = material.and_then(|material| material.child("code"));
    let mut found = code.map(|code| codeable(context, code)).unwrap_or_default();
    let name = material.and_then(|one| one.child("name")).map(|name| name.text(1_000)).unwrap_or_default();
    found.put("text", name);
    or_absent(found, code)
}

/// How it is taken.
fn dosage(context: &mut Context<'_>, element: &Element, times: &Interval, planned: bool) -> Json {
    let mut json = Json::default();
    let sig =
        related(element, "substanceAdministration").find(|one| one.of("code", "code") == Some("76662-6"));
    if let Some(sig) = sig {
        sig.see_all();
        let text = sig.child("text").map(|text| text_of(context, text)).unwrap_or_default();
        json.put("text", text);
    } else if let Some(text) = element.child("text") {
        let text = text_of(context, text);
        json.put("text", text);
    }
    for precondition in element.all("precondition") {
        let found = precondition.child("criterion").map(|one| codeable_at(context, one, "value"));
        if let Some(found) = found.filter(|found| !found.is_empty()) {
            json.put("asNeededCodeableConcept", found);
        }
    }
    let mut timing = timing(context, element);
    if planned && times.point.is_empty() {
        let bounds = Json::object([("start", times.low.clone()), ("end", times.high.clone())]);
        let mut repeat = timing.get("repeat").cloned().unwrap_or_default();
        repeat.put("boundsPeriod", bounds);
        if !repeat.is_empty() {
            timing.replace("repeat", repeat);
        }
    } else if planned {
        timing.push("event", times.point.clone());
    }
    json.put("timing", timing);
    json.put("route", codeable_at(context, element, "routeCode"));
    json.put("site", codeable_at(context, element, "approachSiteCode"));
    let dose = |context: &mut Context<'_>, name: &str| {
        element.child(name).map(|one| quantity(context, one)).unwrap_or_default()
    };
    let rate = dose(context, "rateQuantity");
    let dose = dose(context, "doseQuantity");
    json.push("doseAndRate", Json::object([("doseQuantity", dose), ("rateQuantity", rate)]));
    if let Some(most) = element.child("maxDoseQuantity") {
        let part = |context: &mut Context<'_>, name| {
            most.child(name).map(|one| quantity(context, one)).unwrap_or_default()
        };
        let (numerator, denominator) = (part(context, "numerator"), part(context, "denominator"));
        if !numerator.is_empty() && !denominator.is_empty() {
            json.put(
                "maxDosePerPeriod",
                Json::object([("numerator", numerator), ("denominator", denominator)]),
            );
        }
    }
    json
}

/// How often: a PIVL_TS of a period. Other forms are noted.
fn timing(context: &mut Context<'_>, element: &Element) -> Json {
    let Some(often) = element.all("effectiveTime").find(|one| is_periodic(one)) else {
        return Json::default();
    };
    let period = often.child("period");
    let value = period.and_then(|period| period.attribute("value")).map(bxp_hl7v2::build::decimal_json);
    let unit = period.and_then(|period| period.attribute("unit")).filter(|unit| UNITS.contains(unit));
    match (value.filter(|value| !value.is_empty()), unit) {
        (Some(value), Some(unit)) => {
            let repeat =
                [("frequency", Json::Number("1".to_owned())), ("period", value), ("periodUnit", unit.into())];
            Json::object([("repeat", Json::object(repeat))])
        }
        _ => {
            often.see_all();
            context.within("effectiveTime", |context| {
                context.note("a timing without a period of one unit has no place in FHIR here");
            });
            Json::default()
        }
    }
}

/// What is ordered to be handed out.
fn dispense(context: &mut Context<'_>, json: &mut Json, element: &Element) {
    let orders: Vec<&Element> =
        related(element, "supply").filter(|one| one.attribute("moodCode") == Some("INT")).collect();
    for order in orders {
        order.mark();
        for said in ["id", "statusCode", "product", "effectiveTime"] {
            order.all(said).for_each(Element::see_all);
        }
        let _ = author(context, order);
        let mut request = Json::default();
        request.put("validityPeriod", Interval::of(context, order).period());
        let repeats = order.of("repeatNumber", "value").and_then(|text| text.parse::<u32>().ok());
        // CDA counts all fills, FHIR those after the first.
        let refills = repeats.and_then(|all| all.checked_sub(1)).filter(|one| i32::try_from(*one).is_ok());
        request.put(
            "numberOfRepeatsAllowed",
            refills.map(|one| Json::Number(one.to_string())).unwrap_or_default(),
        );
        request
            .put("quantity", order.child("quantity").map(|one| quantity(context, one)).unwrap_or_default());
        json.put("dispenseRequest", request);
    }
}
