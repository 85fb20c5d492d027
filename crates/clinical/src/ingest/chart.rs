//! Charts: the newest records of each patient, for matching and showing.

use super::Ingest;
use crate::ClinicalError;
use bxp_privacy::{Permit, Remainder, join};
use bxp_types::{Address, Jurisdiction, Phi, RecordId, SubjectId};
use sonic_rs::Value;

/// A patient whose records this node took in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChartPatient {
    /// The pseudonym.
    pub subject: SubjectId,
    /// The account that is paid when the chart is used.
    pub account: Address,
    /// The country of residence.
    pub home: Jurisdiction,
}

impl Ingest {
    /// The patients whose records this node took in, in the order of their pseudonyms.
    pub fn patients(&self) -> impl Iterator<Item = Result<ChartPatient, ClinicalError>> + '_ {
        self.0.tables.patients().map(|patient| {
            let patient = patient?;
            Ok(ChartPatient { subject: patient.subject, account: patient.account, home: patient.home })
        })
    }

    /// A patient whose records this node took in.
    ///
    /// # Errors
    /// [`ClinicalError::Storage`], [`ClinicalError::Damaged`].
    pub fn patient(&self, subject: SubjectId) -> Result<Option<ChartPatient>, ClinicalError> {
        let found = self.0.tables.patient_of_subject(subject)?;
        Ok(found.map(|(_, patient)| ChartPatient { subject, account: patient.account, home: patient.home }))
    }

    /// The newest record of each resource in a patient's chart.
    ///
    /// # Errors
    /// [`ClinicalError::Storage`], [`ClinicalError::Damaged`].
    pub fn chart(&self, subject: SubjectId) -> Result<Vec<RecordId>, ClinicalError> {
        self.0.tables.chart(subject)
    }

    /// The newest record of a patient's own Patient resource; none where it is not here or is erased.
    ///
    /// # Errors
    /// [`ClinicalError::Storage`], [`ClinicalError::Damaged`].
    pub fn patient_record(&self, subject: SubjectId) -> Result<Option<RecordId>, ClinicalError> {
        let Some((logical, _)) = self.0.tables.patient_of_subject(subject)? else { return Ok(None) };
        let Some(record) = self.0.tables.chart_record(subject, &logical)? else { return Ok(None) };
        Ok(self.0.vault.entry(record)?.map(|entry| entry.record_id))
    }

    /// The whole resources of a chart, as they were handed in, with their records. Erased records are left out.
    ///
    /// # Errors
    /// [`ClinicalError::Vault`] when the permit does not open the identity side; [`ClinicalError::Join`].
    pub fn open_chart(
        &self,
        subject: SubjectId,
        permit: &Permit,
    ) -> Result<Vec<(RecordId, Phi<Value>)>, ClinicalError> {
        let mut chart = Vec::new();
        for record in self.chart(subject)? {
            if self.0.vault.entry(record)?.is_some() {
                chart.push((record, whole(&self.0.vault, record, permit)?));
            }
        }
        Ok(chart)
    }
}

/// Both sides of a record put together.
pub(crate) fn whole(
    vault: &bxp_vault::Vault,
    record: RecordId,
    permit: &Permit,
) -> Result<Phi<Value>, ClinicalError> {
    let identity = vault.open_identity(record, permit)?;
    let rest = vault.open_deidentified(record, permit)?;
    let rest: Value =
        sonic_rs::from_slice(&rest).map_err(|_| ClinicalError::Damaged("a de-identified side"))?;
    Ok(Phi::new(join(&Remainder::from_bytes(identity.expose())?, &rest)?))
}
