//! Readings of a member's own devices (white paper row F8) to submissions: a Device for each device, an Observation for
//! each reading, and a Provenance for each device that says who measured and when it arrived.
//!
//! Two forms are read: readings as JSON, and Observations and Devices of FHIR. Ids are keyed fingerprints of patient,
//! device, code and time, so that a reading that comes again is the same resource, and an id tells nothing of the device.
//! An upload is taken whole or not at all; what is wrong is told by its place and never by its value.

mod fhir;
mod loinc;
mod readings;
mod resource;

use super::{Entry, Limits, Position, Submission, parse_tree};
use crate::{ClinicalError, fhir::element::resource_type};
use bxp_types::Phi;
use resource::{DeviceResource, ObservationResource, provenance};

/// The most readings of one upload.
pub const READINGS_MAX: usize = 10_000;
/// The most devices of one upload.
const DEVICES_MAX: usize = 64;
/// How far a device's clock may be ahead of the node's, in milliseconds: a day covers every time zone that is set wrongly.
const AHEAD_MS_MAX: i64 = 24 * 3_600_000;

/// Whose readings they are, and what the node adds.
pub struct Upload<'a> {
    /// The id of the Patient.
    pub patient: &'a str,
    /// Milliseconds since the epoch.
    pub now_ms: u64,
    /// A keyed fingerprint of a domain and parts, as an id of FHIR.
    pub name: &'a dyn Fn(&str, &[&str]) -> String,
}

impl std::fmt::Debug for Upload<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upload").finish_non_exhaustive()
    }
}

/// An upload that cannot be taken: where, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wrong {
    place: String,
    what: &'static str,
}

impl Wrong {
    fn at(place: impl Into<String>, what: &'static str) -> Self {
        Self { place: place.into(), what }
    }
}

/// What an upload says.
#[derive(Default)]
struct Said {
    devices: Vec<DeviceResource>,
    /// Each with the number of its device.
    observations: Vec<(usize, ObservationResource)>,
}

/// Reads an upload in either form. The last entries are the Provenances, one for each device.
///
/// # Errors
/// [`ClinicalError::Readings`], [`ClinicalError::Json`], [`ClinicalError::TooDeep`].
pub fn translate_readings(
    bytes: &[u8],
    limits: &Limits,
    upload: &Upload<'_>,
) -> Result<Submission, ClinicalError> {
    const SOURCE: &str = "device data";
    let root = parse_tree(SOURCE, bytes, limits)?;
    let said = match resource_type(&root) {
        Some(_) => fhir::read(&root, upload),
        None => readings::read(&root, upload),
    };
    let said =
        said.and_then(bounded).map_err(|Wrong { place, what }| ClinicalError::Readings { place, what })?;
    let mut submission = Submission {
        source_name: SOURCE.to_owned(),
        bytes: bytes.len() as u64,
        entries: Vec::new(),
        refused: Vec::new(),
        unmapped: Vec::new(),
    };
    let mut texts: Vec<String> = said.devices.iter().map(|device| device.text.clone()).collect();
    texts.extend(said.observations.iter().map(|(_, one)| one.text.clone()));
    for (number, device) in said.devices.iter().enumerate() {
        let measured: Vec<&ObservationResource> =
            said.observations.iter().filter(|(of, _)| *of == number).map(|(_, one)| one).collect();
        if !measured.is_empty() {
            texts.push(provenance(device, &measured, upload));
        }
    }
    for (number, text) in texts.iter().enumerate() {
        let resource = sonic_rs::from_str(text).map_err(|_| ClinicalError::Damaged("a device's readings"))?;
        let position = Position::Entry(number);
        submission.entries.push(Entry::new(position, None, Phi::new(resource)));
    }
    Ok(submission)
}

fn bounded(said: Said) -> Result<Said, Wrong> {
    match (said.devices.len(), said.observations.len()) {
        (_, 0) => Err(Wrong::at("the upload", "has no reading in it")),
        (devices, _) if devices > DEVICES_MAX => {
            Err(Wrong::at("the upload", "has more than 64 devices; split it"))
        }
        (_, readings) if readings > READINGS_MAX => {
            Err(Wrong::at("the upload", "has more than 10000 readings; split it"))
        }
        _ => Ok(said),
    }
}

#[cfg(test)]
mod tests;
