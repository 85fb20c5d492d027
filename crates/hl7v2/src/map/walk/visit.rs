//! PV1 and PV2, and what is found at a visit: diagnoses, procedures, allergies, problems, goals.

use super::{State, about, header::by_event, patient_id, refer};
use crate::{
    Segment,
    map::{
        concept::concept as look_up,
        context::{At, Context},
        datatype::{codeable, ei_names},
        identity,
        json::Json,
        table::{apply, coding, concept, fill},
    },
};

/// PV1: opens an Encounter.
pub(super) fn visit(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let number = segment.field(19).first();
    let id = if number.is_empty() {
        context.local_id("Encounter", &segment.occurrence.to_string())
    } else {
        let (system, value) = (identity::cx_system(&number, &context.home), number.component(1));
        let of = patient_id(context, state);
        context.id("Encounter", &[&of, &system, &value])
    };
    let at = about(context, state, "Encounter", "subject", id);
    state.encounter = Some(at);
    apply(context, segment, "Encounter", at);
    let status = status(context, state, segment);
    context.at(at).put("status", status);
    if let Some(patient) = state.patient
        && segment.has(16)
    {
        apply(context, segment, "Patient", patient);
    }
    discharge(context, segment, at);
    episode(context, state, segment, at);
    super::refer_in(context, at, "account", state.account);
    if segment.has(20) {
        context.note(segment.place(20), "a financial class without insurance (IN1) has no place");
        context.take(segment, 20);
    }
}

/// The status: a discharge that has been, else what the event means, else what the class means.
fn status(context: &mut Context<'_>, state: &State, segment: &Segment<'_>) -> String {
    let cancelled = matches!(state.event.as_str(), "A11" | "A27" | "A38");
    if segment.has(45) && !cancelled && state.event != "A13" {
        return "finished".to_owned();
    }
    let by_event = if state.code == "ADT" { by_event(context, &state.event) } else { None };
    let by_class = look_up("PatientClassStatus", &segment.value(2)).map(|found| found.code.to_owned());
    by_event.filter(|status| status != "unknown").or(by_class).unwrap_or_else(|| "unknown".to_owned())
}

/// PV1-37: where the patient went.
fn discharge(context: &mut Context<'_>, segment: &Segment<'_>, encounter: At) {
    if !segment.has(37) {
        return;
    }
    context.take(segment, 37);
    context.place = segment.place(37);
    let kind = codeable(context, &segment.field(37).first().nested(1), "0113").unwrap_or_default();
    let code = segment.value(37);
    let home = context.home.clone();
    let id = context.id("Location", &[&home, "discharged to", &code]);
    let name = segment.field(37).first().nested(1).component(2);
    let mut json = Json::object([("name", if name.is_empty() { code.into() } else { name.into() })]);
    json.push("type", kind);
    let at = context.share("Location", id, json);
    let reference = context.reference(at);
    let mut hospitalization = context.at(encounter).get("hospitalization").cloned().unwrap_or_default();
    hospitalization.put("destination", reference);
    context.at(encounter).replace("hospitalization", hospitalization);
}

/// PV1-54: the episode of care.
fn episode(context: &mut Context<'_>, state: &State, segment: &Segment<'_>, encounter: At) {
    if !segment.has(54) {
        return;
    }
    let number = segment.field(54).first();
    let (system, of) = (identity::cx_system(&number, &context.home), patient_id(context, state));
    let id = context.id("EpisodeOfCare", &[&of, &system, &number.component(1)]);
    let at = about(context, state, "EpisodeOfCare", "patient", id);
    apply(context, segment, "EpisodeOfCare", at);
    super::refer_in(context, encounter, "episodeOfCare", Some(at));
}

/// PV2: more of the Encounter.
pub(super) fn more(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let Some(encounter) = state.encounter else { return };
    apply(context, segment, "Encounter", encounter);
    if segment.has(11) {
        context.take(segment, 11);
        if let Some(days) = crate::map::datatype::decimal(&segment.value(11)) {
            let unit = [
                ("value", days),
                ("unit", "days".into()),
                ("system", "http://unitsofmeasure.org".into()),
                ("code", "d".into()),
            ];
            context.at(encounter).put("length", Json::object(unit));
        }
    }
    if segment.value(22) == "Y" {
        context.take(segment, 22);
        let restricted = coding("v3-Confidentiality", "R", "restricted");
        context.at(encounter).put("meta", Json::object([("security", Json::List(vec![restricted]))]));
    }
}

/// DG1: a Condition, and its part in the Encounter.
pub(super) fn diagnosis(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let of = patient_id(context, state);
    let number = ei_names(context, &segment.field(20).first());
    let code = segment.field(3).first();
    let said = [code.component(1), code.component(3), segment.value(4), segment.value(5)];
    let visit = state.encounter.map(|at| context.id_at(at)).unwrap_or_default();
    let id = match &number {
        Some((system, value)) => context.id("Condition", &[&of, system, value]),
        None => context.id("Condition", &[&of, &visit, &said[0], &said[1], &said[2], &said[3]]),
    };
    let at = about(context, state, "Condition", "subject", id);
    apply(context, segment, "Condition", at);
    if segment.value(21) == "D" {
        context.at(at).put("verificationStatus", concept("condition-ver-status", "entered-in-error", ""));
    }
    context.take(segment, 21);
    let category = concept("condition-category", "encounter-diagnosis", "Encounter Diagnosis");
    context.at(at).push("category", category);
    refer(context, at, "encounter", state.encounter);
    if let Some(order) = state.order.request.or(state.order.medication).filter(|_| state.code != "ADT") {
        super::refer_in(context, order, "reasonReference", Some(at));
    }
    if let Some(encounter) = state.encounter {
        let mut diagnosis = Json::object([("condition", context.reference(at))]);
        fill(context, segment, "EncounterDiagnosis", &mut diagnosis);
        context.at(encounter).push("diagnosis", diagnosis);
    }
    state.notable = Some(at);
}

