//! Readings as JSON:
//!
//! ```text
//! {"device": {"id": "SN-1", "model": "Cuff 2", "manufacturer": "Acme"},
//!  "readings": [{"code": "8867-4", "value": 62, "unit": "/min", "time": "2026-03-01T07:30:00+01:00"},
//!               {"code": "85354-9", "time": "2026-03-01T07:30:00+01:00",
//!                "components": [{"code": "8480-6", "value": 121, "unit": "mm[Hg]"},
//!                               {"code": "8462-4", "value": 79, "unit": "mm[Hg]"}]}]}
//! ```
//!
//! Codes are of LOINC, units of UCUM. A member that is not listed here is an error: what would be lost is told.

use super::{
    READINGS_MAX, Said, Upload, Wrong,
    resource::{
        DeviceResource, ObservationResource, category, checked_code, checked_quantity, checked_time, concept,
        is_name, quantity, quoted, reference,
    },
};
use crate::fhir::element::{child, text};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// The most components of one reading.
const COMPONENTS_MAX: usize = 16;

pub(super) fn read(root: &Value, upload: &Upload<'_>) -> Result<Said, Wrong> {
    only(root, "the upload", &["device", "readings"])?;
    let device = child(root, "device").ok_or_else(|| Wrong::at("device", "is missing"))?;
    let device = read_device(device, upload)?;
    let readings = list(root, "readings", "readings", READINGS_MAX)?;
    let mut said = Said::default();
    for (number, reading) in readings.iter().enumerate() {
        let place = format!("readings[{number}]");
        said.observations.push((0, read_reading(reading, &device, upload, &place)?));
    }
    said.devices.push(device);
    Ok(said)
}

/// All members must be known.
fn only(value: &Value, place: &str, known: &[&str]) -> Result<(), Wrong> {
    let Some(object) = value.as_object() else { return Err(Wrong::at(place, "must be an object")) };
    if object.iter().all(|(name, _)| known.contains(&name)) {
        return Ok(());
    }
    Err(Wrong::at(place, "has a member that is not known here; the documentation lists those that are"))
}

fn list<'a>(value: &'a Value, name: &str, place: &str, most: usize) -> Result<&'a [Value], Wrong> {
    let items = child(value, name).and_then(|list| list.as_array()).map(sonic_rs::Array::as_slice);
    let items = items.ok_or_else(|| Wrong::at(place, "must be an array"))?;
    if items.len() > most {
        return Err(Wrong::at(place, "has too many items; split the upload"));
    }
    Ok(items)
}

fn read_device(device: &Value, upload: &Upload<'_>) -> Result<DeviceResource, Wrong> {
    only(device, "device", &["id", "model", "manufacturer"])?;
    let name = |member: &str, place: &str| {
        let found = text(device, member).filter(|text| is_name(text));
        found.ok_or_else(|| {
            Wrong::at(
                place,
                "must be a text of 1 to 256 characters, none of control and not all of them spaces",
            )
        })
    };
    let (key, model) = (name("id", "device.id")?, name("model", "device.model")?);
    let manufacturer = match child(device, "manufacturer") {
        None => String::new(),
        Some(_) => format!("\"manufacturer\":{},", quoted(name("manufacturer", "device.manufacturer")?)),
    };
    let id = (upload.name)("device", &[upload.patient, key]);
    let json = format!(
        "{{\"resourceType\":\"Device\",\"id\":\"{id}\",\"identifier\":[{{\"value\":{}}}],\"status\":\"active\",\
         {manufacturer}\"deviceName\":[{{\"name\":{},\"type\":\"model-name\"}}],\"patient\":{}}}",
        quoted(key),
        quoted(model),
        reference("Patient", upload.patient),
    );
    Ok(DeviceResource { id, key: key.to_owned(), text: json })
}

fn read_reading(
    reading: &Value,
    device: &DeviceResource,
    upload: &Upload<'_>,
    place: &str,
) -> Result<ObservationResource, Wrong> {
    only(reading, place, &["code", "value", "unit", "time", "components"])?;
    let code = code_of(reading, place)?;
    let time = text(reading, "time").unwrap_or_default();
    checked_time(time, upload.now_ms, &format!("{place}.time"))?;
    let components = match child(reading, "components") {
        None => Vec::new(),
        Some(_) => components(reading, place)?,
    };
    let mut value = String::new();
    if child(reading, "value").is_some() || components.is_empty() {
        value = format!("\"valueQuantity\":{},", measured(reading, code, place)?);
    }
    if !components.is_empty() {
        value.push_str(&format!("\"component\":[{}],", components.join(",")));
    }
    let category = category(code).map(|category| format!("\"category\":{category},")).unwrap_or_default();
    let patient = reference("Patient", upload.patient);
    let id = (upload.name)("observation", &[upload.patient, &device.key, code, time]);
    let json = format!(
        "{{\"resourceType\":\"Observation\",\"id\":\"{id}\",\"status\":\"final\",{category}\"code\":{},\
         \"subject\":{patient},\"effectiveDateTime\":{},\"performer\":[{patient}],{value}\"device\":{}}}",
        concept(code),
        quoted(time),
        reference("Device", &device.id),
    );
    Ok(ObservationResource { id, text: json })
}

fn code_of<'a>(reading: &'a Value, place: &str) -> Result<&'a str, Wrong> {
    let code = text(reading, "code").unwrap_or_default();
    checked_code(code, &format!("{place}.code"))?;
    Ok(code)
}

fn components(reading: &Value, place: &str) -> Result<Vec<String>, Wrong> {
    let items = list(reading, "components", &format!("{place}.components"), COMPONENTS_MAX)?;
    let component = |(number, one): (usize, &Value)| {
        let place = format!("{place}.components[{number}]");
        only(one, &place, &["code", "value", "unit"])?;
        let code = code_of(one, &place)?;
        let value = measured(one, code, &place)?;
        Ok(format!("{{\"code\":{},\"valueQuantity\":{value}}}", concept(code)))
    };
    items.iter().enumerate().map(component).collect()
}

fn measured(one: &Value, code: &str, place: &str) -> Result<String, Wrong> {
    let unit = text(one, "unit").unwrap_or_default();
    let value = child(one, "value").filter(JsonValueTrait::is_number);
    let missing = || Wrong::at(format!("{place}.value"), "must be a number");
    let value = value.ok_or_else(missing)?;
    checked_quantity(code, value, unit, place)?;
    Ok(quantity(value, unit))
}
