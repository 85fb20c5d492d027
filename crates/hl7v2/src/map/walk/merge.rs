//! MRG: one patient's record is merged into another's (A40 and its kin), or an account or visit moves.

use super::{State, patient::patient_id};
use crate::{
    Segment,
    map::{context::Context, datatype::cx, identity, json::Json, table::apply},
};

/// Merges the patient of MRG into that of the PID before: the prior one stays, inactive, and each says which the other
/// is.
pub(super) fn merge(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    account(context, state, segment);
    let Some(survivor) = state.patient else { return };
    if !segment.has(1) && !segment.has(4) {
        return;
    }
    context.take_all(segment, &[1, 4, 2, 7]);
    let id = patient_id(context, segment, &[1, 4]);
    if id == context.id_at(survivor) {
        // Only an identifier is given up.
        retire(context, state, segment);
        return;
    }
    // Events that move a visit or an account leave both patients as they are.
    let whole =
        matches!(state.event.as_str(), "A18" | "A34" | "A36" | "A39" | "A40" | "A46" | "A30" | "A47" | "A24");
    let prior = context.share("Patient", id, Json::default());
    let mut identifiers = Vec::new();
    for field in [1, 4, 2] {
        for one in segment.field(field).repetitions() {
            context.place = segment.place(field);
            identifiers.extend(cx(context, &one, ""));
        }
    }
    for identifier in identifiers {
        context.at(prior).push("identifier", identifier);
    }
    if segment.has(7) {
        for one in segment.field(7).repetitions() {
            context.place = segment.place(7);
            let name = crate::map::datatype::human_name(context, &one, 0).unwrap_or_default();
            context.at(prior).push("name", name);
        }
    }
    state.patients.push(prior);
    if !whole {
        return;
    }
    let (to_prior, to_survivor) = (context.reference(prior), context.reference(survivor));
    let kind = if state.event == "A24" { "seealso" } else { "replaces" };
    context.at(survivor).push("link", link(to_prior, kind));
    if kind == "seealso" {
        context.at(prior).push("link", link(to_survivor, kind));
        return;
    }
    context.at(prior).replace("active", Json::Bool(false));
    context.at(prior).push("link", link(to_survivor, "replaced-by"));
}

fn link(other: Json, kind: &str) -> Json {
    Json::object([("other", other), ("type", kind.into())])
}

/// The prior identifiers, as old ones of the same patient.
fn retire(context: &mut Context<'_>, state: &State, segment: &Segment<'_>) {
    let Some(patient) = state.patient else { return };
    for one in segment.field(1).repetitions() {
        context.place = segment.place(1);
        if let Some(mut identifier) = cx(context, &one, "") {
            identifier.replace("use", "old");
            context.at(patient).push("identifier", identifier);
        }
    }
}

/// MRG-3: the prior account.
fn account(context: &mut Context<'_>, state: &State, segment: &Segment<'_>) {
    if !segment.has(3) {
        return;
    }
    let number = segment.field(3).first();
    let system = identity::cx_system(&number, &context.home);
    let id = context.id("Account", &[&system, &number.component(1)]);
    let json = Json::object([("status", "inactive".into())]);
    let at = context.share("Account", id, json);
    apply(context, segment, "Account", at);
    super::refer_in(context, at, "subject", state.patient);
}
