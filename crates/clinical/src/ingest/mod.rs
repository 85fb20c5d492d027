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

mod beside;
mod ccda;
mod chart;
mod credentials;
mod device;
mod files;
mod find;
mod gate;
mod hl7v2;
mod names;
mod rebuild;
mod redo;
mod report;
mod resolve;
mod seal;
mod stage;
mod subjects;
pub(crate) mod tables;
mod take;
mod working;

pub use chart::ChartPatient;
pub(crate) use chart::whole;
pub use credentials::{DEVICE_TERM_DAYS_MAX, DEVICE_TOKEN_PREFIX, DeviceCredential, IssuedCredential};
pub use files::{FilesReport, Progress};
pub use find::{Found, FoundEntry};
pub use gate::{Checked, Deletion, Outcome, REFUSED_WITH_OTHERS, Session, Work};
pub(crate) use redo::{Forgotten, Note, own_permit};
pub use report::{RefusedResource, Report};
pub use resolve::rewrite_references;

use crate::{ClinicalError, repair::ScrubDesk, source::Submission, validate::Mode};
use bxp_enclave::Enclave;
use bxp_fhir_store::Store as FhirStore;
use bxp_storage::{Durability, Store};
use bxp_types::{Genesis, Jurisdiction, SubjectId, ValidatorIndex};
use bxp_vault::{Clock, Directory, Vault};
use credentials::Credentials;
use parking_lot::Mutex;
use std::sync::{Arc, OnceLock, atomic::AtomicU64};
use tables::{Patient, Tables};
use tokio::sync::watch;
use working::WorkingCopy;

/// How records are taken in.
#[derive(Clone, Debug)]
pub struct IngestConfig {
    /// The country of a patient who names none.
    pub default_jurisdiction: Jurisdiction,
    /// What validation against R4 does.
    pub validation: Mode,
    /// What validation against the profiles does that a resource says it follows.
    pub profiles: Mode,
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
    pub(crate) credentials: Credentials,
    /// Of the inbox of HL7 v2 feeds: an erasure reaches it too.
    pub(crate) inbox: crate::inbox::tables::Tables,
    /// All other validators.
    pub(crate) others: Vec<ValidatorIndex>,
    pub(crate) clock: Clock,
    config: IngestConfig,
    institution: Patient,
    /// One submission is named at a time, upon all before it; pseudonyms must not be given twice. It is taken before the
    /// group of [`WorkingCopy`], and that before the working copy's writer.
    pub(crate) writing: Mutex<()>,
    pub(crate) scrubs: ScrubDesk,
    next_outgoing: AtomicU64,
    /// The whole resources for reading and searching, where this node keeps them.
    pub(crate) working: OnceLock<WorkingCopy>,
    /// Ticks when there is something to hand over or to anchor.
    pub(crate) work: watch::Sender<u64>,
}

impl Ingest {
    /// Opens the way in. Hand-overs go to all other validators of `genesis`, by the vault's directory of nodes, which is that
    /// of genesis until a newer one is adopted.
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
        let credentials = Credentials::open(store, enclave.clone())?;
        let inbox = crate::inbox::tables::Tables::open(store, enclave.clone())?;
        let next_outgoing = AtomicU64::new(tables.last_outgoing()?.map_or(0, |last| last + 1));
        let institution = institution(&tables, store, &vault, &enclave)?;
        vault.adopt(Directory::of_genesis(genesis))?;
        let others = (0_u16..).map(ValidatorIndex).take(genesis.validator_count());
        let others = others.filter(|index| *index != vault.me()).collect();
        Ok(Self(Arc::new(Inner {
            vault,
            enclave,
            store: store.clone(),
            tables,
            credentials,
            inbox,
            others,
            clock,
            config,
            institution,
            writing: Mutex::new(()),
            scrubs: ScrubDesk::default(),
            next_outgoing,
            working: OnceLock::new(),
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

    /// Forgets the whole resources of patients of `country`, which this node has left: the working copy's, and what feeds
    /// could not take. Pseudonyms, accounts and charts stay, and tell no name.
    ///
    /// # Errors
    /// [`ClinicalError::Store`], [`ClinicalError::Storage`].
    pub(crate) fn forget_country(&self, country: Jurisdiction) -> Result<(), ClinicalError> {
        let inner = &self.0;
        inner.inbox.forget(|_| Ok(true))?;
        let Some(working) = inner.working.get() else { return Ok(()) };
        let mut subjects = vec![inner.institution];
        for patient in inner.tables.patients() {
            subjects.push(patient?);
        }
        subjects.retain(|patient| patient.home == country);
        let subjects: Vec<_> = subjects.iter().map(|patient| Forgotten::Subject(patient.subject)).collect();
        working.forget(inner, &subjects, |note| {
            let mut batch = inner.store.batch();
            note(&mut batch)?;
            Ok(batch.commit(Durability::Synced)?)
        })
    }

    /// Looks for work at once: a node has come back, or the chain has.
    pub fn wake(&self) {
        self.0.work.send_modify(|tick| *tick = tick.wrapping_add(1));
    }

    /// Keeps the whole resources in `store` too, from now on. What a crash has kept out of it is put in at once, and an empty
    /// one is filled from the vault first, which takes a while where that has much.
    ///
    /// # Errors
    /// [`ClinicalError::Store`], [`ClinicalError::Storage`], [`ClinicalError::Vault`].
    pub fn keep_working_copy(&self, store: FhirStore) -> Result<(), ClinicalError> {
        let working = WorkingCopy::open(&self.0, store)?;
        // A second one would see half of the writes; the first one stays.
        let _ = self.0.working.set(working);
        Ok(())
    }

    /// Does what of the working copy could not be done when it was due, such as for want of room on the disk.
    pub(crate) fn look_after_working_copy(&self) {
        if let Some(working) = self.0.working.get() {
            working.look_after(&self.0);
        }
    }

    /// The whole resources, where this node keeps them.
    #[must_use]
    pub fn working_copy(&self) -> Option<&FhirStore> {
        self.0.working.get().map(WorkingCopy::store)
    }

    /// The way in's clock, in milliseconds since the epoch.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        self.0.clock.now_ms()
    }

    /// What validation does here.
    #[must_use]
    pub fn validation(&self) -> Mode {
        self.0.config.validation
    }

    /// Takes a submission in. When this returns, everything that was taken is on disk.
    ///
    /// # Errors
    /// Only where the node itself fails (disk, keys): then nothing of the submission is there.
    #[tracing::instrument(name = "clinical.ingest", skip_all, fields(resources = submission.entries.len()))]
    pub fn ingest_submission(&self, submission: &Submission) -> Result<Report, ClinicalError> {
        let inner = &self.0;
        let Some(working) = inner.working.get() else {
            let checked = self.check(submission);
            let work = Work { submission, checked, deletions: &[], whole: false };
            let _writing = inner.writing.lock();
            let (passage, staged) = inner.stage(work)?;
            if let Some(staged) = staged {
                inner.keep(staged)?;
            }
            return Ok(passage.end().0);
        };
        // References of a bundle lead to ids of this server, so that who reads them can follow them.
        let resolved = resolve::resolve(inner, working.store(), submission);
        let submission = resolved.as_ref().unwrap_or(submission);
        let checked = self.check(submission);
        let work = Work { submission, checked, deletions: &[], whole: false };
        self.take(work, |_, report, _| Ok(report))
    }
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
