//! The gate: the one way by which resources are written, for `$ingest`, feeds and FHIR REST alike.
//!
//! A caller's work is done by itself, in a session that sees everything before it and no one beside it: it can look things up
//! in the working copy, and what it takes in stands on what it saw. Many sessions are synced together.

use super::{
    Ingest, Inner, Report,
    take::{CheckedEntry, check},
};
use crate::{
    ClinicalError,
    source::{Refusal, Submission},
};
use bxp_fhir_store::{Kind, Writer};

/// A submission's entries after all checks that need no look at what is there.
pub struct Checked(pub(super) Vec<Result<CheckedEntry, Refusal>>);

impl std::fmt::Debug for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Checked").field(&self.0.len()).finish()
    }
}

/// A resource to be deleted: its history stays.
#[derive(Clone, Debug)]
pub struct Deletion {
    /// Its type.
    pub kind: Kind,
    /// Its id.
    pub id: String,
}

/// What is done in one atomic step.
#[derive(Debug)]
pub struct Work<'a> {
    /// What is taken in.
    pub submission: &'a Submission,
    /// Its checks.
    pub checked: Checked,
    /// What is deleted, after that.
    pub deletions: &'a [Deletion],
    /// All of it, or nothing: one refusal refuses everything.
    pub whole: bool,
}

/// Why an entry is refused with which nothing is wrong.
pub const REFUSED_WITH_OTHERS: &str = "another entry of its transaction was refused";

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored, as this version.
    Stored {
        /// Its id in the working copy.
        id: String,
        /// Its version, from 1; 0 where no working copy is kept.
        version: i64,
        /// When, in milliseconds since the epoch.
        updated_ms: i64,
        /// It was not here before.
        created: bool,
    },
    /// It was here with the same content.
    Same {
        /// Its id in the working copy.
        id: String,
    },
    /// It was refused.
    Refused(Refusal),
}

/// A turn at the gate.
pub struct Session<'a> {
    inner: &'a Inner,
    writer: &'a mut Writer,
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").finish_non_exhaustive()
    }
}

impl Session<'_> {
    /// The working copy, with everything that was taken in before.
    #[must_use]
    pub fn store(&self) -> &Writer {
        self.writer
    }

    /// Does the work. The outcomes are those of the entries, in their order.
    ///
    /// # Errors
    /// Where the node itself fails; then nothing of it is there.
    pub fn take(&mut self, work: Work<'_>) -> Result<(Report, Vec<Outcome>), ClinicalError> {
        self.inner.take(work, Some(self.writer))
    }
}

impl Ingest {
    /// Checks all entries, on all cores.
    #[must_use]
    pub fn check(&self, submission: &Submission) -> Checked {
        Checked(check(&self.0, &submission.entries))
    }

    /// Gives `job` a turn at the gate. When this returns what the job gave, all of its work is on disk; when the job fails,
    /// none of it is there.
    ///
    /// # Errors
    /// Those of the job; [`ClinicalError::Group`] where the disk failed; [`ClinicalError::Damaged`] without a working copy.
    pub fn transact<T, E: From<ClinicalError>>(
        &self,
        job: impl FnOnce(&mut Session<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let Some(working) = self.0.working.get() else {
            return Err(ClinicalError::Damaged("the working copy: this node keeps none").into());
        };
        working.turn(&self.0, |writer| job(&mut Session { inner: &self.0, writer }))
    }
}
