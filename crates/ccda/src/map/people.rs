//! Names, addresses, and the people and organizations who cared.

use super::{
    context::Context,
    datatype::{Interval, codeable_at, identifiers},
    identity,
};
use crate::element::Element;
use bxp_hl7v2::build::{Json, concept, derive_id};

const NAME_BYTES_MAX: usize = 1_000;

/// All names, but those in which nothing stands.
pub(crate) fn names(element: &Element) -> Json {
    let said = element.all("name").filter(|name| !name.is_null());
    Json::List(said.map(human_name).filter(|name| !name.is_empty()).collect())
}

/// A PN; empty where nothing stands in it.
fn human_name(name: &Element) -> Json {
    let use_code = match name.attribute("use").unwrap_or_default() {
        "L" | "C" => "official",
        "P" | "A" => "nickname",
        "ASGN" => "usual",
        "OR" => "official",
        _ => "",
    };
    let mut json = Json::object([("use", use_code.into())]);
    let parts: Vec<&Element> = name.elements().inspect(|part| part.mark()).collect();
    if parts.is_empty() {
        json.put("text", name.text(NAME_BYTES_MAX));
    }
    for part in parts {
        let text = part.text(NAME_BYTES_MAX);
        match part.name.as_str() {
            "family" => json.put("family", text),
            "given" => push_text(&mut json, "given", text),
            "prefix" => push_text(&mut json, "prefix", text),
            "suffix" => push_text(&mut json, "suffix", text),
            _ => {}
        }
    }
    let said = ["text", "family", "given", "prefix", "suffix"].iter().any(|part| json.has(part));
    if said { json } else { Json::default() }
}

/// Given names may repeat, which a set would lose.
fn push_text(json: &mut Json, name: &str, text: String) {
    if text.is_empty() {
        return;
    }
    let mut all = match json.get(name) {
        Some(Json::List(items)) => items.clone(),
        _ => Vec::new(),
    };
    all.push(text.into());
    json.replace(name, Json::List(all));
}

/// All addresses.
pub(crate) fn addresses(context: &mut Context<'_>, element: &Element) -> Json {
    let found: Vec<&Element> = element.all("addr").filter(|one| !one.is_null()).collect();
    Json::List(found.into_iter().map(|one| address(context, one)).filter(|json| !json.is_empty()).collect())
}

/// An AD.
pub(crate) fn address(context: &mut Context<'_>, addr: &Element) -> Json {
    let use_code = match addr.attribute("use").unwrap_or_default() {
        "H" | "HP" | "HV" => "home",
        "WP" | "DIR" | "PUB" => "work",
        "TMP" => "temp",
        "BAD" => "old",
        _ => "",
    };
    let mut json = Json::object([("use", use_code.into())]);
    for part in addr.elements() {
        part.mark();
        let text = part.text(NAME_BYTES_MAX);
        match part.name.as_str() {
            _ if part.is_null() => {}
            "streetAddressLine"
            | "deliveryAddressLine"
            | "houseNumber"
            | "streetName"
            | "additionalLocator" => {
                json.push("line", text);
            }
            "city" => json.put("city", text),
            "county" => json.put("district", text),
            "state" => json.put("state", text),
            "postalCode" => json.put("postalCode", text),
            "country" => json.put("country", text),
            "useablePeriod" => json.put("period", Interval::read(context, part).period()),
            _ => {}
        }
    }
    if !["line", "city", "state", "postalCode", "country"].iter().any(|name| json.has(name)) {
        let text = addr.text(NAME_BYTES_MAX);
        return if text.is_empty() { Json::default() } else { Json::object([("text", text.into())]) };
    }
    json
}

/// All telecoms.
pub(crate) fn telecoms(element: &Element) -> Json {
    let found = element.all("telecom").filter(|one| !one.is_null()).filter_map(|one| {
        let value = crate::element::tidy(one.attribute("value")?);
        let (system, value) = match value.split_once(':') {
            Some(("tel", rest)) => ("phone", rest.to_owned()),
            Some(("fax" | "x-text-fax", rest)) => ("fax", rest.to_owned()),
            Some(("mailto", rest)) => ("email", rest.to_owned()),
            Some(("http" | "https" | "ftp", _)) => ("url", value),
            _ => ("other", value),
        };
        let use_code = match one.attribute("use").unwrap_or_default() {
            "HP" | "H" | "HV" => "home",
            "WP" | "DIR" => "work",
            "MC" => "mobile",
            "BAD" => "old",
            "TMP" => "temp",
            _ => "",
        };
        let value = value.trim().to_owned();
        (!value.is_empty()).then(|| {
            Json::object([("system", system.into()), ("value", value.into()), ("use", use_code.into())])
        })
    });
    Json::List(found.collect())
}

/// An organization, shared by all documents that name it. Nothing where neither id nor name is there.
pub(crate) fn organization(context: &mut Context<'_>, element: &Element) -> Option<Json> {
    let name = element.child("name").map(|name| name.text(NAME_BYTES_MAX)).unwrap_or_default();
    let mut json = Json::object([("identifier", identifiers(element)), ("name", name.as_str().into())]);
    json.put("telecom", telecoms(element));
    json.put("address", addresses(context, element));
    let id = shared_id(context, "Organization", element, &name)?;
    Some(context.share("Organization", id, json))
}

