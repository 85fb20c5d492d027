//! RXO, RXE, RXD, RXA, RXR and RXC: medication ordered, dispensed and given, and vaccines.

use super::{
    State,
    order::{apply_common, name_order, order_id, repeat},
    refer, refer_in,
};
use crate::{
    Segment,
    map::{
        context::{At, Context},
        datatype::{codeable, decimal, with_unit},
        json::Json,
        table::{apply, fill},
    },
};

fn open(context: &mut Context<'_>, state: &State, kind: &'static str, subject: &str, map: &str) -> At {
    let id = order_id(context, state, kind);
    let at = context.add(kind, id, Json::default());
    apply_common(context, state, map, at);
    refer(context, at, subject, state.patient);
    at
}

/// The number and unit of two fields.
fn amount(context: &mut Context<'_>, segment: &Segment<'_>, number: usize, unit: usize) -> Option<Json> {
    context.take_all(segment, &[number, unit]);
    let value = decimal(&segment.value(number));
    if value.is_none() && segment.has(number) {
        context.note(segment.place(number), "no number");
    }
    value.map(|value| with_unit(Some(value), &segment.field(unit).first()))
}

/// RXO and RXE: a MedicationRequest. An RXE after an RXO encodes the same order.
pub(super) fn request(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let at = match state.order.medication {
        Some(at) => at,
        None => {
            name_order(context, state, segment, if segment.name == "RXO" { 1 } else { 2 });
            let at = open(context, state, "MedicationRequest", "subject", "Medication");
            refer(context, at, "encounter", state.encounter);
            let status = status(context, state);
            context.at(at).put("status", status);
            context.at(at).put("intent", "order");
            at
        }
    };
    state.order.medication = Some(at);
    state.notable = Some(at);
    // The pharmacy's encoding (RXE) stands before the words of the order (RXO), and both before what RXC makes of them.
    let compounded = context.at(at).has("medicationReference");
    if segment.name == "RXE" && !compounded {
        context.at(at).remove("medicationCodeableConcept");
    }
    apply(context, segment, "MedicationRequest", at);
    if compounded {
        context.at(at).remove("medicationCodeableConcept");
    }
    let (least, most, unit) = if segment.name == "RXO" { (2, 3, 4) } else { (3, 4, 5) };
    let low = amount(context, segment, least, unit);
    let high = amount(context, segment, most, unit);
    let dose = match (low, high) {
        (Some(low), Some(high)) => Some(("doseRange", Json::object([("low", low), ("high", high)]))),
        (Some(low), None) => Some(("doseQuantity", low)),
        (None, Some(high)) => Some(("doseRange", Json::object([("high", high)]))),
        (None, None) => None,
    };
    if let Some((name, dose)) = dose {
        change_dosage(context, at, |dosage| dosage.push("doseAndRate", Json::object([(name, dose)])));
    }
    if segment.name == "RXE" {
        schedule(context, segment, at);
    }
    let (quantity, units) = if segment.name == "RXO" { (11, 12) } else { (10, 11) };
    if let Some(quantity) = amount(context, segment, quantity, units) {
        let mut dispense = context.at(at).get("dispenseRequest").cloned().unwrap_or_default();
        dispense.replace("quantity", quantity);
        context.at(at).replace("dispenseRequest", dispense);
    }
}

