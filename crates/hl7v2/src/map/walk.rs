//! Segment by segment, in the order of the message: which ones belong together is told by their order, as the message
//! structures of HL7 have it, so that one walk serves all message types and bears segments in places of their sender's
//! choosing.

mod finance;
mod header;
mod medication;
mod merge;
mod note;
mod observation;
mod order;
mod patient;
mod person;
mod schedule;
mod visit;

use super::{
    context::{At, Context},
    json::Json,
};
use crate::Segment;

/// What the segments before have opened.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// MSH-9.1 and MSH-9.2.
    pub(crate) code: String,
    pub(crate) event: String,
    pub(crate) header: Option<At>,
    pub(crate) sender: Option<At>,
    pub(crate) patient: Option<At>,
    /// All patients of the message.
    pub(crate) patients: Vec<At>,
    pub(crate) encounter: Option<At>,
    pub(crate) account: Option<At>,
    pub(crate) order: order::Order,
    pub(crate) immunization: Option<At>,
    pub(crate) appointment: Option<At>,
    pub(crate) document: Option<At>,
    pub(crate) procedure: Option<At>,
    pub(crate) coverage: Option<At>,
    pub(crate) referral: Option<At>,
    pub(crate) specimen: Option<At>,
    /// Where an NTE belongs.
    pub(crate) notable: Option<At>,
    /// What came last of segments that a ROL or PRT may follow.
    pub(crate) previous: String,
    /// EVN's Provenance.
    pub(crate) event_provenance: Option<At>,
}

/// Walks through the message.
pub(super) fn walk(context: &mut Context<'_>) {
    let (code, event, _) = context.message.kind();
    let mut state = State { code, event, ..State::default() };
    let message = context.message;
    for segment in message.segments() {
        step(context, &mut state, segment);
        if !matches!(segment.name, "NTE" | "ROL" | "PRT" | "TQ1" | "CTD" | "CON") {
            segment.name.clone_into(&mut state.previous);
        }
    }
    schedule::finish(context, &state);
    header::finish(context, &state);
}

fn step(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    match segment.name {
        "MSH" => header::message(context, state, segment),
        "SFT" => header::software(context, state, segment),
        "EVN" => header::event(context, state, segment),
        "PID" => patient::patient(context, state, segment),
        "PD1" => patient::demographics(context, state, segment),
        "MRG" => merge::merge(context, state, segment),
        "NK1" => person::next_of_kin(context, state, segment),
        "ROL" | "PRT" => person::role(context, state, segment),
        "PRD" | "CTD" => person::contact(context, state, segment),
        "PV1" => visit::visit(context, state, segment),
        "PV2" => visit::more(context, state, segment),
        "DG1" => visit::diagnosis(context, state, segment),
        "PR1" => visit::procedure(context, state, segment),
        "AL1" | "IAM" => visit::allergy(context, state, segment),
        "PRB" => visit::problem(context, state, segment),
        "GOL" => visit::goal(context, state, segment),
        "PTH" => visit::pathway(context, state, segment),
        "ACC" => observation::accident(context, state, segment),
        "PDA" => observation::death(context, state, segment),
        "GT1" => finance::guarantor(context, state, segment),
        "IN1" => finance::insurance(context, state, segment),
        "IN2" => finance::insurance_more(context, state, segment),
        "FT1" => finance::charge(context, state, segment),
        "ORC" => order::common(context, state, segment),
        "OBR" => order::request(context, state, segment),
        "TQ1" => order::timing(context, state, segment),
        "SPM" | "SAC" => order::specimen(context, state, segment),
        "RF1" => order::referral(context, state, segment),
        "RXO" | "RXE" => medication::request(context, state, segment),
        "RXD" => medication::dispense(context, state, segment),
        "RXA" => medication::administered(context, state, segment),
        "RXR" => medication::route(context, state, segment),
        "RXC" => medication::component(context, state, segment),
        "OBX" => observation::observation(context, state, segment),
        "NTE" => note::note(context, state, segment),
        "TXA" => note::document(context, state, segment),
        "SCH" | "RGS" | "AIS" | "AIG" | "AIL" | "AIP" => schedule::schedule(context, state, segment),
        _ => {}
    }
}

/// Puts a reference to what is open into an element.
pub(crate) fn refer(context: &mut Context<'_>, from: At, element: &str, to: Option<At>) {
    if let Some(to) = to {
        let reference = context.reference(to);
        context.at(from).put(element, reference);
    }
}

/// As [`refer`], into a list.
pub(crate) fn refer_in(context: &mut Context<'_>, from: At, element: &str, to: Option<At>) {
    if let Some(to) = to {
        let reference = context.reference(to);
        context.at(from).push(element, reference);
    }
}

/// The id of the open patient, to name what is a patient's.
pub(crate) fn patient_id(context: &Context<'_>, state: &State) -> String {
    state.patient.map(|at| context.id_at(at)).unwrap_or_default()
}

/// A new resource about the open patient, under the element that its type has for it.
pub(crate) fn about(
    context: &mut Context<'_>,
    state: &State,
    kind: &'static str,
    element: &str,
    id: String,
) -> At {
    let at = context.add(kind, id, Json::default());
    refer(context, at, element, state.patient);
    at
}
