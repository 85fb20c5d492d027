//! Ingest: a submission in, sealed records out, in one atomic durable step.
//!
//! Each resource is validated, its patient and country are found, its original ids get random pseudonyms, both sides
//! of its split are sealed, and records, pseudonyms, the Merkle batch and the hand-overs to other nodes reach the
//! disk together: after a crash all of a submission is there or nothing. What was handed in before with the same content
//! is recognised by a keyed fingerprint; other content makes a new version.
//!
//! A resource that cannot be taken is refused with its reason, and the others of its bundle go on, also in a
//! `transaction`: refusing a patient's whole history for one unknown type would serve nobody. Resources about a patient
//! who was refused are refused too.

mod chart;
mod find;
mod names;
mod report;
mod seal;
mod subjects;
pub(crate) mod tables;

pub use chart::ChartPatient;
pub(crate) use chart::whole;
pub use find::{Found, FoundEntry};
pub use report::{RefusedResource, Report};

use crate::{
    ClinicalError,
    compartment::ReferenceIndex,
    fhir::CivilDay,
    source::{Entry, Refusal, Submission},
    validate::{Mode, validate},
};
use bxp_enclave::Enclave;
use bxp_storage::{Durability, Store};
use bxp_types::{Genesis, Jurisdiction, RecordId, SubjectId, ValidatorIndex};
use bxp_vault::{Clock, MerkleBatch, Recipient, SealedRecord, Vault};
use names::{Names, own_names};
use parking_lot::Mutex;
use rayon::prelude::*;
use seal::Taken;
use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use subjects::{SubjectPlan, Subjects, Whose};
use tables::{Fingerprint, Named, Patient, Tables};
use tokio::sync::watch;

/// The most records of one hand-over: manifest and blocks then fit one portion of the network.
const RECORDS_PER_HANDOVER: usize = 512;

/// The largest resource in bytes of JSON: both its sealed sides then fit one portion of the network.
const RESOURCE_BYTES_MAX: usize = 7 << 20;

/// How records are taken in.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// The country of a patient who names none.
    pub default_jurisdiction: Jurisdiction,
    /// What validation does.
    pub validation: Mode,
}

/// What waits to be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Hand-overs that other nodes have not acknowledged.
    pub handovers: usize,
    /// Own batches that are not anchored.
    pub batches: usize,
}

/// The way in. Clones share it.
#[derive(Clone, Debug)]
pub struct Ingest(pub(crate) Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) vault: Vault,
    pub(crate) enclave: Enclave,
    pub(crate) store: Store,
    pub(crate) tables: Tables,
    pub(crate) recipients: Vec<Recipient>,
    pub(crate) clock: Clock,
    config: IngestConfig,
    institution: Patient,
    /// One submission is named and written at a time; pseudonyms must not be given twice.
    writing: Mutex<()>,
    next_outgoing: AtomicU64,
    /// Ticks when there is something to hand over or to anchor.
    pub(crate) work: watch::Sender<u64>,
}

impl Ingest {
    /// Opens the way in. Hand-overs go to all other validators of `genesis`.
    ///
    /// # Errors
    /// [`ClinicalError::Storage`], [`ClinicalError::Enclave`], [`ClinicalError::Damaged`].
    pub fn new(
        vault: Vault,
        enclave: Enclave,
        store: &Store,
        genesis: &Genesis,
        config: IngestConfig,
    ) -> Result<Self, ClinicalError> {
        Self::with_clock(vault, enclave, store, genesis, config, Clock::system())
    }

    /// As [`Ingest::new`], by another clock.
    ///
    /// # Errors
    /// As [`Ingest::new`].
    pub fn with_clock(
        vault: Vault,
        enclave: Enclave,
        store: &Store,
        genesis: &Genesis,
        config: IngestConfig,
        clock: Clock,
    ) -> Result<Self, ClinicalError> {
        let tables = Tables::open(store, enclave.clone())?;
        let next_outgoing = AtomicU64::new(tables.last_outgoing()?.map_or(0, |last| last + 1));
        let institution = institution(&tables, store, &vault, &enclave)?;
        let recipients = recipients(genesis, vault.me());
        Ok(Self(Arc::new(Inner {
            vault,
            enclave,
            store: store.clone(),
            tables,
            recipients,
            clock,
            config,
            institution,
            writing: Mutex::new(()),
            next_outgoing,
            work: watch::Sender::new(0),
        })))
    }

    /// The vault into which records go.
    #[must_use]
    pub fn vault(&self) -> &Vault {
        &self.0.vault
    }

    /// What is taken in but not yet everywhere where it belongs.
    ///
    /// # Errors
    /// [`ClinicalError::Storage`], [`ClinicalError::Vault`].
    pub fn backlog(&self) -> Result<Backlog, ClinicalError> {
        let batches = self.0.vault.pending_batches()?.iter().filter(|batch| batch.own).count();
        Ok(Backlog { handovers: self.0.tables.outgoing_count()?, batches })
    }

