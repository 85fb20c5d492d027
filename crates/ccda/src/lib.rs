//! C-CDA documents (HL7 CDA R2 with the templates of Consolidated CDA) as a hospital hands them over, made into FHIR R4.
//!
//! [`Document::parse`] reads the XML within bounds, [`patient_candidates`] tells whom it is about, and [`map`](fn@map) makes a
//! FHIR transaction Bundle of it after HL7's C-CDA on FHIR guide. The whole document goes along in a DocumentReference, so
//! that narrative, sections and elements without a place in FHIR are not lost; these are named by path.
//!
//! It refuses to know sockets, disks, clocks and stores. Whatever it is given is hostile: everything is bounded, there are
//! no document types and no entities but XML's own five, nothing panics, and no error or note repeats a value.

mod element;
mod error;
mod map;
mod xml;

pub use error::CcdaError;
pub use map::{Mapped, Note, Options, map, patient_candidates};
pub use xml::{Document, Limits, looks_like};
