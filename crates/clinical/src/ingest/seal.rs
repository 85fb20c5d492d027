//! Splitting and sealing, on all cores.

use super::{
    Inner,
    names::Names,
    subjects::Whose,
    tables::{Fingerprint, Named, Patient, Version},
};
use crate::{ClinicalError, fhir::CivilDay};
use bxp_privacy::{Removed, SplitContext, split_text};
use bxp_types::Phi;
use bxp_vault::{NewRecord, SealedRecord};
use rayon::prelude::*;
use std::sync::Arc;

/// An entry that is taken.
pub(super) struct Taken {
    /// Its number in the submission.
    pub(super) at: usize,
    pub(super) named: Named,
    /// Its text, which is split.
    pub(super) text: Phi<Arc<str>>,
    pub(super) content: Fingerprint,
    pub(super) whose: Whose,
    /// The version that was here before.
    pub(super) earlier: Option<Version>,
}

/// A sealed record and what was taken off its de-identified side.
pub(super) struct Sealed {
    pub(super) record: SealedRecord,
    pub(super) removed: Removed,
}

impl Inner {
    /// Seals all; an inner error is the reason why that one resource is refused.
    pub(super) fn seal_all(
        &self,
        names: &Names<'_>,
        taken: &[Taken],
        whose: impl Fn(Whose) -> Patient + Sync,
    ) -> Vec<Result<Result<Sealed, String>, ClinicalError>> {
        let (now_year, _, _) = CivilDay::of_time_ms(self.clock.now_ms()).civil();
        let seal = |one: &Taken| {
            let context = SplitContext { mapping: &|literal| names.pseudonym(literal), now_year };
            let parts = match split_text(one.text.expose(), &context) {
                Ok(parts) => parts,
                Err(error) => return Ok(Err(error.to_string())),
            };
            let patient = whose(one.whose);
            let record = self.vault.seal_record(&NewRecord {
                subject: patient.subject,
                patient: patient.account,
                home: patient.home,
                identity: Phi::new(parts.identity.into_exposed().into_bytes().into()),
                deidentified: parts.deidentified.into(),
            })?;
            Ok(Ok(Sealed { record, removed: parts.removed }))
        };
        taken.par_iter().map(seal).collect()
    }
}
