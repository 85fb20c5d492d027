//! A query, understood.

use crate::{
    parameters::{Kind, ParameterId},
    value::{Target, date::Span},
};

/// How a value compares (R4 section 3.1.1.4.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are FHIR's")]
pub enum Prefix {
    Eq,
    Ne,
    Gt,
    Lt,
    Ge,
    Le,
    Sa,
    Eb,
    Ap,
}

/// A range of numbers, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Window {
    /// The least.
    pub low: f64,
    /// The most.
    pub high: f64,
}

/// What one value of a resource must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// A token: a system of none is any, an empty one is no system.
    Token {
        /// The system.
        system: Option<String>,
        /// The code.
        code: Option<String>,
    },
    /// A token whose text for people has this in it, folded.
    Label(String),
    /// A text that begins with this, folded.
    Starts(String),
    /// A text that has this in it, folded.
    Contains(String),
    /// A text that is this, as written.
    Exact(String),
    /// A time.
    Date(Prefix, Span),
    /// A number, or a quantity in one of the units of this system and code.
    Amount {
        /// How it compares.
        prefix: Prefix,
        /// With what.
        window: Window,
        /// The unit's system; none for any.
        system: Option<String>,
        /// The unit's code or text; none for any.
        unit: Option<String>,
    },
    /// A reference to one of these.
    Reference(Vec<Target>),
    /// A URI that is this.
    Uri(String),
    /// A URI below this one.
    Below(String),
    /// A URI above this one.
    Above(String),
    /// Components under one root.
    Composite(Vec<Test>),
    /// A place within so many kilometres.
    Near {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// How far.
        kilometres: f64,
    },
}

/// One condition of a query; all must hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Clause {
    /// One of the tests holds for a value of the parameter; or, negated, none does for any.
    Value {
        /// The parameter.
        parameter: ParameterId,
        /// The tests.
        tests: Vec<Test>,
        /// `:not`.
        negated: bool,
        /// Whether the tests are of references' identifiers.
        identifier: bool,
    },
    /// The parameter has no value, or has one.
    Missing {
        /// The parameter.
        parameter: ParameterId,
        /// `true` for no value.
        missing: bool,
    },
    /// The id is one of these.
    Id(Vec<String>),
    /// The last change was then.
    LastUpdated(Vec<(Prefix, Span)>),
    /// The parameter refers to a resource that one of these queries finds.
    Chain {
        /// The reference.
        parameter: ParameterId,
        /// What it leads to, by type.
        targets: Vec<Query>,
    },
    /// Some resource that the query finds refers to this one.
    Has {
        /// The reference, of the other resource.
        parameter: ParameterId,
        /// The other resource.
        query: Box<Query>,
    },
    /// It belongs to the compartment of the Patient of this id.
    Compartment(String),
    /// Nothing matches.
    Nothing,
}

/// What is sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortBy {
    /// The id.
    Id,
    /// The last change.
    LastUpdated,
    /// A parameter.
    Parameter(ParameterId),
}

/// An order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    /// By what.
    pub by: SortBy,
    /// From the greatest down.
    pub descending: bool,
}

/// A query over one resource type.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The type.
    pub kind: Kind,
    /// What must hold.
    pub clauses: Vec<Clause>,
    /// The order; by age where there is none.
    pub sort: Vec<Sort>,
}

/// `_include` or `_revinclude`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Include {
    /// The type of the resource that refers.
    pub source: Kind,
    /// Its reference; none for all.
    pub parameter: Option<ParameterId>,
    /// The type of what is referred to; none for any.
    pub target: Option<Kind>,
    /// Also from what was included.
    pub iterate: bool,
    /// `_revinclude`: from what is referred to, to what refers.
    pub reverse: bool,
}
