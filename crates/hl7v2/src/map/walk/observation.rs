//! OBX: an Observation, or a part of what it stands under; and ACC and PDA, which are told as Observations.

use super::{State, about, patient_id, refer, refer_in};
use crate::{
    Field, Repetition, Segment,
    map::{
        context::{At, Context},
        datatype::{attachment, base64, codeable, datetime, decimal, ei_names, period_of, with_unit},
        json::Json,
        table::{apply, concept},
    },
};

/// OBX.
pub(super) fn observation(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    if state.document.is_some() && matches!(segment.value(2).as_str(), "ED" | "RP" | "TX" | "FT" | "ST") {
        return super::note::content(context, state, segment);
    }
    if let Some(immunization) = state.immunization
        && about_immunization(context, segment, immunization)
    {
        return;
    }
    let id = id(context, state, segment);
    let at = about(context, state, "Observation", "subject", id);
    apply(context, segment, "Observation", at);
    value(context, segment, at);
    device(context, segment, at);
    refer(context, at, "encounter", state.encounter);
    if let Some(report) = state.order.report {
        refer_in(context, report, "result", Some(at));
    }
    if let Some(request) = state.order.request {
        match state.order.report {
            Some(_) => refer_in(context, at, "basedOn", Some(request)),
            // Asked and answered when the order was placed.
            None => refer_in(context, request, "supportingInfo", Some(at)),
        }
    }
    if let Some(immunization) = state.immunization {
        refer_in(context, at, "partOf", Some(immunization));
    }
    if state.previous == "SPM" || state.order.report.is_some() {
        refer(context, at, "specimen", state.specimen);
    }
    state.notable = Some(at);
}

/// The name of an observation: its own number (OBX-21), else its order's, with code and sub-id.
fn id(context: &mut Context<'_>, state: &State, segment: &Segment<'_>) -> String {
    let of = patient_id(context, state);
    let code = segment.field(3).first();
    let names = [code.component(1), code.component(3), code.component(4), segment.field(4).whole_text()];
    if let Some((system, value)) = ei_names(context, &segment.field(21).first()) {
        return context.id("Observation", &[&of, &system, &value, &names[0], &names[3]]);
    }
    let order =
        [&state.order.names[1], &state.order.names[0]].into_iter().find(|name| !name.is_empty()).cloned();
    if let Some(order) = order {
        let service = state.order.names[2].clone();
        let [code, system, other, sub] = &names;
        return context.id("Observation", &[&of, &order, &service, code, system, other, sub]);
    }
    context.local_id("Observation", &segment.occurrence.to_string())
}

/// OBX-5 and OBX-6: the value, by the type that OBX-2 says.
fn value(context: &mut Context<'_>, segment: &Segment<'_>, at: At) {
    let field = segment.field(5);
    context.take_all(segment, &[4, 5, 6]);
    if field.is_empty() {
        let status = segment.value(11);
        let asked = if status == "N" { "not-asked" } else { "unknown" };
        context.at(at).put("dataAbsentReason", concept("data-absent-reason", asked, ""));
        if segment.has(6) {
            context.note(segment.place(6), "a unit without a value");
        }
        return;
    }
    context.place = segment.place(5);
    let kind = segment.value(2);
    let all: Vec<Repetition<'_>> = field.repetitions().collect();
    let first = field.first();
    if all.len() > 1 && !is_text(&kind) {
        return several(context, segment, &kind, &all, at);
    }
    let unit = segment.field(6).first();
    let (name, value) = match one_value(context, &kind, &first, &field, &unit) {
        Some(found) => found,
        None => {
            context.note_here("not of the type that OBX-2 says; kept as text");
            ("valueString", field.whole_text().into())
        }
    };
    if matches!(name, "attachment") {
        let url = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Observation.value";
        let extension = Json::object([("url", url.into()), ("valueAttachment", value)]);
        context.at(at).push("extension", extension);
        return;
    }
    context.at(at).put(name, value);
}

fn is_text(kind: &str) -> bool {
    matches!(kind, "ST" | "TX" | "FT" | "")
}

