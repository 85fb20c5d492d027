//! From the clauses of a query to lists and checks.

use super::{
    cursor::{Cursor, List, Posting, meet},
    execute::{CHAINED_MAX, Selection, either},
    query::{Clause, Query, Test},
    range::Range,
    test::passes,
};
use crate::{
    StoreError,
    extract::values,
    index,
    parameters::{Class, Composite, Kind, Leaf, Parameter, ParameterId, Parameters},
    read::value_of,
    value::Target,
    writer::current,
};
use rusqlite::{Connection, params};
use sonic_rs::Value;
use std::rc::Rc;

/// Lists that are read side by side; more are put into one first.
const SIDE_BY_SIDE_MAX: usize = 64;
/// The most numbers of a list that is put together from many.
const GATHERED_MAX: usize = 1_000_000;

/// A test of one resource.
pub(super) type Check<'c> = Box<dyn FnMut(i64) -> Result<bool, StoreError> + 'c>;

/// How a query is carried out: what is in all lists, in none of `without`, and passes all checks and ranges.
pub(super) struct Plan<'c> {
    pub(super) lists: Vec<Box<dyn Cursor + 'c>>,
    pub(super) without: Vec<Box<dyn Cursor + 'c>>,
    pub(super) checks: Vec<Check<'c>>,
    pub(super) ranges: Vec<Range>,
}

pub(super) struct Planner<'c> {
    connection: &'c Connection,
    selection: Selection<'c>,
    kind: Kind,
    plan: Plan<'c>,
}

/// Where the values of a test are looked for.
enum Part {
    Keys(Vec<i64>),
    Range(Range),
    /// Only the resource itself tells.
    Body,
}

impl<'c> Planner<'c> {
    pub(super) fn new(connection: &'c Connection, selection: Selection<'c>, kind: Kind) -> Self {
        let plan = Plan { lists: Vec::new(), without: Vec::new(), checks: Vec::new(), ranges: Vec::new() };
        Self { connection, selection, kind, plan }
    }

