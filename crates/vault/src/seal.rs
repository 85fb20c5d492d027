//! Sealing a record: CPU only, so that any number of threads can do it at once.

use crate::{RecordEntry, Vault, VaultError, envelope, error::enclave};
use alloy_primitives::Address;
use bxp_enclave::{DataKey, EnclaveError};
use bxp_types::{BlockClass, Bytes, Jurisdiction, Phi, RecordId, SealedBlock, SubjectId};

/// One version of one FHIR resource, already taken apart.
#[derive(Clone, Debug)]
pub struct NewRecord {
    /// The patient's pseudonym at this node.
    pub subject: SubjectId,
    /// The patient's account.
    pub patient: Address,
    /// The patient's country of residence.
    pub home: Jurisdiction,
    /// The identity side.
    pub identity: Phi<Bytes>,
    /// The de-identified side.
    pub deidentified: Bytes,
}

/// A sealed record, ready for [`Vault::stage`].
#[derive(Clone, Debug)]
pub struct SealedRecord {
    /// What ties the parts together.
    pub entry: RecordEntry,
    /// The sealed identity side.
    pub identity: SealedBlock,
    /// The sealed de-identified side.
    pub deidentified: SealedBlock,
    /// The identity block's key, wrapped under the patient's key.
    pub(crate) identity_key: Vec<u8>,
    /// The de-identified block's key, wrapped under the patient's key.
    pub(crate) deidentified_key: Vec<u8>,
}

impl Vault {
    /// Seals both sides of a record under fresh keys. Nothing is stored but the key of a patient who has none, for which
    /// [`Vault::ensure_patients`] is better asked before.
    ///
    /// # Errors
    /// [`VaultError::ForeignRecord`] when the patient lives in another country: the identity side would have to be
    /// kept there, so a node there takes the record in. [`VaultError::TooLarge`], [`VaultError::Enclave`].
    pub fn seal_record(&self, record: &NewRecord) -> Result<SealedRecord, VaultError> {
        if record.home != self.home || self.country() != Some(record.home) {
            let here = self.country().unwrap_or(self.home);
            return Err(VaultError::ForeignRecord { home: record.home, here });
        }
        let identity_class = BlockClass::Identity(record.home);
        let (identity, identity_key) =
            envelope::seal(&self.enclave, identity_class, record.identity.expose())?;
        let (deidentified, deidentified_key) =
            envelope::seal(&self.enclave, BlockClass::Deidentified, &record.deidentified)?;
        let entry = RecordEntry {
            record_id: RecordId(rand::random()),
            subject: record.subject,
            patient: record.patient,
            home: record.home,
            holder: self.me,
            identity_cid: identity.cid,
            deidentified_cid: deidentified.cid,
            identity_digest: envelope::digest(&identity_key, identity_class, record.identity.expose()),
            deidentified_digest: envelope::digest(
                &deidentified_key,
                BlockClass::Deidentified,
                &record.deidentified,
            ),
        };
        let (identity_name, deidentified_name) = (identity.cid.to_bytes(), deidentified.cid.to_bytes());
        let keys = [(&identity_key, identity_name.as_slice()), (&deidentified_key, &deidentified_name)];
        let [identity_key, deidentified_key] = self.wrap_new_keys(record.subject, keys)?;
        Ok(SealedRecord { identity_key, deidentified_key, entry, identity, deidentified })
    }

    /// Wraps the keys of a new record under its patient's key, which is made if there is none.
    fn wrap_new_keys(
        &self,
        subject: SubjectId,
        keys: [(&DataKey, &[u8]); 2],
    ) -> Result<[Vec<u8>; 2], VaultError> {
        match self.enclave.wrap_keys(&subject.0, keys) {
            Err(EnclaveError::NoPatientKey) => {
                self.ensure_patients(&[subject])?;
                self.enclave.wrap_keys(&subject.0, keys)
            }
            wrapped => wrapped,
        }
        .map_err(enclave("wrap data keys"))
    }
}
