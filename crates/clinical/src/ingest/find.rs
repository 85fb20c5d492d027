//! Finding records by the names that their submitter gave them.

use super::{
    Ingest,
    names::own_names,
    tables::{Fingerprint, Version},
};
use crate::{ClinicalError, fhir::definitions::Definitions, fhir::element::resource_type, source::Entry};
use bxp_types::RecordId;

/// The newest version of a resource that this node took in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its record.
    pub record: RecordId,
    /// Its number, counted from 1.
    pub version: u32,
}

/// What is here of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundEntry {
    /// The newest version.
    pub found: Found,
    /// Whether its content is the entry's.
    pub equal: bool,
}

impl Ingest {
    /// The resource that was handed in as `kind/id`.
    ///
    /// # Errors
    /// [`ClinicalError::Storage`], [`ClinicalError::Damaged`].
    pub fn find(&self, kind: &str, id: &str) -> Result<Option<Found>, ClinicalError> {
        let name = self.0.tables.address_fingerprint(kind, id);
        Ok(self.version_of(&[name], kind)?.map(|version| found(&version)))
    }

    /// The resource of which `entry` is a version, by any of its names.
    ///
    /// # Errors
    /// [`ClinicalError::Storage`], [`ClinicalError::Damaged`].
    pub fn find_entry(&self, entry: &Entry) -> Result<Option<FoundEntry>, ClinicalError> {
        let resource = entry.resource.expose();
        let kind = resource_type(resource).and_then(|kind| Definitions::r4().resource_name(kind));
        let (Some(kind), Ok(text)) = (kind, entry.text()) else { return Ok(None) };
        let content = self.0.tables.fingerprint("content", text.expose().as_bytes());
        let version = self.version_of(&own_names(&self.0.tables, entry, &content), kind)?;
        Ok(version.map(|version| FoundEntry { found: found(&version), equal: version.content == content }))
    }

    fn version_of(&self, names: &[Fingerprint], kind: &str) -> Result<Option<Version>, ClinicalError> {
        for name in names {
            match self.0.tables.named(name)? {
                Some(named) if named.kind == kind => return self.0.tables.version(&named.logical),
                _ => {}
            }
        }
        Ok(None)
    }
}

fn found(version: &Version) -> Found {
    Found { record: version.record, version: version.number }
}
