//! ORC, OBR, TQ1, SPM, SAC and RF1: orders, the reports on them, and specimens.

use super::{State, patient_id, refer, refer_in};
use crate::{
    Segment,
    map::{
        context::{At, Context},
        datatype::{code_of, ei_names, period_of, quantity},
        json::Json,
        table::{apply, concept},
    },
};

/// An order that is open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// Which ORC opened it, by occurrence.
    pub(crate) common: Option<usize>,
    /// The ServiceRequest.
    pub(crate) request: Option<At>,
    /// The DiagnosticReport of its results.
    pub(crate) report: Option<At>,
    /// The MedicationRequest.
    pub(crate) medication: Option<At>,
    /// The MedicationDispense.
    pub(crate) dispense: Option<At>,
    /// The MedicationAdministration.
    pub(crate) administration: Option<At>,
    /// What names it: placer and filler number, and the service.
    pub(crate) names: [String; 3],
}

/// ORC: opens an order. What is ordered is told by the segment that follows.
pub(super) fn common(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    state.order = Order { common: Some(segment.occurrence), ..Order::default() };
    state.immunization = None;
    state.order.names = [number(context, segment, 2), number(context, segment, 3), String::new()];
    state.notable = None;
    let follows = following(context, segment);
    match follows.as_deref() {
        // Their own handlers apply this ORC.
        Some("OBR" | "RXO" | "RXE" | "RXD" | "RXA") => {}
        _ if state.appointment.is_some() => {
            if let Some(appointment) = state.appointment {
                apply(context, segment, "Appointment", appointment);
            }
        }
        _ => {
            let at = service(context, state);
            apply_common(context, state, "ServiceRequest", at);
            context.at(at).put("status", "active");
            state.notable = Some(at);
        }
    }
}

/// The segment that says what the order of an ORC is about.
fn following(context: &Context<'_>, common: &Segment<'_>) -> Option<String> {
    let all = context.message.segments();
    let at = all.iter().position(|one| one.name == "ORC" && one.occurrence == common.occurrence)?;
    let after = all.iter().skip(at + 1).take_while(|one| one.name != "ORC");
    after
        .map(|one| one.name)
        .find(|name| matches!(*name, "OBR" | "RXO" | "RXE" | "RXD" | "RXA"))
        .map(str::to_owned)
}

/// The number of an EI with its system, as one name.
fn number(context: &Context<'_>, segment: &Segment<'_>, field: usize) -> String {
    let named = ei_names(context, &segment.field(field).first());
    named.map(|(system, value)| format!("{system}|{value}")).unwrap_or_default()
}

/// Applies a map of the open order's ORC.
pub(super) fn apply_common(context: &mut Context<'_>, state: &State, map: &str, at: At) {
    if let Some(segment) = common_of(context, state) {
        apply(context, &segment, map, at);
    }
}

/// The ORC of the open order.
fn common_of<'a>(context: &Context<'a>, state: &State) -> Option<Segment<'a>> {
    let message = context.message;
    message.named("ORC").find(|one| Some(one.occurrence) == state.order.common).copied()
}

/// The names of an order: numbers of the ORC, else of this segment.
pub(super) fn name_order(context: &Context<'_>, state: &mut State, segment: &Segment<'_>, service: usize) {
    if segment.name == "OBR" {
        for (at, field) in [(0, 2), (1, 3)] {
            let own = number(context, segment, field);
            if !own.is_empty() {
                state.order.names[at] = own;
            }
        }
    }
    let code = segment.field(service).first();
    state.order.names[2] = [code.component(1), code.component(3), code.component(2)].join("|");
}

/// The id of a resource of the open order. The filler's number names results, the placer's an order.
pub(super) fn order_id(context: &mut Context<'_>, state: &State, kind: &str) -> String {
    let of = patient_id(context, state);
    let [placer, filler, service] = state.order.names.clone();
    let number = match kind {
        "DiagnosticReport" | "MedicationDispense" if !filler.is_empty() => filler,
        _ if !placer.is_empty() => placer,
        _ => filler,
    };
    if number.is_empty() {
        return context.id(kind, &[]);
    }
    context.id(kind, &[&of, &number, &service])
}

fn service(context: &mut Context<'_>, state: &mut State) -> At {
    let id = order_id(context, state, "ServiceRequest");
    let at = context.add("ServiceRequest", id, Json::default());
    refer(context, at, "subject", state.patient);
    refer(context, at, "encounter", state.encounter);
    state.order.request = Some(at);
    at
}

