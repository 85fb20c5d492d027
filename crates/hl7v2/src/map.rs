//! From a message to a FHIR R4 transaction Bundle, by HL7's v2-to-FHIR tables.
//!
//! [`table`] reads the segment maps in `maps/`, [`datatype`] converts values, [`concept`] translates codes, and [`walk`]
//! knows which segments belong together. [`context`] holds what has been made so far.
//!
//! Ids are derived from what names a thing in HL7 (assigner and number of a patient, an order, a visit), so that a later
//! message about it makes a new version of the same resource; what has no name of its own is named within its message.

mod bundle;
pub(crate) mod concept;
mod context;
pub(crate) mod datatype;
pub(crate) mod identity;
pub(crate) mod json;
mod require;
pub(crate) mod table;
mod walk;

pub use identity::patient_candidates;

use crate::{Message, Place};

/// What the mapping has to be told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The id of the Patient of PID, where it is known by another of its identifiers.
    pub patient: Known,
    /// The time zone of times that name none, where MSH-7 names none either, in minutes east of UTC. Without it such
    /// times become days.
    pub offset_minutes: Option<i32>,
    /// The message as it was sent, to be kept with what was made of it.
    pub original: Option<Vec<u8>>,
}

/// Which Patients are known already, by id: see [`patient_candidates`].
#[derive(Clone, Debug, Default)]
pub struct Known(pub std::collections::BTreeSet<String>);

/// Something of a message that FHIR did not take, by place and without its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The field.
    pub place: Place,
    /// Why.
    pub what: &'static str,
}

/// What became of a message.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// A FHIR R4 Bundle of type transaction, as JSON. It identifies the patient.
    pub bundle: String,
    /// How many resources it has.
    pub resources: usize,
    /// What could not be mapped, in the order of the message.
    pub notes: Vec<Note>,
}

/// Maps a message.
#[must_use]
pub fn map(message: &Message<'_>, options: &Options) -> Mapped {
    let mut context = context::Context::new(message, options);
    walk::walk(&mut context);
    bundle::finish(context)
}

#[cfg(test)]
mod tests;
