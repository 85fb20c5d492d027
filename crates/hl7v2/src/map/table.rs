//! The segment maps: which field goes where, from the files in `maps/`.
//!
//! A map begins with `> SEGMENT Name`. Then one line a target: `field converter path conditions | constants`.
//! - field `3`; `3.4` gives a component as if it were a field of its own.
//! - converter: a data type of [`datatype`](super::datatype), with an argument after a colon; `-` where a field needs no
//!   place (set ids, what other fields say as well).
//! - path: see [`path`]; `name*` is a new item, `name+` the last one.
//! - condition: `?5` field 5 says something, `!5` says nothing, `?5=A,B` says A or B, `!5=A,B` says neither.
//! - constant: `path=code@system` makes a CodeableConcept, `path="text"` a text. They are put where the field was.

use super::{
    concept::system_uri,
    context::{At, Context},
    datatype::{self, Convert},
    json::{Json, Step, path},
};
use crate::Segment;
use std::{collections::HashMap, sync::LazyLock};

const FILES: [&str; 5] = [
    include_str!("../../maps/patient.txt"),
    include_str!("../../maps/visit.txt"),
    include_str!("../../maps/orders.txt"),
    include_str!("../../maps/medication.txt"),
    include_str!("../../maps/other.txt"),
];

static MAPS: LazyLock<HashMap<(&str, &str), Vec<Rule>>> = LazyLock::new(|| {
    let mut maps: HashMap<(&str, &str), Vec<Rule>> = HashMap::new();
    let lines = FILES.iter().flat_map(|file| file.lines());
    let mut current = ("", "");
    for line in lines.filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        if let Some(head) = line.strip_prefix("> ") {
            current = head.split_once(' ').unwrap_or((head, ""));
        } else if let Some(rule) = Rule::read(line) {
            maps.entry(current).or_default().push(rule);
        }
    }
    maps
});

struct Rule {
    field: usize,
    component: usize,
    /// None: the field needs no place.
    convert: Option<Convert>,
    argument: &'static str,
    path: Vec<Step>,
    conditions: Vec<Condition>,
    constants: Vec<(Vec<Step>, Json)>,
}

struct Condition {
    field: usize,
    holds: bool,
    values: Option<Vec<&'static str>>,
}

impl Rule {
    fn read(line: &'static str) -> Option<Self> {
        let mut parts = line.split(" | ");
        let mut words = parts.next()?.split_whitespace();
        let (field, component) = match words.next()?.split_once('.') {
            Some((field, component)) => (field.parse().ok()?, component.parse().ok()?),
            None => (line.split_whitespace().next()?.parse().ok()?, 0),
        };
        let (name, argument) = words
            .next()?
            .split_once(':')
            .unwrap_or_else(|| (line.split_whitespace().nth(1).unwrap_or_default(), ""));
        let convert = if name == "-" { None } else { Some(datatype::named(name)?) };
        let to = if convert.is_some() { path(words.next()?) } else { Vec::new() };
        let conditions = words.map(Condition::read).collect::<Option<_>>()?;
        let constants = parts.map(constant).collect::<Option<_>>()?;
        Some(Self { field, component, convert, argument, path: to, conditions, constants })
    }
}

impl Condition {
    fn read(word: &'static str) -> Option<Self> {
        let (holds, rest) = match word.strip_prefix('?') {
            Some(rest) => (true, rest),
            None => (false, word.strip_prefix('!')?),
        };
        let (field, values) = match rest.split_once('=') {
            Some((field, values)) => (field, Some(values.split(',').collect())),
            None => (rest, None),
        };
        Some(Self { field: field.parse().ok()?, holds, values })
    }

    fn is_met(&self, segment: &Segment<'_>) -> bool {
        let is = match &self.values {
            Some(values) => values.contains(&segment.value(self.field).as_str()),
            None => segment.has(self.field),
        };
        is == self.holds
    }
}

fn constant(text: &'static str) -> Option<(Vec<Step>, Json)> {
    let (to, value) = text.trim().split_once('=')?;
    let value = match (value.strip_prefix('"').and_then(|text| text.strip_suffix('"')), value.split_once('@'))
    {
        (Some(text), _) => Json::from(text),
        (None, Some((code, system))) => concept(system, code, ""),
        (None, None) => return None,
    };
    Some((path(to), value))
}

/// A CodeableConcept of one coding. The system is one of HL7's terminology by name (`v3-ActCode`), or by its name in
/// table 0396.
#[must_use]
pub fn concept(system: &str, code: &str, display: &str) -> Json {
    Json::object([("coding", Json::List(vec![coding(system, code, display)]))])
}

/// A Coding; see [`concept`].
#[must_use]
pub fn coding(system: &str, code: &str, display: &str) -> Json {
    let uri = if system.contains(':') {
        system.to_owned()
    } else if system.contains('-') {
        format!("http://terminology.hl7.org/CodeSystem/{system}")
    } else {
        system_uri(system).unwrap_or_default()
    };
    Json::object([("system", uri.into()), ("code", code.into()), ("display", display.into())])
}

/// Applies a map to a resource of the Bundle.
pub(crate) fn apply(context: &mut Context<'_>, segment: &Segment<'_>, name: &str, target: At) {
    let mut json = std::mem::take(context.at(target));
    fill(context, segment, name, &mut json);
    *context.at(target) = json;
}

/// Applies a map to a resource or element.
pub(crate) fn fill(context: &mut Context<'_>, segment: &Segment<'_>, name: &str, json: &mut Json) {
    let Some(rules) = MAPS.get(&(segment.name, name)) else { return };
    for rule in rules {
        if !rule.conditions.iter().all(|condition| condition.is_met(segment)) {
            continue;
        }
        context.take(segment, rule.field);
        let Some(convert) = rule.convert else { continue };
        for one in segment.field(rule.field).repetitions() {
            let one = if rule.component > 0 { one.nested(rule.component) } else { one };
            if one.is_empty() {
                continue;
            }
            context.place = segment.place(rule.field).at_component(rule.component);
            let Some(value) = convert(context, one, rule.argument) else { continue };
            if json.set(&rule.path, value) {
                rule.constants.iter().for_each(|(to, value)| {
                    json.set(to, value.clone());
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_maps_is_understood() {
        for line in FILES.iter().flat_map(|file| file.lines()) {
            if !(line.starts_with('#') || line.starts_with("> ") || line.trim().is_empty()) {
                assert!(Rule::read(line).is_some(), "{line}");
            }
        }
        assert!(MAPS.contains_key(&("PID", "Patient")));
    }
}
