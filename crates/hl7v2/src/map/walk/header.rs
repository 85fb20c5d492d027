//! MSH, SFT and EVN: where the message comes from, and what became of it.

use super::{State, refer};
use crate::{
    Segment,
    map::{
        concept::urn_safe,
        context::{At, Context},
        datatype::{base64, code_of, instant, organization, system_organization},
        identity::assigner,
        json::Json,
        table::{apply, coding},
    },
};

/// MSH: the MessageHeader.
pub(super) fn message(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    context.take_all(segment, &[1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 15, 16, 18]);
    let id = context.local_id("MessageHeader", "");
    let header = context.add("MessageHeader", id, Json::default());
    state.header = Some(header);
    let kind = segment.field(9).first();
    let event = if state.event.is_empty() { state.code.clone() } else { state.event.clone() };
    let said: Vec<String> =
        (1..=3).map(|part| kind.component(part)).filter(|part| !part.is_empty()).collect();
    if !event.is_empty() {
        context.at(header).put("eventCoding", coding("v2-0003", &event, &said.join("^")));
    }
    context
        .at(header)
        .put("_eventUri", if event.is_empty() { crate::map::require::absent() } else { Json::default() });
    let source = endpoint(segment, 3, 24);
    context.at(header).put("source", source);
    if [5, 6, 23, 25].iter().any(|field| segment.has(*field)) {
        context.take_all(segment, &[23, 25]);
        let mut destination = endpoint(segment, 5, 25);
        let receiver = if segment.has(23) {
            organization(context, &segment.field(23).first())
        } else {
            system_organization(context, &segment.field(6).first())
        };
        destination.put("receiver", receiver.unwrap_or_default());
        context.at(header).push("destination", destination);
    }
    context.take_all(segment, &[22, 24]);
    let responsible = organization(context, &segment.field(22).first());
    context.at(header).put("responsible", responsible.unwrap_or_default());
    if let Some(sender) = system_organization(context, &segment.field(4).first()) {
        if let Some(id) = sender.text("reference").and_then(|text| text.strip_prefix("Organization/")) {
            context.take(segment, 17);
            let mut country = Json::default();
            country.push("address", Json::object([("country", segment.value(17).into())]));
            context.share("Organization", id.to_owned(), country);
        }
        context.at(header).put("sender", sender);
    }
    meta(context, header, segment);
}

/// Processing id, security and language.
fn meta(context: &mut Context<'_>, header: At, segment: &Segment<'_>) {
    let mut meta = Json::default();
    for (component, table) in [(1, "v2-0103"), (2, "v2-0207")] {
        let code: String = segment.field(11).first().component(component).split_whitespace().collect();
        if !code.is_empty() {
            meta.push("tag", coding(table, &code, ""));
        }
    }
    if segment.has(8) {
        context.take(segment, 8);
        meta.push("security", Json::object([("display", segment.field(8).whole_text().into())]));
    }
    context.at(header).put("meta", meta);
    let language = segment.value(19);
    let usable = (2..=17).contains(&language.len())
        && language.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if usable {
        context.take(segment, 19);
        context.at(header).put("language", language);
    }
}

/// Name and endpoint of an application: from the network address where there is one.
fn endpoint(segment: &Segment<'_>, application: usize, address: usize) -> Json {
    let (named, reached) = (segment.field(application).first(), segment.field(address).first());
    let from = if reached.is_empty() { named } else { reached };
    let uri = assigner(&from).unwrap_or_else(|| "urn:id:unknown".to_owned());
    let mut name = named.component(1);
    if name.is_empty() {
        name = from.component(1);
    }
    Json::object([("name", name.into()), ("endpoint", uri.into())])
}

/// SFT: the software that wrote the message, as a Device.
pub(super) fn software(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    context.take_all(segment, &[1, 2, 3, 4, 5, 6]);
    let (vendor, version, product) = (segment.value(1), segment.value(2), segment.value(3));
    let binary = segment.value(4);
    let home = context.home.clone();
    let id = context.id("Device", &[&home, &vendor, &product, &version, &binary]);
    let mut device = Json::object([("manufacturer", vendor.into()), ("modelNumber", binary.into())]);
    if !product.is_empty() {
        let name = Json::object([("name", product.as_str().into()), ("type", "manufacturer-name".into())]);
        device.push("deviceName", name);
    }
    device.push("version", Json::object([("value", version.as_str().into())]));
    let text = segment.field(5).whole_text();
    if !text.trim().is_empty() {
        device.push("note", Json::object([("text", text.into())]));
    }
    context.share("Device", id, device);
    if let Some(header) = state.header
        && let Some(source) = context.at(header).get("source").cloned()
    {
        let mut source = source;
        source.put("software", product);
        source.put("version", version);
        context.at(header).replace("source", source);
    }
}

