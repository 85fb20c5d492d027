//! From the parameters of a request to a query (R4 section 3.1.1).

use super::query::{Clause, Include, Query, Sort, SortBy, Test};
use crate::{
    StoreError,
    extract::{is_id, target},
    parameters::{Class, Kind, Parameter, Parameters},
    value::{Target, text::fold},
};

mod value;

/// The most parameters of one search.
const PARAMETERS_MAX: usize = 64;
/// The most values of one parameter.
const VALUES_MAX: usize = 500;
/// How deep chains and `_has` may go into each other.
const DEPTH_MAX: usize = 4;

/// A search, understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Parsed {
    /// What must hold.
    pub query: Query,
    /// What is given along.
    pub includes: Vec<Include>,
    /// Parameters that are none of this type's and were passed over.
    pub ignored: Vec<String>,
}

/// What a search is read by.
struct Reader<'a> {
    now_ms: i64,
    /// The addresses of this server: a reference that begins with one is to a resource here.
    bases: &'a [String],
}

/// Reads the parameters of a search over `kind`. What begins with an underscore and says how to answer (`_count`, `_summary`
/// and so on) is the caller's, and left alone.
///
/// # Errors
/// [`StoreError::Search`] for a value or modifier that means nothing.
pub fn parse(
    kind: Kind,
    parameters: &[(String, String)],
    bases: &[String],
    now_ms: i64,
) -> Result<Parsed, StoreError> {
    let reader = Reader { now_ms, bases };
    let mut parsed = Parsed {
        query: Query { kind, clauses: Vec::new(), sort: Vec::new() },
        includes: Vec::new(),
        ignored: Vec::new(),
    };
    if parameters.len() > PARAMETERS_MAX {
        return Err(wrong("", "more than 64 parameters"));
    }
    for (name, value) in parameters {
        let (code, modifier) = name.split_once(':').unwrap_or((name, ""));
        match code {
            "_sort" => parsed.query.sort.extend(sort(kind, value)?),
            "_include" => parsed.includes.extend(include(value, modifier, false)?),
            "_revinclude" => parsed.includes.extend(include(value, modifier, true)?),
            "_count" | "_summary" | "_elements" | "_total" | "_format" | "_pretty" | "_page"
            | "_contained" | "_containedType" | "_type" | "purpose" => {}
            _ => match reader.clause(kind, name, value, 0)? {
                Some(clause) => parsed.query.clauses.push(clause),
                None => parsed.ignored.push(plausible(code)),
            },
        }
    }
    Ok(parsed)
}

/// A name as far as it may be shown: a mistake may have put anything into it.
fn plausible(name: &str) -> String {
    let usable =
        name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte));
    if usable { name.to_owned() } else { "a parameter".to_owned() }
}

fn wrong(parameter: &str, reason: &str) -> StoreError {
    StoreError::Search { parameter: plausible(parameter), reason: reason.to_owned() }
}

fn sort(kind: Kind, value: &str) -> Result<Vec<Sort>, StoreError> {
    let one = |name: &str| {
        let (name, descending) = name.strip_prefix('-').map_or((name, false), |name| (name, true));
        let by = match name {
            "_id" => SortBy::Id,
            "_lastUpdated" => SortBy::LastUpdated,
            _ => {
                let parameter = Parameters::r4().find(kind, name);
                let usable = parameter.filter(|one| !matches!(one.class, Class::Composite | Class::Special));
                SortBy::Parameter(
                    usable.ok_or_else(|| wrong("_sort", "no parameter of this type to sort by"))?.id,
                )
            }
        };
        Ok(Sort { by, descending })
    };
    value.split(',').map(str::trim).filter(|name| !name.is_empty()).map(one).collect()
}

fn include(value: &str, modifier: &str, reverse: bool) -> Result<Vec<Include>, StoreError> {
    let name = if reverse { "_revinclude" } else { "_include" };
    let iterate = match modifier {
        "" => false,
        "iterate" | "recurse" => true,
        _ => return Err(wrong(name, "its only modifier is :iterate")),
    };
    let mut parts = value.split(':');
    let source = parts.next().and_then(|kind| Parameters::r4().kind(kind));
    let source =
        source.ok_or_else(|| wrong(name, "it begins with a resource type, as in Observation:subject"))?;
    let code = parts.next().ok_or_else(|| wrong(name, "it names a reference, as in Observation:subject"))?;
    let target = match parts.next().filter(|kind| !kind.is_empty()) {
        None => None,
        Some(kind) => {
            Some(Parameters::r4().kind(kind).ok_or_else(|| wrong(name, "its target is no resource type"))?)
        }
    };
    let parameter = match code {
        "*" => None,
        code => {
            let found = Parameters::r4().find(source, code).filter(|one| one.class == Class::Reference);
            Some(found.ok_or_else(|| wrong(name, "it names no reference of that type"))?.id)
        }
    };
    Ok(vec![Include { source, parameter, target, iterate, reverse }])
}

