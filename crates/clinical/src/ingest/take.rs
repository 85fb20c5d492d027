//! What becomes of a submission's entries: their checks, and then which of them are taken, under which names and whose.

use super::{
    Checked, Deletion, Inner, Outcome, REFUSED_WITH_OTHERS, Report, Work,
    names::{EntryNames, Names},
    seal::Taken,
    stage::Staged,
    subjects::{SubjectPlan, Subjects, Whose},
    tables::{Fingerprint, LogicalId, Named},
};
use crate::{
    ClinicalError,
    fhir::{CivilDay, element::text},
    source::{Entry, Refusal, Submission},
    validate::{Severity, validate, validate_profiles},
};
use bxp_fhir_store::{Parameters, Prepared, extract::is_id};
use bxp_types::Phi;
use rayon::prelude::*;
use std::{collections::HashMap, sync::Arc};

/// The largest resource in bytes of JSON: both its sealed sides then fit one portion of the network.
const RESOURCE_BYTES_MAX: usize = 7 << 20;

/// An entry that passed validation, with the fingerprint of its content and of its names.
pub(super) struct CheckedEntry {
    /// The resource, without spaces.
    text: Phi<Arc<str>>,
    content: Fingerprint,
    pub(super) names: EntryNames,
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
        let text = entry.text().map_err(|_| refuse("it cannot be encoded".to_owned()))?;
        if text.expose().len() > RESOURCE_BYTES_MAX {
            return Err(refuse(format!(
                "larger than {RESOURCE_BYTES_MAX} bytes; move attachments to Binary resources"
            )));
        }
        let content = inner.tables.fingerprint("content", text.expose().as_bytes());
        let names = EntryNames::new(&inner.tables, entry, &content);
        let kind = validation.resource_type.and_then(|name| Parameters::r4().kind(name));
        let prepared = match kind.filter(|_| keeps_whole) {
            None => None,
            Some(kind) => {
                let prepared = Prepared::of_text(kind, resource, text.expose());
                Some(prepared.map_err(|error| refuse(error.to_string()))?)
            }
        };
        Ok(CheckedEntry { text, content, names, warnings, prepared })
    };
    entries.par_iter().map(check).collect()
}

/// A submission on its way, with what is known of it so far.
pub(super) struct Passage<'a> {
    pub(super) submission: &'a Submission,
    pub(super) deletions: &'a [Deletion],
    whole: bool,
    pub(super) report: Report,
    pub(super) refused: Vec<Refusal>,
    /// Of each entry; none while it is not written.
    pub(super) outcomes: Vec<Option<Outcome>>,
    /// Of each entry, until it is written.
    pub(super) prepared: Vec<Option<Prepared>>,
}

impl Passage<'_> {
    /// Whether nothing is taken, since one entry was refused.
    pub(super) fn is_refused(&self) -> bool {
        self.whole && !self.refused.is_empty()
    }

    /// Nothing of the batch is written, so the report must not say so.
    pub(super) fn forget(&mut self) {
        self.report = report_of(self.submission);
    }

    /// What became of the submission, and of each entry.
    pub(super) fn end(self) -> (Report, Vec<Outcome>) {
        let Self { submission, mut report, mut refused, outcomes, .. } = self;
        for (field, what) in &submission.unmapped {
            *report.unmapped.entry(format!("{field}: {what}")).or_default() += 1;
        }
        refused.sort_by_key(|refusal| refusal.position);
        refused.iter().for_each(|refusal| report.refuse(&submission.source_name, refusal));
        metrics::counter!("clinical_resources_taken").increment(report.taken());
        metrics::counter!("clinical_resources_refused").increment(report.refused);
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
        let outcomes = submission.entries.iter().zip(outcomes).map(outcome).collect();
        (report, outcomes)
    }
}

fn report_of(submission: &Submission) -> Report {
    Report {
        submissions: 1,
        bytes: submission.bytes,
        resources: (submission.entries.len() + submission.refused.len()) as u64,
        ..Report::default()
    }
}

/// The id that the submitter gave to an entry's resource.
pub(super) fn own_id(entry: &Entry) -> Option<&str> {
    text(entry.resource.expose(), "id").filter(|id| is_id(id))
}