/// By its first id; without one by its name in this document.
fn shared_id(context: &Context<'_>, kind: &str, element: &Element, name: &str) -> Option<String> {
    match element.all("id").filter(|id| !id.is_null()).find_map(identity::names) {
        Some((system, value)) => Some(derive_id(kind, &[&system, &value])),
        None if name.is_empty() => None,
        None => Some(context.local_id(kind, name)),
    }
}

/// A practitioner from an `assignedAuthor`, `assignedEntity` and the like: a reference to who did it, with what else there
/// is of the organization. Nothing where no one is named.
pub(crate) fn assigned(context: &mut Context<'_>, role: &Element) -> Option<Json> {
    let behalf = ["representedOrganization", "scopingOrganization"]
        .iter()
        .find_map(|name| role.child(name))
        .and_then(|organization| self::organization(context, organization));
    let person =
        ["assignedPerson", "informationRecipient", "playingEntity", "relatedPerson", "associatedPerson"]
            .iter()
            .find_map(|name| role.child(name));
    if let Some(device) = role.child("assignedAuthoringDevice") {
        return Some(authoring_device(context, role, device)).filter(|json| !json.is_empty());
    }
    let name = person.map(names).unwrap_or_default();
    let said = person.and_then(|person| person.child("name")).map(|name| name.text(NAME_BYTES_MAX));
    let Some(id) = shared_id(context, "Practitioner", role, &said.unwrap_or_default()) else { return behalf };
    let mut json = Json::object([("identifier", identifiers(role)), ("name", name)]);
    json.put("telecom", telecoms(role));
    json.put("address", addresses(context, role));
    let code = codeable_at(context, role, "code");
    if !code.is_empty() {
        json.push("qualification", Json::object([("code", code)]));
    }
    Some(context.share("Practitioner", id, json))
}

/// Software that wrote the document.
fn authoring_device(context: &mut Context<'_>, role: &Element, device: &Element) -> Json {
    let text = |name: &str| device.child(name).map(|one| one.text(NAME_BYTES_MAX)).unwrap_or_default();
    let (model, software) = (text("manufacturerModelName"), text("softwareName"));
    let Some(id) = shared_id(context, "Device", role, &format!("{model} {software}")) else {
        return Json::default();
    };
    let mut json = Json::object([("identifier", identifiers(role))]);
    for (name, kind) in [(model, "model-name"), (software, "other")] {
        if !name.is_empty() {
            json.push("deviceName", Json::object([("name", name.into()), ("type", kind.into())]));
        }
    }
    context.share("Device", id, json)
}

/// The first author of an entry or section, with the time.
pub(crate) fn author(context: &mut Context<'_>, element: &Element) -> (Option<Json>, Json) {
    let mut first = None;
    let mut when = Json::default();
    for author in element.all("author") {
        let time = author.of("time", "value");
        let time = context.within("author", |context| super::datatype::time(context, time));
        let who = author.child("assignedAuthor").and_then(|role| assigned(context, role));
        if first.is_none() {
            (first, when) = (who, time);
        }
    }
    (first, when)
}

/// Who performed an entry.
pub(crate) fn performers(context: &mut Context<'_>, element: &Element) -> Vec<Json> {
    let roles: Vec<&Element> =
        element.all("performer").filter_map(|one| one.child("assignedEntity")).collect();
    roles.into_iter().filter_map(|role| assigned(context, role)).collect()
}

/// A place of service from a `participant` of type LOC or a `healthCareFacility`.
pub(crate) fn location(context: &mut Context<'_>, role: &Element) -> Option<Json> {
    let place = ["playingEntity", "location"].iter().find_map(|name| role.child(name));
    let name = place.and_then(|place| place.child("name")).map(|name| name.text(NAME_BYTES_MAX));
    let name = name.unwrap_or_default();
    let kind = codeable_at(context, role, "code");
    let mut json = Json::object([("identifier", identifiers(role)), ("name", name.as_str().into())]);
    json.push("type", kind);
    json.put("telecom", telecoms(role));
    let found = role.child("addr").or_else(|| place.and_then(|place| place.child("addr")));
    if let Some(addr) = found {
        json.put("address", address(context, addr));
    }
    if let Some(owner) = role.child("serviceProviderOrganization").and_then(|one| organization(context, one))
    {
        json.put("managingOrganization", owner);
    }
    let id = shared_id(context, "Location", role, &name)?;
    Some(context.share("Location", id, json))
}

/// The gender of an `administrativeGenderCode`.
pub(crate) fn gender(code: &Element) -> &'static str {
    match code.attribute("code").unwrap_or_default() {
        "F" => "female",
        "M" => "male",
        "UN" => "other",
        _ => "unknown",
    }
}

/// A concept of HL7's version 3 vocabulary.
pub(crate) fn v3(system: &str, code: &str) -> Json {
    concept(&format!("v3-{system}"), code, "")
}
