//! From the clauses of a query to lists and checks.

use super::{
    cursor::{Cursor, List, Posting, meet},
    execute::{CHAINED_MAX, Selection, either},
    query::{Clause, Query, Test},
    range::Range,
    test::passes,
};
use crate::{
    StoreError, bucket,
    database::{Database, Row, Value as Sql, values as sql},
    extract::{extract, values},
    index,
    parameters::{Class, Composite, Kind, Leaf, Parameter, ParameterId, Parameters},
    read::value_of,
    sealing::Domain,
    value::Target,
    writer::current,
};
use sonic_rs::Value;
use std::{cell::RefCell, rc::Rc};

/// Lists that are read side by side; more are put into one first.
const SIDE_BY_SIDE_MAX: usize = 64;
/// The most texts of codes that one search opens.
const LABELS_MAX: usize = 200_000;
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

/// The resource that was looked into last: several checks look into the same.
struct Bodies<'c> {
    database: &'c Database,
    last: RefCell<Option<(i64, Rc<Value>)>>,
}

impl Bodies<'_> {
    fn get(&self, number: i64) -> Result<Rc<Value>, StoreError> {
        let mut last = self.last.borrow_mut();
        if let Some((_, known)) = last.as_ref().filter(|(known, _)| *known == number) {
            return Ok(Rc::clone(known));
        }
        let value = Rc::new(value_of(self.database, number)?);
        *last = Some((number, Rc::clone(&value)));
        Ok(value)
    }
}

pub(super) struct Planner<'c> {
    database: &'c Database,
    selection: Selection<'c>,
    kind: Kind,
    plan: Plan<'c>,
    bodies: Rc<Bodies<'c>>,
}

/// Where the values of a test are looked for.
enum Part {
    Keys(Vec<i64>),
    Range(Range),
    /// Only the resource itself tells; it is in one of these lists, where there are any.
    Body(Option<Vec<(i64, i64)>>),
}

