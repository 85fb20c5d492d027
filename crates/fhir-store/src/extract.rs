//! From a resource to the values of its search parameters.

mod leaf;
#[cfg(test)]
mod tests;

use crate::{
    parameters::{Class, Kind, Leaf, ParameterId, Parameters, Path, Reading, Use},
    value::{Indexed, Target},
};
use leaf::{cut, leaf};
use sonic_rs::Value;
use std::ops::Range;

/// The most values of one parameter that are indexed of one resource.
const VALUES_MAX: usize = 1_000;

/// What search knows of a resource.
#[derive(Clone, Debug, Default)]
pub struct Extracted {
    /// The parameters' values.
    pub values: Vec<(ParameterId, Indexed)>,
    /// The parameters that have a value, by their bits.
    pub(crate) present: i64,
}

/// Reads the values of all parameters of `kind` that have an index of their own.
#[must_use]
pub fn extract(kind: Kind, resource: &Value) -> Extracted {
    let mut read = Read::default();
    if let Some(tree) = Parameters::r4().tree(kind) {
        tree.walk(resource, &mut |reading, element| read.element(reading, element, resource));
    }
    read.extracted()
}

/// Values in the order of the resource, each read once for all parameters that have it.
#[derive(Default)]
struct Read {
    found: Vec<Indexed>,
    hits: Vec<Hit>,
    present: i64,
}

/// Values of a parameter, from one element.
struct Hit {
    used: Use,
    /// Where they stand among all that were found.
    values: Range<usize>,
    /// No later parameter has them.
    last: bool,
}

impl Read {
    fn element(&mut self, reading: &Reading, element: &Value, resource: &Value) {
        let before = self.found.len();
        leaf(reading.class, reading.leaf, element, resource, &mut self.found);
        let new = &self.found[before..];
        // Their values are in the other index; whether there are any depends on the targets' types.
        for alias in &reading.aliases {
            let any = new.iter().any(|value| is_of(alias.target, value));
            self.present |= i64::from(any) << alias.bit;
        }
        if new.is_empty() {
            return;
        }
        for (place, used) in reading.uses.iter().enumerate() {
            let last = place + 1 == reading.uses.len();
            self.hits.push(Hit { used: *used, values: before..self.found.len(), last });
        }
    }

    /// The values by parameter, and each parameter's in the order of its paths.
    fn extracted(mut self) -> Extracted {
        self.hits.sort_unstable_by_key(|hit| (hit.used.bit, hit.used.path, hit.values.start));
        let mut found: Vec<Option<Indexed>> = self.found.into_iter().map(Some).collect();
        let values = Vec::with_capacity(found.len());
        let mut extracted = Extracted { values, present: self.present };
        for hits in self.hits.chunk_by(|one, next| one.used.bit == next.used.bit) {
            extracted.add(hits, &mut found);
        }
        extracted
    }
}

impl Extracted {
    /// Adds the values of one parameter.
    fn add(&mut self, hits: &[Hit], found: &mut [Option<Indexed>]) {
        let (before, mut counted) = (self.values.len(), 0);
        for Hit { used, values, last } in hits {
            for slot in &mut found[values.clone()] {
                let Some(value) = slot.as_ref().filter(|value| is_of(used.target, value)) else { continue };
                if counted == VALUES_MAX {
                    return;
                }
                counted += 1;
                self.present |= 1_i64 << used.bit;
                // The same code in two codings of one text is one entry of the index.
                if !self.values[before..].iter().any(|(_, known)| known == value) {
                    let value = if *last { slot.take() } else { slot.clone() };
                    self.values.extend(value.map(|value| (used.parameter, value)));
                }
            }
        }
    }
}

/// The values at `paths`, from `root` or, where a path says so, from `resource`.
pub(crate) fn values(
    class: Class,
    paths: &[Path],
    root: &Value,
    resource: &Value,
) -> impl Iterator<Item = Indexed> {
    let mut found = Vec::new();
    for path in paths {
        let from = if path.from_resource { resource } else { root };
        if path.leaf == Leaf::Deceased {
            leaf(class, path.leaf, from, resource, &mut found);
            continue;
        }
        path.walk(from, &mut |element| {
            let before = found.len();
            leaf(class, path.leaf, element, resource, &mut found);
            if path.target.is_some() {
                let mut place = before;
                while place < found.len() {
                    let keep = is_of(path.target, &found[place]);
                    if keep { place += 1 } else { drop(found.remove(place)) }
                }
            }
        });
    }
    found.into_iter()
}

/// Whether a value is a reference to `target`, where the type of the target counts.
fn is_of(target: Option<Kind>, value: &Indexed) -> bool {
    let refers =
        |target: Kind| matches!(value, Indexed::Reference(Target::Local(kind, _)) if *kind == target);
    target.is_none_or(refers)
}

/// Where a literal reference leads: `Type/id`, with or without a version, is here; anything else is elsewhere.
#[must_use]
pub fn target(literal: &str) -> Target {
    // Without a version, as nearly all are, a reference has one slash.
    local(literal).unwrap_or_else(|| {
        let plain = literal.split_once("/_history/").map_or(literal, |(plain, _)| plain);
        local(plain).unwrap_or_else(|| Target::Elsewhere(cut(plain)))
    })
}

fn local(literal: &str) -> Option<Target> {
    let (kind, id) = literal.split_once('/').filter(|(_, id)| is_id(id))?;
    Some(Target::Local(Parameters::r4().kind(kind)?, id.to_owned()))
}

/// Whether `text` is an id of R4: 1 to 64 letters, digits, `-` and `.`.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}
