//! Credentials of members' devices: each opens the way in for readings of one patient, for a term, until it is revoked or
//! the patient is erased. The token itself is shown once and kept nowhere: a row stands under its keyed fingerprint.

use super::Ingest;
use crate::ClinicalError;
use bxp_enclave::Enclave;
use bxp_fhir_store::extract::is_id;
use bxp_storage::{Batch, Durability, Store, Table};
use bxp_types::{Secret, SubjectId};
use serde::{Deserialize, Serialize};

/// With which each token begins, so that it is told from others.
pub const DEVICE_TOKEN_PREFIX: &str = "bxpd_";
/// The most credentials of one patient: more than a household has devices.
const CREDENTIALS_MAX: usize = 16;
/// The longest term in days: a device that nobody renews in a year is not in use.
pub const DEVICE_TERM_DAYS_MAX: u64 = 366;
const DAY_MS: u64 = 24 * 3_600 * 1_000;
const LABEL_CHARACTERS_MAX: usize = 64;

const DAMAGED: ClinicalError = ClinicalError::Damaged("a credential of a device");

/// A credential, without its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceCredential {
    /// Its id, for revoking it.
    pub id: String,
    /// What the patient calls the device.
    pub label: String,
    /// When it was issued, in milliseconds since the epoch.
    pub issued_ms: u64,
    /// From when on it opens nothing, in milliseconds since the epoch.
    pub expires_ms: u64,
}

/// A new credential with its token.
#[derive(Debug)]
pub struct IssuedCredential {
    /// What is kept.
    pub credential: DeviceCredential,
    /// What the device shows; it cannot be told again.
    pub token: Secret<String>,
}

/// A credential as it lies on disk.
#[derive(Serialize, Deserialize)]
struct Row {
    credential: DeviceCredential,
    subject: [u8; 16],
    patient: String,
}

#[derive(Debug)]
pub(crate) struct Credentials {
    enclave: Enclave,
    store: Store,
    /// Fingerprint of a token -> sealed [`Row`].
    rows: Table,
    /// Subject || fingerprint of a token -> nothing.
    of_subject: Table,
}

impl Credentials {
    pub(super) fn open(store: &Store, enclave: Enclave) -> Result<Self, ClinicalError> {
        let rows = store.table("clinical.device-credentials")?;
        let of_subject = store.table("clinical.device-credentials-of")?;
        Ok(Self { enclave, store: store.clone(), rows, of_subject })
    }

    fn print(&self, token: &[u8]) -> [u8; 32] {
        self.enclave.fingerprint(&[b"device credential\0".as_slice(), token].concat())
    }

    fn read(&self, print: &[u8]) -> Result<Option<Row>, ClinicalError> {
        let Some(sealed) = self.rows.get(print)? else { return Ok(None) };
        let opened = self.enclave.open_at_rest(&sealed, &context(print))?;
        serde_json::from_slice(&opened).map(Some).map_err(|_| DAMAGED)
    }

    fn put(&self, print: &[u8; 32], row: &Row) -> Result<(), ClinicalError> {
        let text = serde_json::to_vec(row).map_err(|_| DAMAGED)?;
        let mut batch = self.store.batch();
        batch.put(&self.rows, print, self.enclave.seal_at_rest(&text, &context(print))?);
        batch.put(&self.of_subject, [row.subject.as_slice(), print].concat(), []);
        Ok(batch.commit(Durability::Synced)?)
    }

    /// The fingerprints of a patient's tokens.
    fn prints(&self, subject: SubjectId) -> Result<Vec<Vec<u8>>, ClinicalError> {
        let rows = self.of_subject.iter_prefix(subject.0);
        rows.map(|row| Ok(row?.0.get(16..).ok_or(DAMAGED)?.to_vec())).collect()
    }

    fn remove(&self, batch: &mut Batch, subject: SubjectId, print: &[u8]) {
        batch.remove(&self.rows, print);
        batch.remove(&self.of_subject, [subject.0.as_slice(), print].concat());
    }

    /// Removes all of a patient's credentials with `batch`.
    pub(crate) fn remove_all(&self, batch: &mut Batch, subject: SubjectId) -> Result<(), ClinicalError> {
        for print in self.prints(subject)? {
            self.remove(batch, subject, &print);
        }
        Ok(())
    }
}