/// More than one value: each is a component of the observation, with the observation's own code.
fn several(context: &mut Context<'_>, segment: &Segment<'_>, kind: &str, all: &[Repetition<'_>], at: At) {
    let code = context.at(at).get("code").cloned().unwrap_or_else(crate::map::require::absent);
    let unit = segment.field(6).first();
    let field = segment.field(5);
    for one in all {
        let (name, value) = one_value(context, kind, one, &field, &unit)
            .filter(|(name, _)| *name != "attachment")
            .unwrap_or_else(|| ("valueString", one.whole_text().into()));
        let component = Json::object([("code", code.clone()), (name, value)]);
        context.at(at).push("component", component);
    }
}

/// One value of the type that OBX-2 says; nothing if it is not of that type.
fn one_value(
    context: &mut Context<'_>,
    kind: &str,
    one: &Repetition<'_>,
    field: &Field<'_>,
    unit: &Repetition<'_>,
) -> Option<(&'static str, Json)> {
    let text = one.component(1);
    Some(match kind {
        "NM" => ("valueQuantity", with_unit(Some(decimal(&text)?), unit)),
        "CQ" => ("valueQuantity", crate::map::datatype::quantity(context, one)?),
        "SN" => structured(one, unit),
        "CE" | "CWE" | "CNE" | "CF" | "IS" | "ID" => ("valueCodeableConcept", codeable(context, one, "")?),
        "DT" | "DTM" | "TS" => ("valueDateTime", datetime(context, &text)?),
        "TM" => ("valueTime", time_of_day(&text)?),
        "DR" => ("valuePeriod", period_of(context, &text, &one.component(2))?),
        "NR" => {
            let low = decimal(&text).map(|value| with_unit(Some(value), unit)).unwrap_or_default();
            let high =
                decimal(&one.component(2)).map(|value| with_unit(Some(value), unit)).unwrap_or_default();
            (
                "valueRange",
                Some(Json::object([("low", low), ("high", high)])).filter(|range| !range.is_empty())?,
            )
        }
        "NA" => ("valueSampledData", sampled(one, unit)?),
        "ED" | "RP" => ("attachment", attachment(context, one, kind)?),
        _ if is_text(kind) => {
            ("valueString", Some(field.whole_text()).filter(|text| !text.trim().is_empty())?.into())
        }
        _ => ("valueString", Some(one.whole_text()).filter(|text| !text.trim().is_empty())?.into()),
    })
}

/// SN: comparator, number, separator, number.
fn structured(one: &Repetition<'_>, unit: &Repetition<'_>) -> (&'static str, Json) {
    let (sign, between) = (one.component(1), one.component(3));
    let (first, second) = (decimal(&one.component(2)), decimal(&one.component(4)));
    let compared = |value: Json| {
        let mut quantity = with_unit(Some(value), unit);
        if matches!(sign.as_str(), "<" | "<=" | ">" | ">=") {
            quantity.put("comparator", sign.as_str());
        }
        quantity
    };
    match (first, second, between.as_str()) {
        (Some(first), None, "") if sign != "<>" => ("valueQuantity", compared(first)),
        (Some(first), Some(second), "-") if sign.is_empty() => {
            let (low, high) = (with_unit(Some(first), unit), with_unit(Some(second), unit));
            ("valueRange", Json::object([("low", low), ("high", high)]))
        }
        (Some(first), Some(second), ":" | "/") => {
            let denominator = Json::object([("value", second)]);
            ("valueRatio", Json::object([("numerator", compared(first)), ("denominator", denominator)]))
        }
        _ => {
            let parts = (1..=4).map(|part| one.component(part)).filter(|part| !part.is_empty());
            let mut parts: Vec<String> = parts.collect();
            parts.extend(Some(unit.component(1)).filter(|unit| !unit.is_empty()));
            ("valueString", parts.join(" ").into())
        }
    }
}

fn time_of_day(text: &str) -> Option<Json> {
    let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
    let part = |at: usize, most: u32| {
        digits
            .get(at..at + 2)
            .map_or(Some(0), |text| text.parse::<u32>().ok())
            .filter(|number| *number < most)
    };
    if digits.len() < 2 {
        return None;
    }
    Some(format!("{:02}:{:02}:{:02}", part(0, 24)?, part(2, 60)?, part(4, 60)?).into())
}

/// NA: a series of numbers.
fn sampled(one: &Repetition<'_>, unit: &Repetition<'_>) -> Option<Json> {
    let values: Vec<String> = (1..=one.component_count())
        .map(|part| match decimal(&one.component(part)) {
            Some(Json::Number(number)) => number,
            _ => "E".to_owned(),
        })
        .collect();
    if values.iter().all(|value| value == "E") {
        return None;
    }
    let zero = with_unit(Some(Json::Number("0".to_owned())), unit);
    Some(Json::object([
        ("origin", zero),
        ("period", Json::Number("0".to_owned())),
        ("dimensions", Json::Number("1".to_owned())),
        ("data", values.join(" ").into()),
    ]))
}

/// OBX-18: the device that measured.
fn device(context: &mut Context<'_>, segment: &Segment<'_>, at: At) {
    let Some((system, value)) = ei_names(context, &segment.field(18).first()) else { return };
    context.take(segment, 18);
    let id = context.id("Device", &[&system, &value]);
    let mut json = Json::default();
    json.push("identifier", Json::object([("system", system.into()), ("value", value.into())]));
    let device = context.share("Device", id, json);
    refer(context, at, "device", Some(device));
}

/// What OBX tells of the vaccination itself (CDC's implementation guide for immunization messaging, chapter 5).
fn about_immunization(context: &mut Context<'_>, segment: &Segment<'_>, at: At) -> bool {
    let code = segment.value(3);
    context.place = segment.place(5);
    let first = segment.field(5).first();
    match code.as_str() {
        "64994-7" => {
            let eligibility = codeable(context, &first, "0064").unwrap_or_default();
            context.at(at).push("programEligibility", eligibility);
        }
        "30963-3" => {
            let source = codeable(context, &first, "").unwrap_or_default();
            context.at(at).put("fundingSource", source);
        }
        "29768-9" | "69764-9" | "29769-7" | "30956-7" => return education(context, segment, at),
        _ => return false,
    }
    context.take_all(segment, &[1, 2, 3, 4, 5, 11, 14, 17]);
    true
}

/// Information that was handed out with a vaccine: each OBX gives one part of it.
fn education(context: &mut Context<'_>, segment: &Segment<'_>, at: At) -> bool {
    let (code, first) = (segment.value(3), segment.field(5).first());
    let mut all = match context.at(at).get("education") {
        Some(Json::List(all)) => all.clone(),
        _ => Vec::new(),
    };
    let (name, value) = match code.as_str() {
        "29768-9" => ("publicationDate", datetime(context, &first.component(1))),
        "29769-7" => ("presentationDate", datetime(context, &first.component(1))),
        _ => (
            "documentType",
            Some([first.component(1), first.component(2)].join(" ").trim().to_owned().into()),
        ),
    };
    let Some(value) = value else { return false };
    let opens = all.last().is_none_or(|last| last.has(name));
    let mut one = if opens { Json::default() } else { all.pop().unwrap_or_default() };
    one.put(name, value);
    all.push(one);
    context.at(at).replace("education", Json::List(all));
    context.take_all(segment, &[1, 2, 3, 4, 5, 11, 14]);
    true
}

/// ACC: an accident.
pub(super) fn accident(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let id = context.local_id("Observation", &format!("accident {}", segment.occurrence));
    let at = about(context, state, "Observation", "subject", id);
    context.at(at).put("status", "final");
    context.at(at).put("code", concept("LN", "11374-6", "Injury incident description Narrative"));
    apply(context, segment, "Observation", at);
    refer(context, at, "encounter", state.encounter);
    for (field, text) in [(4, "Auto accident state"), (5, "Accident job related"), (6, "Accident death")] {
        if segment.has(field) {
            context.take(segment, field);
            let said = segment.value(field);
            let code = Json::object([("text", text.into())]);
            context.at(at).push("component", Json::object([("code", code), ("valueString", said.into())]));
        }
    }
}

/// PDA: a death, and whether there was an autopsy.
pub(super) fn death(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let of = patient_id(context, state);
    let id = context.id("Observation", &[&of, "cause of death"]);
    let at = about(context, state, "Observation", "subject", id);
    context.at(at).put("status", "final");
    context.at(at).put("code", concept("LN", "69453-9", "Cause of death"));
    context.take(segment, 1);
    context.place = segment.place(1);
    let cause = codeable(context, &segment.field(1).first(), "").unwrap_or_default();
    context.at(at).put("valueCodeableConcept", cause);
    if segment.has(4) {
        context.take(segment, 4);
        context.place = segment.place(4);
        let time = datetime(context, &segment.value(4)).unwrap_or_default();
        context.at(at).put("effectiveDateTime", time);
    }
}

/// Text as an attachment's data.
pub(super) fn text_data(text: &str) -> String {
    base64(text.as_bytes())
}
