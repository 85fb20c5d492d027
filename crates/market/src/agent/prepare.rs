//! Preparing a delivery: who is in it, their proofs, their de-identified charts, sealed and on disk.

use super::Inner;
use crate::{
    Chart, MarketError,
    delivery::{self, Content},
    pseudonyms::Pseudonyms,
    tables::{DeliveryRow, MatchState},
};
use alloy_sol_types::{SolCall, SolInterface};
use bxp_clinical::{ClinicalError, replicate::holder_permit};
use bxp_contracts::{
    DataRequest::{self, DataRequestErrors},
    explain_revert,
};
use bxp_privacy::{Denial, Permit, Profile, Purpose, Remainder, Request, Scope, decide, release};
use bxp_storage::Durability;
use bxp_types::{Address, B256, BlockClass, Bytes, CallOutcome, CallRequest, RecordId, SubjectId, U256};
use bxp_vault::{RecordEntry, VaultError};
use cid::Cid;
use std::collections::BTreeSet;

/// The most charts of one delivery. Counting one costs about 75,000 gas and 1,000 for each sibling of its proof (an
/// anchored batch of a million records has 20), so 25 stay below 3 million of the 16,777,216 that a transaction
/// may use (EIP-7825).
pub const CHARTS_PER_DELIVERY_MAX: usize = 25;

/// A delivery is closed when its charts have this many bytes in clear.
const CHART_BYTES_ENOUGH: usize = 16 << 20;

/// How long a delivery is kept for its buyer after the term, in seconds.
const KEPT_AFTER_TERM_S: u64 = 24 * 60 * 60;

/// A chart that may be delivered.
struct Candidate {
    subject: SubjectId,
    record: RecordEntry,
    entry: DataRequest::Entry,
}

