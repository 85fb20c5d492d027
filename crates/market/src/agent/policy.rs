//! Under which profile charts leave, and how well their patients have to be hidden among the holder's others.

use super::Inner;
use crate::MarketError;
use bxp_clinical::{replicate::holder_permit, risk::empty_table};
use bxp_privacy::{
    DayAnchor, Profile,
    risk::{ClassSizes, Row, Table, assess},
};
use bxp_types::{Address, BlockClass, RecordId, SubjectId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The profiles that a holder may trade under. A limited data set is not one of them: it is still protected health
/// information, which 45 CFR 164.502(a)(5)(ii) does not let be sold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseProfile {
    /// 45 CFR 164.514(b)(2).
    #[default]
    SafeHarbor,
    /// 45 CFR 164.514(b)(1): the operator declares that an expert has determined the risk to be very small.
    ExpertDetermination,
}

impl ReleaseProfile {
    /// The name in configurations and deliveries.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SafeHarbor => "safe-harbor",
            Self::ExpertDetermination => "expert-determination",
        }
    }

    /// The threshold where none is configured (ADR 47): Safe Harbor asks for none; the cell size of 11 is what CMS
    /// asks of who publishes from its files.
    #[must_use]
    pub const fn k_min_default(self) -> usize {
        match self {
            Self::SafeHarbor => 1,
            Self::ExpertDetermination => 11,
        }
    }

    /// The profile of one chart in one delivery; the bits choose its anchor.
    pub(super) const fn of_chart(self, random: u64) -> Profile {
        match self {
            Self::SafeHarbor => Profile::SafeHarbor,
            Self::ExpertDetermination => Profile::ExpertDetermination(DayAnchor::from_random(random)),
        }
    }
}

/// What a holder asks of its own releases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReleasePolicy {
    /// Under which profile charts leave.
    pub profile: ReleaseProfile,
    /// A chart leaves only if at least so many of the holder's patients, with its own, have the same quasi-identifiers.
    pub k_min: usize,
}

impl Default for ReleasePolicy {
    fn default() -> Self {
        let profile = ReleaseProfile::default();
        Self { profile, k_min: profile.k_min_default() }
    }
}

/// Rows of patients by the record that they were read from; a record never changes.
pub(super) type PatientRows = BTreeMap<SubjectId, (RecordId, Row)>;

/// The holder's patients, among whom those of a delivery have to be hidden.
pub(super) struct Crowd {
    k_min: usize,
    rows: PatientRows,
    sizes: ClassSizes,
    /// Rows of those who are not hidden well enough.
    held_back: Vec<Row>,
}

impl Inner {
    /// The crowd as it is now. Nothing is read where every chart passes.
    pub(super) fn crowd(&self) -> Result<Crowd, MarketError> {
        let k_min = self.policy.k_min;
        let mut rows = PatientRows::new();
        if k_min > 1 {
            let vault = self.ingest.vault();
            let permit = holder_permit(vault, &self.clock, BlockClass::Deidentified)?;
            let mut known = self.patient_rows.lock();
            for patient in self.ingest.patients() {
                let subject = patient?.subject;
                let now = self.ingest.patient_record(subject)?;
                let cached = known.get(&subject).filter(|(record, _)| Some(*record) == now).cloned();
                let row = match cached {
                    Some(row) => Some(row),
                    None => self.ingest.patient_row(subject, &permit)?,
                };
                rows.extend(row.map(|row| (subject, row)));
            }
            known.clone_from(&rows);
        }
        let sizes = ClassSizes::of(rows.values().map(|(_, row)| row.quasi.clone()));
        Ok(Crowd { k_min, rows, sizes, held_back: Vec::new() })
    }
}

impl Crowd {
    /// Whether enough others are like this patient. Who has no Patient resource here is like nobody.
    pub(super) fn hides(&mut self, subject: SubjectId) -> bool {
        if self.k_min <= 1 {
            return true;
        }
        let unknown = Row { quasi: Vec::new(), sensitive: String::new() };
        let row = self.rows.get(&subject).map_or(&unknown, |(_, row)| row);
        let hidden = self.sizes.size(&row.quasi) >= self.k_min;
        if !hidden {
            self.held_back.push(row.clone());
        }
        hidden
    }

    /// Refuses the release if charts were held back.
    pub(super) fn check(&self, request: Address) -> Result<(), MarketError> {
        if self.held_back.is_empty() {
            return Ok(());
        }
        let table = |rows: Vec<Row>| Table { rows, ..empty_table() };
        let population = table(self.rows.values().map(|(_, row)| row.clone()).collect());
        let assessment = assess(&table(self.held_back.clone()), &population, self.k_min);
        let k_best = self.held_back.iter().map(|row| self.sizes.size(&row.quasi)).max().unwrap_or(0);
        let column = assessment.columns.into_iter().next().map(|effect| effect.column).unwrap_or_default();
        Err(MarketError::TooIdentifying { request, k_min: self.k_min, k_best, column })
    }
}
