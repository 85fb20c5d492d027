//! NK1, ROL, PRT, PRD and CTD: people around the patient and around what is done.

use super::{State, about, patient_id};
use crate::{
    Segment,
    map::{
        context::{At, Context},
        datatype::{address, cx, person_name, telecom},
        json::Json,
        table::{apply, fill},
    },
};

/// NK1: a RelatedPerson.
pub(super) fn next_of_kin(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let of = patient_id(context, state);
    let name = segment.field(2).first().whole_text();
    let relationship = segment.value(3);
    let number = segment.value(33);
    let id = context.id("RelatedPerson", &[&of, &name, &relationship, &number]);
    let at = about(context, state, "RelatedPerson", "patient", id);
    apply(context, segment, "RelatedPerson", at);
    if let Some(patient) = state.patient {
        let mut contact = Json::default();
        fill(context, segment, "Contact", &mut contact);
        context.at(patient).push("contact", contact);
    }
    if segment.has(13) {
        // A next of kin that is an organization: an employer or an agency.
        context.take(segment, 13);
        context.place = segment.place(13);
        let organization = crate::map::datatype::organization(context, &segment.field(13).first());
        let mut contact = Json::default();
        contact.put("organization", organization.unwrap_or_default());
        context.take_all(segment, &[10, 11]);
        if let Some(patient) = state.patient {
            context.at(patient).push("contact", contact);
        }
    }
    state.notable = None;
}

/// ROL and PRT: a PractitionerRole, and its part in what comes before.
pub(super) fn role(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let person = if segment.name == "ROL" { 4 } else { 5 };
    if segment.name == "PRT" {
        device(context, state, segment);
    }
    let mut json = Json::default();
    fill(context, segment, "PractitionerRole", &mut json);
    person_details(context, segment, person, &json);
    let has_someone = ["practitioner", "organization", "location"].iter().any(|name| json.has(name));
    if !has_someone {
        return;
    }
    let mut said = String::new();
    json.write(&mut said);
    let id = context.id("PractitionerRole", &[&said]);
    let at = context.share("PractitionerRole", id, json);
    belong(context, state, segment, at);
}

/// Addresses and, where the role has none, numbers of the person.
fn person_details(context: &mut Context<'_>, segment: &Segment<'_>, person: usize, role: &Json) {
    let field = if segment.name == "ROL" { 11 } else { 14 };
    if !segment.has(field) {
        return;
    }
    let Some(id) = role.get("practitioner").and_then(|one| one.text("reference")) else { return };
    let Some(id) = id.strip_prefix("Practitioner/").map(str::to_owned) else { return };
    context.take(segment, field);
    let mut addresses = Json::default();
    for one in segment.field(field).repetitions() {
        context.place = segment.place(field);
        addresses.push("address", address(context, &one).unwrap_or_default());
    }
    context.share("Practitioner", id, addresses);
    context.take(segment, person);
}

/// PRT-10 and its kin: a device that takes part.
fn device(context: &mut Context<'_>, state: &State, segment: &Segment<'_>) {
    if ![10, 16, 19, 20].iter().any(|field| segment.has(*field)) {
        return;
    }
    let names = [segment.value(10), segment.value(16), segment.value(20), segment.value(21)];
    let home = context.home.clone();
    let id = context.id("Device", &[&home, &names[0], &names[1], &names[2], &names[3]]);
    let mut json = Json::default();
    fill(context, segment, "Device", &mut json);
    context.take_all(segment, &[16, 21]);
    if !names[1].is_empty() {
        json.push("udiCarrier", Json::object([("deviceIdentifier", names[1].as_str().into())]));
    }
    json.put("distinctIdentifier", names[3].as_str());
    let at = context.share("Device", id, json);
    if let Some(notable) = state.notable.filter(|at| context.kind(*at) == "Observation") {
        super::refer(context, notable, "device", Some(at));
    }
}

