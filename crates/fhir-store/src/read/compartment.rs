//! A patient's compartment: `Patient/$everything` (R4, Operation Patient-everything).

use super::{Reader, Resource};
use crate::{
    StoreError,
    database::values,
    parameters::{Kind, Parameters},
    search::SortValue,
    writer::current,
};
use std::collections::HashSet;

/// What of a compartment is asked for.
#[derive(Clone, Debug, Default)]
pub struct Everything {
    /// Resource types; all where there are none.
    pub kinds: Vec<Kind>,
    /// What was changed since, in milliseconds since the epoch.
    pub since_ms: i64,
    /// Behind which number to go on.
    pub after: i64,
    /// Up to which number.
    pub upto: i64,
}

impl Reader {
    /// The patient, all resources of the compartment, and what those refer to: the next `limit` of them by age, and the
    /// number behind which the rest begins.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn everything(
        &self,
        patient: &str,
        asked: &Everything,
        limit: usize,
    ) -> Result<(Vec<Resource>, Option<i64>), StoreError> {
        let parameters = Parameters::r4();
        let kind = parameters.kind("Patient").ok_or(StoreError::Damaged("the table of search parameters"))?;
        let Some(patient) = current(&self.database, kind, patient)? else { return Ok((Vec::new(), None)) };
        let wanted = |kind: &Kind| asked.kinds.is_empty() || asked.kinds.contains(kind);
        let mut numbers = vec![patient.rid];
        let text = "SELECT rid FROM posting WHERE param = ?1 AND key = ?2";
        for kind in parameters.kinds() {
            for parameter in parameters.compartment(kind) {
                let served = parameters.get(*parameter).alias.unwrap_or(*parameter);
                numbers.extend(
                    self.database.all(text, values![served.index(), patient.rid], |row| row.get::<i64>(0))?,
                );
            }
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers.retain(|number| *number > asked.after && *number <= asked.upto);
        let more = numbers.len() > limit;
        numbers.truncate(limit);
        let last = numbers.last().copied().filter(|_| more);
        let mut found = Vec::with_capacity(numbers.len());
        for number in &numbers {
            found.extend(self.numbered(*number)?);
        }
        // What belongs to no patient comes with the page that refers to it.
        let mut known: HashSet<i64> = numbers.into_iter().collect();
        let of_patients = |kind: Kind| !parameters.compartment(kind).is_empty();
        let (mut supporting, mut looked_up) = (Vec::new(), HashSet::new());
        for one in &found {
            supporting.extend(self.supporting(one, &of_patients, &mut looked_up)?);
        }
        for number in supporting {
            if known.insert(number) {
                found.extend(self.numbered(number)?);
            }
        }
        found.retain(|one| wanted(&one.kind) && one.updated_ms >= asked.since_ms);
        Ok((found, last))
    }

    /// The resources of a kind that came after number `after`, by age: for exports.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn of_kind(
        &self,
        kind: Kind,
        after: i64,
        upto: i64,
        limit: usize,
    ) -> Result<Vec<Resource>, StoreError> {
        let query = crate::search::Query { kind, clauses: Vec::new(), sort: Vec::new() };
        let behind = (Vec::<SortValue>::new(), after);
        Ok(self.search(&query, limit, Some(&behind), upto)?.0)
    }
}
