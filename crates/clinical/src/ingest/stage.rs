//! From what is taken to one batch, and the batch into the vault's tables and the working copy.

use super::{
    Deletion, Inner, Outcome, Report,
    beside::both,
    names::Names,
    redo::Noted,
    seal::{Sealed, Taken},
    subjects::{SubjectPlan, Whose},
    tables::{DELETED, Version},
    take::{Passage, own_id},
};
use crate::{ClinicalError, source::Refusal};
use bxp_fhir_store::{NewVersion, Parameters, Prepared, Writer};
use bxp_storage::{Batch, Durability};
use bxp_types::RecordId;
use bxp_vault::{MerkleBatch, SealedRecord, Sealing};
use std::sync::atomic::Ordering;

/// The most records of one hand-over: manifest and blocks then fit one portion of the network.
const RECORDS_PER_HANDOVER: usize = 512;

/// The most records under one root; a whole number of hand-overs, each of which reads the batch's tree once.
const RECORDS_PER_BATCH: usize = 8 * RECORDS_PER_HANDOVER;

/// What the working copy will have of the entry with this number.
type Written = (usize, Noted);

/// All that a submission changes, ready to be written.
pub(super) struct Staged<'a> {
    batch: Batch,
    /// Until the commit no erasure may exchange the keys that these records are wrapped under.
    sealing: Sealing<'a>,
    written: Vec<Written>,
    deleted: Vec<Noted>,
    /// The number of the note for the working copy, where there is one.
    number: Option<u64>,
}

impl Staged<'_> {
    /// Writes what is staged into the vault's tables, and says so by `kept`; beside that into the working copy. Neither is
    /// there for good before the group is synced, the vault's tables first.
    pub(super) fn write(
        self,
        passage: &mut Passage<'_>,
        writer: &mut Writer,
        kept: impl FnOnce(),
    ) -> Result<(), ClinicalError> {
        let Staged { batch, sealing, written, deleted, number } = self;
        let Passage { outcomes, prepared, .. } = passage;
        let copy = || write_whole(writer, &written, &deleted, prepared, outcomes);
        let keep = || {
            let committed = batch.commit(Durability::Buffered);
            drop(sealing);
            kept();
            committed
        };
        let (copied, committed) = both(written.len(), copy, keep).map_err(|error| {
            ClinicalError::Group(format!("the system gives no thread to write with: {error}"))
        })?;
        committed?;
        copied?;
        if let Some(number) = number {
            writer.set_applied(number)?;
        }
        Ok(())
    }
}