/// The status of an order for medication, by ORC-5, else ORC-1.
fn status(context: &mut Context<'_>, state: &State) -> &'static str {
    let message = context.message;
    let common = message.named("ORC").find(|one| Some(one.occurrence) == state.order.common);
    let Some(common) = common else { return "active" };
    context.take_all(common, &[1, 5]);
    match (common.value(5).as_str(), common.value(1).as_str()) {
        ("CM", _) => "completed",
        ("CA" | "DC" | "RP", _) => "cancelled",
        ("HD", _) => "on-hold",
        ("ER", _) => "entered-in-error",
        ("", "CA" | "OC" | "CR" | "OD" | "DC" | "DR") => "cancelled",
        ("", "HD" | "OH" | "HR") => "on-hold",
        ("", "FU") => "completed",
        _ => "active",
    }
}

/// RXE-1, the TQ of before 2.5: interval, start and end.
fn schedule(context: &mut Context<'_>, segment: &Segment<'_>, at: At) {
    let timing = segment.field(1).first();
    context.place = segment.place(1);
    let period = crate::map::datatype::period_of(context, &timing.component(4), &timing.component(5));
    let interval = timing.nested(2).component(1);
    let mut json = Json::default();
    if let Some(period) = period {
        json.put("repeat", Json::object([("boundsPeriod", period)]));
    }
    if !interval.is_empty() {
        json.put("code", Json::object([("text", interval.into())]));
    }
    change_dosage(context, at, |dosage| dosage.put("timing", json));
}

/// Changes the last dosage instruction, or a first one.
fn change_dosage(context: &mut Context<'_>, at: At, change: impl FnOnce(&mut Json)) {
    let mut all = match context.at(at).get("dosageInstruction") {
        Some(Json::List(all)) => all.clone(),
        _ => Vec::new(),
    };
    let mut last = all.pop().unwrap_or_default();
    change(&mut last);
    if !last.is_empty() {
        all.push(last);
    }
    if !all.is_empty() {
        context.at(at).replace("dosageInstruction", Json::List(all));
    }
}

/// TQ1 of an order for medication.
pub(super) fn timing(context: &mut Context<'_>, segment: &Segment<'_>, at: At) {
    context.take_all(segment, &[1, 2, 9, 10, 11]);
    let timing = repeat(context, segment);
    let texts = [segment.field(10).whole_text(), segment.field(11).whole_text()];
    context.place = segment.place(2);
    let dose = crate::map::datatype::quantity(context, &segment.field(2).first());
    change_dosage(context, at, |dosage| {
        dosage.put("timing", timing);
        for text in texts.into_iter().filter(|text| !text.trim().is_empty()) {
            dosage.push("additionalInstruction", Json::object([("text", text.into())]));
        }
        if !dosage.has("doseAndRate")
            && let Some(dose) = dose
        {
            dosage.push("doseAndRate", Json::object([("doseQuantity", dose)]));
        }
    });
    if context.kind(at) == "MedicationRequest" && segment.has(9) {
        context.place = segment.place(9);
        let one = segment.field(9).first();
        let code = crate::map::datatype::code_of(context, &one, "ExtendedPriorityCodes").unwrap_or_default();
        context.at(at).put("priority", code);
    }
}

/// RXD: a MedicationDispense.
pub(super) fn dispense(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    name_order(context, state, segment, 2);
    let at = open(context, state, "MedicationDispense", "subject", "Dispense");
    context.at(at).put("status", "completed");
    apply(context, segment, "MedicationDispense", at);
    if let Some(quantity) = amount(context, segment, 4, 5) {
        context.at(at).replace("quantity", quantity);
    }
    substitution(context, segment, at);
    refer(context, at, "context", state.encounter);
    refer_in(context, at, "authorizingPrescription", state.order.medication);
    state.order.dispense = Some(at);
    state.notable = Some(at);
}

/// RXD-11: whether another drug was given than was ordered (HL7 table 0167).
fn substitution(context: &mut Context<'_>, segment: &Segment<'_>, at: At) {
    let one = segment.field(11).first();
    if one.is_empty() {
        return;
    }
    context.take(segment, 11);
    context.place = segment.place(11);
    let was = !matches!(one.component(1).as_str(), "N" | "0");
    let kind = codeable(context, &one, "0167").unwrap_or_default();
    let substitution = Json::object([("wasSubstituted", Json::Bool(was)), ("type", kind)]);
    context.at(at).put("substitution", substitution);
}

/// RXA: an Immunization in a vaccination message, else a MedicationAdministration.
pub(super) fn administered(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    name_order(context, state, segment, 5);
    let dose = amount(context, segment, 6, 7);
    if state.code != "VXU" && state.code != "VXR" {
        let at = open(context, state, "MedicationAdministration", "subject", "Dispense");
        context.at(at).put("status", "completed");
        apply(context, segment, "MedicationAdministration", at);
        context.at(at).put("dosage", Json::object([("dose", dose.unwrap_or_default())]));
        refer(context, at, "context", state.encounter);
        refer(context, at, "request", state.order.medication);
        state.order.administration = Some(at);
        state.notable = Some(at);
        return;
    }
    let at = open(context, state, "Immunization", "patient", "Immunization");
    apply(context, segment, "Immunization", at);
    // 999 is "how much is not known" (CDC's implementation guide for immunization messaging).
    let known = !matches!(segment.value(6).as_str(), "999" | "");
    context.at(at).put("doseQuantity", dose.filter(|_| known).unwrap_or_default());
    if segment.value(21) == "D" {
        context.at(at).replace("status", "entered-in-error");
    }
    source(context, segment, at);
    refer(context, at, "encounter", state.encounter);
    state.immunization = Some(at);
    state.notable = Some(at);
}

/// RXA-9: whether it was given here, or is told of.
fn source(context: &mut Context<'_>, segment: &Segment<'_>, at: At) {
    for one in segment.field(9).repetitions() {
        context.take(segment, 9);
        match (one.component(1).as_str(), one.component(3).as_str()) {
            ("00", _) => context.at(at).put("primarySource", Json::Bool(true)),
            (_, "NIP001") => {
                context.place = segment.place(9);
                let origin = codeable(context, &one, "").unwrap_or_default();
                context.at(at).put("primarySource", Json::Bool(false));
                context.at(at).put("reportOrigin", origin);
            }
            _ => {
                let note = Json::object([("text", one.whole_text().into())]);
                context.at(at).push("note", note);
            }
        }
    }
}

/// RXR: how it is given.
pub(super) fn route(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    if let Some(immunization) = state.immunization {
        return apply(context, segment, "Immunization", immunization);
    }
    let mut dosage = Json::default();
    fill(context, segment, "Dosage", &mut dosage);
    let Json::Object(members) = dosage else { return };
    if let Some(administration) = state.order.administration {
        let mut whole = context.at(administration).get("dosage").cloned().unwrap_or_default();
        members.into_iter().for_each(|(name, value)| whole.put(&name, value));
        if !whole.is_empty() {
            context.at(administration).replace("dosage", whole);
        }
    } else if let Some(at) = state.order.dispense.or(state.order.medication) {
        change_dosage(context, at, |dosage| {
            members.into_iter().for_each(|(name, value)| dosage.put(&name, value));
        });
    }
}

/// RXC: a component of what is compounded; the Medication then is a resource of its own.
pub(super) fn component(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let Some(at) = state.order.dispense.or(state.order.medication) else { return };
    let reference = context.at(at).get("medicationReference").and_then(|one| one.text("reference"));
    let medication = match reference.and_then(|text| text.strip_prefix("Medication/")).map(str::to_owned) {
        Some(id) => context.share("Medication", id, Json::default()),
        None => {
            let of = context.id_at(at);
            let id = context.id("Medication", &[&of]);
            let code = context.at(at).get("medicationCodeableConcept").cloned().unwrap_or_default();
            let medication = context.share("Medication", id, Json::object([("code", code)]));
            context.at(at).remove("medicationCodeableConcept");
            refer(context, at, "medicationReference", Some(medication));
            medication
        }
    };
    let mut ingredient = Json::default();
    fill(context, segment, "Ingredient", &mut ingredient);
    if let Some(amount) = amount(context, segment, 3, 4) {
        let one = Json::object([("value", Json::Number("1".to_owned()))]);
        ingredient.put("strength", Json::object([("numerator", amount), ("denominator", one)]));
    }
    if ingredient.has("itemCodeableConcept") {
        context.at(medication).push("ingredient", ingredient);
    }
}
