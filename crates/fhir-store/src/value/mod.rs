//! Values of a resource as search sees them.

pub mod date;
pub mod text;

use crate::parameters::Kind;
use date::Span;

/// A value of a search parameter, taken from a resource.
#[derive(Clone, Debug, PartialEq)]
pub enum Indexed {
    /// A code, identifier or other token. `system` is empty where there is none.
    Token {
        /// The code system or the namespace of the identifier.
        system: String,
        /// The code or value.
        code: String,
        /// Its text for people, folded; for `:text`.
        label: String,
    },
    /// A reference to a resource that may be here.
    Reference(Target),
    /// The identifier by which a reference points, for `:identifier`.
    ReferenceIdentifier {
        /// The namespace.
        system: String,
        /// The value.
        code: String,
    },
    /// A time.
    Date(Span),
    /// A number or quantity, both ends included.
    Amount(Amount),
    /// A text, as it stands.
    Text(String),
    /// A URI.
    Uri(String),
    /// A place, in degrees.
    Place {
        /// North of the equator.
        latitude: f64,
        /// East of Greenwich.
        longitude: f64,
    },
}

/// Where a reference leads.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// A resource of this server, there or not.
    Local(Kind, String),
    /// Something elsewhere, by its URL.
    Elsewhere(String),
}

/// A number or quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Amount {
    /// The least it can be.
    pub low: f64,
    /// The most it can be.
    pub high: f64,
    /// The system of its unit.
    pub system: String,
    /// The code of its unit, else the unit as it is written.
    pub unit: String,
    /// The unit as it is written.
    pub label: String,
}