impl Reader<'_> {
    /// A clause; none where the parameter is not one of this type.
    fn clause(
        &self,
        kind: Kind,
        name: &str,
        value: &str,
        depth: usize,
    ) -> Result<Option<Clause>, StoreError> {
        if depth > DEPTH_MAX {
            return Err(wrong(name, "chains of more than four steps"));
        }
        if let Some(rest) = name.strip_prefix("_has:") {
            return self.has(kind, rest, value, depth).map(Some);
        }
        let (head, chain) = name.split_once('.').map_or((name, None), |(head, rest)| (head, Some(rest)));
        let (code, modifier) = head.split_once(':').unwrap_or((head, ""));
        if code == "_id" && chain.is_none() {
            return Ok(Some(Clause::Id(split(value, ',').into_iter().filter(|id| is_id(id)).collect())));
        }
        if code == "_lastUpdated" && chain.is_none() {
            let one = |text: &String| value::date(text, self.now_ms).ok_or_else(|| wrong(code, DATE));
            // Values of one parameter are alternatives; two windows are given as two parameters.
            let windows: Vec<_> = split(value, ',').iter().map(one).collect::<Result<_, _>>()?;
            return match windows.as_slice() {
                [_] => Ok(Some(Clause::LastUpdated(windows))),
                _ => Err(wrong(code, "one value; give the parameter twice for a window")),
            };
        }
        let Some(parameter) = Parameters::r4().find(kind, code) else { return Ok(None) };
        if let Some(rest) = chain {
            return self.chain(parameter, modifier, rest, value, depth).map(Some);
        }
        if modifier == "missing" {
            let missing = match value {
                "true" => true,
                "false" => false,
                _ => return Err(wrong(code, ":missing is true or false")),
            };
            return Ok(Some(Clause::Missing { parameter: parameter.id, missing }));
        }
        let texts = split(value, ',');
        if texts.len() > VALUES_MAX {
            return Err(wrong(code, "more than 500 values"));
        }
        let tests = texts
            .iter()
            .filter(|text| !text.is_empty())
            .map(|text| self.test(parameter, modifier, text))
            .collect::<Result<Vec<_>, _>>()?;
        if tests.is_empty() {
            return Err(wrong(code, "it has no value"));
        }
        let (negated, identifier) = (modifier == "not", modifier == "identifier");
        Ok(Some(Clause::Value { parameter: parameter.id, tests, negated, identifier }))
    }

    fn chain(
        &self,
        parameter: &Parameter,
        modifier: &str,
        rest: &str,
        value: &str,
        depth: usize,
    ) -> Result<Clause, StoreError> {
        if parameter.class != Class::Reference {
            return Err(wrong(parameter.code, "only a reference is followed by a dot"));
        }
        let said = match modifier {
            "" => None,
            kind => Some(
                Parameters::r4().kind(kind).ok_or_else(|| wrong(parameter.code, "no such resource type"))?,
            ),
        };
        let fixed = parameter.paths.iter().find_map(|path| path.target);
        let kinds: Vec<Kind> = match said.or(fixed) {
            Some(kind) => vec![kind],
            None => Parameters::r4().kinds().collect(),
        };
        let mut targets = Vec::new();
        for kind in kinds {
            if let Some(clause) = self.clause(kind, rest, value, depth + 1)? {
                targets.push(Query { kind, clauses: vec![clause], sort: Vec::new() });
            }
        }
        if targets.is_empty() {
            return Err(wrong(parameter.code, "what follows the dot is no parameter of what it refers to"));
        }
        Ok(Clause::Chain { parameter: parameter.id, targets })
    }

    /// `_has:Observation:patient:code=...`
    fn has(&self, kind: Kind, rest: &str, value: &str, depth: usize) -> Result<Clause, StoreError> {
        const FORM: &str = "it looks like _has:Observation:patient:code";
        let mut parts = rest.splitn(3, ':');
        let (Some(source), Some(code), Some(inner)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(wrong("_has", FORM));
        };
        let source = Parameters::r4().kind(source).ok_or_else(|| wrong("_has", FORM))?;
        let parameter = Parameters::r4().find(source, code).filter(|one| one.class == Class::Reference);
        let parameter = parameter.ok_or_else(|| wrong("_has", "it names no reference of that type"))?;
        if parameter.paths.iter().filter_map(|path| path.target).any(|target| target != kind) {
            return Ok(Clause::Nothing);
        }
        let clause = self.clause(source, inner, value, depth + 1)?;
        let clause = clause.ok_or_else(|| wrong("_has", "its last part is no parameter of that type"))?;
        let query = Box::new(Query { kind: source, clauses: vec![clause], sort: Vec::new() });
        Ok(Clause::Has { parameter: parameter.id, query })
    }

    fn test(&self, parameter: &Parameter, modifier: &str, text: &str) -> Result<Test, StoreError> {
        let code = parameter.code;
        let unsupported = || wrong(code, "this modifier is not one that this parameter takes here");
        match (parameter.class, modifier) {
            (Class::Token, "" | "not") => Ok(value::token(text)),
            (Class::Token, "text") => Ok(Test::Label(fold(text))),
            (Class::String, "") => Ok(Test::Starts(fold(&unescape(text)))),
            (Class::String, "contains" | "text") => Ok(Test::Contains(fold(&unescape(text)))),
            (Class::String, "exact") => Ok(Test::Exact(unescape(text))),
            (Class::Date, "") => {
                let (prefix, span) = value::date(text, self.now_ms).ok_or_else(|| wrong(code, DATE))?;
                Ok(Test::Date(prefix, span))
            }
            (Class::Number, "") => {
                value::amount(text, false).ok_or_else(|| wrong(code, "a number, as in gt5.4"))
            }
            (Class::Quantity, "") => value::amount(text, true)
                .ok_or_else(|| wrong(code, "a quantity, as in gt5.4|http://unitsofmeasure.org|mg")),
            (Class::Reference, "identifier") => Ok(value::token(text)),
            (Class::Reference, modifier) => {
                let kind = match modifier {
                    "" => None,
                    kind => Some(Parameters::r4().kind(kind).ok_or_else(unsupported)?),
                };
                Ok(Test::Reference(self.references(parameter, kind, &unescape(text))))
            }
            (Class::Uri, "") => Ok(Test::Uri(unescape(text))),
            (Class::Uri, "below") => Ok(Test::Below(unescape(text))),
            (Class::Uri, "above") => Ok(Test::Above(unescape(text))),
            (Class::Composite, "") => self.composite(parameter, text),
            (Class::Special, "") => {
                value::near(text).ok_or_else(|| wrong(code, "latitude|longitude|distance|km"))
            }
            _ => Err(unsupported()),
        }
    }

    /// What a value of a reference means: `Type/id`, an address of this server, another address, or an id alone.
    fn references(&self, parameter: &Parameter, kind: Option<Kind>, text: &str) -> Vec<Target> {
        let fixed = parameter.paths.iter().find_map(|path| path.target);
        let here = self.bases.iter().find_map(|base| text.strip_prefix(base.as_str()));
        let found = match target(here.unwrap_or(text)) {
            Target::Elsewhere(text) if is_id(&text) && kind.or(fixed).is_none() => {
                let any = Parameters::r4().kinds().map(|kind| Target::Local(kind, text.clone()));
                return any.chain([Target::Elsewhere(text.clone())]).collect();
            }
            Target::Elsewhere(text) if is_id(&text) => match kind.or(fixed) {
                Some(kind) => Target::Local(kind, text),
                None => Target::Elsewhere(text),
            },
            found => found,
        };
        let wanted = kind.or(fixed);
        let other = matches!((&found, wanted), (Target::Local(kind, _), Some(wanted)) if *kind != wanted);
        if other { Vec::new() } else { vec![found] }
    }

    fn composite(&self, parameter: &Parameter, text: &str) -> Result<Test, StoreError> {
        let form = || wrong(parameter.code, "its components are joined by $, as in 8480-6$gt120");
        let composite = parameter.composite.as_ref().ok_or_else(form)?;
        let texts = split(text, '$');
        if texts.len() != composite.components.len() {
            return Err(form());
        }
        let parts = composite.components.iter().zip(&texts).map(|(component, text)| {
            let like = Parameter {
                id: parameter.id,
                code: component.code,
                class: component.class,
                paths: component.paths.clone(),
                composite: None,
                alias: None,
                bit: 0,
            };
            self.test(&like, "", text)
        });
        Ok(Test::Composite(parts.collect::<Result<_, _>>()?))
    }
}

const DATE: &str = "a date, as in ge2020-01-31";

/// Splits where the separator is not escaped; what is escaped stays so.
fn split(text: &str, separator: char) -> Vec<String> {
    let (mut parts, mut current, mut escaped) = (Vec::new(), String::new(), false);
    for letter in text.chars() {
        if letter == separator && !escaped {
            parts.push(std::mem::take(&mut current));
            continue;
        }
        escaped = letter == '\\' && !escaped;
        current.push(letter);
    }
    parts.push(current);
    parts
}

/// Takes the escapes of `,`, `$`, `|` and `\` away.
fn unescape(text: &str) -> String {
    let (mut plain, mut escaped) = (String::with_capacity(text.len()), false);
    for letter in text.chars() {
        if letter == '\\' && !escaped {
            escaped = true;
            continue;
        }
        if escaped && !matches!(letter, ',' | '$' | '|' | '\\') {
            plain.push('\\');
        }
        plain.push(letter);
        escaped = false;
    }
    if escaped {
        plain.push('\\');
    }
    plain
}

#[cfg(test)]
mod tests;
