//! `_include` and `_revinclude` (R4 section 3.1.1.5.4).

use super::{Reader, Resource};
use crate::{
    StoreError,
    database::values as sql,
    extract::values,
    parameters::{Class, Kind, Parameter, Parameters},
    search::Include,
    value::{Indexed, Target},
    writer::current,
};
use sonic_rs::Value;
use std::collections::HashSet;

/// How often `:iterate` goes round.
const ROUNDS_MAX: usize = 5;

impl Reader {
    /// What `includes` adds to `found`, at most `most` resources. Tells whether there would be more.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub fn included(
        &self,
        found: &[Resource],
        includes: &[Include],
        most: usize,
    ) -> Result<(Vec<Resource>, bool), StoreError> {
        let mut known: HashSet<i64> = found.iter().map(|one| one.number).collect();
        let (mut added, mut begin) = (Vec::new(), 0);
        for round in 0..ROUNDS_MAX {
            let sources: Vec<Resource> = if round == 0 {
                found.to_vec()
            } else {
                added.get(begin..).map(<[_]>::to_vec).unwrap_or_default()
            };
            begin = added.len();
            for include in includes.iter().filter(|include| round == 0 || include.iterate) {
                for source in &sources {
                    let numbers = if include.reverse {
                        self.referring(source, include, most)?
                    } else {
                        self.referred(source, include)?
                    };
                    for number in numbers {
                        if !known.insert(number) {
                            continue;
                        }
                        let Some(one) = self.numbered(number)? else { continue };
                        if added.len() == most {
                            return Ok((added, true));
                        }
                        added.push(one);
                    }
                }
            }
            if added.len() == begin {
                break;
            }
        }
        Ok((added, false))
    }

    /// What `source` refers to.
    fn referred(&self, source: &Resource, include: &Include) -> Result<Vec<i64>, StoreError> {
        let mut numbers = Vec::new();
        for (kind, id) in targets(source, include)? {
            numbers.extend(current(&self.database, kind, &id)?.map(|found| found.rid));
        }
        Ok(numbers)
    }

    /// What refers to `target`.
    fn referring(&self, target: &Resource, include: &Include, most: usize) -> Result<Vec<i64>, StoreError> {
        if include.target.is_some_and(|kind| kind != target.kind) {
            return Ok(Vec::new());
        }
        let mut numbers = Vec::new();
        for parameter in references(include) {
            if parameter.paths.iter().filter_map(|path| path.target).any(|kind| kind != target.kind) {
                continue;
            }
            let served = parameter.alias.unwrap_or(parameter.id);
            let text = "SELECT rid FROM posting WHERE param = ?1 AND key = ?2 ORDER BY rid LIMIT ?3";
            let limit = i64::try_from(most + 1).unwrap_or(i64::MAX);
            let asked = sql![served.index(), target.number, limit];
            numbers.extend(self.database.all(text, asked, |row| row.get::<i64>(0))?);
        }
        Ok(numbers)
    }

    /// The resources that `resource` refers to, of types other than `but`, without those that were `asked` for before.
    pub(super) fn supporting(
        &self,
        resource: &Resource,
        but: &dyn Fn(Kind) -> bool,
        asked: &mut HashSet<(Kind, String)>,
    ) -> Result<Vec<i64>, StoreError> {
        let all =
            Include { source: resource.kind, parameter: None, target: None, iterate: false, reverse: false };
        let mut numbers = Vec::new();
        for target in targets(resource, &all)? {
            if but(target.0) || asked.contains(&target) {
                continue;
            }
            numbers.extend(current(&self.database, target.0, &target.1)?.map(|found| found.rid));
            asked.insert(target);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }
}

/// The types and ids of what `source` refers to.
fn targets(source: &Resource, include: &Include) -> Result<Vec<(Kind, String)>, StoreError> {
    if source.kind != include.source {
        return Ok(Vec::new());
    }
    let Some(text) = &source.text else { return Ok(Vec::new()) };
    let value: Value = sonic_rs::from_str(text).map_err(|_| StoreError::Damaged("a resource's text"))?;
    let mut found = Vec::new();
    for parameter in references(include) {
        for one in values(parameter.class, &parameter.paths, &value, &value) {
            let Indexed::Reference(Target::Local(kind, id)) = one else { continue };
            if include.target.is_none_or(|target| target == kind) {
                found.push((kind, id));
            }
        }
    }
    Ok(found)
}

fn references(include: &Include) -> Vec<&'static Parameter> {
    let parameters = Parameters::r4();
    match include.parameter {
        Some(parameter) => vec![parameters.get(parameter)],
        None => parameters.of(include.source).filter(|one| one.class == Class::Reference).collect(),
    }
}
