//! GT1, IN1, IN2 and FT1: who pays, and what is charged.

use super::{State, about, patient_id, person::related};
use crate::{
    Segment,
    map::{
        context::Context,
        datatype::{address, cx, organization, telecom},
        json::Json,
        table::{apply, concept, fill},
    },
};

/// GT1: a guarantor of the account.
pub(super) fn guarantor(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let is_patient = segment.value(11) == "SEL";
    let party = match state.patient.filter(|_| is_patient) {
        Some(patient) => {
            context.take_all(segment, &[1, 2, 3, 5, 6, 7, 8, 9, 11, 12]);
            context.reference(patient)
        }
        None => {
            let person = related(context, state, segment, ("RelatedPerson", 3));
            context.reference(person)
        }
    };
    let mut guarantor = Json::object([("party", party)]);
    let mut period = Json::default();
    fill(context, segment, "Guarantor", &mut period);
    if let Some(period) = period.get("period") {
        guarantor.put("period", period.clone());
    }
    let account = match state.account {
        Some(account) => account,
        None => {
            let of = patient_id(context, state);
            let id = context.id("Account", &[&of, "guarantor"]);
            let account = context.share("Account", id, Json::object([("status", "active".into())]));
            super::refer_in(context, account, "subject", state.patient);
            state.account = Some(account);
            account
        }
    };
    context.at(account).push("guarantor", guarantor);
}

/// IN1: a Coverage with its payor and its subscriber.
pub(super) fn insurance(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let of = patient_id(context, state);
    let names = [segment.value(2), segment.value(3), segment.value(4), segment.value(36), segment.value(8)];
    let id = context.id("Coverage", &[&of, &names[0], &names[1], &names[2], &names[3], &names[4]]);
    let at = about(context, state, "Coverage", "beneficiary", id);
    context.at(at).put("status", "active");
    apply(context, segment, "Coverage", at);
    state.coverage = Some(at);
    state.notable = None;
    classes(context, segment, at);
    let payor = payor(context, segment).unwrap_or_default();
    context.at(at).push("payor", payor);
    if segment.has(11) {
        context.take_all(segment, &[10, 11]);
        context.place = segment.place(11);
        let holder = organization(context, &segment.field(11).first()).unwrap_or_default();
        context.at(at).put("policyHolder", holder);
    }
    let himself = matches!(segment.value(17).as_str(), "SEL" | "18" | "S");
    if segment.has(17) {
        context.place = segment.place(17);
        let relation = if himself { Some("self") } else { relationship(&segment.value(17)) };
        if let Some(relation) = relation {
            let system = "subscriber-relationship";
            context.at(at).put("relationship", concept(system, relation, ""));
        }
    }
    if himself {
        context.take_all(segment, &[16, 17, 18, 19, 43, 49]);
        super::refer(context, at, "subscriber", state.patient);
    } else if segment.has(16) {
        let subscriber = related(context, state, segment, ("Subscriber", 16));
        super::refer(context, at, "subscriber", Some(subscriber));
    }
    if let Some(account) = state.account {
        let reference = context.reference(at);
        context.at(account).push("coverage", Json::object([("coverage", reference)]));
    }
}

/// HL7 table 0063 to FHIR's subscriber relationships.
fn relationship(code: &str) -> Option<&'static str> {
    Some(match code {
        "SPO" => "spouse",
        "CHD" | "GCH" | "NCH" | "SCH" => "child",
        "FTH" | "MTH" | "PAR" => "parent",
        "DOM" => "common",
        "" => return None,
        _ => "other",
    })
}

/// Plan, group and name of what is insured.
fn classes(context: &mut Context<'_>, segment: &Segment<'_>, coverage: crate::map::context::At) {
    let plan = segment.field(2).first();
    for (code, value, name) in
        [("plan", plan.component(1), plan.component(2)), ("group", segment.value(8), segment.value(9))]
    {
        if !value.is_empty() {
            let kind = concept("coverage-class", code, "");
            let class = Json::object([("type", kind), ("value", value.into()), ("name", name.into())]);
            context.at(coverage).push("class", class);
        }
    }
    context.take_all(segment, &[8, 9]);
    let policy = segment.value(36);
    if !policy.is_empty() {
        let home = context.home.clone();
        let identifier = Json::object([("system", home.into()), ("value", policy.into())]);
        context.at(coverage).push("identifier", identifier);
    }
}

/// IN1-3 to IN1-7: the insurer.
fn payor(context: &mut Context<'_>, segment: &Segment<'_>) -> Option<Json> {
    context.take_all(segment, &[3, 4, 5, 7]);
    context.place = segment.place(3);
    let identifier = cx(context, &segment.field(3).first(), "");
    let name = segment.value(4);
    if identifier.is_none() && name.is_empty() {
        return None;
    }
    let (system, value) = match &identifier {
        Some(id) => (
            id.text("system").unwrap_or_default().to_owned(),
            id.text("value").unwrap_or_default().to_owned(),
        ),
        None => (context.home.clone(), name.clone()),
    };
    let id = context.id("Organization", &["insurer", &system, &value]);
    let mut json = Json::object([("name", name.into())]);
    json.push("identifier", identifier.unwrap_or_default());
    for one in segment.field(5).repetitions() {
        context.place = segment.place(5);
        json.push("address", address(context, &one).unwrap_or_default());
    }
    for one in segment.field(7).repetitions() {
        context.place = segment.place(7);
        json.push("telecom", telecom(context, &one, "work").unwrap_or_default());
    }
    if segment.has(6) {
        context.take(segment, 6);
        context.place = segment.place(6);
        let name =
            crate::map::datatype::human_name(context, &segment.field(6).first(), 0).unwrap_or_default();
        json.push("contact", Json::object([("name", name)]));
    }
    let at = context.share("Organization", id, json);
    Some(context.reference(at))
}

/// IN2: more of the subscriber.
pub(super) fn insurance_more(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let subscriber = state.coverage.and_then(|coverage| {
        let reference = context.at(coverage).get("subscriber")?.text("reference")?.to_owned();
        reference.strip_prefix("RelatedPerson/").map(str::to_owned)
    });
    if let Some(id) = subscriber {
        let at = context.share("RelatedPerson", id, Json::default());
        apply(context, segment, "Subscriber", at);
    }
    if segment.has(61)
        && let Some(coverage) = state.coverage
    {
        context.take(segment, 61);
        let member = segment.value(61);
        context.at(coverage).put("subscriberId", member);
    }
}

/// FT1: a ChargeItem.
pub(super) fn charge(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let of = patient_id(context, state);
    let names = [segment.value(2), segment.value(4), segment.value(7), segment.value(6), segment.value(25)];
    let id = if names[0].is_empty() {
        context.local_id("ChargeItem", &segment.occurrence.to_string())
    } else {
        context.id("ChargeItem", &[&of, &names[0], &names[1], &names[2], &names[3], &names[4]])
    };
    let at = about(context, state, "ChargeItem", "subject", id);
    // HL7 table 0017: a credit takes a charge back.
    let status = match segment.value(6).as_str() {
        "CR" | "RV" => "aborted",
        _ => "billable",
    };
    context.take(segment, 6);
    context.at(at).put("status", status);
    apply(context, segment, "ChargeItem", at);
    super::refer(context, at, "context", state.encounter);
    super::refer_in(context, at, "account", state.account);
    state.notable = Some(at);
}
