//! From a submission to one atomic batch.

use super::{
    Deletion, Inner, Outcome, REFUSED_WITH_OTHERS, Report, Work,
    beside::both,
    names::{EntryNames, Names},
    redo::Noted,
    seal::Taken,
    subjects::{SubjectPlan, Subjects, Whose},
    tables::{Fingerprint, Named, Version},
};
use crate::{
    ClinicalError,
    compartment::ReferenceIndex,
    fhir::{CivilDay, element::text},
    source::{Entry, Refusal, Submission},
    validate::{Severity, validate, validate_profiles},
};
use bxp_fhir_store::{NewVersion, Parameters, Prepared, Writer, extract::is_id};
use bxp_storage::{Batch, Durability};
use bxp_types::{Phi, RecordId};
use bxp_vault::{MerkleBatch, SealedRecord};
use rayon::prelude::*;
use std::{collections::HashMap, sync::atomic::Ordering};

/// The most records of one hand-over: manifest and blocks then fit one portion of the network.
const RECORDS_PER_HANDOVER: usize = 512;

/// The most records under one root; a whole number of hand-overs, each of which reads the batch's tree once.
const RECORDS_PER_BATCH: usize = 8 * RECORDS_PER_HANDOVER;

/// The largest resource in bytes of JSON: both its sealed sides then fit one portion of the network.
const RESOURCE_BYTES_MAX: usize = 7 << 20;

/// An entry that passed validation, with the fingerprint of its content and of its names.
pub(super) struct CheckedEntry {
    /// The resource, without spaces.
    text: Phi<String>,
    content: Fingerprint,
    names: EntryNames,
    warnings: usize,
    /// What the working copy will have of it.
    prepared: Option<Prepared>,
}

/// Validates all entries at once.
pub(super) fn check(inner: &Inner, entries: &[Entry]) -> Vec<Result<CheckedEntry, Refusal>> {
    let keeps_whole = inner.working.get().is_some();
    let check = |entry: &Entry| {
        let resource = entry.resource.expose();
        let mut validation = validate(resource, inner.config.validation);
        if validation.accepted() {
            validation.issues.extend(validate_profiles(resource, &[], inner.config.profiles));
        }
        let refuse = |reason: String| Refusal {
            position: entry.position,
            resource_type: validation.resource_type,
            reason,
        };
        if !validation.accepted() {
            let reason = validation.first_error().map(ToString::to_string).unwrap_or_default();
            return Err(refuse(reason));
        }
        let warnings = validation.issues.iter().filter(|issue| issue.severity >= Severity::Warning).count();
        let text = sonic_rs::to_string(resource).map_err(|_| refuse("it cannot be encoded".to_owned()))?;
        if text.len() > RESOURCE_BYTES_MAX {
            return Err(refuse(format!(
                "larger than {RESOURCE_BYTES_MAX} bytes; move attachments to Binary resources"
            )));
        }
        let content = inner.tables.fingerprint("content", text.as_bytes());
        let names = EntryNames::new(&inner.tables, entry, &content);
        let kind = validation.resource_type.and_then(|name| Parameters::r4().kind(name));
        let prepared = match kind.filter(|_| keeps_whole) {
            None => None,
            Some(kind) => {
                let prepared = Prepared::of_text(kind, resource, &text);
                Some(prepared.map_err(|error| refuse(error.to_string()))?)
            }
        };
        Ok(CheckedEntry { text: Phi::new(text), content, names, warnings, prepared })
    };
    entries.par_iter().map(check).collect()
}

/// What stands by an entry until it is written.
struct Standing {
    outcomes: Vec<Option<Outcome>>,
    prepared: Vec<Option<Prepared>>,
}

