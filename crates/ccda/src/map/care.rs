//! Care teams, and notes that are entries of their own.

use super::{
    context::Context,
    datatype::{Interval, codeable, codeable_at, identifiers, status, text_of},
    people::{assigned, author},
};
use crate::element::Element;
use bxp_hl7v2::build::{Json, base64, concept};

const TEAM: [(&str, &str); 5] = [
    ("active", "active"),
    ("completed", "inactive"),
    ("suspended", "suspended"),
    ("aborted", "inactive"),
    ("nullified", "entered-in-error"),
];

/// An organizer of a care team.
pub(super) fn team(context: &mut Context<'_>, element: &Element) -> bool {
    let mut json = Json::object([("identifier", identifiers(element))]);
    json.put("status", status(element, &TEAM).unwrap_or("active"));
    element.all("code").for_each(Element::see_all);
    json.put("subject", context.patient());
    json.put("period", Interval::of(context, element).period());
    let _ = author(context, element);
    let members: Vec<&Element> =
        element.all("component").flat_map(Element::elements).filter(|one| one.name == "act").collect();
    for act in members {
        act.mark();
        for said in ["id", "code", "statusCode", "effectiveTime"] {
            act.all(said).for_each(Element::see_all);
        }
        let performers: Vec<&Element> = act.all("performer").collect();
        for performer in performers {
            let function = codeable_at(context, performer, "functionCode");
            let who = performer.child("assignedEntity").and_then(|role| assigned(context, role));
            let Some(who) = who else { continue };
            let mut member = Json::object([("member", who)]);
            member.push("role", function);
            json.push("participant", member);
        }
    }
    context.add("CareTeam", element, json);
    true
}

/// A note: its text in a DocumentReference.
pub(super) fn note(context: &mut Context<'_>, element: &Element) -> bool {
    let text = element.child("text").map(|text| text_of(context, text)).unwrap_or_default();
    let mut json = Json::object([("identifier", identifiers(element)), ("status", "current".into())]);
    let code = element.child("code");
    // Next to "note", the translation says which kind of note it is.
    let kind = code.map(|code| codeable(context, code)).unwrap_or_default();
    json.put("type", kind);
    json.push(
        "category",
        concept(
            "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
            "clinical-note",
            "",
        ),
    );
    element.all("statusCode").for_each(Element::mark);
    json.put("subject", context.patient());
    let times = Interval::of(context, element);
    json.put("context", Json::object([("period", times.period())]));
    let (who, when) = author(context, element);
    json.push("author", who.unwrap_or_default());
    let exact = matches!(&when, Json::Text(text) if text.contains('T'));
    json.put("date", if exact { when } else { Json::default() });
    let attachment = if text.is_empty() {
        super::datatype::absent("unknown")
    } else {
        let data = base64(text.as_bytes());
        Json::object([("contentType", "text/plain; charset=utf-8".into()), ("data", data.into())])
    };
    json.push("content", Json::object([("attachment", attachment)]));
    context.add("DocumentReference", element, json);
    true
}
