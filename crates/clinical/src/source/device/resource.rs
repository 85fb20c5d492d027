//! The resources that are made of an upload, as text: the digits of what was measured stay as they came.

use super::{AHEAD_MS_MAX, Upload, Wrong, loinc};
use crate::fhir::FhirDate;
use bxp_fhir_store::value::date;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

pub(super) const LOINC: &str = "http://loinc.org";
pub(super) const UCUM: &str = "http://unitsofmeasure.org";
const CATEGORY: &str = "http://terminology.hl7.org/CodeSystem/observation-category";
const PARTICIPANT: &str = "http://terminology.hl7.org/CodeSystem/provenance-participant-type";
const OPERATION: &str = "http://terminology.hl7.org/CodeSystem/v3-DataOperation";

/// The longest text that names a device, in characters.
pub(super) const NAME_CHARACTERS_MAX: usize = 256;
/// The longest number: FHIR demands 18 digits.
const NUMBER_BYTES_MAX: usize = 32;

/// A Device.
pub(super) struct DeviceResource {
    pub(super) id: String,
    /// What identifies it to its maker; it goes into fingerprints alone.
    pub(super) key: String,
    pub(super) text: String,
}

/// An Observation.
pub(super) struct ObservationResource {
    pub(super) id: String,
    pub(super) text: String,
}

/// A text as JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A value as it is written.
pub(super) fn written(value: &Value) -> String {
    sonic_rs::to_string(value).unwrap_or_else(|_| "null".to_owned())
}

/// A resource with some of its elements replaced: the others stay as they are written, in their order.
pub(super) fn replaced(resource: &Value, elements: &[(&str, String)]) -> String {
    let is_kept = |name: &str| !elements.iter().any(|(other, _)| *other == name);
    let members = resource.as_object().into_iter().flat_map(|object| object.iter());
    let kept = members
        .filter(|(name, _)| is_kept(name))
        .map(|(name, value)| format!("{}:{}", quoted(name), written(value)));
    let own = elements.iter().map(|(name, value)| format!("{}:{value}", quoted(name)));
    format!("{{{}}}", kept.chain(own).collect::<Vec<_>>().join(","))
}

pub(super) fn reference(kind: &str, id: &str) -> String {
    format!("{{\"reference\":{}}}", quoted(&format!("{kind}/{id}")))
}

/// The category of a code that is known.
pub(super) fn category(code: &str) -> Option<String> {
    let known = loinc::known(code)?;
    let category = known.category;
    Some(format!("[{{\"coding\":[{{\"system\":\"{CATEGORY}\",\"code\":\"{category}\"}}]}}]"))
}

/// The concept of a LOINC code, with what R4's profile demands beside it.
pub(super) fn concept(code: &str) -> String {
    let coding = |code: &str| match loinc::known(code) {
        Some(known) => {
            format!("{{\"system\":\"{LOINC}\",\"code\":\"{code}\",\"display\":{}}}", quoted(known.display))
        }
        None => format!("{{\"system\":\"{LOINC}\",\"code\":{}}}", quoted(code)),
    };
    let also = loinc::known(code).and_then(|known| known.also);
    let codings: Vec<String> = std::iter::once(code).chain(also).map(coding).collect();
    format!("{{\"coding\":[{}]}}", codings.join(","))
}

/// A quantity of UCUM, with the digits as they came.
pub(super) fn quantity(value: &Value, unit: &str) -> String {
    let unit = quoted(unit);
    format!("{{\"value\":{},\"unit\":{unit},\"system\":\"{UCUM}\",\"code\":{unit}}}", written(value))
}

/// A code must be one of LOINC.
pub(super) fn checked_code(code: &str, place: &str) -> Result<(), Wrong> {
    if loinc::is_code(code) {
        return Ok(());
    }
    Err(Wrong::at(place, "must be a code of LOINC, such as 8867-4, with its right check digit"))
}

/// A value must be a number, and its unit one that the code allows.
pub(super) fn checked_quantity(code: &str, value: &Value, unit: &str, place: &str) -> Result<(), Wrong> {
    if !value.is_number() || written(value).len() > NUMBER_BYTES_MAX {
        return Err(Wrong::at(format!("{place}.value"), "must be a number of at most 32 characters"));
    }
    if !loinc::is_unit(unit) {
        return Err(Wrong::at(format!("{place}.unit"), "must be a unit of UCUM, such as /min or mm[Hg]"));
    }
    let allowed = loinc::known(code).map_or(&[][..], |known| known.units);
    if allowed.is_empty() || allowed.contains(&unit) {
        return Ok(());
    }
    Err(Wrong::at(format!("{place}.unit"), "is not a unit in which R4's vital signs profiles take this code"))
}

/// A time must have a zone and not lie ahead.
pub(super) fn checked_time(text: &str, now_ms: u64, place: &str) -> Result<(), Wrong> {
    let whole = FhirDate::parse(text).is_some_and(|date| date.has_time());
    let span = date::parse(text).filter(|_| whole);
    let Some(span) = span else {
        return Err(Wrong::at(place, "must be a time with its zone, such as 2026-03-01T07:30:00+01:00"));
    };
    let now_ms = i64::try_from(now_ms).unwrap_or(i64::MAX);
    if span.low > now_ms.saturating_add(AHEAD_MS_MAX) {
        return Err(Wrong::at(place, "lies more than a day ahead; is the device's clock right?"));
    }
    Ok(())
}

/// A text that names something of a device.
pub(super) fn is_name(text: &str) -> bool {
    let characters = text.chars().count();
    let is_visible = text.chars().any(|letter| !letter.is_whitespace());
    characters <= NAME_CHARACTERS_MAX && is_visible && !text.chars().any(char::is_control)
}

/// Who measured what, and when it arrived. The same readings of the same device make the same id.
pub(super) fn provenance(
    device: &DeviceResource,
    measured: &[&ObservationResource],
    upload: &Upload<'_>,
) -> String {
    let mut parts = vec![upload.patient, device.key.as_str()];
    parts.extend(measured.iter().flat_map(|one| [one.id.as_str(), one.text.as_str()]));
    let id = (upload.name)("provenance", &parts);
    let targets: Vec<String> = measured.iter().map(|one| reference("Observation", &one.id)).collect();
    let recorded = date::instant(i64::try_from(upload.now_ms).unwrap_or(i64::MAX));
    let role = |code: &str| format!("{{\"coding\":[{{\"system\":\"{PARTICIPANT}\",\"code\":\"{code}\"}}]}}");
    let patient = reference("Patient", upload.patient);
    format!(
        "{{\"resourceType\":\"Provenance\",\"id\":\"{id}\",\"target\":[{}],\"recorded\":\"{recorded}\",\
         \"activity\":{{\"coding\":[{{\"system\":\"{OPERATION}\",\"code\":\"CREATE\"}}]}},\"agent\":[\
         {{\"type\":{},\"who\":{},\"onBehalfOf\":{patient}}},{{\"type\":{},\"who\":{patient}}}]}}",
        targets.join(","),
        role("author"),
        reference("Device", &device.id),
        role("enterer"),
    )
}
