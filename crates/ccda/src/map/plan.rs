//! What is planned: ServiceRequest for observations, procedures and acts, Goal for goals.

use super::{
    context::Context,
    datatype::{
        Interval, codeable, codeable_at, comments, identifiers, is_negated, or_absent, status, text_of, value,
    },
    medication::medicine,
    people::{author, performers},
};
use crate::element::Element;
use bxp_hl7v2::build::{Json, concept};

const STATUS: [(&str, &str); 6] = [
    ("active", "active"),
    ("completed", "completed"),
    ("aborted", "revoked"),
    ("cancelled", "revoked"),
    ("suspended", "on-hold"),
    ("nullified", "entered-in-error"),
];
const GOAL: [(&str, &str); 5] = [
    ("active", "active"),
    ("completed", "completed"),
    ("aborted", "cancelled"),
    ("cancelled", "cancelled"),
    ("nullified", "entered-in-error"),
];

/// Something planned.
pub(super) fn request(context: &mut Context<'_>, element: &Element) -> bool {
    let mut json = Json::object([("identifier", identifiers(element))]);
    json.put("status", status(element, &STATUS).unwrap_or("active"));
    json.put(
        "intent",
        match element.attribute("moodCode") {
            Some("RQO") => "order",
            Some("PRP") => "proposal",
            _ => "plan",
        },
    );
    if is_negated(element) {
        json.put("doNotPerform", Json::Bool(true));
    }
    let code = element.child("code");
    let mut found = code.map(|code| codeable(context, code)).unwrap_or_default();
    if let Some(product) = element.at(&["consumable", "manufacturedProduct"]) {
        found = medicine(context, Some(product));
    }
    json.put("code", or_absent(found, code));
    json.put("subject", context.patient());
    Interval::of(context, element).put(&mut json, "occurrence");
    let (who, when) = author(context, element);
    json.put("requester", who.unwrap_or_default());
    json.put("authoredOn", when);
    json.put("performer", Json::List(performers(context, element)));
    let sites: Vec<&Element> = element.all("targetSiteCode").collect();
    for site in sites {
        let site = codeable(context, site);
        json.push("bodySite", site);
    }
    json.put("note", comments(context, element));
    element.all("text").for_each(Element::see_all);
    context.add("ServiceRequest", element, json);
    true
}

/// A goal.
pub(super) fn goal(context: &mut Context<'_>, element: &Element) -> bool {
    let mut json = Json::object([("identifier", identifiers(element))]);
    json.put("lifecycleStatus", status(element, &GOAL).unwrap_or("active"));
    let code = element.child("code");
    let found = code.map(|code| codeable(context, code)).unwrap_or_default();
    let mut description = found.clone();
    // A goal is said in words as a value, or as a measure that is to be reached.
    let mut said = Json::default();
    if let Some(one) = element.child("value") {
        value(context, &mut said, one);
    }
    if let Some(text) = said.text("valueString").map(str::to_owned) {
        description.put("text", text);
    }
    if let Some(text) = element.child("text").filter(|_| description.is_empty()) {
        let text = text_of(context, text);
        description.put("text", text);
    }
    element.all("text").for_each(Element::see_all);
    json.put("description", or_absent(description, code));
    json.put("subject", context.patient());
    let times = Interval::of(context, element);
    json.put("startDate", day(times.start()));
    let mut target = Json::default();
    if let Some(reach) = said.get("valueQuantity") {
        target.put("measure", found.clone());
        target.put("detailQuantity", reach.clone());
    } else if let Some(reach) = said.get("valueCodeableConcept") {
        target.put("measure", found.clone());
        target.put("detailCodeableConcept", reach.clone());
    } else if let Some(reach) = said.get("valueRange") {
        target.put("measure", found);
        target.put("detailRange", reach.clone());
    }
    target.put("dueDate", day(times.high.clone()));
    json.push("target", target);
    let (who, _) = author(context, element);
    let able = |who: &Json| who.text("reference").is_some_and(|one| one.starts_with("Practitioner/"));
    json.put("expressedBy", who.filter(able).unwrap_or_default());
    let priority = codeable_at(context, element, "priorityCode");
    json.put("priority", if priority.is_empty() { Json::default() } else { priority });
    if is_negated(element) {
        json.put("achievementStatus", concept("goal-achievement", "not-attainable", ""));
    }
    json.put("note", comments(context, element));
    context.add("Goal", element, json);
    true
}

fn day(time: Json) -> Json {
    match time {
        Json::Text(text) => text.split('T').next().unwrap_or_default().into(),
        other => other,
    }
}
