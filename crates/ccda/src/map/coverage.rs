//! Coverage activities with their policies: Coverage.

use super::{
    context::Context,
    datatype::{Interval, codeable, identifiers, related},
    people::organization,
};
use crate::element::Element;
use bxp_hl7v2::build::Json;

/// A coverage activity: each policy in it is a Coverage.
pub(super) fn coverage(context: &mut Context<'_>, element: &Element) -> bool {
    for said in ["id", "code", "statusCode", "effectiveTime"] {
        element.all(said).for_each(Element::see_all);
    }
    let policies: Vec<&Element> = related(element, "act").collect();
    let any = !policies.is_empty();
    for one in policies {
        one.mark();
        context.within("act", |context| policy(context, one));
    }
    any
}

fn policy(context: &mut Context<'_>, element: &Element) {
    let mut json = Json::object([("identifier", identifiers(element))]);
    json.put("status", "active");
    element.all("statusCode").for_each(Element::mark);
    let code = element.child("code").map(|code| codeable(context, code)).unwrap_or_default();
    json.put("type", code);
    json.put("beneficiary", context.patient());
    let performers: Vec<&Element> = element.all("performer").collect();
    for performer in performers {
        // The payer; a guarantor is a person, who has no place in Coverage.
        let Some(role) = performer.child("assignedEntity") else { continue };
        let payer =
            performer.follows("2.16.840.1.113883.10.20.22.4.87") || role.of("code", "code") == Some("PAYOR");
        if !payer {
            role.see_all();
            context.within("performer", |context| {
                context.note("a guarantor has no place in Coverage; it is kept in the document only");
            });
            continue;
        }
        let named = role.child("representedOrganization");
        let who = named.and_then(|one| organization(context, one)).or_else(|| organization(context, role));
        role.see_all();
        json.push("payor", who.unwrap_or_default());
    }
    let participants: Vec<&Element> = element.all("participant").collect();
    for one in participants {
        let Some(role) = one.child("participantRole") else { continue };
        match one.attribute("typeCode") {
            Some("COV") => {
                let id = role.all("id").filter(|id| !id.is_null()).find_map(|id| id.attribute("extension"));
                json.put("subscriberId", id.map(crate::element::tidy).unwrap_or_default());
                let relation = role.child("code").map(|code| codeable(context, code)).unwrap_or_default();
                json.put("relationship", relation);
                if let Some(time) = one.child("time") {
                    json.put("period", Interval::read(context, time).period());
                }
                role.see_all();
            }
            _ => {
                let id = role.all("id").filter(|id| !id.is_null()).find_map(|id| id.attribute("extension"));
                json.put("subscriberId", id.map(crate::element::tidy).unwrap_or_default());
                role.see_all();
                context.within("participant", |context| {
                    context.note("of a policy's holder the number alone is taken");
                });
            }
        }
    }
    context.add("Coverage", element, json);
}