impl Inner {
    /// Seals the next delivery to `request` and writes it down, before its transaction is sent. Nothing where no chart
    /// can be delivered now.
    pub(super) fn prepare(&self, request: Address) -> Result<Option<Cid>, MarketError> {
        let terms = self.reader.terms(request)?;
        let mut candidates = self.candidates(request)?;
        self.drop_refused(request, &mut candidates)?;
        let (candidates, charts) = self.open_charts(request, candidates)?;
        if charts.charts.is_empty() {
            return Ok(None);
        }
        let subjects: Vec<SubjectId> = candidates.iter().map(|one| one.subject).collect();
        let sealed = match delivery::seal(request, self.account, terms.sealingKey, charts) {
            Ok(sealed) => sealed,
            Err(error @ MarketError::TooLarge { .. }) => {
                // A chart is too large for any delivery: trying again changes nothing.
                tracing::error!(%request, error = ?error, charts = subjects.len(), "leave charts out");
                self.leave_out(request, &subjects)?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let entries: Vec<_> = candidates.into_iter().map(|one| one.entry).collect();
        let cid = sealed.cid;
        let until = terms.deadline.max(self.now().saturating_add(terms.acceptanceWindow.into()));
        let row = DeliveryRow {
            request,
            subjects,
            call: call(entries, &cid.to_bytes(), sealed.root),
            number: None,
            until: until.saturating_add(KEPT_AFTER_TERM_S),
        };
        let mut batch = self.tables.batch();
        self.tables.put_block(&mut batch, &cid, &sealed.bytes);
        self.tables.put_delivery(&mut batch, &cid, &row)?;
        self.tables.set_states(&mut batch, request, &row.subjects, MatchState::Prepared)?;
        batch.commit(Durability::Synced)?;
        Ok(Some(cid))
    }

    /// Charts that fit, are anchored, and whose patients contribute now and were not counted.
    fn candidates(&self, request: Address) -> Result<Vec<Candidate>, MarketError> {
        let wanted = usize::try_from(self.reader.progress(request)?.unfulfilled()).unwrap_or(usize::MAX);
        let most = wanted.min(CHARTS_PER_DELIVERY_MAX);
        let vault = self.ingest.vault();
        let (mut chosen, mut gone) = (Vec::new(), Vec::new());
        let mut patients = BTreeSet::new();
        let mut crowd = self.crowd()?;
        for row in self.tables.matches(request) {
            if chosen.len() == most {
                break;
            }
            let (subject, fits) = row?;
            if fits.state != MatchState::Matched {
                continue;
            }
            let Some(entry) = vault.entry(fits.record)? else {
                gone.push(subject);
                continue;
            };
            if self.reader.is_counted(request, entry.patient)? {
                gone.push(subject);
            } else if self.reader.is_contributing(entry.patient)?
                && crowd.hides(subject)
                && patients.insert(entry.patient)
            {
                chosen.push((subject, entry));
            }
        }
        self.leave_out(request, &gone)?;
        if chosen.is_empty() {
            crowd.check(request)?;
        }
        self.proven(chosen)
    }

    /// Adds the proofs, in the order of the batches, which the contract then reads once each. Records whose batch is not
    /// anchored yet wait.
    fn proven(&self, chosen: Vec<(SubjectId, RecordEntry)>) -> Result<Vec<Candidate>, MarketError> {
        let records: Vec<RecordId> = chosen.iter().map(|(_, record)| record.record_id).collect();
        let mut candidates = Vec::with_capacity(chosen.len());
        for ((subject, record), proof) in chosen.into_iter().zip(self.ingest.vault().prove(&records)?) {
            let Some((anchor, proof)) = proof.and_then(|(place, proof)| Some((place.anchor?, proof))) else {
                continue;
            };
            let entry = DataRequest::Entry {
                patient: record.patient,
                batchId: U256::from(anchor.batch_id),
                commitment: record.commitment(),
                index: U256::from(proof.index),
                siblings: proof.siblings,
            };
            candidates.push(Candidate { subject, record, entry });
        }
        candidates.sort_by_key(|one| (one.entry.batchId, one.entry.index));
        Ok(candidates)
    }

    /// Asks the contract before any chart is opened, and drops whom it refuses.
    fn drop_refused(&self, request: Address, candidates: &mut Vec<Candidate>) -> Result<(), MarketError> {
        while !candidates.is_empty() {
            let entries = candidates.iter().map(|one| one.entry.clone()).collect();
            let call = CallRequest {
                from: Some(self.account),
                to: Some(request),
                data: call(entries, &[0xff; 36], B256::repeat_byte(0xff)),
                ..CallRequest::default()
            };
            let output = match self.reader.ledger().call(&call)? {
                CallOutcome::Success { .. } => return Ok(()),
                CallOutcome::Revert { output, .. } => output,
                CallOutcome::Halt { reason, .. } => return Err(MarketError::Refused { request, reason }),
            };
            let Some(patient) = refused_patient(&output) else {
                let reason = explain_revert(&output).unwrap_or_else(|| "without a known reason".to_owned());
                return Err(MarketError::Refused { request, reason });
            };
            tracing::warn!(%request, %patient, "the contract refuses a patient; left out");
            let (refused, rest) =
                std::mem::take(candidates).into_iter().partition(|one| one.entry.patient == patient);
            *candidates = rest;
            let refused: Vec<_> = refused.iter().map(|one: &Candidate| one.subject).collect();
            if refused.is_empty() {
                return Err(MarketError::UnexpectedAnswer(request));
            }
            self.leave_out(request, &refused)?;
        }
        Ok(())
    }

    /// Opens the de-identified charts, each under a permit of its own, until a delivery has enough. The disclosures are on
    /// disk before the vault gives a chart out. When the transaction then fails, they account for a delivery that
    /// did not leave: too much rather than too little.
    fn open_charts(
        &self,
        request: Address,
        candidates: Vec<Candidate>,
    ) -> Result<(Vec<Candidate>, Content), MarketError> {
        let (mut delivered, mut charts, mut bytes) = (Vec::new(), Vec::new(), 0_usize);
        let mut rules = BTreeSet::new();
        for candidate in candidates {
            if bytes >= CHART_BYTES_ENOUGH {
                break;
            }
            match self.open_chart(request, &candidate, &mut rules) {
                Ok(chart) => {
                    bytes = chart.records.iter().fold(bytes, |sum, record| sum.saturating_add(record.len()));
                    charts.push(chart);
                    delivered.push(candidate);
                }
                // Revoked or erased a moment ago: the next round sees it too.
                Err(
                    MarketError::Denied(Denial::NoContribution)
                    | MarketError::Vault(VaultError::Erased(_) | VaultError::UnknownRecord(_)),
                ) => {}
                Err(error) => return Err(error),
            }
        }
        let profile = self.policy.profile.name().to_owned();
        Ok((delivered, Content { charts, profile, rules: rules.into_iter().collect() }))
    }

    /// The chart as it leaves. `rules` gathers the digests of the rule tables that split its records.
    fn open_chart(
        &self,
        request: Address,
        candidate: &Candidate,
        rules: &mut BTreeSet<B256>,
    ) -> Result<Chart, MarketError> {
        let vault = self.ingest.vault();
        let purpose = Purpose::Research { request };
        let asked = Request {
            requester: vault.me(),
            scope: Scope::Subject(candidate.subject),
            class: BlockClass::Deidentified,
            purpose,
        };
        let permit = decide(&asked, &self.facts.of(vault.me(), &candidate.record, purpose)?)?;
        let released = self.release_chart(candidate.subject, &[permit], rules)?;
        let mut texts: Vec<String> = released.into_iter().map(|(_, text)| text).collect();
        // In the order of the pseudonyms of this delivery: the holder's own order is the same for every buyer.
        texts.sort_unstable();
        Ok(Chart { subject: rand::random(), records: texts })
    }

    /// The records of a chart as they leave under the readers' `permits`, under fresh pseudonyms. The disclosures to each
    /// reader are on disk when this returns.
    pub(super) fn release_chart(
        &self,
        subject: SubjectId,
        permits: &[Permit],
        rules: &mut BTreeSet<B256>,
    ) -> Result<Vec<(RecordId, String)>, MarketError> {
        let vault = self.ingest.vault();
        let mut records = Vec::new();
        for record in self.ingest.chart(subject)? {
            if vault.entry(record)?.is_some() {
                records.push(record);
            }
        }
        // The readers' permits are what the disclosures are written by; the holder's own opens what it then prepares.
        for permit in permits {
            vault.open_deidentified_all(&records, permit)?;
        }
        let own = holder_permit(vault, &self.clock, BlockClass::Identity(vault.home()))?;
        let profile = self.policy.profile.of_chart(rand::random());
        let mut pseudonyms = Pseudonyms::default();
        let mut released = Vec::with_capacity(records.len());
        for (record, (identity, rest)) in records.iter().zip(vault.open_whole_all(&records, &own)?) {
            let (text, digest) = leaving(identity.expose(), &rest, &profile)?;
            rules.insert(digest);
            released.push((*record, pseudonyms.rename(&text)?));
        }
        Ok(released)
    }

    fn leave_out(&self, request: Address, subjects: &[SubjectId]) -> Result<(), MarketError> {
        if subjects.is_empty() {
            return Ok(());
        }
        let mut batch = self.tables.batch();
        self.tables.set_states(&mut batch, request, subjects, MatchState::LeftOut)?;
        Ok(batch.commit(Durability::Synced)?)
    }
}

/// What leaves of a record under `profile`, and the digest of the rules that split it.
fn leaving(identity: &[u8], rest: &[u8], profile: &Profile) -> Result<(Vec<u8>, B256), MarketError> {
    let remainder = Remainder::from_bytes(identity).map_err(ClinicalError::from)?;
    let rest = sonic_rs::from_slice(rest).map_err(|_| MarketError::Malformed("de-identified record"))?;
    let text = release(&remainder, &rest, profile).map_err(ClinicalError::from)?;
    let digest = remainder.rules().map_err(ClinicalError::from)?;
    Ok((text, B256::from(digest)))
}

fn call(entries: Vec<DataRequest::Entry>, cid: &[u8], root: B256) -> Bytes {
    let cid = Bytes::copy_from_slice(cid);
    DataRequest::validatePatientContentCall { entries, cid, root }.abi_encode().into()
}

/// The patient because of whom the contract refuses.
fn refused_patient(output: &[u8]) -> Option<Address> {
    match DataRequestErrors::abi_decode(output).ok()? {
        DataRequestErrors::NotContributing(error) => Some(error.patient),
        DataRequestErrors::AlreadyCounted(error) => Some(error.patient),
        DataRequestErrors::InvalidProof(error) => Some(error.patient),
        _ => None,
    }
}