    /// The plan; none where nothing can match.
    pub(super) fn plan(mut self, query: &Query) -> Result<Option<Plan<'c>>, StoreError> {
        for clause in &query.clauses {
            if !self.clause(clause)? {
                return Ok(None);
            }
        }
        Ok(Some(self.plan))
    }

    /// Adds a clause; `false` where nothing can match it.
    fn clause(&mut self, clause: &Clause) -> Result<bool, StoreError> {
        match clause {
            Clause::Nothing => return Ok(false),
            Clause::Id(ids) => {
                let mut numbers = Vec::new();
                for id in ids {
                    let found = current(self.connection, self.kind, id)?;
                    numbers
                        .extend(found.filter(|found| found.seq > 0 && !found.deleted).map(|found| found.rid));
                }
                self.plan.lists.push(Box::new(List::new(numbers)));
            }
            Clause::LastUpdated(windows) => {
                for (prefix, span) in windows {
                    self.plan.ranges.push(Range::changed(self.connection, self.kind, *prefix, *span)?);
                }
            }
            Clause::Missing { parameter, missing } => {
                let (bit, connection, missing) =
                    (Parameters::r4().get(*parameter).bit, self.connection, *missing);
                self.plan.checks.push(Box::new(move |number| {
                    let mut statement =
                        connection.prepare_cached("SELECT present FROM resource WHERE rid = ?1")?;
                    let present: i64 = statement.query_row([number], |row| row.get(0))?;
                    Ok(((present >> bit) & 1 == 0) == missing)
                }));
            }
            Clause::Value { parameter, tests, negated, identifier } => {
                let parameter = Parameters::r4().get(*parameter);
                if let Some(composite) = &parameter.composite {
                    return self.composite(composite, tests);
                }
                return self.value(parameter, tests, *negated, *identifier);
            }
            Clause::Chain { parameter, targets } => {
                let mut keys = Vec::new();
                for query in targets {
                    keys.extend(self.selection.all(query, CHAINED_MAX)?);
                }
                return self.keys(served(*parameter).index(), &keys, false);
            }
            Clause::Has { parameter, query } => self.has(*parameter, query)?,
            Clause::Compartment(patient) => return self.compartment(patient),
        }
        Ok(true)
    }

    /// What refers to the patient by any parameter of CompartmentDefinition/patient.
    fn compartment(&mut self, patient: &str) -> Result<bool, StoreError> {
        let parameters = Parameters::r4();
        let kind = parameters.kind("Patient").ok_or(StoreError::Damaged("the table of search parameters"))?;
        let Some(patient) = current(self.connection, kind, patient)? else { return Ok(false) };
        let list = |parameter: &ParameterId| {
            let param = served(*parameter).index();
            Box::new(Posting::new(self.connection, param, patient.rid)) as Box<dyn Cursor + 'c>
        };
        let lists: Vec<Box<dyn Cursor + 'c>> = parameters.compartment(self.kind).iter().map(list).collect();
        if lists.is_empty() {
            return Ok(false);
        }
        self.plan.lists.push(either(lists));
        Ok(true)
    }

    /// A candidate counts if any resource of the inner search refers to it.
    fn has(&mut self, parameter: ParameterId, query: &Query) -> Result<(), StoreError> {
        let inner: Rc<[i64]> = self.selection.all(query, GATHERED_MAX)?.into();
        let (connection, param) = (self.connection, served(parameter).index());
        self.plan.checks.push(Box::new(move |number| {
            let mut parts: Vec<Box<dyn Cursor + '_>> = vec![
                Box::new(Posting::new(connection, param, number)),
                Box::new(List::shared(Rc::clone(&inner))),
            ];
            Ok(meet(&mut parts, 1)?.is_some())
        }));
        Ok(())
    }

    fn value(
        &mut self,
        parameter: &'static Parameter,
        tests: &[Test],
        negated: bool,
        identifier: bool,
    ) -> Result<bool, StoreError> {
        let mut keys = Vec::new();
        let mut ranges = Vec::new();
        let mut body = Vec::new();
        let indexed = served(parameter.id);
        let param = if identifier { indexed.identifier_index() } else { indexed.index() };
        for test in tests {
            match self.part(param, test)? {
                Part::Keys(found) => keys.extend(found),
                Part::Range(range) => ranges.push(range),
                Part::Body => body.push(test.clone()),
            }
        }
        if body.is_empty() && ranges.is_empty() {
            return self.keys(param, &keys, negated);
        }
        if body.is_empty() && keys.is_empty() && !negated {
            self.plan.ranges.push(Range::any_of(ranges));
            return Ok(true);
        }
        let (connection, tests) = (self.connection, tests.to_vec());
        self.plan.checks.push(Box::new(move |number| {
            let value = value_of(connection, number)?;
            let mut found = values(parameter.class, &parameter.paths, &value, &value);
            Ok(found.any(|value| tests.iter().any(|test| passes(test, &value))) != negated)
        }));
        Ok(true)
    }

    /// Resources under any of these keys, or, negated, under none.
    fn keys(&mut self, param: i64, keys: &[i64], negated: bool) -> Result<bool, StoreError> {
        if keys.is_empty() {
            return Ok(negated);
        }
        let list = if keys.len() <= SIDE_BY_SIDE_MAX {
            let lists = keys
                .iter()
                .map(|key| Box::new(Posting::new(self.connection, param, *key)) as Box<dyn Cursor>);
            either(lists.collect())
        } else {
            Box::new(List::new(self.gather(param, keys)?)) as Box<dyn Cursor>
        };
        if negated { &mut self.plan.without } else { &mut self.plan.lists }.push(list);
        Ok(true)
    }

    fn gather(&self, param: i64, keys: &[i64]) -> Result<Vec<i64>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT rid FROM posting WHERE param = ?1 AND key = ?2")?;
        let mut numbers = Vec::new();
        for key in keys {
            let mut rows = statement.query(params![param, key])?;
            while let Some(row) = rows.next()? {
                numbers.push(row.get(0)?);
            }
            if numbers.len() > GATHERED_MAX {
                return Err(StoreError::TooCostly("a parameter finds too many resources; narrow it"));
            }
        }
        Ok(numbers)
    }

    fn part(&self, param: i64, test: &Test) -> Result<Part, StoreError> {
        let concepts = |text: &str, values: &[&dyn rusqlite::ToSql], sign: i64| {
            let mut statement = self.connection.prepare_cached(text)?;
            let rows = statement.query_map(values, |row| row.get::<_, i64>(0))?;
            let keys = rows.map(|key| key.map(|key| key * sign)).collect::<Result<_, _>>()?;
            Ok::<_, StoreError>(Part::Keys(keys))
        };
        match test {
            Test::Token { system: Some(system), code: Some(code) } => {
                concepts("SELECT cid FROM concept WHERE code = ?1 AND system = ?2", &[code, system], 1)
            }
            Test::Token { system: None, code: Some(code) } => {
                concepts("SELECT cid FROM concept WHERE code = ?1", &[code], 1)
            }
            // As many codes as resources may be of one system.
            Test::Token { .. } => Ok(Part::Body),
            Test::Label(text) => concepts(
                "SELECT cid FROM concept WHERE label LIKE ?1 ESCAPE '!'",
                &[&super::range::containing(text)],
                1,
            ),
            Test::Uri(uri) => concepts("SELECT cid FROM concept WHERE code = ?1 AND system = ''", &[uri], -1),
            Test::Below(uri) => {
                let end = format!("{uri}\u{10ffff}");
                let text = "SELECT cid FROM concept WHERE code >= ?1 AND code < ?2 AND system = ''";
                concepts(text, &[uri, &end], -1)
            }
            Test::Above(uri) => {
                let mut keys = Vec::new();
                let ends = uri.match_indices('/').flat_map(|(at, _)| [at, at + 1]).chain([uri.len()]);
                for end in ends {
                    keys.extend(index::concept(self.connection, "", &uri[..end], "")?.map(|key| -key));
                }
                Ok(Part::Keys(keys))
            }
            Test::Reference(targets) => {
                let mut keys = Vec::new();
                for target in targets {
                    keys.extend(match target {
                        Target::Local(kind, id) => {
                            current(self.connection, *kind, id)?.map(|found| found.rid)
                        }
                        Target::Elsewhere(uri) => {
                            index::concept(self.connection, "", uri, "")?.map(|key| -key)
                        }
                    });
                }
                Ok(Part::Keys(keys))
            }
            Test::Composite(_) | Test::Near { .. } => Ok(Part::Body),
            Test::Starts(_) | Test::Contains(_) | Test::Exact(_) | Test::Date(..) | Test::Amount { .. } => {
                Ok(Part::Range(Range::of(self.connection, param, test)?))
            }
        }
    }

    /// Components narrow the search one by one; whether they stand under one root, the resource tells.
    fn composite(&mut self, composite: &'static Composite, tests: &[Test]) -> Result<bool, StoreError> {
        let wanted: Vec<Vec<Test>> = tests
            .iter()
            .filter_map(|test| match test {
                Test::Composite(parts) if parts.len() == composite.components.len() => Some(parts.clone()),
                _ => None,
            })
            .collect();
        for (place, component) in composite.components.iter().enumerate() {
            let Some(parameter) = Parameters::r4().find(self.kind, component.code) else { continue };
            let tests: Vec<Test> = wanted.iter().filter_map(|parts| parts.get(place).cloned()).collect();
            if parameter.class == component.class && !self.value(parameter, &tests, false, false)? {
                return Ok(false);
            }
        }
        let connection = self.connection;
        self.plan.checks.push(Box::new(move |number| {
            let value = value_of(connection, number)?;
            Ok(wanted.iter().any(|parts| together(composite, parts, &value)))
        }));
        Ok(true)
    }
}

/// Whether some root has a value for every part.
fn together(composite: &Composite, parts: &[Test], resource: &Value) -> bool {
    composite.roots.iter().filter(|root| root.leaf == Leaf::Any).any(|root| {
        let mut any = false;
        root.walk(resource, &mut |element| {
            any |= composite.components.iter().zip(parts).all(|(component, test)| {
                let mut found = values(component.class, &component.paths, element, resource);
                found.any(|value| passes(test, &value))
            });
        });
        any
    })
}

/// The parameter whose index has the values of this one.
pub(super) fn served(parameter: ParameterId) -> ParameterId {
    Parameters::r4().get(parameter).alias.unwrap_or(parameter)
}

/// Whether a parameter's values are found by a list and not by a range.
pub(super) const fn is_listed(class: Class) -> bool {
    matches!(class, Class::Token | Class::Reference | Class::Uri)
}
