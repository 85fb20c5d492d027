//! Observations and Devices of FHIR R4, as a Bundle or one Observation with its Device contained. All of their elements are
//! kept; ids, patient and device become this node's, so that an upload can neither change what others handed in nor be
//! about anyone else.

use super::{
    Said, Upload, Wrong,
    resource::{
        DeviceResource, LOINC, ObservationResource, UCUM, category, checked_code, checked_quantity,
        checked_time, is_name, reference, replaced, written,
    },
};
use crate::fhir::element::{child, codings, items, resource_type, text};
use sonic_rs::{JsonContainerTrait, Value};

/// Elements that say when.
const TIMES: [&str; 2] = ["effectiveDateTime", "effectiveInstant"];

/// A Device with the names by which an Observation may refer to it.
struct Given<'a> {
    names: Vec<String>,
    resource: &'a Value,
}

pub(super) fn read(root: &Value, upload: &Upload<'_>) -> Result<Said, Wrong> {
    let mut given: Vec<Given<'_>> = Vec::new();
    let mut observations: Vec<(String, &Value)> = Vec::new();
    for (place, full_url, resource) in resources(root)? {
        match resource_type(resource) {
            Some("Device") => {
                let own = text(resource, "id").map(|id| format!("Device/{id}"));
                given.push(Given { names: own.into_iter().chain(full_url).collect(), resource });
            }
            Some("Observation") => observations.push((place, resource)),
            _ => {
                return Err(Wrong::at(
                    place,
                    "is neither Device nor Observation; other resources go to $ingest",
                ));
            }
        }
    }
    let mut said = Said::default();
    for one in &given {
        said.devices.push(device(one.resource, upload)?);
    }
    for (place, one) in observations {
        let number = device_of(one, &given, &mut said, upload, &place)?;
        let observation = observation(one, &said.devices[number], upload, &place)?;
        said.observations.push((number, observation));
    }
    Ok(said)
}

type Placed<'a> = (String, Option<String>, &'a Value);

fn resources(root: &Value) -> Result<Vec<Placed<'_>>, Wrong> {
    if resource_type(root) != Some("Bundle") {
        return Ok(vec![("the resource".to_owned(), None, root)]);
    }
    if !matches!(text(root, "type"), Some("collection" | "transaction" | "batch")) {
        return Err(Wrong::at("Bundle.type", "must be collection, transaction or batch"));
    }
    let entries = child(root, "entry").and_then(|list| list.as_array());
    let entries = entries.ok_or_else(|| Wrong::at("Bundle.entry", "must be an array"))?;
    let placed = |(number, entry)| {
        let place = format!("Bundle.entry[{number}].resource");
        let resource = child(entry, "resource").ok_or_else(|| Wrong::at(place.clone(), "is missing"))?;
        let method = child(entry, "request").and_then(|request| text(request, "method"));
        if !matches!(method, None | Some("POST" | "PUT")) {
            return Err(Wrong::at(place, "is not stored by its request; only POST and PUT are carried out"));
        }
        Ok((place, text(entry, "fullUrl").map(str::to_owned), resource))
    };
    entries.iter().enumerate().map(placed).collect()
}

fn device(resource: &Value, upload: &Upload<'_>) -> Result<DeviceResource, Wrong> {
    let identifier = items(resource, "identifier").find_map(|one| {
        let value = text(one, "value")?;
        Some(format!("{}|{value}", text(one, "system").unwrap_or_default()))
    });
    let key = identifier
        .or_else(|| text(resource, "serialNumber").map(str::to_owned))
        .or_else(|| text(resource, "id").map(str::to_owned))
        .filter(|key| is_name(key))
        .ok_or_else(|| Wrong::at("Device.identifier", "must say which device it is"))?;
    let id = (upload.name)("device", &[upload.patient, &key]);
    let elements = [("id", super::resource::quoted(&id)), ("patient", reference("Patient", upload.patient))];
    Ok(DeviceResource { text: replaced(resource, &elements), id, key })
}

