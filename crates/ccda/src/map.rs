//! From a document to a FHIR R4 transaction Bundle, after HL7's C-CDA on FHIR guide.
//!
//! [`header`] makes the patient and who cared, [`section`] knows which entries stand where, and there is one file for each
//! kind of entry. [`context`] holds what has been made so far, [`leftover`] names what no one looked at.
//!
//! Ids are derived from the ids in the document, with the patient's, so that the same entry in a later document makes a new
//! version of the same resource; what has no id is named within its document.

mod allergy;
mod care;
mod context;
mod coverage;
mod datatype;
mod device;
mod encounter;
mod family;
mod header;
mod identity;
mod immunization;
mod leftover;
mod medication;
mod observation;
mod people;
mod plan;
mod problem;
mod procedure;
mod require;
mod section;

pub use identity::patient_candidates;

use crate::{CcdaError, Document};
use std::collections::BTreeSet;

/// What the mapping has to be told.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Which of [`patient_candidates`] are known already.
    pub known: BTreeSet<String>,
    /// The document as it was sent, to be kept with what was made of it.
    pub original: Vec<u8>,
}

/// Something of a document that FHIR did not take, by path and without its value.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// The path of element names.
    pub path: String,
    /// Why.
    pub what: &'static str,
}

/// What became of a document.
#[derive(Clone, Debug)]
pub struct Mapped {
    /// A FHIR R4 Bundle of type transaction, as JSON. It identifies the patient.
    pub bundle: String,
    /// How many resources it has.
    pub resources: usize,
    /// What could not be mapped.
    pub notes: Vec<Note>,
}

/// Maps a document.
///
/// # Errors
/// [`CcdaError::NotCcda`] where it tells of no patient or of more than one.
pub fn map(document: &Document, options: &Options) -> Result<Mapped, CcdaError> {
    let mut context = context::Context::new(document, options);
    header::patient(&mut context)?;
    header::people(&mut context);
    section::all(&mut context);
    header::finish(&mut context, &options.original);
    leftover::note(&mut context);
    Ok(context.finish())
}
