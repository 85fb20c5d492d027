//! Which dead letters of HL7 v2 feeds are about a patient who is erased.

use crate::{
    ClinicalError,
    fhir::element::{items, text},
    ingest::{Inner, own_permit, whole},
};
use bxp_hl7v2::{Limits, Message, decode, patient_candidates};
use bxp_types::SubjectId;
use bxp_vault::VaultError;

/// The shortest number by which a message that nobody can read is known to be the patient's.
const NUMBER_BYTES_MIN: usize = 4;

/// What tells a patient's messages.
pub(super) struct Theirs<'a> {
    inner: &'a Inner,
    subject: SubjectId,
    /// The patient's identifiers here.
    numbers: Vec<String>,
}

impl<'a> Theirs<'a> {
    pub(super) fn of(inner: &'a Inner, subject: SubjectId) -> Result<Self, ClinicalError> {
        let mut numbers = Vec::new();
        let logical = inner.tables.patient_of_subject(subject)?.map(|(logical, _)| logical);
        let record = match logical {
            Some(logical) => inner.tables.chart_record(subject, &logical)?,
            None => None,
        };
        if let Some(record) = record.filter(|_| inner.inbox.has_letters().unwrap_or(true))
            && inner.vault.entry(record)?.is_some()
        {
            match whole(&inner.vault, record, &own_permit(inner)?) {
                Ok(patient) => {
                    let values = items(patient.expose(), "identifier").filter_map(|one| text(one, "value"));
                    numbers.extend(values.filter(|value| value.len() >= NUMBER_BYTES_MIN).map(str::to_owned));
                }
                Err(error @ ClinicalError::Vault(VaultError::Storage(_))) => return Err(error),
                // What does not open holds up no erasure.
                Err(error) => {
                    tracing::error!(%record, ?error, "letters that nobody can read are not searched for an erased patient's numbers");
                }
            }
        }
        Ok(Self { inner, subject, numbers })
    }

    /// Whether a message is about the patient: by the patients whom it names; where it cannot be read, by any of the
    /// numbers that the patient has here.
    pub(super) fn are(&self, message: &[u8]) -> Result<bool, ClinicalError> {
        let decoded = decode(message);
        let readable =
            decoded.as_ref().ok().and_then(|one| Message::parse(&one.text, &Limits::default()).ok());
        let Some(readable) = readable else {
            return Ok(self.numbers.iter().any(|number| stands_in(message, number.as_bytes())));
        };
        for id in patient_candidates(&readable) {
            if self.inner.subject_named(&id)? == Some(self.subject) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a number stands in a message by itself, and not as a part of a longer one.
fn stands_in(message: &[u8], number: &[u8]) -> bool {
    let is_end = |byte: Option<&u8>| !byte.is_some_and(u8::is_ascii_alphanumeric);
    message.windows(number.len().max(1)).enumerate().any(|(at, window)| {
        let before = at.checked_sub(1).and_then(|before| message.get(before));
        window == number && is_end(before) && is_end(message.get(at + number.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::stands_in;

    #[test]
    fn a_number_is_found_by_itself_alone() {
        assert!(stands_in(b"PID|1||70012^^^H", b"70012") && stands_in(b"70012", b"70012"));
        assert!(!stands_in(b"PID|1||170012^^^H", b"70012") && !stands_in(b"70012A", b"70012"));
        assert!(!stands_in(b"7001", b"70012") && !stands_in(b"", b"70012"));
    }
}
