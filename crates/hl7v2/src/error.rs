//! What can be wrong with a message, by place and never by value.

use std::fmt;

/// A place in a message: `PID-3`, `OBX[2]-5.1`.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The segment's name.
    pub segment: String,
    /// Which one of that name, counted from 1.
    pub occurrence: usize,
    /// The field, counted from 1; 0 for the whole segment.
    pub field: usize,
    /// The component, counted from 1; 0 for the whole field.
    pub component: usize,
}

impl Place {
    /// A field of a segment.
    #[must_use]
    pub fn field(segment: &str, occurrence: usize, field: usize) -> Self {
        Self { segment: segment.to_owned(), occurrence, field, component: 0 }
    }

    /// The same place, at a component.
    #[must_use]
    pub fn at_component(mut self, component: usize) -> Self {
        self.component = component;
        self
    }

    /// The place as component ERL (error location) of an ERR segment: `PID^1^3^^1`.
    #[must_use]
    pub fn as_erl(&self) -> String {
        match (self.field, self.component) {
            (0, _) => format!("{}^{}", self.segment, self.occurrence),
            (field, 0) => format!("{}^{}^{field}", self.segment, self.occurrence),
            (field, component) => format!("{}^{}^{field}^1^{component}", self.segment, self.occurrence),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.segment)?;
        if self.occurrence > 1 {
            write!(f, "[{}]", self.occurrence)?;
        }
        if self.field > 0 {
            write!(f, "-{}", self.field)?;
        }
        if self.component > 0 {
            write!(f, ".{}", self.component)?;
        }
        Ok(())
    }
}

/// Why bytes are no message that can be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Hl7Error {
    /// Nothing there.
    #[error("the message is empty")]
    Empty,
    /// It begins with something else.
    #[error("the message does not begin with MSH")]
    NoHeader,
    /// MSH-1 or MSH-2 cannot be used.
    #[error("MSH-{field}: {what}")]
    Separators {
        /// 1 or 2.
        field: usize,
        /// What is wrong.
        what: &'static str,
    },
    /// A line that is no segment.
    #[error(
        "line {line}: no segment; a segment begins with three capital letters or digits and the separator of MSH-1"
    )]
    NoSegment {
        /// The line, counted from 1.
        line: usize,
    },
    /// Larger than is taken.
    #[error("the message is larger than {bytes_max} bytes")]
    TooLarge {
        /// The most bytes.
        bytes_max: usize,
    },
    /// More parts than are taken.
    #[error("{place}: more than {max} {what}")]
    TooMany {
        /// Where.
        place: Place,
        /// Segments, fields or repetitions.
        what: &'static str,
        /// The most.
        max: usize,
    },
    /// MSH-18 names a character set that is not read.
    #[error("MSH-18: this character set is not supported; send UNICODE UTF-8, 8859/1 to 8859/15 or ASCII")]
    CharacterSet,
    /// Bytes that are not of the character set of MSH-18.
    #[error("byte {offset} is not of the character set that MSH-18 names")]
    NotOfCharacterSet {
        /// Where, counted from 0.
        offset: usize,
    },
    /// A field that must be there.
    #[error("{0}: is required")]
    Required(Place),
    /// A version that is not 2.x.
    #[error("MSH-12: only versions 2.1 to 2.9 are taken")]
    Version,
    /// A batch whose counts do not agree.
    #[error("{place}: the batch says {said} messages and has {found}")]
    BatchCount {
        /// BTS-1 or FTS-1.
        place: Place,
        /// What it says.
        said: usize,
        /// What is there.
        found: usize,
    },
}

impl Hl7Error {
    /// The place, where the error has one.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Empty | Self::NoHeader | Self::TooLarge { .. } | Self::NotOfCharacterSet { .. } => None,
            Self::NoSegment { .. } => None,
            Self::Separators { field, .. } => Some(Place::field("MSH", 1, *field)),
            Self::TooMany { place, .. } | Self::Required(place) | Self::BatchCount { place, .. } => {
                Some(place.clone())
            }
            Self::CharacterSet => Some(Place::field("MSH", 1, 18)),
            Self::Version => Some(Place::field("MSH", 1, 12)),
        }
    }

    /// The error's code of HL7 table 0357, with its text.
    #[must_use]
    pub const fn condition(&self) -> (u16, &'static str) {
        match self {
            Self::Empty | Self::NoHeader | Self::NoSegment { .. } => (100, "Segment sequence error"),
            Self::Required(_) => (101, "Required field missing"),
            Self::Separators { .. }
            | Self::NotOfCharacterSet { .. }
            | Self::TooLarge { .. }
            | Self::TooMany { .. }
            | Self::BatchCount { .. } => (102, "Data type error"),
            Self::CharacterSet => (103, "Table value not found"),
            Self::Version => (203, "Unsupported version id"),
        }
    }
}
