//! HL7 v2 messages in. A patient whom any identifier of a message names is the patient who is known under it.

use super::{Ingest, Report};
use crate::{
    ClinicalError,
    source::{Limits, Translation, split_messages, translate, translate_or_refuse},
};

impl Ingest {
    /// Takes a file of messages in, one after the other. One that cannot be read is refused in the report.
    ///
    /// # Errors
    /// [`ClinicalError::Hl7v2`] where it is no file of messages; else as [`Ingest::ingest_submission`]: then the
    /// messages before were taken.
    pub fn ingest_hl7v2(&self, source_name: &str, bytes: &[u8]) -> Result<Report, ClinicalError> {
        let mut report = Report::default();
        let known = |id: &str| self.knows_patient(id);
        let with = Translation { limits: bxp_hl7v2::Limits::default(), known: &known };
        for message in split_messages(source_name, bytes)? {
            let submission = translate_or_refuse(source_name, &message, &Limits::default(), with);
            report.merge(self.ingest_submission(&submission)?);
        }
        Ok(report)
    }

    /// Takes one message in.
    ///
    /// # Errors
    /// [`ClinicalError::Hl7v2`] where it cannot be read: it never will be. Else as [`Ingest::ingest_submission`].
    pub fn ingest_message(&self, source_name: &str, bytes: &[u8]) -> Result<Report, ClinicalError> {
        let known = |id: &str| self.knows_patient(id);
        let with = Translation { limits: bxp_hl7v2::Limits::default(), known: &known };
        self.ingest_submission(&translate(source_name, bytes, &Limits::default(), with)?)
    }

    /// Whether a Patient was handed in under this id. Where the tables fail, taking in what follows fails too.
    pub(super) fn knows_patient(&self, id: &str) -> bool {
        self.find("Patient", id).is_ok_and(|found| found.is_some())
    }
}