impl Inner {
    /// Takes a submission in and deletes, in one batch. Tells what became of each entry.
    pub(super) fn take(
        &self,
        work: Work<'_>,
        writer: Option<&mut Writer>,
    ) -> Result<(Report, Vec<Outcome>), ClinicalError> {
        let Work { submission, checked, deletions, whole } = work;
        let mut report = Report {
            submissions: 1,
            bytes: submission.bytes,
            resources: (submission.entries.len() + submission.refused.len()) as u64,
            ..Report::default()
        };
        let mut refused = submission.refused.clone();
        let mut checked = checked.0;
        let prepared =
            checked.iter_mut().map(|one| one.as_mut().ok().and_then(|one| one.prepared.take())).collect();
        let mut standing = Standing { outcomes: vec![None; submission.entries.len()], prepared };
        self.take_entries(
            submission,
            checked,
            &mut refused,
            &mut report,
            &mut standing,
            (deletions, whole),
            writer,
        )?;
        for (field, what) in &submission.unmapped {
            *report.unmapped.entry(format!("{field}: {what}")).or_default() += 1;
        }
        refused.sort_by_key(|refusal| refusal.position);
        refused.iter().for_each(|refusal| report.refuse(&submission.source_name, refusal));
        metrics::counter!("clinical_resources_taken").increment(report.taken());
        metrics::counter!("clinical_resources_refused").increment(report.refused);
        let outcomes = submission.entries.iter().zip(standing.outcomes);
        let outcome = |(entry, known): (&Entry, Option<Outcome>)| {
            known.unwrap_or_else(|| {
                let refusal = refused.iter().find(|refusal| refusal.position == entry.position).cloned();
                Outcome::Refused(refusal.unwrap_or_else(|| Refusal {
                    position: entry.position,
                    resource_type: None,
                    reason: REFUSED_WITH_OTHERS.to_owned(),
                }))
            })
        };
        Ok((report, outcomes.map(outcome).collect()))
    }

    /// Finds out what is taken, and takes it.
    #[allow(clippy::too_many_arguments, reason = "the halves of one step")]
    fn take_entries(
        &self,
        submission: &Submission,
        checked: Vec<Result<CheckedEntry, Refusal>>,
        refused: &mut Vec<Refusal>,
        report: &mut Report,
        standing: &mut Standing,
        (deletions, whole): (&[Deletion], bool),
        writer: Option<&mut Writer>,
    ) -> Result<(), ClinicalError> {
        let entries = &submission.entries;
        let accepted: Vec<_> = entries
            .iter()
            .zip(&checked)
            .filter_map(|(entry, checked)| Some((entry, &checked.as_ref().ok()?.names)))
            .collect();
        let (names, named) = Names::resolve(&self.tables, &accepted)?;
        let mut named = named.into_iter();
        let own: Vec<Option<Named>> =
            checked.iter().map(|one| one.as_ref().ok().and_then(|_| named.next())).collect();
        let index = ReferenceIndex::new(entries);
        let today = CivilDay::of_time_ms(self.clock.now_ms());
        let homes = (self.config.default_jurisdiction, today);
        let mut subjects = Subjects::new(&self.tables, &names, entries, &own, &index, homes);
        let mut taken = Vec::new();
        let mut seen: HashMap<_, Fingerprint> = HashMap::new();
        for (at, one) in checked.into_iter().enumerate() {
            let (one, named) = match (one, &own[at]) {
                (Ok(one), Some(named)) => (one, named),
                (one, _) => {
                    refused.extend(one.err());
                    continue;
                }
            };
            let refusal = |reason: String| Refusal {
                position: entries[at].position,
                resource_type: Some(named.kind),
                reason,
            };
            let whose = subjects.whose(at)?;
            if let Some(reason) = self.obstacle(whose, &subjects.patients) {
                refused.push(refusal(reason));
                continue;
            }
            let earlier = self.tables.version(&named.logical)?;
            let same = earlier.filter(|version| version.content == one.content);
            let erased = match same {
                Some(version) => self.vault.entry(version.record)?.is_none(),
                None => false,
            };
            let same_content = seen
                .get(&named.logical)
                .or(earlier.as_ref().filter(|_| !erased).map(|version| &version.content));
            if same_content == Some(&one.content) {
                report.duplicates += 1;
                standing.outcomes[at] = Some(Outcome::Same { id: self.stored_id(&entries[at], named) });
                continue;
            }
            if seen.insert(named.logical, one.content).is_some() {
                refused.push(refusal("another version of it stands in the same submission".to_owned()));
                continue;
            }
            report.warnings += one.warnings as u64;
            let (named, CheckedEntry { text, content, .. }) = (named.clone(), one);
            taken.push(Taken { at, named, text, content, whose, earlier });
        }
        if whole && !refused.is_empty() {
            return Ok(());
        }
        let patients = subjects.patients;
        self.write(entries, &names, taken, patients, refused, report, standing, (deletions, whole), writer)
    }