/// PR1: a Procedure.
pub(super) fn procedure(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let of = patient_id(context, state);
    let number = ei_names(context, &segment.field(19).first());
    let code = segment.field(3).first();
    let id = match &number {
        Some((system, value)) => context.id("Procedure", &[&of, system, value]),
        None => context.id("Procedure", &[&of, &code.component(1), &segment.value(4), &segment.value(5)]),
    };
    let at = about(context, state, "Procedure", "subject", id);
    apply(context, segment, "Procedure", at);
    if segment.has(7) {
        // A start and a length in minutes; the length alone has no place in R4.
        context.take_all(segment, &[5, 7]);
        context.place = segment.place(5);
        let start = crate::map::datatype::datetime(context, &segment.value(5)).unwrap_or_default();
        context.at(at).put("performedPeriod", Json::object([("start", start)]));
        context.note(segment.place(7), "the length of a procedure is kept as its start only");
    }
    let removed = segment.value(20) == "D";
    context.at(at).put("status", if removed { "entered-in-error" } else { "completed" });
    context.take(segment, 20);
    refer(context, at, "encounter", state.encounter);
    state.procedure = Some(at);
    state.notable = Some(at);
}

/// AL1 and IAM: an AllergyIntolerance.
pub(super) fn allergy(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let of = patient_id(context, state);
    let code = segment.field(3).first();
    let number = if segment.name == "IAM" { ei_names(context, &segment.field(7).first()) } else { None };
    let id = match &number {
        Some((system, value)) => context.id("AllergyIntolerance", &[&of, system, value]),
        None => context
            .id("AllergyIntolerance", &[&of, &code.component(1), &code.component(2), &code.component(3)]),
    };
    let at = about(context, state, "AllergyIntolerance", "patient", id);
    let clinical = concept("allergyintolerance-clinical", "active", "");
    context.at(at).put("clinicalStatus", clinical);
    apply(context, segment, "AllergyIntolerance", at);
    if segment.name == "IAM" {
        let deleted = segment.value(6) == "D";
        let status = if deleted { "entered-in-error" } else { "confirmed" };
        context.at(at).put("verificationStatus", concept("allergyintolerance-verification", status, ""));
    }
    let json = context.at(at);
    // ait-2: what was entered in error has no clinical status.
    let wrong = json.get("verificationStatus").is_some_and(|status| {
        let mut text = String::new();
        status.write(&mut text);
        text.contains("entered-in-error")
    });
    if wrong {
        json.remove("clinicalStatus");
    }
    state.notable = Some(at);
}

/// PRB: a problem of the patient.
pub(super) fn problem(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let of = patient_id(context, state);
    let id = match ei_names(context, &segment.field(4).first()) {
        Some((system, value)) => context.id("Condition", &[&of, &system, &value]),
        None => context.id("Condition", &[&of, "problem", &segment.value(3)]),
    };
    let at = about(context, state, "Condition", "subject", id);
    apply(context, segment, "Condition", at);
    context.take_all(segment, &[13, 14]);
    let over = segment.has(9) || segment.value(14).to_lowercase().contains("resolved");
    let status = if over { "resolved" } else { "active" };
    let deleted = matches!(segment.value(1).as_str(), "DE" | "D");
    let verification = if deleted { "entered-in-error" } else { "confirmed" };
    let category = concept("condition-category", "problem-list-item", "Problem List Item");
    let json = context.at(at);
    if !deleted {
        json.put("clinicalStatus", concept("condition-clinical", status, ""));
    }
    json.put("verificationStatus", concept("condition-ver-status", verification, ""));
    json.push("category", category);
    refer(context, at, "encounter", state.encounter);
    state.notable = Some(at);
}

/// GOL: a goal.
pub(super) fn goal(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let of = patient_id(context, state);
    let id = match ei_names(context, &segment.field(4).first()) {
        Some((system, value)) => context.id("Goal", &[&of, &system, &value]),
        None => context.id("Goal", &[&of, &segment.value(3)]),
    };
    let at = about(context, state, "Goal", "subject", id);
    apply(context, segment, "Goal", at);
    state.notable = Some(at);
}

/// PTH: a pathway, as a CarePlan.
pub(super) fn pathway(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let of = patient_id(context, state);
    let id = match ei_names(context, &segment.field(3).first()) {
        Some((system, value)) => context.id("CarePlan", &[&of, &system, &value]),
        None => context.id("CarePlan", &[&of, &segment.value(2)]),
    };
    let at = about(context, state, "CarePlan", "subject", id);
    context.at(at).put("status", "active");
    apply(context, segment, "CarePlan", at);
    state.notable = Some(at);
}