impl<'c> Planner<'c> {
    pub(super) fn new(database: &'c Database, selection: Selection<'c>, kind: Kind) -> Self {
        let plan = Plan { lists: Vec::new(), without: Vec::new(), checks: Vec::new(), ranges: Vec::new() };
        let bodies = Rc::new(Bodies { database, last: RefCell::new(None) });
        Self { database, selection, kind, plan, bodies }
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
                    let found = current(self.database, self.kind, id)?;
                    numbers
                        .extend(found.filter(|found| found.seq > 0 && !found.deleted).map(|found| found.rid));
                }
                self.plan.lists.push(Box::new(List::new(numbers)));
            }
            Clause::LastUpdated(windows) => {
                for (prefix, span) in windows {
                    self.plan.ranges.push(Range::changed(self.database, self.kind, *prefix, *span)?);
                }
            }
            Clause::Missing { parameter, missing } => {
                let (bit, database, missing) =
                    (Parameters::r4().get(*parameter).bit, self.database, *missing);
                let kind = self.kind;
                self.plan.checks.push(Box::new(move |number| {
                    let present: i64 = match database.sealer() {
                        None => database.one("SELECT present FROM resource WHERE rid = ?1", sql![number])?,
                        Some(_) => extract(kind, &value_of(database, number)?).present,
                    };
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
        let Some(patient) = current(self.database, kind, patient)? else { return Ok(false) };
        let list = |parameter: &ParameterId| {
            let param = served(*parameter).index();
            Box::new(Posting::new(self.database, param, patient.rid)) as Box<dyn Cursor + 'c>
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
        let (database, param) = (self.database, served(parameter).index());
        self.plan.checks.push(Box::new(move |number| {
            let mut parts: Vec<Box<dyn Cursor + '_>> = vec![
                Box::new(Posting::new(database, param, number)),
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
        // Lists of which one has each resource that passes; none where a test has none.
        let mut lists = Some(Vec::new());
        let mut looked_into = false;
        let indexed = served(parameter.id);
        let param = if identifier { indexed.identifier_index() } else { indexed.index() };
        for test in tests {
            match self.part(param, test)? {
                Part::Keys(found) => keys.extend(found),
                Part::Range(range) => ranges.push(range),
                Part::Body(found) => {
                    looked_into = true;
                    lists = lists.zip(found).map(|(lists, found)| [lists, found].concat());
                }
            }
        }
        if !looked_into && ranges.is_empty() {
            return self.keys(param, &keys, negated);
        }
        if !looked_into && keys.is_empty() && !negated {
            self.plan.ranges.push(Range::any_of(ranges));
            return Ok(true);
        }
        if let Some(mut lists) = lists.filter(|lists| !lists.is_empty() && ranges.is_empty() && !negated) {
            lists.extend(keys.iter().map(|key| (param, *key)));
            self.any_of(&lists)?;
        }
        let (bodies, tests) = (Rc::clone(&self.bodies), tests.to_vec());
        self.plan.checks.push(Box::new(move |number| {
            let value = bodies.get(number)?;
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
        let lists: Vec<(i64, i64)> = keys.iter().map(|key| (param, *key)).collect();
        let list = self.joined(&lists)?;
        if negated { &mut self.plan.without } else { &mut self.plan.lists }.push(list);
        Ok(true)
    }

    /// Only resources of one of these lists.
    fn any_of(&mut self, lists: &[(i64, i64)]) -> Result<(), StoreError> {
        let list = self.joined(lists)?;
        self.plan.lists.push(list);
        Ok(())
    }

    fn joined(&self, lists: &[(i64, i64)]) -> Result<Box<dyn Cursor + 'c>, StoreError> {
        if lists.len() > SIDE_BY_SIDE_MAX {
            return Ok(Box::new(List::new(self.gather(lists)?)));
        }
        let one = |(param, key): &(i64, i64)| {
            Box::new(Posting::new(self.database, *param, *key)) as Box<dyn Cursor + 'c>
        };
        Ok(either(lists.iter().map(one).collect()))
    }

    fn gather(&self, lists: &[(i64, i64)]) -> Result<Vec<i64>, StoreError> {
        let text = "SELECT rid FROM posting WHERE param = ?1 AND key = ?2";
        let mut numbers = Vec::new();
        for (param, key) in lists {
            numbers.extend(self.database.all(text, sql![*param, *key], |row| row.get::<i64>(0))?);
            if numbers.len() > GATHERED_MAX {
                return Err(StoreError::TooCostly("a parameter finds too many resources; narrow it"));
            }
        }
        Ok(numbers)
    }

    fn part(&self, param: i64, test: &Test) -> Result<Part, StoreError> {
        let concepts = |text: &str, values: &[Sql<'_>], sign: i64| {
            let keys = self.database.all(text, values, |row| Ok(row.get::<i64>(0)? * sign))?;
            Ok::<_, StoreError>(Part::Keys(keys))
        };
        let hidden = |domain, name| self.database.hidden(domain, name);
        let sealer = self.database.sealer();
        match test {
            Test::Token { system: Some(system), code: Some(code) } => {
                let names = [hidden(Domain::Code, code)?, hidden(Domain::System, system)?];
                concepts("SELECT cid FROM concept WHERE code = ?1 AND system = ?2", &names, 1)
            }
            Test::Token { system: None, code: Some(code) } => {
                concepts("SELECT cid FROM concept WHERE code = ?1", &[hidden(Domain::Code, code)?], 1)
            }
            // As many codes as resources may be of one system.
            Test::Token { .. } => Ok(Part::Body(None)),
            Test::Label(text) if sealer.is_some() => Ok(Part::Keys(self.labelled(text)?)),
            Test::Label(text) => concepts(
                "SELECT cid FROM concept WHERE label LIKE ?1 ESCAPE '!'",
                sql![super::range::containing(text).as_str()],
                1,
            ),
            Test::Uri(uri) => {
                let text = "SELECT cid FROM concept WHERE code = ?1 AND system = ''";
                concepts(text, &[hidden(Domain::Code, uri)?], -1)
            }
            // What is sealed has no order.
            Test::Below(_) if sealer.is_some() => Ok(Part::Body(None)),
            Test::Below(uri) => {
                let end = format!("{uri}\u{10ffff}");
                let text = "SELECT cid FROM concept WHERE code >= ?1 AND code < ?2 AND system = ''";
                concepts(text, sql![uri.as_str(), end.as_str()], -1)
            }
            Test::Above(uri) => {
                let mut keys = Vec::new();
                let ends = uri.match_indices('/').flat_map(|(at, _)| [at, at + 1]).chain([uri.len()]);
                for end in ends {
                    keys.extend(index::concept(self.database, "", &uri[..end], "")?.map(|key| -key));
                }
                Ok(Part::Keys(keys))
            }
            Test::Reference(targets) => {
                let mut keys = Vec::new();
                for target in targets {
                    keys.extend(match target {
                        Target::Local(kind, id) => current(self.database, *kind, id)?.map(|found| found.rid),
                        Target::Elsewhere(uri) => index::concept(self.database, "", uri, "")?.map(|key| -key),
                    });
                }
                Ok(Part::Keys(keys))
            }
            Test::Composite(_) | Test::Near { .. } => Ok(Part::Body(None)),
            Test::Starts(_) | Test::Contains(_) | Test::Exact(_) | Test::Date(..) | Test::Amount { .. } => {
                Ok(match sealer {
                    None => Part::Range(Range::of(self.database, param, test)?),
                    Some(sealer) => Part::Body(bucket::lists_for(sealer, param, test)),
                })
            }
        }
    }

    /// The concepts on a server whose label has `text` in it: all labels are opened.
    fn labelled(&self, text: &str) -> Result<Vec<i64>, StoreError> {
        let most = i64::try_from(LABELS_MAX + 1).unwrap_or(i64::MAX);
        let query = "SELECT cid, label FROM concept WHERE label <> '' LIMIT ?1";
        let read = |row: &Row<'_>| Ok((row.get(0)?, self.database.shown(row, 1, Domain::Label)?));
        let labels: Vec<(i64, String)> = self.database.all(query, sql![most], read)?;
        if labels.len() > LABELS_MAX {
            return Err(StoreError::TooCostly("there are too many texts of codes; search for a code"));
        }
        Ok(labels.into_iter().filter(|(_, label)| label.contains(text)).map(|(cid, _)| cid).collect())
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
        let bodies = Rc::clone(&self.bodies);
        self.plan.checks.push(Box::new(move |number| {
            let value = bodies.get(number)?;
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