/// Puts the role where it belongs, by what came before it.
fn belong(context: &mut Context<'_>, state: &State, segment: &Segment<'_>, role: At) {
    let reference = context.reference(role);
    match state.previous.as_str() {
        "PID" | "PD1" | "ARV" => {
            if let Some(patient) = state.patient {
                context.at(patient).push("generalPractitioner", reference);
            }
        }
        "PV1" | "PV2" | "DB1" => {
            if let Some(encounter) = state.encounter {
                let participant = Json::object([("individual", reference)]);
                context.at(encounter).push("participant", participant);
            }
        }
        "PR1" => {
            if let Some(procedure) = state.procedure {
                context.at(procedure).push("performer", Json::object([("actor", reference)]));
            }
        }
        "OBX" => {
            if let Some(observation) = state.notable.filter(|at| context.kind(*at) == "Observation") {
                context.at(observation).push("performer", reference);
            }
        }
        "ORC" | "OBR" | "OBX order" => {
            if let Some(request) = state.order.request {
                context.at(request).push("performer", reference);
            }
        }
        "PRB" | "GOL" | "PTH" => {
            let condition = state.notable.filter(|at| context.kind(*at) == "Condition");
            match condition {
                Some(condition) => context.at(condition).put("asserter", reference),
                None => context.note(segment.place(0), "a role without a place in what it follows"),
            }
        }
        _ => context.note(segment.place(0), "a role without a place in what it follows; it stands alone"),
    }
}

/// PRD and CTD: a provider or a contact by name.
pub(super) fn contact(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let mut json = Json::default();
    fill(context, segment, "PractitionerRole", &mut json);
    let mut person = Json::default();
    context.take_all(segment, &[2, 3]);
    for one in segment.field(3).repetitions() {
        context.place = segment.place(3);
        person.push("address", address(context, &one).unwrap_or_default());
    }
    let number = if segment.name == "PRD" { 7 } else { 0 };
    if number > 0 {
        context.take(segment, number);
        for one in segment.field(number).repetitions() {
            let kind = one.component(2);
            let home = context.home.clone();
            let value = Json::object([("system", home.into()), ("value", one.component(1).into())]);
            let mut identifier = value;
            if !kind.is_empty() {
                identifier.put("type", Json::object([("text", kind.into())]));
            }
            person.push("identifier", identifier);
        }
    }
    context.place = segment.place(2);
    if let Some(at) = person_name(context, &segment.field(2).first(), person) {
        let reference = context.reference(at);
        json.put("practitioner", reference);
    }
    place_of_work(context, segment, &mut json);
    if json.is_empty() {
        return;
    }
    let mut said = String::new();
    json.write(&mut said);
    let id = context.id("PractitionerRole", &[&said]);
    let at = context.share("PractitionerRole", id, json);
    let reference = context.reference(at);
    match (segment.name, state.referral, state.order.request) {
        ("PRD", Some(referral), _) if segment.value(1) == "RP" => {
            context.at(referral).put("requester", reference);
        }
        ("PRD", Some(referral), _) => context.at(referral).push("performer", reference),
        ("CTD", _, Some(request)) => context.at(request).push("performer", reference),
        _ => {}
    }
}

/// PRD-10 to PRD-12: the provider's organization.
fn place_of_work(context: &mut Context<'_>, segment: &Segment<'_>, role: &mut Json) {
    if segment.name != "PRD" || !segment.has(10) {
        return;
    }
    context.take_all(segment, &[10, 11, 13]);
    let name = segment.value(10);
    let home = context.home.clone();
    let id = context.id("Organization", &[&home, "name", &name]);
    let mut organization = Json::object([("name", name.into())]);
    for one in segment.field(11).repetitions() {
        context.place = segment.place(11);
        organization.push("address", address(context, &one).unwrap_or_default());
    }
    for one in segment.field(13).repetitions() {
        context.place = segment.place(13);
        organization.push("telecom", telecom(context, &one, "").unwrap_or_default());
    }
    let at = context.share("Organization", id, organization);
    let reference = context.reference(at);
    role.put("organization", reference);
}

/// A RelatedPerson whom a segment describes, told from others by name.
pub(super) fn related(
    context: &mut Context<'_>,
    state: &State,
    segment: &Segment<'_>,
    (map, name): (&str, usize),
) -> At {
    let of = patient_id(context, state);
    let said = segment.field(name).first().whole_text();
    let number =
        cx(context, &segment.field(2).first(), "").and_then(|id| id.text("value").map(str::to_owned));
    let id = context.id("RelatedPerson", &[&of, map, &said, &number.unwrap_or_default()]);
    let at = context.share("RelatedPerson", id, Json::default());
    super::refer(context, at, "patient", state.patient);
    apply(context, segment, map, at);
    at
}
