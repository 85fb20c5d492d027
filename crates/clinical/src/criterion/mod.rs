//! A cohort criterion (row E): a condition, and evidence for it at least so many days before.
//!
//! The white paper's example wants charts with atrial fibrillation or myocardial infarction and an EKG at least two
//! weeks before. A criterion is evaluated inside the holder, on whole records, since it needs days. The buyer sees
//! only which de-identified records came out.

mod evaluate;

pub use evaluate::{MatchOutcome, evaluate};

use crate::ClinicalError;
use bxp_types::{B256, keccak256};
use serde::{Deserialize, Serialize};

/// SNOMED CT.
pub const SNOMED: &str = "http://snomed.info/sct";
/// LOINC.
pub const LOINC: &str = "http://loinc.org";
/// ICD-10-CM, the clinical modification of the United States.
pub const ICD10_CM: &str = "http://hl7.org/fhir/sid/icd-10-cm";
/// ICD-10 of the WHO.
pub const ICD10: &str = "http://hl7.org/fhir/sid/icd-10";
/// ICD-10-GM, the German modification.
pub const ICD10_GM: &str = "http://fhir.de/CodeSystem/bfarm/icd-10-gm";
/// ICD-10-CA, the Canadian modification.
pub const ICD10_CA: &str = "https://fhir.infoway-inforoute.ca/CodeSystem/icd-10-ca";

const PATTERNS_MAX: usize = 64;
const TEXT_BYTES_MAX: usize = 128;
/// What a data request contract takes.
const ENCODING_BYTES_MAX: usize = 4_096;
const DAYS_MAX: u16 = 36_500;

/// A code, or with a final `*` all codes that begin so.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CodePattern {
    /// The code system's URI.
    pub system: String,
    /// The code, such as `49436004` or `I48*`.
    pub code: String,
}

impl CodePattern {
    /// A pattern of `code` in `system`.
    #[must_use]
    pub fn new(system: &str, code: &str) -> Self {
        Self { system: system.to_owned(), code: code.to_owned() }
    }

    fn matches(&self, system: &str, code: &str) -> bool {
        self.system == system
            && match self.code.strip_suffix('*') {
                Some(prefix) => code.starts_with(prefix),
                None => self.code == code,
            }
    }
}

/// Charts with a condition of `condition_any` that was preceded, by at least `days_before_min` calendar days, by an
/// examination of `evidence_any`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Criterion {
    /// Codes of `Condition.code`, any of which counts.
    pub condition_any: Vec<CodePattern>,
    /// Codes of Observation, DiagnosticReport or Procedure, any of which counts.
    pub evidence_any: Vec<CodePattern>,
    /// The least calendar days from the examination to the onset.
    pub days_before_min: u16,
}

impl Criterion {
    /// Row E: AFib or MI with an EKG at least two weeks before.
    #[must_use]
    pub fn afib_or_mi_with_earlier_ekg() -> Self {
        let snomed =
            |codes: &[&str]| codes.iter().map(|code| CodePattern::new(SNOMED, code)).collect::<Vec<_>>();
        let mut condition_any = snomed(&[
            "49436004",  // Atrial fibrillation
            "282825002", // Paroxysmal atrial fibrillation
            "440059007", // Persistent atrial fibrillation
            "440028005", // Permanent atrial fibrillation
            "22298006",  // Myocardial infarction
            "57054005",  // Acute myocardial infarction
            "401303003", // Acute ST segment elevation myocardial infarction
            "401314000", // Acute non-ST segment elevation myocardial infarction
            "399211009", // History of myocardial infarction
        ]);
        let icd = [ICD10_CM, ICD10, ICD10_GM, ICD10_CA];
        for (system, code) in
            icd.iter().flat_map(|system| ["I48*", "I21*", "I22*"].map(|code| (*system, code)))
        {
            condition_any.push(CodePattern::new(system, code));
        }
        condition_any.push(CodePattern::new(ICD10_CM, "I25.2"));
        let mut evidence_any = snomed(&["29303009", "268400002", "164847006"]);
        evidence_any.extend(["11524-6", "34534-8"].map(|code| CodePattern::new(LOINC, code)));
        Self { condition_any, evidence_any, days_before_min: 14 }.normalised()
    }

    /// Reads a criterion.
    ///
    /// # Errors
    /// [`ClinicalError::Criterion`] when it is not one, or larger than a criterion may be.
    pub fn from_json(json: &[u8]) -> Result<Self, ClinicalError> {
        let read: Self =
            serde_json::from_slice(json).map_err(|error| ClinicalError::Criterion(error.to_string()))?;
        read.check()?;
        Ok(read.normalised())
    }

    /// The one encoding of this criterion: JSON without spaces, fields as declared, codes sorted, none twice.
    #[must_use]
    pub fn canonical(&self) -> Vec<u8> {
        serde_json::to_vec(&self.clone().normalised()).unwrap_or_default()
    }

    /// keccak256 of [`Self::canonical`]: how a contract names the criterion.
    #[must_use]
    pub fn hash(&self) -> B256 {
        keccak256(self.canonical())
    }

    fn check(&self) -> Result<(), ClinicalError> {
        let refuse = |what: &str| Err(ClinicalError::Criterion(what.to_owned()));
        for list in [&self.condition_any, &self.evidence_any] {
            if list.is_empty() || list.len() > PATTERNS_MAX {
                return refuse("condition_any and evidence_any have 1 to 64 codes each");
            }
            let text_fits = |text: &str| !text.is_empty() && text.len() <= TEXT_BYTES_MAX;
            if !list.iter().all(|pattern| text_fits(&pattern.system) && text_fits(&pattern.code)) {
                return refuse("a system and a code have 1 to 128 bytes each");
            }
            if list.iter().any(|pattern| pattern.code == "*") {
                return refuse("a code of * alone would match every code");
            }
        }
        if self.canonical().len() > ENCODING_BYTES_MAX {
            return refuse("the encoding has at most 4096 bytes");
        }
        if self.days_before_min > DAYS_MAX { refuse("days_before_min is at most 36500") } else { Ok(()) }
    }

    fn normalised(mut self) -> Self {
        for list in [&mut self.condition_any, &mut self.evidence_any] {
            list.sort();
            list.dedup();
        }
        self
    }
}

#[cfg(test)]
mod tests;
