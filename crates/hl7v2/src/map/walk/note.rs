//! NTE and TXA: comments, and documents with the OBX that hold their content.

use super::{State, about, refer};
use crate::{
    Segment,
    map::{
        context::Context,
        datatype::{attachment, ei_names},
        json::Json,
        table::{apply, fill},
    },
};

/// Types that R4 gives a `note`.
const WITH_NOTES: [&str; 12] = [
    "AllergyIntolerance",
    "CarePlan",
    "ChargeItem",
    "Condition",
    "Goal",
    "Immunization",
    "MedicationAdministration",
    "MedicationDispense",
    "MedicationRequest",
    "Observation",
    "Procedure",
    "ServiceRequest",
];

/// NTE: a comment on what it follows.
pub(super) fn note(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let mut annotation = Json::default();
    fill(context, segment, "Annotation", &mut annotation);
    if !annotation.has("text") {
        return;
    }
    let holder = state.notable.map(|at| match context.kind(at) {
        // A report has a conclusion but no notes: its order has them.
        "DiagnosticReport" => state.order.request.unwrap_or(at),
        _ => at,
    });
    match holder {
        Some(at) if WITH_NOTES.contains(&context.kind(at)) || context.kind(at) == "Specimen" => {
            context.at(at).push("note", annotation);
        }
        Some(at) if context.kind(at) == "Appointment" => {
            let text = annotation.text("text").unwrap_or_default().to_owned();
            let before = context.at(at).text("comment").map(|before| format!("{before}\n{text}"));
            context.at(at).replace("comment", before.unwrap_or(text));
        }
        _ => context.note(segment.place(3), "a comment on what has no place for comments"),
    }
}

/// TXA: opens a DocumentReference.
pub(super) fn document(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let id = match ei_names(context, &segment.field(12).first()) {
        Some((system, value)) => context.id("DocumentReference", &[&system, &value]),
        None => context.local_id("DocumentReference", &segment.occurrence.to_string()),
    };
    let at = about(context, state, "DocumentReference", "subject", id);
    apply(context, segment, "DocumentReference", at);
    context.take_all(segment, &[3, 13, 17, 19]);
    // HL7 tables 0271 and 0273.
    let status = match (segment.value(19).as_str(), segment.value(17).as_str()) {
        ("CA", _) => "entered-in-error",
        ("OB", _) => "superseded",
        _ => "current",
    };
    let written = match segment.value(17).as_str() {
        "AU" | "LA" | "DO" => Some("final"),
        "DI" | "IN" | "IP" | "PA" => Some("preliminary"),
        _ => None,
    };
    context.at(at).put("status", status);
    context.at(at).put("docStatus", written.unwrap_or_default());
    relates(context, state, segment, at);
    if let Some(encounter) = state.encounter {
        let reference = context.reference(encounter);
        let mut circumstances = context.at(at).get("context").cloned().unwrap_or_default();
        circumstances.push("encounter", reference);
        context.at(at).replace("context", circumstances);
    }
    state.document = Some(at);
    state.notable = None;
}

/// TXA-13: the document that this one replaces or adds to.
fn relates(context: &mut Context<'_>, state: &State, segment: &Segment<'_>, at: crate::map::context::At) {
    let Some((system, value)) = ei_names(context, &segment.field(13).first()) else { return };
    let code = match state.event.as_str() {
        "T05" | "T06" => "appends",
        _ => "replaces",
    };
    let identifier = Json::object([("system", system.into()), ("value", value.into())]);
    let target = Json::object([("type", "DocumentReference".into()), ("identifier", identifier)]);
    context.at(at).push("relatesTo", Json::object([("code", code.into()), ("target", target)]));
}

/// An OBX under a TXA: content of the document. Lines of text are put together.
pub(super) fn content(context: &mut Context<'_>, state: &State, segment: &Segment<'_>) {
    let Some(document) = state.document else { return };
    context.take_all(segment, &[1, 2, 3, 4, 5, 11]);
    let kind = segment.value(2);
    let title = segment.field(3).first().component(2);
    let mut found = Vec::new();
    context.place = segment.place(5);
    if matches!(kind.as_str(), "ED" | "RP") {
        for one in segment.field(5).repetitions() {
            found.extend(attachment(context, &one, &kind));
        }
    } else {
        let text = segment.field(5).whole_text();
        append_text(context, document, &text);
    }
    for mut attachment in found {
        attachment.put("title", title.as_str());
        context.at(document).push("content", Json::object([("attachment", attachment)]));
    }
    if segment.has(15) || segment.has(16) {
        context.take_all(segment, &[15, 16]);
        context.place = segment.place(16);
        if let Some(author) = crate::map::datatype::practitioner(context, &segment.field(16).first()) {
            context.at(document).push("author", author);
        }
    }
    refer(context, document, "subject", state.patient);
}

/// Adds a line to the text of a document. Until the end it is kept as text beside the contents.
fn append_text(context: &mut Context<'_>, document: crate::map::context::At, text: &str) {
    let before = context.at(document).text(TEXT).map(|before| format!("{before}\n{text}"));
    context.at(document).replace(TEXT, before.unwrap_or_else(|| text.to_owned()));
}

/// The member under which the text of a document grows; [`finish`] makes an attachment of it.
const TEXT: &str = "\u{0}text";

/// Makes attachments of the texts of documents.
pub(super) fn finish(context: &mut Context<'_>) {
    for entry in context.entries.iter_mut().filter(|entry| entry.kind == "DocumentReference") {
        let Some(text) = entry.json.text(TEXT).map(str::to_owned) else { continue };
        entry.json.remove(TEXT);
        let data = super::observation::text_data(&text);
        let attachment = [("contentType", "text/plain; charset=utf-8".into()), ("data", data.into())];
        entry.json.push("content", Json::object([("attachment", Json::object(attachment))]));
    }
}
