//! From a submission to one atomic batch.

use super::{
    Inner, Report,
    names::{EntryNames, Names},
    seal::Taken,
    subjects::{SubjectPlan, Subjects, Whose},
    tables::{Fingerprint, Named, Version},
};
use crate::{
    ClinicalError,
    compartment::ReferenceIndex,
    fhir::CivilDay,
    source::{Entry, Refusal, Submission},
    validate::validate,
};
use bxp_storage::{Batch, Durability};
use bxp_types::RecordId;
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
pub(super) struct Checked {
    content: Fingerprint,
    names: EntryNames,
    warnings: usize,
}

impl Inner {
    /// Validates all entries at once.
    pub(super) fn check(&self, entries: &[Entry]) -> Vec<Result<Checked, Refusal>> {
        let check = |entry: &Entry| {
            let resource = entry.resource.expose();
            let validation = validate(resource, self.config.validation);
            let refuse = |reason: String| Refusal {
                position: entry.position,
                resource_type: validation.resource_type,
                reason,
            };
            if !validation.accepted() {
                let reason = validation.first_error().map(ToString::to_string).unwrap_or_default();
                return Err(refuse(reason));
            }
            let bytes = sonic_rs::to_vec(resource).map_err(|_| refuse("it cannot be encoded".to_owned()))?;
            if bytes.len() > RESOURCE_BYTES_MAX {
                return Err(refuse(format!(
                    "larger than {RESOURCE_BYTES_MAX} bytes; move attachments to Binary resources"
                )));
            }
            let content = self.tables.fingerprint("content", &bytes);
            let names = EntryNames::new(&self.tables, entry, &content);
            Ok(Checked { content, names, warnings: validation.issues.len() })
        };
        entries.par_iter().map(check).collect()
    }

    /// Finds out what is taken, and takes it.
    pub(super) fn take(
        &self,
        submission: &Submission,
        checked: Vec<Result<Checked, Refusal>>,
        refused: &mut Vec<Refusal>,
        report: &mut Report,
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
            let (Ok(one), Some(named)) = (&one, &own[at]) else {
                refused.extend(one.err());
                continue;
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
                continue;
            }
            if seen.insert(named.logical, one.content).is_some() {
                refused.push(refusal("another version of it stands in the same submission".to_owned()));
                continue;
            }
            report.warnings += one.warnings as u64;
            taken.push(Taken { at, named: named.clone(), content: one.content, whose, earlier });
        }
        let patients = subjects.patients;
        self.write(entries, &names, taken, patients, refused, report)
    }

    /// Why a resource of this patient cannot be taken here.
    fn obstacle(&self, whose: Whose, patients: &[SubjectPlan]) -> Option<String> {
        let here = self.vault.home();
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
    fn write(
        &self,
        entries: &[Entry],
        names: &Names<'_>,
        taken: Vec<Taken>,
        mut patients: Vec<SubjectPlan>,
        refused: &mut Vec<Refusal>,
        report: &mut Report,
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
        let sealed = self.seal_all(entries, names, &taken, whose);
        let mut batch = self.store.batch();
        let mut records: Vec<SealedRecord> = Vec::with_capacity(taken.len());
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
            records.push(sealed.record);
        }
        if records.is_empty() {
            return Ok(());
        }
        names.stage(&mut batch)?;
        for (plan, _) in patients.iter().zip(&used).filter(|(_, used)| **used) {
            self.tables.put_patient(&mut batch, &plan.logical, &plan.patient)?;
        }
        self.vault.stage(&mut batch, &records)?;
        let listed: Vec<_> = records.iter().map(|record| record.entry.clone()).collect();
        for chunk in listed.chunks(RECORDS_PER_BATCH) {
            let merkle = MerkleBatch::new(chunk)?;
            self.vault.stage_batch(&mut batch, &merkle)?;
            report.roots.push(merkle.root());
        }
        let ids: Vec<RecordId> = listed.iter().map(|entry| entry.record_id).collect();
        for recipient in &self.recipients {
            for chunk in ids.chunks(RECORDS_PER_HANDOVER) {
                let number = self.next_outgoing.fetch_add(1, Ordering::Relaxed);
                self.tables.put_outgoing(&mut batch, recipient.validator, number, chunk);
            }
        }
        batch.commit(Durability::Synced)?;
        self.work.send_modify(|tick| *tick = tick.wrapping_add(1));
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