impl Inner {
    /// Seals what is taken and makes the batch; none where there is nothing to write.
    pub(super) fn seal_taken<'a>(
        &'a self,
        passage: &mut Passage<'_>,
        names: &Names<'_>,
        taken: &[Taken],
        mut patients: Vec<SubjectPlan>,
    ) -> Result<Option<Staged<'a>>, ClinicalError> {
        let used = self.open_accounts(&mut patients, taken, &mut passage.report)?;
        let whose = |whose: Whose| match whose {
            Whose::Patient(number) => patients[number].patient,
            _ => self.institution,
        };
        let sealing = self.vault.sealing();
        let subjects: Vec<_> = taken.iter().map(|one| whose(one.whose).subject).collect();
        self.vault.ensure_patients(&subjects)?;
        let sealed = self.seal_all(names, taken, whose);
        let mut batch = self.store.batch();
        let updated_ms = i64::try_from(self.clock.now_ms()).unwrap_or(i64::MAX);
        let (records, written) = self.stage_versions(&mut batch, passage, taken, sealed, updated_ms)?;
        if passage.is_refused() {
            passage.forget();
            return Ok(None);
        }
        if records.is_empty() && passage.deletions.is_empty() {
            return Ok(None);
        }
        names.stage(&mut batch)?;
        for (plan, _) in patients.iter().zip(&used).filter(|(_, used)| **used) {
            self.tables.put_patient(&mut batch, &plan.logical, &plan.patient)?;
        }
        self.stage_records(&mut batch, &records, &sealing, &mut passage.report)?;
        let mut noted: Vec<Noted> = written.iter().map(|(_, noted)| noted.clone()).collect();
        for deletion in passage.deletions {
            noted.push(self.stage_deletion(&mut batch, deletion, updated_ms)?);
        }
        let number = match self.working.get() {
            Some(working) => Some(working.redo.note(&mut batch, &noted)?),
            None => None,
        };
        let deleted = noted.split_off(written.len());
        Ok(Some(Staged { batch, sealing, written, deleted, number }))
    }

    /// Writes what is staged into the vault's tables, where no working copy is kept.
    pub(super) fn keep(&self, staged: Staged<'_>) -> Result<(), ClinicalError> {
        staged.batch.commit(Durability::Synced)?;
        self.work.send_modify(|tick| *tick = tick.wrapping_add(1));
        Ok(())
    }

    /// Stages the versions of what could be sealed; the rest is refused.
    fn stage_versions(
        &self,
        batch: &mut Batch,
        passage: &mut Passage<'_>,
        taken: &[Taken],
        sealed: Vec<Result<Result<Sealed, String>, ClinicalError>>,
        updated_ms: i64,
    ) -> Result<(Vec<SealedRecord>, Vec<Written>), ClinicalError> {
        let mut records = Vec::with_capacity(taken.len());
        let mut written = Vec::with_capacity(taken.len());
        for (one, sealed) in taken.iter().zip(sealed) {
            let source = &passage.submission.entries[one.at];
            let sealed = match sealed? {
                Ok(sealed) => sealed,
                Err(reason) => {
                    let (position, resource_type) = (source.position, Some(one.named.kind));
                    passage.refused.push(Refusal { position, resource_type, reason });
                    continue;
                }
            };
            self.stage_version(batch, one, &sealed.record, &mut passage.report)?;
            sealed.removed.iter().for_each(|(kind, count)| {
                *passage.report.identifiers.entry(format!("{kind:?}")).or_default() += u64::from(count);
            });
            let id = self.stored_id(source, &one.named);
            if own_id(source).is_none() {
                // By the id that it has here it is read, changed and deleted from now on.
                let name = self.tables.address_fingerprint(one.named.kind, &id);
                self.tables.put_name(batch, &name, &one.named)?;
            }
            let entry = &sealed.record.entry;
            let noted = Noted {
                kind: one.named.kind.to_owned(),
                id,
                updated_ms,
                record: Some(entry.record_id.0),
                subject: entry.subject.0,
            };
            written.push((one.at, noted));
            records.push(sealed.record);
        }
        Ok((records, written))
    }

    /// Stages sealed records with their Merkle batches and hand-overs.
    fn stage_records(
        &self,
        batch: &mut Batch,
        records: &[SealedRecord],
        sealing: &Sealing<'_>,
        report: &mut Report,
    ) -> Result<(), ClinicalError> {
        let listed: Vec<_> = records.iter().map(|record| record.entry.clone()).collect();
        let merkles: Vec<_> =
            listed.chunks(RECORDS_PER_BATCH).map(MerkleBatch::new).collect::<Result<_, _>>()?;
        self.vault.stage_batched(batch, records, &merkles, sealing)?;
        report.roots.extend(merkles.iter().map(MerkleBatch::root));
        let ids: Vec<RecordId> = listed.iter().map(|entry| entry.record_id).collect();
        for &other in &self.others {
            for chunk in ids.chunks(RECORDS_PER_HANDOVER) {
                let number = self.next_outgoing.fetch_add(1, Ordering::Relaxed);
                self.tables.put_outgoing(batch, other, number, chunk);
            }
        }
        Ok(())
    }

    /// Takes a resource out of its patient's chart. Its records stay: a deletion is no erasure.
    fn stage_deletion(
        &self,
        batch: &mut Batch,
        deletion: &Deletion,
        updated_ms: i64,
    ) -> Result<Noted, ClinicalError> {
        let kind = Parameters::r4().name(deletion.kind);
        let name = self.tables.address_fingerprint(kind, &deletion.id);
        let named = self.tables.named(&name)?;
        let version = match &named {
            Some(named) => self.tables.version(&named.logical)?.map(|version| (named.logical, version)),
            None => None,
        };
        let subject = match version {
            None => self.institution.subject,
            Some((logical, version)) => {
                let number = version.number.saturating_add(1);
                let deleted = Version { content: DELETED, number, ..version };
                self.tables.put_version(batch, &logical, &deleted)?;
                self.tables.put_deleted(batch, version.subject, &logical);
                version.subject
            }
        };
        let (kind, id) = (kind.to_owned(), deletion.id.clone());
        Ok(Noted { kind, id, updated_ms, record: None, subject: subject.0 })
    }

    /// Gives each new patient, of whom anything is taken, an account in custody. Tells of whom anything is taken.
    fn open_accounts(
        &self,
        patients: &mut [SubjectPlan],
        taken: &[Taken],
        report: &mut Report,
    ) -> Result<Vec<bool>, ClinicalError> {
        let mut used = vec![false; patients.len()];
        for one in taken {
            if let Whose::Patient(number) = one.whose {
                used[number] = true;
            }
        }
        let new = patients.iter_mut().zip(&used).filter(|(plan, used)| plan.new && **used);
        let new: Vec<&mut SubjectPlan> = new.map(|(plan, _)| plan).collect();
        if new.is_empty() {
            return Ok(used);
        }
        let accounts = self.enclave.new_accounts(new.len())?;
        for (plan, account) in new.into_iter().zip(accounts) {
            plan.patient.account = account;
            report.patients_new += 1;
            report.countries_defaulted += u64::from(plan.defaulted);
        }
        Ok(used)
    }

    fn stage_version(
        &self,
        batch: &mut Batch,
        one: &Taken,
        record: &SealedRecord,
        report: &mut Report,
    ) -> Result<(), ClinicalError> {
        let subject = record.entry.subject;
        if let Some(earlier) = one.earlier.filter(|earlier| earlier.subject != subject) {
            self.tables.remove_from_chart(batch, earlier.subject, &one.named.logical);
        }
        let number = one.earlier.map_or(1, |earlier| earlier.number.saturating_add(1));
        let version = Version { record: record.entry.record_id, content: one.content, subject, number };
        self.tables.put_version(batch, &one.named.logical, &version)?;
        self.tables.put_record(batch, version.record, &one.named.logical);
        *(if one.earlier.is_some() { &mut report.changed } else { &mut report.new }) += 1;
        *report.by_type.entry(one.named.kind).or_default() += 1;
        Ok(())
    }
}

