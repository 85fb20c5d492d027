//! The tables beside the vault's: which original id has which pseudonym, whose account a patient has, what is current.
//!
//! Keys are fingerprints under the node's own key, or random pseudonyms; values are sealed. Nothing here tells an
//! original identifier to who reads the disk.

use crate::ClinicalError;
use bxp_enclave::Enclave;
use bxp_storage::{Batch, Store, Table};
use bxp_types::{Address, Jurisdiction, RecordId, SubjectId, ValidatorIndex};
use std::collections::BTreeSet;

/// HMAC of an original name or content.
pub(crate) type Fingerprint = [u8; 32];

/// The random pseudonym of a FHIR resource over all its versions: the id that it has on the de-identified side.
pub(crate) type LogicalId = [u8; 16];

/// In place of a content's fingerprint: the resource is deleted. No content has it, so that the same one may come again.
pub(crate) const DELETED: Fingerprint = [0; 32];

/// A resource that some name leads to. It may not have been handed in yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) logical: LogicalId,
    pub(crate) kind: &'static str,
}

/// The newest version of a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) record: RecordId,
    pub(crate) content: Fingerprint,
    pub(crate) subject: SubjectId,
    pub(crate) number: u32,
}

/// What is kept of a patient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patient {
    pub(crate) subject: SubjectId,
    pub(crate) account: Address,
    pub(crate) home: Jurisdiction,
}

#[derive(Debug)]
pub(crate) struct Tables {
    enclave: Enclave,
    /// Fingerprint of a name -> sealed [`Named`].
    names: Table,
    /// Logical id -> sealed [`Version`].
    versions: Table,
    /// Logical id of a Patient -> sealed [`Patient`].
    patients: Table,
    /// Subject -> logical id of the Patient.
    subjects: Table,
    /// Subject || logical id -> record id of the newest version; nothing where the resource is deleted.
    charts: Table,
    /// Record id -> logical id of the resource of which it is a version.
    of_record: Table,
    /// Validator (u16 BE) || number (u64 BE) -> record ids that the validator has not acknowledged yet.
    outbox: Table,
}

const DAMAGED: ClinicalError = ClinicalError::Damaged("a row of the clinical tables");

impl Tables {
    pub(crate) fn open(store: &Store, enclave: Enclave) -> Result<Self, ClinicalError> {
        Ok(Self {
            enclave,
            names: store.table("clinical.names")?,
            versions: store.table("clinical.versions")?,
            patients: store.table("clinical.patients")?,
            subjects: store.table("clinical.subjects")?,
            charts: store.table("clinical.charts")?,
            of_record: store.table("clinical.of-record")?,
            outbox: store.table("clinical.outbox")?,
        })
    }

    /// The fingerprint of a name or content.
    pub(crate) fn fingerprint(&self, domain: &str, bytes: &[u8]) -> Fingerprint {
        self.enclave.fingerprint(&[domain.as_bytes(), &[0], bytes].concat())
    }

    /// The fingerprint of the name that the address `kind/id` is.
    pub(crate) fn address_fingerprint(&self, kind: &str, id: &str) -> Fingerprint {
        self.fingerprint("name", format!("{kind}/{id}").as_bytes())
    }

    fn seal(&self, table: &str, key: &[u8], value: &[u8]) -> Result<Vec<u8>, ClinicalError> {
        Ok(self.enclave.seal_at_rest(value, &[table.as_bytes(), &[0], key].concat())?)
    }

    fn read(&self, table: &Table, name: &str, key: &[u8]) -> Result<Option<Vec<u8>>, ClinicalError> {
        let Some(sealed) = table.get(key)? else { return Ok(None) };
        Ok(Some(self.enclave.open_at_rest(&sealed, &[name.as_bytes(), &[0], key].concat())?))
    }

    pub(crate) fn named(&self, name: &Fingerprint) -> Result<Option<Named>, ClinicalError> {
        let Some(row) = self.read(&self.names, "names", name)? else { return Ok(None) };
        let (logical, kind) = row.split_first_chunk::<16>().ok_or(DAMAGED)?;
        let kind = std::str::from_utf8(kind).ok().and_then(known_kind).ok_or(DAMAGED)?;
        Ok(Some(Named { logical: *logical, kind }))
    }

    pub(crate) fn put_name(
        &self,
        batch: &mut Batch,
        name: &Fingerprint,
        to: &Named,
    ) -> Result<(), ClinicalError> {
        let value = [to.logical.as_slice(), to.kind.as_bytes()].concat();
        batch.put(&self.names, name, self.seal("names", name, &value)?);
        Ok(())
    }

    pub(crate) fn version(&self, logical: &LogicalId) -> Result<Option<Version>, ClinicalError> {
        let Some(row) = self.read(&self.versions, "versions", logical)? else { return Ok(None) };
        let row: &[u8; 68] = row.as_slice().try_into().map_err(|_| DAMAGED)?;
        Ok(Some(Version {
            record: RecordId(take(row, 0)),
            content: take(row, 16),
            subject: SubjectId(take(row, 48)),
            number: u32::from_be_bytes(take(row, 64)),
        }))
    }

