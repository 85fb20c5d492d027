//! C-CDA documents in. A patient whom any identifier of a document names is the patient who is known under it.

use super::{Ingest, Report};
use crate::{
    ClinicalError,
    source::{Limits, translate_document},
};

impl Ingest {
    /// Takes a document in: all that is made of it, or nothing.
    ///
    /// # Errors
    /// [`ClinicalError::Ccda`] where it cannot be read; else as [`Ingest::ingest_submission`].
    pub fn ingest_ccda(&self, source_name: &str, bytes: &[u8]) -> Result<Report, ClinicalError> {
        let known = |id: &str| self.knows_patient(id);
        self.ingest_submission(&translate_document(source_name, bytes, &Limits::default(), &known)?)
    }
}