/// Writes into the working copy what the vault takes.
fn write_whole(
    writer: &mut Writer,
    written: &[(usize, Noted)],
    deleted: &[Noted],
    prepared: &mut [Option<Prepared>],
    outcomes: &mut [Option<Outcome>],
) -> Result<(), ClinicalError> {
    let kind = |noted: &Noted| {
        let kind = Parameters::r4().kind(&noted.kind);
        kind.ok_or(ClinicalError::Damaged("the table of resource types"))
    };
    for (at, noted) in written {
        const UNPREPARED: ClinicalError =
            ClinicalError::Damaged("a submission: it was checked without a working copy");
        let content = prepared[*at].take().ok_or(UNPREPARED)?;
        let new = NewVersion {
            kind: kind(noted)?,
            id: &noted.id,
            updated_ms: noted.updated_ms,
            record: noted.record,
            subject: noted.subject,
            content: Some(&content),
        };
        let put = writer.put(&new)?;
        outcomes[*at] = Some(Outcome::Stored {
            id: noted.id.clone(),
            version: put.version,
            updated_ms: put.updated_ms,
            created: put.created,
        });
    }
    for noted in deleted {
        let (kind, id, updated_ms) = (kind(noted)?, noted.id.as_str(), noted.updated_ms);
        let (record, subject, content) = (None, noted.subject, None);
        writer.put(&NewVersion { kind, id, updated_ms, record, subject, content })?;
    }
    Ok(())
}
