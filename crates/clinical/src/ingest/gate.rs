//! The gate: the one way by which resources are written, for `$ingest`, feeds and FHIR REST alike.
//!
//! A caller's work is done by itself, in a session that sees everything before it and no one beside it: it can look things up
//! in the working copy, and what it takes in stands on what it saw. Work that asks the working copy for nothing needs no
//! session: it stands on the vault's tables alone, so that it is named while the working copy is given the work before it
//! (ADR 101). Many are synced together.

use super::{
    Ingest, Inner, Report,
    names::{EntryNames, Referred},
    take::{CheckedEntry, check},
    working::WorkingCopy,
};
use crate::{
    ClinicalError,
    compartment::ReferenceIndex,
    source::{Entry, Refusal, Submission},
};
use bxp_fhir_store::{Kind, Writer};

/// A submission's entries after all checks that need no look at what is there.
pub struct Checked {
    pub(super) entries: Vec<Result<CheckedEntry, Refusal>>,
    /// Where references between the entries lead.
    pub(super) index: ReferenceIndex,
    /// What the accepted entries refer to.
    pub(super) referred: Referred,
}

impl Checked {
    /// Of `entries`, with what was found out of each.
    pub(super) fn new(inner: &Inner, entries: &[Entry], checked: Vec<Result<CheckedEntry, Refusal>>) -> Self {
        let accepted = entries.iter().zip(&checked);
        let accepted: Vec<(&Entry, &EntryNames)> =
            accepted.filter_map(|(entry, checked)| Some((entry, &checked.as_ref().ok()?.names))).collect();
        let (index, referred) = (ReferenceIndex::new(entries), Referred::new(&inner.tables, &accepted));
        Self { entries: checked, index, referred }
    }
}

impl std::fmt::Debug for Checked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checked").field("entries", &self.entries.len()).finish_non_exhaustive()
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
        let (mut passage, staged) = self.inner.stage(work)?;
        if let Some(staged) = staged {
            staged.write(&mut passage, self.writer, || {})?;
        }
        Ok(passage.end())
    }
}

impl Ingest {
    /// Checks all entries, on all cores.
    #[must_use]
    pub fn check(&self, submission: &Submission) -> Checked {
        Checked::new(&self.0, &submission.entries, check(&self.0, &submission.entries))
    }

    /// Does work that asks the working copy for nothing: what comes next is named, split and sealed while this is written.
    /// `then` is given the working copy, the report and the outcomes, which are those of the entries in their order. When this
    /// returns what `then` gave, all of the work is on disk.
    ///
    /// # Errors
    /// As [`Ingest::transact`].
    pub fn take<T, E: From<ClinicalError>>(
        &self,
        work: Work<'_>,
        then: impl FnOnce(&Writer, Report, Vec<Outcome>) -> Result<T, E>,
    ) -> Result<T, E> {
        let inner = &*self.0;
        self.working()?.pass(
            inner,
            || inner.stage(work).map_err(E::from),
            |writer, (mut passage, staged), named| {
                if let Some(staged) = staged {
                    staged.write(&mut passage, writer, || drop(named))?;
                }
                let (report, outcomes) = passage.end();
                then(writer, report, outcomes)
            },
        )
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
        self.working()?.turn(&self.0, |writer| job(&mut Session { inner: &self.0, writer }))
    }

    fn working(&self) -> Result<&WorkingCopy, ClinicalError> {
        self.0.working.get().ok_or(ClinicalError::Damaged("the working copy: this node keeps none"))
    }
}
