//! PL to Location: one Location a level, each part of the one around it.

use crate::{
    Repetition,
    map::{context::Context, identity::assigner, json::Json, table},
};

/// Components of a PL from the outside inwards, with FHIR's code of the physical type. A point of care may be a ward, a
/// clinic or a home, so it has none.
const LEVELS: [(usize, &str); 6] = [(4, "si"), (7, "bu"), (8, "lvl"), (1, ""), (2, "ro"), (3, "bd")];

/// A reference to the innermost Location that a PL names.
pub(crate) fn location(context: &mut Context<'_>, one: &Repetition<'_>) -> Option<Json> {
    let home = context.home.clone();
    let mut path = vec![home];
    let mut around: Option<Json> = None;
    for (component, kind) in LEVELS {
        let part = one.nested(component);
        let name = part.component(1);
        let system = assigner(&part).filter(|_| !part.component(2).is_empty());
        let Some(own) = [&name, system.as_ref().unwrap_or(&name)].into_iter().find(|text| !text.is_empty())
        else {
            continue;
        };
        path.push(format!("{component}={own}"));
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        let id = context.id("Location", &names);
        let mut json = Json::default();
        if let Some(system) = &system {
            let identifier = [("system", "urn:ietf:rfc:3986".into()), ("value", system.as_str().into())];
            json.push("identifier", Json::object(identifier));
        }
        json.put("name", name);
        json.put("mode", "instance");
        if !kind.is_empty() {
            json.put("physicalType", table::concept("location-physical-type", kind, ""));
        }
        json.put("partOf", around.take().unwrap_or_default());
        let at = context.share("Location", id, json);
        around = Some(context.reference(at));
        if component == 3 || (component == 2 && !one.has(3)) || (component == 1 && !one.has(2) && !one.has(3))
        {
            context.at(at).put("description", one.component(9));
        }
    }
    if around.is_none() {
        let said = one.component(9);
        if said.is_empty() {
            return None;
        }
        let home = context.home.clone();
        let id = context.id("Location", &[&home, "description", &said]);
        let at = context.share("Location", id, Json::object([("description", said.into())]));
        around = Some(context.reference(at));
    }
    around
}

/// A reference to the Location that an HD names: a facility.
pub(super) fn of_system(context: &mut Context<'_>, one: Repetition<'_>, _: &str) -> Option<Json> {
    let system = assigner(&one)?;
    let mut json = Json::object([("name", one.component(1).into()), ("mode", "instance".into())]);
    json.put("physicalType", table::concept("location-physical-type", "si", ""));
    if !one.component(2).is_empty() {
        let identifier = [("system", "urn:ietf:rfc:3986".into()), ("value", system.as_str().into())];
        json.push("identifier", Json::object(identifier));
    }
    let id = context.id("Location", &["hd", &system]);
    let at = context.share("Location", id, json);
    Some(context.reference(at))
}