/// OBR: a ServiceRequest, and the DiagnosticReport on it where there are results.
pub(super) fn request(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    // A second OBR under one ORC is a further order.
    if state.order.request.is_some() || state.order.report.is_some() {
        let names = [String::new(), String::new(), String::new()];
        state.order = Order { common: None, names, ..Order::default() };
    }
    name_order(context, state, segment, 4);
    let at = service(context, state);
    apply_common(context, state, "ServiceRequest", at);
    apply(context, segment, "ServiceRequest", at);
    intent(context, segment, at);
    legacy_timing(context, segment, 27, at);
    if let Some(common) = common_of(context, state) {
        legacy_timing(context, &common, 7, at);
    }
    parent(context, segment, at);
    let results = matches!(state.code.as_str(), "ORU" | "OUL") || segment.has(25);
    if results {
        let id = order_id(context, state, "DiagnosticReport");
        let report = context.add("DiagnosticReport", id, Json::default());
        apply_common(context, state, "DiagnosticReport", report);
        apply(context, segment, "DiagnosticReport", report);
        refer(context, report, "subject", state.patient);
        refer(context, report, "encounter", state.encounter);
        refer_in(context, report, "basedOn", Some(at));
        state.order.report = Some(report);
        let done = context
            .at(report)
            .text("status")
            .is_some_and(|status| matches!(status, "final" | "corrected" | "amended"));
        context.at(at).put("status", if done { "completed" } else { "active" });
    }
    context.at(at).put("status", if state.code == "OSR" { "unknown" } else { "active" });
    if state.code == "OUL"
        && let Some(specimen) = state.specimen
    {
        // In these messages the specimen comes before the orders on it.
        attach_specimen(context, state, specimen);
    }
    specimen_of_request(context, state, segment);
    state.notable = Some(state.order.report.unwrap_or(at));
}

/// A TQ, as orders had it before 2.5: how much, how often, from when to when, how urgent.
fn legacy_timing(context: &mut Context<'_>, segment: &Segment<'_>, field: usize, request: At) {
    let one = segment.field(field).first();
    if one.is_empty() {
        return;
    }
    context.take(segment, field);
    context.place = segment.place(field);
    if one.has(1) {
        let amount = quantity(context, &one.nested(1)).filter(|amount| amount.has("value"));
        context.at(request).put("quantityQuantity", amount.unwrap_or_default());
    }
    let mut timing = Json::default();
    let bounds = period_of(context, &one.component(4), &one.component(5)).unwrap_or_default();
    timing.put("repeat", Json::object([("boundsPeriod", bounds)]));
    let interval = one.nested(2).component(1);
    if !interval.is_empty() {
        let pattern = interval.split_whitespace().collect::<Vec<_>>().join(" ");
        timing.put("code", concept("v2-0335", &pattern, ""));
    }
    let json = context.at(request);
    if !timing.is_empty() {
        json.remove("occurrenceDateTime");
        json.put("occurrenceTiming", timing);
    }
    if one.has(6) {
        let code = code_of(context, &one.nested(6), "ExtendedPriorityCodes").unwrap_or_default();
        context.at(request).put("priority", code);
    }
    let text = one.component(8);
    if !text.is_empty() {
        context.at(request).push("note", Json::object([("text", text.into())]));
    }
}

/// OBR-11: whether the order came of another.
fn intent(context: &mut Context<'_>, segment: &Segment<'_>, request: At) {
    context.take(segment, 11);
    let intent = match segment.value(11).as_str() {
        "G" => "reflex-order",
        _ => "order",
    };
    context.at(request).put("intent", intent);
}

/// OBR-29: the order that this one is part of.
fn parent(context: &mut Context<'_>, segment: &Segment<'_>, request: At) {
    let pair = segment.field(29).first();
    if pair.is_empty() {
        return;
    }
    context.take(segment, 29);
    for part in [1, 2] {
        if let Some((system, value)) = ei_names(context, &pair.nested(part)) {
            let identifier = Json::object([("system", system.into()), ("value", value.into())]);
            let reference = Json::object([("type", "ServiceRequest".into()), ("identifier", identifier)]);
            context.at(request).push("basedOn", reference);
        }
    }
}

/// OBR-9 to OBR-15: the specimen, as it was described before SPM.
fn specimen_of_request(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    if ![9, 10, 14, 15].iter().any(|field| segment.has(*field)) {
        return;
    }
    let id = order_id(context, state, "Specimen");
    let at = context.add("Specimen", id, Json::default());
    apply(context, segment, "Specimen", at);
    attach_specimen(context, state, at);
}

fn attach_specimen(context: &mut Context<'_>, state: &mut State, at: At) {
    refer(context, at, "subject", state.patient);
    state.specimen = Some(at);
    if let Some(request) = state.order.request {
        refer_in(context, at, "request", Some(request));
        refer_in(context, request, "specimen", Some(at));
    }
    if let Some(report) = state.order.report {
        refer_in(context, report, "specimen", Some(at));
    }
}

/// SPM and SAC: a Specimen.
pub(super) fn specimen(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    if segment.name == "SAC" {
        if let Some(specimen) = state.specimen {
            apply(context, segment, "Specimen", specimen);
        }
        return;
    }
    let of = patient_id(context, state);
    let pair = segment.field(2).first();
    let names = [1, 2]
        .map(|part| ei_names(context, &pair.nested(part)).map(|(system, value)| format!("{system}|{value}")));
    let name = names.into_iter().flatten().next().unwrap_or_default();
    let id =
        if name.is_empty() { context.id("Specimen", &[]) } else { context.id("Specimen", &[&of, &name]) };
    let at = context.add("Specimen", id, Json::default());
    apply(context, segment, "Specimen", at);
    parents(context, segment, at);
    attach_specimen(context, state, at);
    state.notable = Some(at);
}