    /// Notes the newest version of a resource and its place in its patient's chart.
    pub(crate) fn put_version(
        &self,
        batch: &mut Batch,
        logical: &LogicalId,
        version: &Version,
    ) -> Result<(), ClinicalError> {
        let parts: [&[u8]; 4] =
            [&version.record.0, &version.content, &version.subject.0, &version.number.to_be_bytes()];
        batch.put(&self.versions, logical, self.seal("versions", logical, &parts.concat())?);
        batch.put(&self.charts, [version.subject.0, *logical].concat(), version.record.0);
        Ok(())
    }

    /// Takes a resource out of its patient's chart; that it was there is kept, for who erases the patient.
    pub(crate) fn put_deleted(&self, batch: &mut Batch, subject: SubjectId, logical: &LogicalId) {
        batch.put(&self.charts, [subject.0, *logical].concat(), []);
    }

    /// Takes a resource out of the chart in which an earlier version of it stood.
    pub(crate) fn remove_from_chart(&self, batch: &mut Batch, subject: SubjectId, logical: &LogicalId) {
        batch.remove(&self.charts, [subject.0, *logical].concat());
    }

    /// The resource of which a record is a version.
    pub(crate) fn resource_of(&self, record: RecordId) -> Result<Option<LogicalId>, ClinicalError> {
        let row = self.of_record.get(record.0)?;
        row.map(|logical| logical.as_ref().try_into().map_err(|_| DAMAGED)).transpose()
    }

    /// Whether a record is the newest version of a resource that is not deleted.
    pub(crate) fn is_current(&self, record: RecordId, logical: &LogicalId) -> Result<bool, ClinicalError> {
        let newest = self.version(logical)?;
        Ok(newest.is_some_and(|newest| newest.record == record && newest.content != DELETED))
    }

    /// Notes of which resource a record is a version.
    pub(crate) fn put_record(&self, batch: &mut Batch, record: RecordId, logical: &LogicalId) {
        batch.put(&self.of_record, record.0, logical);
    }

    /// Forgets of which resource a record is a version.
    pub(crate) fn remove_record(&self, batch: &mut Batch, record: RecordId) {
        batch.remove(&self.of_record, record.0);
    }

    pub(crate) fn patient(&self, logical: &LogicalId) -> Result<Option<Patient>, ClinicalError> {
        let Some(row) = self.read(&self.patients, "patients", logical)? else { return Ok(None) };
        let row: &[u8; 38] = row.as_slice().try_into().map_err(|_| DAMAGED)?;
        let home = take::<2>(row, 36);
        let home = std::str::from_utf8(&home).ok().and_then(|home| home.parse().ok()).ok_or(DAMAGED)?;
        Ok(Some(Patient {
            subject: SubjectId(take(row, 0)),
            account: Address::from(take::<20>(row, 16)),
            home,
        }))
    }

    pub(crate) fn put_patient(
        &self,
        batch: &mut Batch,
        logical: &LogicalId,
        patient: &Patient,
    ) -> Result<(), ClinicalError> {
        batch.put(&self.subjects, patient.subject.0, logical);
        self.put_patient_row(batch, logical, patient)
    }

    /// Removes a patient: chart, versions, account, and every name that leads to one of the chart's resources, deleted ones
    /// too. The names are fingerprints, so all of them are read.
    pub(crate) fn remove_patient(&self, batch: &mut Batch, subject: SubjectId) -> Result<(), ClinicalError> {
        let mut resources = BTreeSet::new();
        for row in self.charts.iter_prefix(subject.0) {
            let (key, _) = row?;
            let logical: &LogicalId = key.last_chunk::<16>().ok_or(DAMAGED)?;
            resources.insert(*logical);
            batch.remove(&self.charts, &*key);
            batch.remove(&self.versions, logical);
        }
        if let Some(logical) = self.subjects.get(subject.0)? {
            resources.insert(logical.as_ref().try_into().map_err(|_| DAMAGED)?);
            batch.remove(&self.patients, &*logical);
            batch.remove(&self.subjects, subject.0);
        }
        for row in self.names.iter() {
            let name: Fingerprint = row?.0.as_ref().try_into().map_err(|_| DAMAGED)?;
            if self.named(&name)?.is_some_and(|named| resources.contains(&named.logical)) {
                batch.remove(&self.names, name);
            }
        }
        Ok(())
    }

    fn put_patient_row(
        &self,
        batch: &mut Batch,
        logical: &LogicalId,
        patient: &Patient,
    ) -> Result<(), ClinicalError> {
        let parts: [&[u8]; 3] =
            [&patient.subject.0, patient.account.as_slice(), patient.home.as_str().as_bytes()];
        batch.put(&self.patients, logical, self.seal("patients", logical, &parts.concat())?);
        Ok(())
    }

