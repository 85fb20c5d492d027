//! Matching: whole charts against a criterion, inside the holder.

use super::Inner;
use crate::{
    MarketError, delivery, metric,
    tables::{Match, MatchState},
};
use bxp_clinical::{
    criterion::{Criterion, evaluate},
    replicate::holder_permit,
};
use bxp_privacy::Permit;
use bxp_storage::Durability;
use bxp_types::{Address, BlockClass, RecordId, SubjectId};
use rayon::prelude::*;
use std::collections::BTreeSet;

/// Patients whose charts are matched under one permit and written together.
const PATIENTS_PER_STEP: usize = 64;

/// Seconds before the deadline at which nothing more is delivered: the block's time is not this node's clock.
pub(super) const CLOCK_MARGIN_S: u64 = 2;

impl Inner {
    /// Matches what has arrived since the last time. Whether the request may still take charts of this holder.
    pub(super) fn match_new(&self, request: Address) -> Result<bool, MarketError> {
        let terms = self.reader.terms(request)?;
        let progress = self.reader.progress(request)?;
        let in_time = self.now().saturating_add(CLOCK_MARGIN_S) < terms.deadline;
        if !in_time || progress.unfulfilled() == 0 {
            return Ok(false);
        }
        let Ok(criterion) = Criterion::from_json(&terms.criterion) else {
            tracing::debug!(%request, "a data request has a criterion of a form that is not known here");
            return Ok(false);
        };
        if terms.pricePerRecord < self.price_min.0 || !delivery::can_seal_to(terms.sealingKey) {
            tracing::debug!(%request, "a data request pays too little or has a key that nothing can be sealed to");
            return Ok(false);
        }
        while self.match_step(request, &criterion)? {}
        Ok(true)
    }

    /// Matches the next patients with new records. Whether there are more.
    fn match_step(&self, request: Address, criterion: &Criterion) -> Result<bool, MarketError> {
        let Some(mut row) = self.tables.open_request(request)? else { return Ok(false) };
        let (subjects, scanned) = self.touched(row.scanned)?;
        if scanned == row.scanned {
            return Ok(false);
        }
        let vault = self.ingest.vault();
        // The holder's own work on its own records (45 CFR 164.506(c)(1)).
        let permit = holder_permit(vault, &self.clock, BlockClass::Identity(vault.home()))?;
        let matched: Vec<_> = self.matching.install(|| {
            let matched = |subject: &SubjectId| (*subject, self.matched_record(*subject, criterion, &permit));
            subjects.par_iter().map(matched).collect()
        });
        let mut batch = self.tables.batch();
        for (subject, record) in matched {
            let known = self.tables.match_of(request, subject)?;
            let in_hand = |one: Match| matches!(one.state, MatchState::Prepared | MatchState::Delivered);
            match record {
                _ if known.is_some_and(in_hand) => {}
                Some(record) => {
                    metric::matched(1);
                    let fits = Match { record, state: MatchState::Matched };
                    self.tables.put_match(&mut batch, request, subject, fits)?;
                }
                None => self.tables.remove_match(&mut batch, request, subject),
            }
        }
        row.scanned = scanned;
        self.tables.put_open(&mut batch, request, &row)?;
        batch.commit(Durability::Synced)?;
        Ok(true)
    }

    /// Patients of this holder with records of number `from` or later, and the number to go on from.
    fn touched(&self, from: u64) -> Result<(BTreeSet<SubjectId>, u64), MarketError> {
        let vault = self.ingest.vault();
        let (mut subjects, mut others) = (BTreeSet::new(), BTreeSet::new());
        let mut next = from;
        for arrival in vault.entries(from) {
            let (number, entry) = arrival?;
            if subjects.len() == PATIENTS_PER_STEP && !subjects.contains(&entry.subject) {
                break;
            }
            next = number.saturating_add(1);
            if entry.holder != vault.me() || others.contains(&entry.subject) {
                continue;
            }
            if subjects.contains(&entry.subject) || self.ingest.patient(entry.subject)?.is_some() {
                subjects.insert(entry.subject);
            } else {
                others.insert(entry.subject); // The institution's own resources are no patient's chart.
            }
        }
        Ok((subjects, next))
    }

    /// The record by which a chart fits. A chart that cannot be read is left out, so that it does not stop the others.
    fn matched_record(&self, subject: SubjectId, criterion: &Criterion, permit: &Permit) -> Option<RecordId> {
        let chart = match self.ingest.open_chart(subject, permit) {
            Ok(chart) => chart,
            Err(error) => {
                tracing::warn!(error = ?error, "a chart cannot be read and is not matched");
                return None;
            }
        };
        let (records, resources): (Vec<_>, Vec<_>) = chart.into_iter().unzip();
        let outcome = evaluate(criterion, &resources);
        outcome.index_record.filter(|_| outcome.matched).and_then(|index| records.get(index).copied())
    }
}
