//! PID and PD1: the patient.

use super::{State, order::Order, refer};
use crate::{
    Repetition, Segment,
    map::{
        context::{At, Context},
        datatype::{codeable, cx},
        identity,
        json::Json,
        table::{apply, coding, fill},
    },
};

const US_CORE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core";
const RACE_AND_ETHNICITY: &str = "urn:oid:2.16.840.1.113883.6.238";
/// The categories of the US Office of Management and Budget.
const CATEGORIES: [&str; 7] = ["1002-5", "2028-9", "2054-5", "2076-8", "2106-3", "2135-2", "2186-5"];

/// PID: opens a patient.
pub(super) fn patient(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let id = patient_id(context, segment, &[3, 2, 4]);
    let at = context.share("Patient", id, Json::default());
    let kept = std::mem::take(state);
    *state = State {
        code: kept.code,
        event: kept.event,
        header: kept.header,
        sender: kept.sender,
        patients: kept.patients,
        event_provenance: kept.event_provenance,
        appointment: kept.appointment,
        referral: kept.referral,
        order: Order::default(),
        patient: Some(at),
        ..State::default()
    };
    state.patients.push(at);
    state.notable = Some(at);
    apply(context, segment, "Patient", at);
    us_core(context, segment, 10, "race", at);
    us_core(context, segment, 22, "ethnicity", at);
    account(context, state, segment);
    mother(context, state, segment);
    updated(context, segment, at);
    for open in [state.appointment, state.referral].into_iter().flatten() {
        match context.kind(open) {
            "ServiceRequest" => refer(context, open, "subject", state.patient),
            _ => super::schedule::attend(context, open, at),
        }
    }
    if matches!(state.event.as_str(), "A29" | "A23") {
        context.at(at).put("active", Json::Bool(false));
    }
}

/// The id of a patient: that of the identifier by which the node knows the patient already, else of the best one.
pub(super) fn patient_id(context: &mut Context<'_>, segment: &Segment<'_>, fields: &[usize]) -> String {
    let candidates = identity::candidates(segment, fields, &context.home);
    let known = candidates.iter().find(|id| context.options.patient.0.contains(*id));
    match known.or(candidates.first()) {
        Some(id) => id.clone(),
        None => context.local_id("Patient", &segment.occurrence.to_string()),
    }
}

/// Race and ethnicity as US Core has them. Codes of other systems are kept as text.
fn us_core(context: &mut Context<'_>, segment: &Segment<'_>, field: usize, name: &str, at: At) {
    let mut extension = Json::object([("url", format!("{US_CORE}-{name}").into())]);
    let mut texts = Vec::new();
    for one in segment.field(field).repetitions() {
        let code = category(&one);
        let display = [2, 5, 9, 1].into_iter().map(|part| one.component(part)).find(|text| !text.is_empty());
        let display = display.unwrap_or_default();
        if let Some(code) = code {
            let kind = if CATEGORIES.contains(&code.as_str()) { "ombCategory" } else { "detailed" };
            let value = coding(RACE_AND_ETHNICITY, &code, &display);
            extension.push("extension", Json::object([("url", kind.into()), ("valueCoding", value)]));
        }
        if !display.is_empty() {
            texts.push(display);
        }
    }
    if texts.is_empty() {
        return;
    }
    context.take(segment, field);
    let text = Json::object([("url", "text".into()), ("valueString", texts.join(", ").into())]);
    extension.push("extension", text);
    context.at(at).push("extension", extension);
}

/// A code of the CDC's race and ethnicity code set, or the letters of HL7 tables 0005 and 0189 that mean one.
fn category(one: &Repetition<'_>) -> Option<String> {
    for part in [1, 4] {
        let code = one.component(part);
        let digits = code.split_once('-').is_some_and(|(number, check)| {
            number.len() == 4
                && check.len() == 1
                && (number.to_owned() + check).bytes().all(|byte| byte.is_ascii_digit())
        });
        match code.as_str() {
            "H" => return Some("2135-2".to_owned()),
            "N" | "NH" => return Some("2186-5".to_owned()),
            _ if digits => return Some(code),
            _ => {}
        }
    }
    None
}

/// PID-18: the account.
fn account(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    if !segment.has(18) {
        return;
    }
    let number = segment.field(18).first();
    let system = identity::cx_system(&number, &context.home);
    let id = context.id("Account", &[&system, &number.component(1)]);
    let at = context.share("Account", id, Json::object([("status", "active".into())]));
    fill_shared(context, segment, "Account", at);
    super::refer_in(context, at, "subject", state.patient);
    state.account = Some(at);
}

fn fill_shared(context: &mut Context<'_>, segment: &Segment<'_>, name: &str, at: At) {
    let mut json = Json::default();
    fill(context, segment, name, &mut json);
    if let Json::Object(members) = json {
        members.into_iter().for_each(|(key, value)| context.at(at).put(&key, value));
    }
}

/// PID-21: the mother, of whom there are identifiers.
fn mother(context: &mut Context<'_>, state: &State, segment: &Segment<'_>) {
    if !segment.has(21) {
        return;
    }
    context.take(segment, 21);
    let of = super::patient_id(context, state);
    let id = context.id("RelatedPerson", &[&of, "mother"]);
    let at = super::about(context, state, "RelatedPerson", "patient", id);
    let relationship = crate::map::table::concept("v3-RoleCode", "MTH", "mother");
    context.at(at).push("relationship", relationship);
    context.place = segment.place(21);
    for one in segment.field(21).repetitions() {
        let identifier = cx(context, &one, "").unwrap_or_default();
        context.at(at).push("identifier", identifier);
    }
}

/// PID-33 and PID-34: when and where the patient was last changed.
fn updated(context: &mut Context<'_>, segment: &Segment<'_>, patient: At) {
    if !segment.has(33) && !segment.has(34) {
        return;
    }
    let id = context.local_id("Provenance", &format!("patient {}", segment.occurrence));
    let at = context.add("Provenance", id, Json::default());
    apply(context, segment, "Provenance", at);
    let target = context.reference(patient);
    context.at(at).push("target", target);
    let header = context.message.header();
    context.place = header.place(7);
    let sent = crate::map::datatype::instant(context, &header.value(7)).unwrap_or_default();
    let update = coding("v3-DataOperation", "UPDATE", "");
    let json = context.at(at);
    json.put("recorded", sent);
    json.put("activity", Json::object([("coding", Json::List(vec![update]))]));
}

/// PD1: more of the patient.
pub(super) fn demographics(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let Some(patient) = state.patient else { return };
    apply(context, segment, "Patient", patient);
    if segment.has(7) {
        let of = super::patient_id(context, state);
        let id = context.id("Observation", &[&of, "living will"]);
        let at = super::about(context, state, "Observation", "subject", id);
        context.at(at).put("status", "final");
        context.at(at).put("code", crate::map::table::concept("LN", "75320-2", "Advance directive"));
        context.take(segment, 7);
        context.place = segment.place(7);
        let value = codeable(context, &segment.field(7).first(), "0315").unwrap_or_default();
        context.at(at).put("valueCodeableConcept", value);
    }
}
