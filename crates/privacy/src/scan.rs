//! The proof that a corpus is clean: every string that the identity side holds is looked for on the other side.
//!
//! First [`Haystack`] takes in all that left, then [`Scan`] goes through all that stayed behind. A string is looked for
//! in its usual variants (`variants`): other case, spaces and separators, other ways to write a date, base64 and
//! hexadecimal, names turned around, telephone numbers in digits. Nine characters and more are found anywhere, fewer
//! only as whole words, since three letters stand in any random id. Words of FHIR's own closed vocabularies (value
//! sets, code systems, profiles) identify nobody and count on neither side.
//!
//! No report repeats a string: it names the paths.

mod held;
mod index;
mod variants;

use crate::{JoinError, Remainder, rules::rules};
use index::Index;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use sonic_rs::Value;
use std::collections::{BTreeMap, BTreeSet};

pub use index::Haystack;

/// Why a corpus cannot be scanned.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ScanError {
    /// Two sides do not belong together, or one is damaged.
    #[error("scan a record")]
    Sides(#[from] JoinError),
    /// The rule table cannot be read.
    #[error("scan: the rule table cannot be read")]
    Rules,
}

/// Strings of the identity side that stand on the other side too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Residual {
    /// Where it stood in its resource, `Patient.name.family`.
    pub held_at: String,
    /// Where it was found, `Observation.code.coding.code`.
    pub found_at: String,
    /// In which variant.
    pub variant: &'static str,
    /// How many distinct strings.
    pub strings: u64,
}

/// What a scan saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ScanReport {
    /// Records whose identity side was gone through.
    pub records: u64,
    /// Strings and long numbers of the identity sides, by path.
    pub held: BTreeMap<String, u64>,
    /// Distinct strings that were looked for.
    pub strings: u64,
    /// Distinct variants that were looked for.
    pub variants: u64,
    /// Strings that were not looked for, since they are too short to mean anything: one letter, up to four digits.
    pub too_short: u64,
    /// Distinct strings, numbers and keys on the other side.
    pub leaves: u64,
    /// What was found.
    pub residual: Vec<Residual>,
}

impl ScanReport {
    /// Whether nothing was found.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.residual.is_empty()
    }
}

/// A scan of one corpus against what left.
#[derive(Debug)]
pub struct Scan {
    index: Index,
    seen: BTreeSet<[u8; 16]>,
    report: ScanReport,
    /// Held at, found at, variant -> distinct strings.
    found: BTreeMap<(String, String, &'static str), u64>,
}

impl Scan {
    /// A scan against everything that `haystack` took in.
    #[must_use]
    pub fn new(haystack: Haystack) -> Self {
        let index = haystack.into_index();
        let report = ScanReport { leaves: index.leaves(), ..ScanReport::default() };
        Self { index, seen: BTreeSet::new(), report, found: BTreeMap::new() }
    }

    /// Looks for everything that the identity side of one record holds.
    ///
    /// # Errors
    /// The sides do not belong together, or one is damaged.
    pub fn look_for(&mut self, identity: &Remainder, deidentified: &Value) -> Result<(), ScanError> {
        let rules = rules().map_err(|_| ScanError::Rules)?;
        self.report.records = self.report.records.saturating_add(1);
        for string in held::strings(identity, deidentified)? {
            if !rules.is_vocabulary(&string.text) {
                self.look_for_text(&string.path, &string.text);
            }
        }
        Ok(())
    }

    /// Looks for a string that stood at `path` outside of any resource, such as a Bundle's `fullUrl`.
    pub fn look_for_text(&mut self, path: &str, text: &str) {
        match self.report.held.get_mut(path) {
            Some(count) => *count = count.saturating_add(1),
            None => drop(self.report.held.insert(path.to_owned(), 1)),
        }
        if self.is_new(b's', text) {
            self.report.strings = self.report.strings.saturating_add(1);
            self.look_for_variants(path, text);
        }
    }

    /// What the scan saw.
    #[must_use]
    pub fn finish(self) -> ScanReport {
        let residual = self.found.into_iter().map(|((held_at, found_at, variant), strings)| Residual {
            held_at,
            found_at,
            variant,
            strings,
        });
        ScanReport { residual: residual.collect(), ..self.report }
    }

    fn look_for_variants(&mut self, path: &str, text: &str) {
        let variants = variants::of(text);
        if variants.is_empty() {
            self.report.too_short = self.report.too_short.saturating_add(1);
        }
        for variant in variants {
            if !self.is_new(b'v', &variant.compact) {
                continue;
            }
            self.report.variants = self.report.variants.saturating_add(1);
            if let Some(found_at) = self.index.find(&variant.compact) {
                let place = (path.to_owned(), found_at.to_owned(), variant.name);
                let count = self.found.entry(place).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    /// Whether a text was not seen before. Half a SHA-256 tells texts apart and keeps none of them.
    fn is_new(&mut self, kind: u8, text: &str) -> bool {
        let digest: [u8; 32] = Sha256::new().chain_update([kind]).chain_update(text).finalize().into();
        self.seen.insert(std::array::from_fn(|at| digest[at]))
    }
}