fn context(print: &[u8]) -> Vec<u8> {
    [b"device credential/".as_slice(), print].concat()
}

impl Ingest {
    /// Issues a credential by which a device hands in readings of the Patient of id `patient`.
    ///
    /// # Errors
    /// [`ClinicalError::UnknownPatientId`], [`ClinicalError::TooManyCredentials`], [`ClinicalError::Readings`] for a label
    /// or a term that cannot be.
    pub fn issue_device_credential(
        &self,
        patient: &str,
        label: &str,
        term_days: u64,
    ) -> Result<IssuedCredential, ClinicalError> {
        let wrong = |place: &str, what| ClinicalError::Readings { place: place.to_owned(), what };
        if label.chars().count() > LABEL_CHARACTERS_MAX || label.chars().any(char::is_control) {
            return Err(wrong("label", "must have at most 64 characters, none of control"));
        }
        if !(1..=DEVICE_TERM_DAYS_MAX).contains(&term_days) {
            return Err(wrong("days", "must be a number from 1 to 366"));
        }
        // The number of credentials is counted and raised by one at a time, and none is issued to who is being erased.
        let _writing = self.0.writing.lock();
        let subject = self.subject_of(patient)?;
        let now_ms = self.now_ms();
        let mut current = 0;
        for print in self.0.credentials.prints(subject)? {
            let row = self.0.credentials.read(&print)?;
            current += usize::from(row.is_some_and(|row| row.credential.expires_ms > now_ms));
        }
        if current >= CREDENTIALS_MAX {
            return Err(ClinicalError::TooManyCredentials(CREDENTIALS_MAX));
        }
        let token = format!("{DEVICE_TOKEN_PREFIX}{}", hex::encode(rand::random::<[u8; 32]>()));
        let credential = DeviceCredential {
            id: hex::encode(rand::random::<[u8; 8]>()),
            label: label.to_owned(),
            issued_ms: now_ms,
            expires_ms: now_ms.saturating_add(term_days * DAY_MS),
        };
        let row = Row { credential: credential.clone(), subject: subject.0, patient: patient.to_owned() };
        self.0.credentials.put(&self.0.credentials.print(token.as_bytes()), &row)?;
        Ok(IssuedCredential { credential, token: Secret::new(token) })
    }

    /// The credentials of a patient's devices, oldest first; those that have ended too.
    ///
    /// # Errors
    /// [`ClinicalError::UnknownPatientId`].
    pub fn device_credentials(&self, patient: &str) -> Result<Vec<DeviceCredential>, ClinicalError> {
        let credentials = &self.0.credentials;
        let mut all = Vec::new();
        for print in credentials.prints(self.subject_of(patient)?)? {
            all.extend(credentials.read(&print)?.map(|row| row.credential));
        }
        all.sort_by(|a, b| (a.issued_ms, &a.id).cmp(&(b.issued_ms, &b.id)));
        Ok(all)
    }

    /// Revokes a credential: it opens nothing when this returns. Tells whether there was one.
    ///
    /// # Errors
    /// [`ClinicalError::UnknownPatientId`].
    pub fn revoke_device_credential(&self, patient: &str, id: &str) -> Result<bool, ClinicalError> {
        let (credentials, subject) = (&self.0.credentials, self.subject_of(patient)?);
        for print in credentials.prints(subject)? {
            if credentials.read(&print)?.is_some_and(|row| row.credential.id == id) {
                let mut batch = credentials.store.batch();
                credentials.remove(&mut batch, subject, &print);
                batch.commit(Durability::Synced)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The id of the Patient for whom a token opens the way in now; none for every other text.
    ///
    /// # Errors
    /// [`ClinicalError::Storage`], [`ClinicalError::Enclave`], [`ClinicalError::Damaged`].
    pub fn patient_of_device(&self, token: &[u8]) -> Result<Option<String>, ClinicalError> {
        let row = self.0.credentials.read(&self.0.credentials.print(token))?;
        Ok(row.filter(|row| row.credential.expires_ms > self.now_ms()).map(|row| row.patient))
    }

    /// The subject of the Patient of an id.
    pub(super) fn subject_of(&self, patient: &str) -> Result<SubjectId, ClinicalError> {
        let unknown = || ClinicalError::UnknownPatientId;
        if !is_id(patient) {
            return Err(unknown());
        }
        self.0.subject_named(patient)?.ok_or_else(unknown)
    }
}
