//! Devices: implants and aids with their unique device identifiers, and their use.

use super::{
    context::Context,
    datatype::{Interval, codeable, identifiers},
    procedure,
    section::Section,
};
use crate::element::Element;
use bxp_hl7v2::build::{Json, system_of_oid};

/// The assigner of unique device identifiers in the US (FDA).
const UDI: &str = "2.16.840.1.113883.3.3719";

/// The devices of an entry's participants.
pub(super) fn of_participants(context: &mut Context<'_>, element: &Element) -> Vec<Json> {
    let participants = element.elements().filter(|one| one.name == "participant");
    let found = participants.filter(|one| matches!(one.attribute("typeCode"), Some("DEV" | "PRD")));
    let roles: Vec<&Element> =
        found.inspect(|one| one.mark()).filter_map(|one| one.child("participantRole")).collect();
    roles.into_iter().map(|role| device(context, role)).collect()
}

/// A `participantRole` that is a device.
fn device(context: &mut Context<'_>, role: &Element) -> Json {
    let mut json = Json::default();
    let mut others = Vec::new();
    for id in role.all("id").filter(|id| !id.is_null()) {
        let carrier = id.attribute("extension").map(crate::element::tidy);
        match (id.attribute("root"), carrier) {
            (Some(UDI), Some(carrier)) => {
                let issuer = system_of_oid(UDI);
                json.push(
                    "udiCarrier",
                    Json::object([("issuer", issuer.into()), ("carrierHRF", carrier.into())]),
                );
            }
            _ => others.extend(super::datatype::identifier(id)),
        }
    }
    json.put("identifier", Json::List(others));
    let playing = role.child("playingDevice");
    if let Some(code) = playing.and_then(|one| one.child("code")) {
        let code = codeable(context, code);
        json.put("type", code);
    }
    let model = playing.and_then(|one| one.child("manufacturerModelName"));
    json.put("modelNumber", model.map(|model| model.text(1_000)).unwrap_or_default());
    if let Some(maker) = role.at(&["scopingEntity", "desc"]) {
        json.put("manufacturer", maker.text(1_000));
    }
    if let Some(scope) = role.child("scopingEntity") {
        scope.see_all();
    }
    if json.is_empty() {
        return json;
    }
    json.put("patient", context.patient());
    context.add("Device", role, json)
}

/// An organizer of medical equipment: what is in it, one by one.
pub(super) fn organizer(context: &mut Context<'_>, element: &Element) -> bool {
    for said in ["id", "code", "statusCode", "effectiveTime"] {
        element.all(said).for_each(Element::see_all);
    }
    let inner: Vec<&Element> = element.all("component").flat_map(Element::elements).collect();
    let mut any = false;
    for one in inner {
        one.mark();
        any |= match one.name.as_str() {
            "supply" => context.within("supply", |context| supply(context, one)),
            "procedure" => {
                context.within("procedure", |context| procedure::procedure(context, Section::Devices, one))
            }
            _ => false,
        };
    }
    any
}

/// A device that the patient uses or was given.
pub(super) fn supply(context: &mut Context<'_>, element: &Element) -> bool {
    let devices = of_participants(context, element);
    let Some(device) = devices.into_iter().find(|device| !device.is_empty()) else { return false };
    let mut json = Json::object([("identifier", identifiers(element))]);
    let said = element.of("statusCode", "code").unwrap_or_default();
    json.put("status", if said == "completed" { "completed" } else { "active" });
    json.put("subject", context.patient());
    Interval::of(context, element).put(&mut json, "timing");
    json.put("device", device);
    element.all("quantity").for_each(Element::mark);
    context.add("DeviceUseStatement", element, json);
    true
}
