//! Procedure activities: Procedure.

use super::{
    context::Context,
    datatype::{
        Interval, codeable, codeable_at, comments, identifiers, indications, is_negated, or_absent, status,
    },
    device,
    people::{author, location, performers},
    section::Section,
};
use crate::element::Element;
use bxp_hl7v2::build::Json;

const STATUS: [(&str, &str); 6] = [
    ("completed", "completed"),
    ("active", "in-progress"),
    ("aborted", "stopped"),
    ("cancelled", "not-done"),
    ("suspended", "on-hold"),
    ("nullified", "entered-in-error"),
];

/// A procedure or an act that was done.
pub(super) fn procedure(context: &mut Context<'_>, section: Section, element: &Element) -> bool {
    let mut json = Json::object([("identifier", identifiers(element))]);
    let said = if is_negated(element) { "not-done" } else { status(element, &STATUS).unwrap_or("unknown") };
    let code = element.child("code");
    let found = code.map(|code| codeable(context, code)).unwrap_or_default();
    let devices = device::of_participants(context, element);
    if section == Section::Devices && devices.iter().any(|device| !device.is_empty()) && found.is_empty() {
        // An entry of medical equipment that tells of a device and of no procedure.
        return true;
    }
    json.put("status", said);
    json.put("code", or_absent(found, code));
    json.put("subject", context.patient());
    let times = Interval::of(context, element);
    times.put(&mut json, "performed");
    for who in performers(context, element) {
        json.push("performer", Json::object([("actor", who)]));
    }
    let (who, _) = author(context, element);
    json.put("recorder", who.filter(is_person).unwrap_or_default());
    for role in places(element) {
        if let Some(place) = location(context, role) {
            json.put("location", place);
        }
    }
    let sites: Vec<&Element> = element.all("targetSiteCode").chain(element.all("approachSiteCode")).collect();
    for site in sites {
        let site = codeable(context, site);
        json.push("bodySite", site);
    }
    indications(context, &mut json, element);
    for used in devices {
        json.push("focalDevice", Json::object([("manipulated", used)]));
    }
    let _ = codeable_at(context, element, "methodCode");
    json.put("note", comments(context, element));
    element.all("text").for_each(Element::see_all);
    context.add("Procedure", element, json);
    true
}

fn is_person(who: &Json) -> bool {
    who.text("reference").is_some_and(|reference| reference.starts_with("Practitioner/"))
}

/// The roles of participants that are places.
pub(super) fn places(element: &Element) -> Vec<&Element> {
    let here = element.elements().filter(|one| one.name == "participant");
    let here = here.filter(|one| one.attribute("typeCode") == Some("LOC"));
    here.inspect(|one| one.mark()).filter_map(|one| one.child("participantRole")).collect()
}