impl Inner {
    /// Finds out what is taken, and makes the one batch that takes it in and deletes; none where nothing is to be written.
    /// Who calls this holds [`Inner::writing`] until the batch is committed: it stands on all that was committed before.
    pub(super) fn stage<'a>(
        &'a self,
        work: Work<'a>,
    ) -> Result<(Passage<'a>, Option<Staged<'a>>), ClinicalError> {
        let Work { submission, checked, deletions, whole } = work;
        let Checked { entries: mut checked, index, referred } = checked;
        let prepared =
            checked.iter_mut().map(|one| one.as_mut().ok().and_then(|one| one.prepared.take())).collect();
        let mut passage = Passage {
            submission,
            deletions,
            whole,
            report: report_of(submission),
            refused: submission.refused.clone(),
            outcomes: vec![None; submission.entries.len()],
            prepared,
        };
        let accepted: Vec<_> = submission
            .entries
            .iter()
            .zip(&checked)
            .filter_map(|(entry, checked)| Some((entry, &checked.as_ref().ok()?.names)))
            .collect();
        let (names, named) = Names::resolve(&self.tables, &referred, &accepted)?;
        let mut named = named.into_iter();
        let own: Vec<Option<Named>> =
            checked.iter().map(|one| one.as_ref().ok().and_then(|_| named.next())).collect();
        let today = CivilDay::of_time_ms(self.clock.now_ms());
        let homes = (self.config.default_jurisdiction, today);
        let mut subjects = Subjects::new(&self.tables, &names, &submission.entries, &own, &index, homes);
        let taken = self.choose(&mut passage, checked, &own, &names, &mut subjects)?;
        if passage.is_refused() {
            return Ok((passage, None));
        }
        let patients = subjects.patients;
        let staged = self.seal_taken(&mut passage, &names, &taken, patients)?;
        Ok((passage, staged))
    }

    /// Which entries are taken; the others are the same as before, or refused.
    fn choose(
        &self,
        passage: &mut Passage<'_>,
        checked: Vec<Result<CheckedEntry, Refusal>>,
        own: &[Option<Named>],
        names: &Names<'_>,
        subjects: &mut Subjects<'_>,
    ) -> Result<Vec<Taken>, ClinicalError> {
        let entries = &passage.submission.entries;
        let mut taken = Vec::new();
        let mut seen: HashMap<_, Fingerprint> = HashMap::new();
        for (at, one) in checked.into_iter().enumerate() {
            let (one, named) = match (one, &own[at]) {
                (Ok(one), Some(named)) => (one, named),
                (one, _) => {
                    passage.refused.extend(one.err());
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
                passage.refused.push(refusal(reason));
                continue;
            }
            let earlier = names.version(&named.logical)?;
            let same = earlier.filter(|version| version.content == one.content);
            let erased = match same {
                Some(version) => self.vault.entry(version.record)?.is_none(),
                None => false,
            };
            let same_content = seen
                .get(&named.logical)
                .or(earlier.as_ref().filter(|_| !erased).map(|version| &version.content));
            if same_content == Some(&one.content) {
                passage.report.duplicates += 1;
                passage.outcomes[at] = Some(Outcome::Same { id: self.stored_id(&entries[at], named) });
                continue;
            }
            if seen.insert(named.logical, one.content).is_some() {
                passage
                    .refused
                    .push(refusal("another version of it stands in the same submission".to_owned()));
                continue;
            }
            passage.report.warnings += one.warnings as u64;
            let (named, CheckedEntry { text, content, .. }) = (named.clone(), one);
            taken.push(Taken { at, named, text, content, whose, earlier });
        }
        Ok(taken)
    }

    /// The id of an entry in the working copy: the submitter's, or one that follows from the pseudonym under the node's key
    /// and does not tell it, because the pseudonym stands on the de-identified side (45 CFR 164.514(c)).
    pub(super) fn stored_id(&self, entry: &Entry, named: &Named) -> String {
        own_id(entry).map_or_else(|| self.given_id(&named.logical), str::to_owned)
    }

    /// The id of a resource that came without one.
    pub(super) fn given_id(&self, logical: &LogicalId) -> String {
        hex::encode(&self.tables.fingerprint("fhir id", logical)[..16])
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
}