/// The number of the device that an Observation names, or of the only one there is.
fn device_of(
    observation: &Value,
    given: &[Given<'_>],
    said: &mut Said,
    upload: &Upload<'_>,
    place: &str,
) -> Result<usize, Wrong> {
    let missing = || {
        Wrong::at(
            format!("{place}.device"),
            "must refer to a Device of the upload, or to one that is contained",
        )
    };
    let named = child(observation, "device").and_then(|device| text(device, "reference"));
    let Some(name) = named else {
        return if given.len() == 1 { Ok(0) } else { Err(missing()) };
    };
    if let Some(id) = name.strip_prefix('#') {
        let contained = items(observation, "contained").find(|one| text(one, "id") == Some(id));
        let made = device(
            contained.filter(|one| resource_type(one) == Some("Device")).ok_or_else(missing)?,
            upload,
        )?;
        if let Some(known) = said.devices.iter().position(|one| one.id == made.id) {
            return Ok(known);
        }
        said.devices.push(made);
        return Ok(said.devices.len() - 1);
    }
    given.iter().position(|one| one.names.iter().any(|other| other == name)).ok_or_else(missing)
}

fn observation(
    resource: &Value,
    device: &DeviceResource,
    upload: &Upload<'_>,
    place: &str,
) -> Result<ObservationResource, Wrong> {
    let code_place = format!("{place}.code");
    let concept = child(resource, "code").ok_or_else(|| Wrong::at(&*code_place, "is missing"))?;
    let code =
        codings(concept).find(|(system, _)| *system == LOINC).map(|(_, code)| code).unwrap_or_default();
    checked_code(code, &code_place)?;
    let time = TIMES.iter().find_map(|name| text(resource, name));
    let period = child(resource, "effectivePeriod");
    let time = time.or_else(|| period.and_then(|period| text(period, "start")));
    checked_time(time.unwrap_or_default(), upload.now_ms, &format!("{place}.effective"))?;
    checked_value(resource, code, &format!("{place}.valueQuantity"))?;
    for (number, component) in items(resource, "component").enumerate() {
        let inner =
            child(component, "code").and_then(|code| codings(code).next()).map_or("", |(_, code)| code);
        checked_value(component, inner, &format!("{place}.component[{number}].valueQuantity"))?;
    }
    let patient = format!("Patient/{}", upload.patient);
    let subject = child(resource, "subject");
    if subject.is_some_and(|subject| text(subject, "reference") != Some(patient.as_str())) {
        return Err(Wrong::at(
            format!("{place}.subject"),
            "names another patient; readings are of the patient for whom the device was admitted",
        ));
    }
    let own = items(resource, "identifier").find_map(|one| text(one, "value"));
    let period = period.map(written).unwrap_or_default();
    let mut parts = vec![upload.patient, &device.key, code, time.unwrap_or_default(), &period];
    parts.extend(own);
    // Two readings of one device, code and time are the same one, unless their identifiers say otherwise. The JSON form
    // has no identifiers, so both forms of one reading have one id.
    if period.is_empty() {
        parts.remove(4);
    }
    let id = (upload.name)("observation", &parts);
    let mut elements = vec![
        ("id", super::resource::quoted(&id)),
        ("subject", reference("Patient", upload.patient)),
        ("device", reference("Device", &device.id)),
    ];
    if let (None, Some(category)) = (child(resource, "category"), category(code)) {
        elements.push(("category", category));
    }
    Ok(ObservationResource { text: replaced(resource, &elements), id })
}

/// A quantity must be of UCUM. Other kinds of values are validated as all resources are.
fn checked_value(one: &Value, code: &str, place: &str) -> Result<(), Wrong> {
    let Some(quantity) = child(one, "valueQuantity") else { return Ok(()) };
    if text(quantity, "system") != Some(UCUM) {
        return Err(Wrong::at(format!("{place}.system"), "must be http://unitsofmeasure.org"));
    }
    let value = child(quantity, "value").ok_or_else(|| Wrong::at(format!("{place}.value"), "is missing"))?;
    checked_quantity(code, value, text(quantity, "code").unwrap_or_default(), place)
}