/// EVN: the event, as Provenance.
pub(super) fn event(context: &mut Context<'_>, state: &mut State, segment: &Segment<'_>) {
    let id = context.local_id("Provenance", "event");
    let at = context.share("Provenance", id, Json::default());
    state.event_provenance = Some(at);
    apply(context, segment, "Provenance", at);
    if segment.has(3) {
        context.place = segment.place(3);
        context.note_here("a planned time of the event has no place in Provenance");
        context.take(segment, 3);
    }
}

/// The Provenance of all that was made, with the original message where it is kept.
pub(super) fn finish(context: &mut Context<'_>, state: &State) {
    one_encounter(context);
    let targets: Vec<Json> = targets(context);
    if let Some(header) = state.header {
        for patient in &state.patients {
            let reference = context.reference(*patient);
            context.at(header).push("focus", reference);
        }
    }
    let original = original(context, state);
    let (code, event) = (state.code.clone(), state.event.clone());
    let header = context.message.header();
    context.place = header.place(7);
    let sent = instant(context, &header.value(7));
    let occurred = crate::map::datatype::datetime(context, &header.value(7));
    if let Some(at) = state.event_provenance {
        let mut target = targets.clone();
        if target.is_empty() {
            target.extend(state.header.map(|header| context.reference(header)));
        }
        context.at(at).put("target", Json::List(target));
        context.at(at).put("recorded", sent.clone().unwrap_or_default());
        let activity = coding("v2-0003", &event, "");
        let activity = Json::object([("coding", Json::List(vec![activity]))]);
        context.at(at).put("activity", if event.is_empty() { Json::default() } else { activity });
        agents(context, at);
    }
    let id = context.local_id("Provenance", "message");
    let at = context.add("Provenance", id, Json::default());
    let mut all = targets;
    all.extend(state.header.map(|header| context.reference(header)));
    let json = context.at(at);
    json.put("target", Json::List(all));
    json.put("recorded", sent.unwrap_or_default());
    json.put("occurredDateTime", occurred.unwrap_or_default());
    let said = format!("message - {code}^{event}");
    json.put("activity", Json::object([("text", said.into())]));
    if let Some(original) = original {
        let reference = context.reference(original);
        let entity = Json::object([("role", "source".into()), ("what", reference)]);
        context.at(at).push("entity", entity);
    }
    agents(context, at);
}

/// Where a message tells of one encounter, what it tells happened there, also where the encounter comes last.
fn one_encounter(context: &mut Context<'_>) {
    const WITHIN: [&str; 7] = [
        "Condition",
        "DiagnosticReport",
        "Immunization",
        "MedicationRequest",
        "Observation",
        "Procedure",
        "ServiceRequest",
    ];
    let mut encounters = context.entries.iter().filter(|entry| entry.kind == "Encounter");
    let (Some(one), None) = (encounters.next(), encounters.next()) else { return };
    let reference = Json::object([("reference", format!("Encounter/{}", one.id).into())]);
    let subject = one.json.get("subject").cloned();
    for entry in context.entries.iter_mut().filter(|entry| WITHIN.contains(&entry.kind)) {
        let of = entry.json.get("subject").or_else(|| entry.json.get("patient")).cloned();
        if of == subject {
            entry.json.put("encounter", reference.clone());
        }
    }
}

/// The sender, as the author.
fn agents(context: &mut Context<'_>, at: At) {
    let header = context.message.header();
    let who = if header.has(22) {
        organization(context, &header.field(22).first())
    } else {
        system_organization(context, &header.field(4).first())
    };
    if let Some(who) = who {
        let author = crate::map::table::concept("provenance-participant-type", "author", "");
        context.at(at).push("agent", Json::object([("type", author), ("who", who)]));
    }
}

/// What a message tells about: all but those who are referred to, and what tells of the message itself.
fn targets(context: &Context<'_>) -> Vec<Json> {
    let about = |kind: &str| {
        !matches!(
            kind,
            "MessageHeader" | "Provenance" | "Organization" | "Practitioner" | "Location" | "Device"
        )
    };
    let kept = context.entries.iter().filter(|entry| about(entry.kind));
    kept.map(|entry| Json::object([("reference", format!("{}/{}", entry.kind, entry.id).into())])).collect()
}

/// The message as it was sent, so that nothing of it is lost.
fn original(context: &mut Context<'_>, state: &State) -> Option<At> {
    let data = base64(context.options.original.as_deref()?);
    let id = context.local_id("DocumentReference", "original");
    let mut attachment =
        Json::object([("contentType", "x-application/hl7-v2+er7".into()), ("data", data.into())]);
    let title = format!("HL7 v2 message {}", urn_safe(&state.code));
    attachment.put("title", title);
    let mut document = Json::object([("status", "current".into())]);
    document.push("content", Json::object([("attachment", attachment)]));
    let at = context.add("DocumentReference", id, document);
    refer(context, at, "subject", state.patient);
    Some(at)
}

/// The status of a code, for events that have none of their own.
pub(super) fn by_event(context: &mut Context<'_>, event: &str) -> Option<String> {
    let one = crate::Repetition::usual(event);
    crate::map::concept::concept("EventEncounterStatus", event)?;
    code_of(context, &one, "EventEncounterStatus")
}