    /// The id of an entry in the working copy: the submitter's, or one that follows from the pseudonym under the node's key
    /// and does not tell it, because the pseudonym stands on the de-identified side (45 CFR 164.514(c)).
    fn stored_id(&self, entry: &Entry, named: &Named) -> String {
        match text(entry.resource.expose(), "id").filter(|id| is_id(id)) {
            Some(id) => id.to_owned(),
            None => hex::encode(&self.tables.fingerprint("fhir id", &named.logical)[..16]),
        }
    }

    /// Why a resource of this patient cannot be taken here.
    fn obstacle(&self, whose: Whose, patients: &[SubjectPlan]) -> Option<String> {
        let here = self.vault.home();
        if self.vault.country() != Some(here) {
            return Some(format!(
                "this node has left {here}; restart it to take records in where it stands now"
            ));
        }
        match whose {
            Whose::Institution => None,
            Whose::Patient(number) => {
                let home = patients[number].patient.home;
                (home != here).then(|| {
                    format!("its patient lives in {home}: a node in {home} takes it in, this one is in {here} (row A12)")
                })
            }
            Whose::Unknown => Some(
                "its patient is neither in the submission nor known here; hand in the Patient first"
                    .to_owned(),
            ),
            Whose::RefusedPatient => Some("its Patient was refused".to_owned()),
        }
    }

    /// Seals what is taken and writes everything in one batch.
    #[allow(clippy::too_many_arguments, reason = "the halves of one step")]
    fn write(
        &self,
        entries: &[Entry],
        names: &Names<'_>,
        taken: Vec<Taken>,
        mut patients: Vec<SubjectPlan>,
        refused: &mut Vec<Refusal>,
        report: &mut Report,
        standing: &mut Standing,
        (deletions, whole): (&[Deletion], bool),
        writer: Option<&mut Writer>,
    ) -> Result<(), ClinicalError> {
        let used = self.open_accounts(&mut patients, &taken, report)?;
        let whose = |whose: Whose| match whose {
            Whose::Patient(number) => patients[number].patient,
            _ => self.institution,
        };
        // Until the commit no erasure may exchange the keys that these records are wrapped under.
        let _sealing = self.vault.sealing();
        let subjects: Vec<_> = taken.iter().map(|one| whose(one.whose).subject).collect();
        self.vault.ensure_patients(&subjects)?;
        let sealed = self.seal_all(names, &taken, whose);
        let mut batch = self.store.batch();
        let mut records: Vec<SealedRecord> = Vec::with_capacity(taken.len());
        let mut written: Vec<(usize, Noted)> = Vec::with_capacity(taken.len());
        let updated_ms = i64::try_from(self.clock.now_ms()).unwrap_or(i64::MAX);
        for (one, sealed) in taken.iter().zip(sealed) {
            let sealed = match sealed? {
                Ok(sealed) => sealed,
                Err(reason) => {
                    let position = entries[one.at].position;
                    refused.push(Refusal { position, resource_type: Some(one.named.kind), reason });
                    continue;
                }
            };
            self.stage_version(&mut batch, one, &sealed.record, report)?;
            sealed.removed.iter().for_each(|(kind, count)| {
                *report.identifiers.entry(format!("{kind:?}")).or_default() += u64::from(count);
            });
            let entry = &sealed.record.entry;
            let noted = Noted {
                kind: one.named.kind.to_owned(),
                id: self.stored_id(&entries[one.at], &one.named),
                updated_ms,
                record: Some(entry.record_id.0),
                subject: entry.subject.0,
            };
            written.push((one.at, noted));
            records.push(sealed.record);
        }
        if whole && !refused.is_empty() {
            // Nothing of the batch is written, so the report must not say so.
            *report = Report {
                submissions: 1,
                bytes: report.bytes,
                resources: report.resources,
                ..Report::default()
            };
            return Ok(());
        }
        if records.is_empty() && deletions.is_empty() {
            return Ok(());
        }
        names.stage(&mut batch)?;
        for (plan, _) in patients.iter().zip(&used).filter(|(_, used)| **used) {
            self.tables.put_patient(&mut batch, &plan.logical, &plan.patient)?;
        }
        self.stage_records(&mut batch, &records, report)?;
        let mut noted: Vec<Noted> = written.iter().map(|(_, noted)| noted.clone()).collect();
        for deletion in deletions {
            noted.push(self.stage_deletion(&mut batch, deletion, updated_ms)?);
        }
        let (Some(writer), Some(working)) = (writer, self.working.get()) else {
            batch.commit(Durability::Synced)?;
            self.work.send_modify(|tick| *tick = tick.wrapping_add(1));
            return Ok(());
        };
        let number = working.redo.note(&mut batch, &noted)?;
        let deleted = &noted[written.len()..];
        // Neither is there for good before the group is synced, the vault's tables first.
        let (kept, whole) = both(
            written.len(),
            || batch.commit(Durability::Buffered),
            || self.write_whole(writer, &written, deleted, standing),
        )
        .map_err(|error| {
            ClinicalError::Group(format!("the system gives no thread to write with: {error}"))
        })?;
        kept?;
        whole?;
        writer.set_applied(number)?;
        Ok(())
    }

