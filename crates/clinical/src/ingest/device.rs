//! Readings of members' devices in, through the gate as all records.

use super::{Checked, Deletion, Ingest, Inner, Outcome, Report, Work, take::check};
use crate::{
    ClinicalError,
    fhir::element::{resource_type, text},
    source::{Limits, Submission, Upload, translate_readings},
};
use bxp_fhir_store::{Parameters, Writer};
use bxp_types::SubjectId;

impl Ingest {
    /// Takes an upload of readings of the Patient of id `patient` in: all of it, or nothing.
    ///
    /// # Errors
    /// [`ClinicalError::Readings`] where it cannot be taken, [`ClinicalError::UnknownPatientId`]; else as
    /// [`Ingest::ingest_submission`].
    pub fn ingest_readings(&self, patient: &str, bytes: &[u8]) -> Result<Report, ClinicalError> {
        self.subject_of(patient)?;
        let tables = &self.0.tables;
        let name = |domain: &str, parts: &[&str]| {
            let mut bytes = Vec::new();
            for part in parts {
                // With its length before it no part runs into the next.
                bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
                bytes.extend_from_slice(part.as_bytes());
            }
            hex::encode(&tables.fingerprint(&format!("device {domain}"), &bytes)[..16])
        };
        let upload = Upload { patient, now_ms: self.now_ms(), name: &name };
        let mut submission = translate_readings(bytes, &Limits::default(), &upload)?;
        let mut checked = check(&self.0, &submission.entries);
        self.transact(|session| {
            forget_known_provenance(session.store(), &mut submission, &mut checked)?;
            let checked = Checked::new(&self.0, &submission.entries, checked);
            const NONE: &[Deletion] = &[];
            let work = Work { submission: &submission, checked, deletions: NONE, whole: true };
            let (report, outcomes) = session.take(work)?;
            match outcomes.into_iter().find_map(refusal) {
                Some(reason) => Err(ClinicalError::RefusedReadings(reason)),
                None => Ok(report),
            }
        })
    }
}

/// What validation or the gate said first.
fn refusal(outcome: Outcome) -> Option<String> {
    match outcome {
        Outcome::Refused(refusal) if refusal.reason != super::REFUSED_WITH_OTHERS => {
            Some(format!("{}: {}", refusal.resource_type.unwrap_or("resource"), refusal.reason))
        }
        _ => None,
    }
}

/// The Provenance of an upload tells when it came first. It is the only resource of an upload that says when it arrived, so
/// one that is here already is left as it is.
fn forget_known_provenance<T>(
    store: &Writer,
    submission: &mut Submission,
    checked: &mut Vec<T>,
) -> Result<(), ClinicalError> {
    let Some(kind) = Parameters::r4().kind("Provenance") else { return Ok(()) };
    let mut kept = Vec::with_capacity(checked.len());
    for entry in &submission.entries {
        let resource = entry.resource.expose();
        let id = text(resource, "id").filter(|_| resource_type(resource) == Some("Provenance"));
        let known = match id {
            Some(id) => store.current(kind, id)?.is_some(),
            None => false,
        };
        kept.push(!known);
    }
    let mut flags = kept.iter();
    submission.entries.retain(|_| flags.next().copied().unwrap_or(true));
    let mut flags = kept.iter();
    checked.retain(|_| flags.next().copied().unwrap_or(true));
    Ok(())
}

impl Inner {
    /// The subject of a Patient that was handed in under this id, and is known.
    pub(crate) fn subject_named(&self, patient: &str) -> Result<Option<SubjectId>, ClinicalError> {
        let name = self.tables.address_fingerprint("Patient", patient);
        let Some(named) = self.tables.named(&name)? else { return Ok(None) };
        Ok(self.tables.patient(&named.logical)?.map(|patient| patient.subject))
    }
}
