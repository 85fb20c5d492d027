//! A version as it is handed in, and what is said of it.

use crate::{
    StoreError,
    body::Body,
    extract::{Extracted, extract},
    parameters::Kind,
};
use sonic_rs::Value;

/// What was done to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Its first version.
    Create,
    /// A later version.
    Update,
    /// It was deleted.
    Delete,
}

impl Method {
    pub(crate) const fn number(self) -> i64 {
        match self {
            Self::Create => 0,
            Self::Update => 1,
            Self::Delete => 2,
        }
    }

    pub(crate) const fn numbered(number: i64) -> Self {
        match number {
            0 => Self::Create,
            1 => Self::Update,
            _ => Self::Delete,
        }
    }
}

/// A resource's text and index, made before its turn to be written comes.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub(super) body: Body,
    pub(super) extracted: Extracted,
}

impl Prepared {
    /// Takes a resource of `kind` apart for the store.
    ///
    /// # Errors
    /// [`StoreError::Unusable`].
    pub fn new(kind: Kind, resource: &Value) -> Result<Self, StoreError> {
        let text = sonic_rs::to_string(resource);
        let text = text.map_err(|_| StoreError::Unusable("a resource cannot be encoded"))?;
        Self::of_text(kind, resource, &text)
    }

    /// As [`Prepared::new`], of a resource whose `text`, without spaces, is there already.
    ///
    /// # Errors
    /// As [`Prepared::new`].
    pub fn of_text(kind: Kind, resource: &Value, text: &str) -> Result<Self, StoreError> {
        Ok(Self { body: Body::new(text)?, extracted: extract(kind, resource) })
    }
}

/// A version to be written.
#[derive(Debug)]
pub struct NewVersion<'a> {
    /// The resource's type.
    pub kind: Kind,
    /// Its id.
    pub id: &'a str,
    /// When, in milliseconds since the epoch.
    pub updated_ms: i64,
    /// The vault's record that seals this version; none for a deletion.
    pub record: Option<[u8; 16]>,
    /// Whose record it is.
    pub subject: [u8; 16],
    /// The content; none for a deletion.
    pub content: Option<&'a Prepared>,
}

/// A version that was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Put {
    /// Its number, from 1.
    pub version: i64,
    /// When, in milliseconds since the epoch.
    pub updated_ms: i64,
    /// The resource was not there before, or deleted.
    pub created: bool,
}

/// How far a store that was lost has been made again from the vault's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rebuilding {
    /// It never was.
    Never,
    /// All records below this number of arrival are here again.
    UpTo(u64),
    /// All are.
    Done,
}

/// A resource that is not deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Its number: the `after` of the next portion.
    pub number: i64,
    /// Its type.
    pub kind: Kind,
    /// Its id.
    pub id: String,
    /// The vault's record that seals its newest version.
    pub record: [u8; 16],
}

/// The newest version of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Current {
    /// Its number, from 1.
    pub version: i64,
    /// Whether it is a deletion.
    pub deleted: bool,
    pub(crate) rid: i64,
    pub(crate) seq: i64,
    pub(super) subject: [u8; 16],
}

impl Current {
    /// Whose record it is.
    #[must_use]
    pub const fn subject(&self) -> [u8; 16] {
        self.subject
    }
}