    /// Stages sealed records with their Merkle batches and hand-overs.
    fn stage_records(
        &self,
        batch: &mut Batch,
        records: &[SealedRecord],
        report: &mut Report,
    ) -> Result<(), ClinicalError> {
        let listed: Vec<_> = records.iter().map(|record| record.entry.clone()).collect();
        let merkles: Vec<_> =
            listed.chunks(RECORDS_PER_BATCH).map(MerkleBatch::new).collect::<Result<_, _>>()?;
        self.vault.stage_batched(batch, records, &merkles)?;
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
        let name = self.tables.fingerprint("name", format!("{kind}/{}", deletion.id).as_bytes());
        let named = self.tables.named(&name)?;
        let version = match &named {
            Some(named) => self.tables.version(&named.logical)?.map(|version| (named.logical, version)),
            None => None,
        };
        let subject = match version {
            None => self.institution.subject,
            Some((logical, version)) => {
                // No content has this fingerprint, so that the same resource may come again.
                let deleted =
                    Version { content: [0; 32], number: version.number.saturating_add(1), ..version };
                self.tables.put_version(batch, &logical, &deleted)?;
                self.tables.remove_from_chart(batch, version.subject, &logical);
                version.subject
            }
        };
        let (kind, id) = (kind.to_owned(), deletion.id.clone());
        Ok(Noted { kind, id, updated_ms, record: None, subject: subject.0 })
    }

    /// Writes into the working copy what the vault has taken.
    fn write_whole(
        &self,
        writer: &mut Writer,
        written: &[(usize, Noted)],
        deleted: &[Noted],
        standing: &mut Standing,
    ) -> Result<(), ClinicalError> {
        let kind = |noted: &Noted| {
            let kind = Parameters::r4().kind(&noted.kind);
            kind.ok_or(ClinicalError::Damaged("the table of resource types"))
        };
        for (at, noted) in written {
            const UNPREPARED: ClinicalError =
                ClinicalError::Damaged("a submission: it was checked without a working copy");
            let content = Some(standing.prepared[*at].as_ref().ok_or(UNPREPARED)?);
            let new = NewVersion {
                kind: kind(noted)?,
                id: &noted.id,
                updated_ms: noted.updated_ms,
                record: noted.record,
                subject: noted.subject,
                content,
            };
            let put = writer.put(&new)?;
            standing.outcomes[*at] = Some(Outcome::Stored {
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
        *(if one.earlier.is_some() { &mut report.changed } else { &mut report.new }) += 1;
        *report.by_type.entry(one.named.kind).or_default() += 1;
        Ok(())
    }
}
