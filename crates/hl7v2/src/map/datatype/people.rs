//! XCN and CNN to Practitioner, XON and HD to Organization: resources of their own, which are referred to.

use super::{human_name, identifier::typed};
use crate::{
    Repetition,
    map::{
        context::{At, Context},
        identity::assigner,
        json::Json,
        table,
    },
};

/// A reference to the Practitioner whom an XCN names: by number and assigner, else by name.
pub(crate) fn practitioner(context: &mut Context<'_>, one: &Repetition<'_>) -> Option<Json> {
    let at = practitioner_at(context, one)?;
    Some(context.reference(at))
}

fn practitioner_at(context: &mut Context<'_>, one: &Repetition<'_>) -> Option<At> {
    let number = one.component(1);
    let name = human_name(context, one, 1);
    if number.is_empty() && name.is_none() {
        return None;
    }
    let authority = one.nested(9);
    let system = match one.component(13).as_str() {
        "NPI" => "http://hl7.org/fhir/sid/us-npi".to_owned(),
        _ => assigner(&authority).unwrap_or_else(|| context.home.clone()),
    };
    // Some senders put a name where the number belongs.
    let spoken = name.is_none() && number.contains(' ');
    let mut json = Json::default();
    let id = if number.is_empty() || spoken {
        let mut said = number.clone();
        if let Some(name) = &name {
            name.write(&mut said);
        }
        let home = context.home.clone();
        context.id("Practitioner", &[&home, "name", &said])
    } else {
        json.push(
            "identifier",
            typed(number.clone(), Some(system.clone()), &one.component(13)).unwrap_or_default(),
        );
        context.id("Practitioner", &[&system, &number])
    };
    if spoken {
        json.push("name", Json::object([("text", number.into())]));
    }
    json.push("name", name.unwrap_or_default());
    Some(context.share("Practitioner", id, json))
}

/// A Practitioner of whom there is a name (an XPN) and perhaps identifiers, addresses and numbers.
pub(crate) fn person_name(context: &mut Context<'_>, name: &Repetition<'_>, json: Json) -> Option<At> {
    let name = human_name(context, name, 0)?;
    let mut said = String::new();
    name.write(&mut said);
    let home = context.home.clone();
    let id = context.id("Practitioner", &[&home, "name", &said]);
    let mut whole = Json::default();
    whole.push("name", name);
    if let Json::Object(members) = json {
        members.into_iter().for_each(|(key, value)| whole.put(&key, value));
    }
    Some(context.share("Practitioner", id, whole))
}

/// A reference to the Organization that an XON names.
pub(crate) fn organization(context: &mut Context<'_>, one: &Repetition<'_>) -> Option<Json> {
    let name = one.component(1);
    let number = [10, 3].into_iter().map(|part| one.component(part)).find(|text| !text.is_empty());
    let number = number.unwrap_or_default();
    if name.is_empty() && number.is_empty() {
        return None;
    }
    let system = assigner(&one.nested(6)).unwrap_or_else(|| context.home.clone());
    let id = if number.is_empty() {
        let home = context.home.clone();
        context.id("Organization", &[&home, "name", &name])
    } else {
        context.id("Organization", &[&system, &number])
    };
    let mut json = Json::default();
    json.push("identifier", typed(number, Some(system), &one.component(7)).unwrap_or_default());
    json.put("name", name);
    let at = context.share("Organization", id, json);
    Some(context.reference(at))
}

/// A reference to the Organization that an HD names: a namespace, and a universal id with its type.
pub(crate) fn system_organization(context: &mut Context<'_>, one: &Repetition<'_>) -> Option<Json> {
    let system = assigner(one)?;
    let (namespace, universal, kind) = (one.component(1), one.component(2), one.component(3));
    let mut json = Json::default();
    json.push("identifier", Json::object([("value", namespace.into())]));
    if !universal.is_empty() {
        let is_uri = system.starts_with("urn:oid:") || system.starts_with("urn:uuid:");
        let mut identifier = Json::default();
        if !kind.is_empty() {
            identifier.put("type", table::concept("v2-0301", &super::code::tidy_code(&kind), ""));
        }
        identifier.put("system", if is_uri { "urn:ietf:rfc:3986" } else { "" });
        identifier.put("value", if is_uri { system.clone() } else { universal });
        json.push("identifier", identifier);
    }
    let id = context.id("Organization", &["hd", &system]);
    let at = context.share("Organization", id, json);
    Some(context.reference(at))
}

/// A reference to an Organization that a CWE names, as a vaccine's manufacturer is.
pub(super) fn coded_organization(context: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    let (code, name) = (one.component(1), one.component(2));
    if code.is_empty() && name.is_empty() {
        return None;
    }
    let system = crate::map::concept::system_uri(&one.component(3)).unwrap_or_else(|| context.home.clone());
    let id = context.id("Organization", &["code", &system, &code, if code.is_empty() { &name } else { "" }]);
    let mut json = Json::default();
    json.push("identifier", typed(code, Some(system), "").unwrap_or_default());
    json.put("name", name);
    let at = context.share("Organization", id, json);
    Some(context.reference(at))
}
