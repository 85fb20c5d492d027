//! SCH, RGS, AIS, AIG, AIL and AIP: appointments.

use super::State;
use crate::{
    Segment,
    map::{
        context::{At, Context},
        datatype::ei_names,
        json::Json,
        table::apply,
    },
};

/// A segment of an appointment.
pub(super) fn schedule(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    match segment.name {
        "SCH" => return open(context, state, segment),
        "RGS" => return context.take_all(segment, &[1, 2, 3]),
        _ => {}
    }
    let Some(at) = state.appointment else { return };
    apply(context, segment, "Appointment", at);
}

fn open(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let number = [2, 1].into_iter().find_map(|field| ei_names(context, &segment.field(field).first()));
    let id = match number {
        Some((system, value)) => context.id("Appointment", &[&system, &value]),
        None => context.local_id("Appointment", &segment.occurrence.to_string()),
    };
    let at = context.add("Appointment", id, Json::default());
    apply(context, segment, "Appointment", at);
    // Trigger events that say more than a status that is not sent.
    let by_event = match state.event.as_str() {
        "S12" | "S13" | "S14" | "S18" | "S19" | "S20" | "S21" | "S22" => "booked",
        "S15" | "S16" => "cancelled",
        "S17" => "entered-in-error",
        "S26" => "noshow",
        _ => "proposed",
    };
    if segment.value(6).to_lowercase() == "noshow" {
        context.at(at).put("status", "noshow");
    }
    match state.event.as_str() {
        "S15" | "S17" | "S26" => context.at(at).replace("status", by_event),
        _ => context.at(at).put("status", by_event),
    }
    state.appointment = Some(at);
    state.notable = Some(at);
}

/// The patient takes part.
pub(super) fn attend(context: &mut Context<'_>, appointment: At, patient: At) {
    let reference = context.reference(patient);
    let participant = Json::object([("actor", reference), ("status", "accepted".into())]);
    context.at(appointment).push("participant", participant);
}

/// Ends appointments: the patient takes part, and a start needs an end (R4, app-2 and app-3).
pub(super) fn finish(context: &mut Context<'_>, state: &State) {
    super::note::finish(context);
    let Some(at) = state.appointment else { return };
    let json = context.at(at);
    let (start, end) = (json.get("start").cloned(), json.get("end").cloned());
    if let (Some(start), None) = (&start, &end) {
        json.remove("start");
        json.push("requestedPeriod", Json::object([("start", start.clone())]));
    }
    if let (None, Some(end)) = (&start, &end) {
        json.remove("end");
        json.push("requestedPeriod", Json::object([("end", end.clone())]));
    }
}
