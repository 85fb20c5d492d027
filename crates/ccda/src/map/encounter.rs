//! Encounter activities: Encounter.

use super::{
    context::Context,
    datatype::{Interval, codeable, codeable_at, identifiers, indications, related},
    people::{location, performers},
    problem, procedure,
    section::{Section, is_planned},
};
use crate::element::Element;
use bxp_hl7v2::build::{Json, coding, system_of_oid};

/// HL7's code system of encounters' classes, by OID.
const ACT_CODE: &str = "2.16.840.1.113883.5.4";

/// An encounter that was, or is planned.
pub(super) fn encounter(context: &mut Context<'_>, element: &Element) -> bool {
    let times = Interval::of(context, element);
    let mut json = Json::object([("identifier", identifiers(element)), ("period", times.period())]);
    let said = element.of("statusCode", "code").unwrap_or_default();
    let status = match said {
        _ if is_planned(element) => "planned",
        "completed" => "finished",
        "active" => "in-progress",
        "aborted" | "cancelled" => "cancelled",
        _ if !times.high.is_empty() || !times.point.is_empty() => "finished",
        _ => "unknown",
    };
    json.put("status", status);
    class(context, &mut json, element);
    json.put("subject", context.patient());
    for who in performers(context, element) {
        json.push("participant", Json::object([("individual", who)]));
    }
    for role in procedure::places(element) {
        if let Some(place) = location(context, role) {
            json.push("location", Json::object([("location", place)]));
        }
    }
    let disposition = codeable_at(context, element, "dischargeDispositionCode");
    json.put("hospitalization", Json::object([("dischargeDisposition", disposition)]));
    let acts: Vec<&Element> = related(element, "act").collect();
    for act in acts {
        // Encounter diagnoses.
        if act.follows("2.16.840.1.113883.10.20.22.4.80") {
            act.mark();
            context.within("act", |context| problem::concern(context, Section::Encounters, act));
        }
    }
    indications(context, &mut json, element);
    element.all("text").for_each(Element::see_all);
    context.add("Encounter", element, json);
    true
}

/// The class, where the code or one of its translations is of HL7's act codes; and the type.
pub(super) fn class(context: &mut Context<'_>, json: &mut Json, element: &Element) {
    let Some(code) = element.child("code") else { return };
    let all = std::iter::once(code).chain(code.all("translation"));
    let class = all.filter(|one| one.attribute("codeSystem") == Some(ACT_CODE));
    let class = class.filter_map(|one| one.attribute("code").map(crate::element::tidy)).next();
    json.put("class", class.map(|class| coding(&system_of_oid(ACT_CODE), &class, "")).unwrap_or_default());
    let kind = codeable(context, code);
    json.push("type", kind);
}
