//! A submission: resources that are taken together or not at all.

use bxp_types::Phi;
use sonic_rs::Value;
use std::{fmt, sync::Arc};

/// Bounds on what is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of one file after decompression.
    pub bytes_max: u64,
    /// The most nested arrays and objects.
    pub depth_max: usize,
    /// The most resources of one submission.
    pub resources_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes_max: 1 << 30, depth_max: 64, resources_max: 250_000 }
    }
}

/// Where a resource stood in what was handed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Position {
    /// The whole file is one resource.
    Whole,
    /// `Bundle.entry`, counted from 0.
    Entry(usize),
    /// A line, counted from 1.
    Line(usize),
    /// An HL7 v2 message of a file, counted from 1.
    Message(usize),
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("the resource"),
            Self::Entry(index) => write!(f, "entry {index}"),
            Self::Line(line) => write!(f, "line {line}"),
            Self::Message(number) => write!(f, "message {number}"),
        }
    }
}

/// A place in a file, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, or another name that the submitter knows.
    pub source_name: String,
    /// Line and column, counted from 1.
    pub line_column: Option<(usize, usize)>,
    /// The entry or line of a resource.
    pub position: Option<Position>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source_name)?;
        match (self.line_column, self.position) {
            (Some((line, column)), _) => write!(f, " line {line} column {column}"),
            (None, Some(position)) => write!(f, " {position}"),
            (None, None) => Ok(()),
        }
    }
}

/// A resource as it was handed in. Even its original id may identify the patient.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Where it stood.
    pub position: Position,
    /// `Bundle.entry.fullUrl`.
    pub full_url: Option<Phi<String>>,
    /// The resource. Another one makes another entry: the text is of this one.
    pub resource: Phi<Value>,
    /// What the serialiser writes of the resource, where it is known.
    text: Option<Phi<Arc<str>>>,
}

impl Entry {
    /// A resource of which only the tree is known.
    #[must_use]
    pub const fn new(position: Position, full_url: Option<Phi<String>>, resource: Phi<Value>) -> Self {
        Self { position, full_url, resource, text: None }
    }

    /// The entry with its resource's text, which must be what the serialiser writes of it.
    pub(crate) fn with_text(self, text: Arc<str>) -> Self {
        Self { text: Some(Phi::new(text)), ..self }
    }

    /// What the serialiser writes of the resource, where that is known already.
    pub(crate) fn known_text(&self) -> Option<&str> {
        self.text.as_ref().map(|text| &**text.expose())
    }

    /// What the serialiser writes of the resource: JSON without spaces.
    ///
    /// # Errors
    /// Where the resource cannot be encoded, which none is that was parsed.
    pub(crate) fn text(&self) -> Result<Phi<Arc<str>>, sonic_rs::Error> {
        match &self.text {
            Some(text) => Ok(text.clone()),
            None => Ok(Phi::new(sonic_rs::to_string(self.resource.expose())?.into())),
        }
    }
}

/// An entry that is not taken, and why; the others of its submission go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Where it stood.
    pub position: Position,
    /// Its type, if it is one of R4.
    pub resource_type: Option<&'static str>,
    /// Why, without any value from it.
    pub reason: String,
}

/// What is ingested in one atomic step.
#[derive(Clone, Debug)]
pub struct Submission {
    /// The file, or another name that the submitter knows.
    pub source_name: String,
    /// Bytes of JSON.
    pub bytes: u64,
    /// The resources, in order.
    pub entries: Vec<Entry>,
    /// What could not be taken before validation: entries that delete, or have no resource.
    pub refused: Vec<Refusal>,
    /// What of another format (HL7 v2, C-CDA) was not translated: the field or path, and why.
    pub unmapped: Vec<(String, &'static str)>,
}