/// SPM-3: what the specimen was taken of.
fn parents(context: &mut Context<'_>, segment: &Segment<'_>, specimen: At) {
    for one in segment.field(3).repetitions() {
        for part in [1, 2] {
            if let Some((system, value)) = ei_names(context, &one.nested(part)) {
                let identifier = Json::object([("system", system.into()), ("value", value.into())]);
                context.at(specimen).push("parent", Json::object([("identifier", identifier)]));
            }
        }
    }
    // SPM-17 may be a range.
    let range = segment.field(17).first();
    if range.has(2) {
        context.place = segment.place(17);
        let period = period_of(context, &range.component(1), &range.component(2)).unwrap_or_default();
        let mut collection = context.at(specimen).get("collection").cloned().unwrap_or_default();
        collection.remove("collectedDateTime");
        collection.put("collectedPeriod", period);
        context.at(specimen).remove("collection");
        context.at(specimen).put("collection", collection);
    }
}

/// TQ1: when and how much.
pub(super) fn timing(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    if let Some(request) = state.order.medication.or(state.order.dispense) {
        return super::medication::timing(context, segment, request);
    }
    let Some(request) = state.order.request.or(state.referral) else { return };
    apply(context, segment, "ServiceRequest", request);
    let timing = repeat(context, segment);
    context.at(request).put("occurrenceTiming", timing);
    let json = context.at(request);
    // One occurrence[x] only: the timing says more than the moment.
    if json.has("occurrenceTiming") {
        json.remove("occurrenceDateTime");
        json.remove("occurrencePeriod");
    }
}

/// A Timing of TQ1-3 to TQ1-8, TQ1-13 and TQ1-14.
pub(super) fn repeat(context: &mut Context<'_>, segment: &Segment<'_>) -> Json {
    context.take_all(segment, &[3, 4, 6, 7, 8, 13, 14]);
    let mut repeat = Json::default();
    context.place = segment.place(7);
    let bounds = period_of(context, &segment.value(7), &segment.value(8));
    if let Some(bounds) = bounds {
        repeat.put("boundsPeriod", bounds);
    } else if segment.has(6) {
        context.place = segment.place(6);
        repeat.put("boundsDuration", quantity(context, &segment.field(6).first()).unwrap_or_default());
    }
    for one in segment.field(4).repetitions() {
        let time = one.component(1).replace(':', "");
        if matches!(time.len(), 4 | 6) && time.bytes().all(|byte| byte.is_ascii_digit()) {
            let second = time.get(4..6).unwrap_or("00");
            let valid = time[..2].parse::<u8>().is_ok_and(|hour| hour < 24)
                && time[2..4].parse::<u8>().is_ok_and(|minute| minute < 60)
                && second.parse::<u8>().is_ok_and(|second| second < 60);
            if valid {
                repeat.push("timeOfDay", format!("{}:{}:{second}", &time[..2], &time[2..4]));
                continue;
            }
        }
        context.note(segment.place(4), "no time of day in HL7's form");
    }
    match segment.value(14).parse::<i32>() {
        Ok(count @ 1..) => repeat.put("count", Json::Number(count.to_string())),
        _ if segment.value(14).is_empty() => {}
        _ => context.note(segment.place(14), "no whole number that FHIR takes here"),
    }
    let pattern = segment.field(3).first().nested(1);
    let (code, text) = (pattern.component(1), pattern.component(2));
    let mut timing = Json::object([("repeat", repeat)]);
    if !code.is_empty() || !text.is_empty() {
        let mut said = concept("v2-0335", &code.split_whitespace().collect::<Vec<_>>().join(" "), &text);
        if code.is_empty() {
            said = Json::object([("text", text.into())]);
        }
        timing.put("code", said);
    }
    timing
}

/// RF1: a referral, as a ServiceRequest.
pub(super) fn referral(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let names = [number(context, segment, 6), number(context, segment, 11)];
    let id = context.id("ServiceRequest", &["referral", &names[0], &names[1]]);
    let id =
        if names.iter().all(String::is_empty) { context.local_id("ServiceRequest", "referral") } else { id };
    let at = context.add("ServiceRequest", id, Json::default());
    // HL7 table 0283.
    let status = match segment.value(1).as_str() {
        "R" => "revoked",
        "E" => "completed",
        "P" => "on-hold",
        _ => "active",
    };
    context.at(at).put("status", status);
    apply(context, segment, "ServiceRequest", at);
    let kind = concept("SCT", "3457005", "Patient referral");
    context.at(at).put("code", kind);
    refer(context, at, "subject", state.patient);
    state.referral = Some(at);
    state.notable = Some(at);
}