    /// Takes a submission in. When this returns, everything that was taken is on disk.
    ///
    /// # Errors
    /// Only where the node itself fails (disk, keys): then nothing of the submission is there.
    #[tracing::instrument(name = "clinical.ingest", skip_all, fields(resources = submission.entries.len()))]
    pub fn ingest_submission(&self, submission: &Submission) -> Result<Report, ClinicalError> {
        let inner = &self.0;
        let mut report = Report {
            submissions: 1,
            bytes: submission.bytes,
            resources: (submission.entries.len() + submission.refused.len()) as u64,
            ..Report::default()
        };
        let mut refused = submission.refused.clone();
        let checked = inner.check(&submission.entries);
        let outcome = {
            let _writing = inner.writing.lock();
            inner.take(submission, checked, &mut refused, &mut report)
        };
        outcome?;
        refused.sort_by_key(|refusal| refusal.position);
        refused.iter().for_each(|refusal| report.refuse(&submission.source_name, refusal));
        metrics::counter!("clinical_resources_taken").increment(report.taken());
        metrics::counter!("clinical_resources_refused").increment(report.refused);
        Ok(report)
    }
}

/// An entry that passed validation, with the fingerprint of its content and of its names.
struct Checked {
    content: Fingerprint,
    names: Vec<Fingerprint>,
    warnings: usize,
}

impl Inner {
    /// Validates all entries at once.
    fn check(&self, entries: &[Entry]) -> Vec<Result<Checked, Refusal>> {
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
            let names = own_names(&self.tables, entry, &content);
            Ok(Checked { content, names, warnings: validation.issues.len() })
        };
        entries.par_iter().map(check).collect()
    }

    fn take(
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
            .filter_map(|(entry, checked)| Some((entry, checked.as_ref().ok()?.names.as_slice())))
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
            let same_content = seen.get(&named.logical).or(earlier.as_ref().map(|version| &version.content));
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
        let merkle = MerkleBatch::new(&listed)?;
        self.vault.stage_batch(&mut batch, &merkle)?;
        let ids: Vec<RecordId> = listed.iter().map(|entry| entry.record_id).collect();
        for recipient in &self.recipients {
            for chunk in ids.chunks(RECORDS_PER_HANDOVER) {
                let number = self.next_outgoing.fetch_add(1, Ordering::Relaxed);
                self.tables.put_outgoing(&mut batch, recipient.validator, number, chunk);
            }
        }
        batch.commit(Durability::Synced)?;
        report.roots.push(merkle.root());
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
        batch: &mut bxp_storage::Batch,
        one: &Taken,
        record: &SealedRecord,
        report: &mut Report,
    ) -> Result<(), ClinicalError> {
        let subject = record.entry.subject;
        if let Some(earlier) = one.earlier.filter(|earlier| earlier.subject != subject) {
            self.tables.remove_from_chart(batch, earlier.subject, &one.named.logical);
        }
        let number = one.earlier.map_or(1, |earlier| earlier.number.saturating_add(1));
        let version =
            tables::Version { record: record.entry.record_id, content: one.content, subject, number };
        self.tables.put_version(batch, &one.named.logical, &version)?;
        *(if one.earlier.is_some() { &mut report.changed } else { &mut report.new }) += 1;
        *report.by_type.entry(one.named.kind).or_default() += 1;
        Ok(())
    }
}

/// All other validators, as those to whom blocks go.
fn recipients(genesis: &Genesis, me: ValidatorIndex) -> Vec<Recipient> {
    let all = (0_u16..).map(ValidatorIndex).zip(&genesis.validators).filter(|(index, _)| *index != me);
    let recipient = |(validator, entry): (ValidatorIndex, &bxp_types::ValidatorEntry)| Recipient {
        validator,
        jurisdiction: entry.jurisdiction,
        sealing_key: entry.sealing_key,
    };
    all.map(recipient).collect()
}

/// The subject of the institution's own resources. Its account is the node's.
fn institution(
    tables: &Tables,
    store: &Store,
    vault: &Vault,
    enclave: &Enclave,
) -> Result<Patient, ClinicalError> {
    let name = tables.fingerprint("institution", &[]);
    let logical = std::array::from_fn(|index| name[index]);
    if let Some(known) = tables.institution(&logical)? {
        return Ok(known);
    }
    let subject = SubjectId(rand::random());
    let made = Patient { subject, account: enclave.public().account, home: vault.home() };
    let mut batch = store.batch();
    tables.put_institution(&mut batch, &logical, &made)?;
    batch.commit(Durability::Synced)?;
    Ok(made)
}