    pub(crate) fn patient_of_subject(
        &self,
        subject: SubjectId,
    ) -> Result<Option<(LogicalId, Patient)>, ClinicalError> {
        let Some(logical) = self.subjects.get(subject.0)? else { return Ok(None) };
        let logical = logical.as_ref().try_into().map_err(|_| DAMAGED)?;
        Ok(self.patient(&logical)?.map(|patient| (logical, patient)))
    }

    /// The subject of the institution's own resources, which no list of patients shows.
    pub(crate) fn institution(&self, logical: &LogicalId) -> Result<Option<Patient>, ClinicalError> {
        self.patient(logical)
    }

    pub(crate) fn put_institution(
        &self,
        batch: &mut Batch,
        logical: &LogicalId,
        institution: &Patient,
    ) -> Result<(), ClinicalError> {
        self.put_patient_row(batch, logical, institution)
    }

    /// All patients, in the order of their pseudonyms.
    pub(crate) fn patients(&self) -> impl Iterator<Item = Result<Patient, ClinicalError>> + '_ {
        self.subjects.iter().filter_map(|row| {
            let read = || {
                let logical = row?.1.as_ref().try_into().map_err(|_| DAMAGED)?;
                self.patient(&logical)
            };
            read().transpose()
        })
    }

    /// The newest records of a chart.
    pub(crate) fn chart(&self, subject: SubjectId) -> Result<Vec<RecordId>, ClinicalError> {
        let rows = self.charts.iter_prefix(subject.0);
        rows.filter_map(|row| row.map_err(Into::into).and_then(|(_, record)| in_chart(&record)).transpose())
            .collect()
    }

    /// The newest record of one resource of a chart.
    pub(crate) fn chart_record(
        &self,
        subject: SubjectId,
        logical: &LogicalId,
    ) -> Result<Option<RecordId>, ClinicalError> {
        let row = self.charts.get([subject.0, *logical].concat())?;
        row.map_or(Ok(None), |record| in_chart(&record))
    }

    pub(crate) fn put_outgoing(
        &self,
        batch: &mut Batch,
        to: ValidatorIndex,
        number: u64,
        records: &[RecordId],
    ) {
        let value: Vec<u8> = records.iter().flat_map(|record| record.0).collect();
        batch.put(&self.outbox, outgoing_key(to, number), value);
    }

    pub(crate) fn remove_outgoing(&self, batch: &mut Batch, to: ValidatorIndex, number: u64) {
        batch.remove(&self.outbox, outgoing_key(to, number));
    }

    /// The oldest hand-over that `to` has not acknowledged.
    pub(crate) fn next_outgoing(
        &self,
        to: ValidatorIndex,
    ) -> Result<Option<(u64, Vec<RecordId>)>, ClinicalError> {
        let Some(row) = self.outbox.iter_prefix(to.0.to_be_bytes()).next() else { return Ok(None) };
        let (key, value) = row?;
        let number = key.last_chunk::<8>().ok_or(DAMAGED)?;
        let (records, []) = value.as_chunks::<16>() else { return Err(DAMAGED) };
        Ok(Some((u64::from_be_bytes(*number), records.iter().copied().map(RecordId).collect())))
    }

    /// How many hand-overs wait, over all nodes.
    pub(crate) fn outgoing_count(&self) -> Result<usize, ClinicalError> {
        self.outbox.iter().try_fold(0_usize, |count, row| row.map(|_| count + 1).map_err(Into::into))
    }

    /// The greatest number that any hand-over has.
    pub(crate) fn last_outgoing(&self) -> Result<Option<u64>, ClinicalError> {
        let mut last = None;
        for row in self.outbox.iter() {
            let (key, _) = row?;
            let number = key.last_chunk::<8>().ok_or(DAMAGED)?;
            last = last.max(Some(u64::from_be_bytes(*number)));
        }
        Ok(last)
    }
}

/// The record that a row of a chart names; none where the resource is deleted.
fn in_chart(row: &[u8]) -> Result<Option<RecordId>, ClinicalError> {
    if row.is_empty() {
        return Ok(None);
    }
    row.try_into().map(|record| Some(RecordId(record))).map_err(|_| DAMAGED)
}

fn outgoing_key(to: ValidatorIndex, number: u64) -> Vec<u8> {
    [to.0.to_be_bytes().as_slice(), &number.to_be_bytes()].concat()
}

/// `N` bytes of a row from `at` on; the row's length was checked, so they are there.
fn take<const N: usize>(row: &[u8], at: usize) -> [u8; N] {
    std::array::from_fn(|index| row[at + index])
}

fn known_kind(kind: &str) -> Option<&'static str> {
    crate::fhir::definitions::Definitions::r4().resource_name(kind)
}
