//! A compiled path: JSON properties to walk, and what stands at their end.

use super::Kind;
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// The FHIR type at the end of a path, as far as it matters for an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are FHIR's")]
pub enum Leaf {
    CodeableConcept,
    Coding,
    Identifier,
    ContactPoint,
    /// code, boolean, id: a bare code.
    Code,
    Text,
    HumanName,
    Address,
    /// date, dateTime, instant.
    Date,
    Period,
    Timing,
    Number,
    Range,
    /// Quantity and what is derived from it; Money.
    Quantity,
    Money,
    SampledData,
    Reference,
    /// uri, url, canonical, oid, uuid.
    Uri,
    Resource,
    /// Whether a patient has died, said by a boolean or by a date.
    Deceased,
    Position,
    /// Any element: the root of a composite.
    Any,
}

impl Leaf {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "CodeableConcept" => Self::CodeableConcept,
            "Coding" => Self::Coding,
            "Identifier" => Self::Identifier,
            "ContactPoint" => Self::ContactPoint,
            "code" | "boolean" | "id" => Self::Code,
            "string" | "markdown" => Self::Text,
            "HumanName" => Self::HumanName,
            "Address" => Self::Address,
            "date" | "dateTime" | "instant" => Self::Date,
            "Period" => Self::Period,
            "Timing" => Self::Timing,
            "integer" | "decimal" | "positiveInt" | "unsignedInt" => Self::Number,
            "Range" => Self::Range,
            "Quantity" | "Age" | "Duration" | "Count" | "Distance" | "SimpleQuantity" => Self::Quantity,
            "Money" => Self::Money,
            "SampledData" => Self::SampledData,
            "Reference" => Self::Reference,
            "uri" | "url" | "canonical" | "oid" | "uuid" => Self::Uri,
            "Resource" => Self::Resource,
            "Deceased" => Self::Deceased,
            "Position" => Self::Position,
            _ => return None,
        })
    }
}

/// A step: a property, with which of its items are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) name: &'static str,
    /// Items in which this element has this text.
    only: Option<(&'static str, &'static str)>,
    index: Option<usize>,
}

/// Where values of a parameter stand.
#[derive(Clone, Debug)]
pub struct Path {
    pub(super) steps: Vec<Step>,
    /// What stands there.
    pub leaf: Leaf,
    /// References to this type only.
    pub target: Option<Kind>,
    /// From the resource, also where the path is of a composite's component.
    pub(crate) from_resource: bool,
}

impl Path {
    /// Reads `[^]step.step:leaf[>Target]`.
    pub(super) fn read(text: &'static str, kind: impl Fn(&str) -> Option<Kind>) -> Option<Self> {
        let (text, from_resource) = match text.strip_prefix('^') {
            Some(rest) => (rest, true),
            None => (text, false),
        };
        // A filter may hold a URL, so the leaf stands behind the last colon.
        let (steps, leaf) = text.rsplit_once(':')?;
        let (leaf, target) = match leaf.split_once('>') {
            Some((leaf, target)) => (leaf, Some(kind(target)?)),
            None => (leaf, None),
        };
        Some(Self { steps: read_steps(steps)?, leaf: Leaf::named(leaf)?, target, from_resource })
    }

    /// The root of a composite; `.` is the resource.
    pub(super) fn root(text: &'static str) -> Self {
        let steps = if text == "." { Vec::new() } else { read_steps(text).unwrap_or_default() };
        Self { steps, leaf: Leaf::Any, target: None, from_resource: true }
    }

    /// Whether `other` leads to the same elements.
    pub(super) fn same_place(&self, other: &Self) -> bool {
        self.steps == other.steps && self.leaf == other.leaf
    }

    /// Its properties, each with the element and the text by which its items are told.
    #[cfg(test)]
    pub(crate) fn properties(&self) -> Vec<(&'static str, Option<(&'static str, &'static str)>)> {
        self.steps.iter().map(|step| (step.name, step.only)).collect()
    }

    /// Calls `found` for each element at the end of the path.
    pub fn walk<'a>(&self, from: &'a Value, found: &mut impl FnMut(&'a Value)) {
        walk(&self.steps, from, found);
    }

    /// Whether any element stands there.
    #[must_use]
    pub fn leads_anywhere(&self, from: &Value) -> bool {
        let mut any = false;
        self.walk(from, &mut |_| any = true);
        any
    }
}

fn read_steps(text: &'static str) -> Option<Vec<Step>> {
    let (mut steps, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let end = rest.find(['.', '[', '#']).unwrap_or(rest.len());
        let mut step = Step { name: &rest[..end], only: None, index: None };
        rest = &rest[end..];
        if let Some(filter) = rest.strip_prefix('[') {
            let (inside, after) = filter.split_once(']')?;
            step.only = Some(inside.split_once('=')?);
            rest = after;
        }
        if let Some(numbered) = rest.strip_prefix('#') {
            let end = numbered.find('.').unwrap_or(numbered.len());
            step.index = Some(numbered[..end].parse().ok()?);
            rest = &numbered[end..];
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        steps.push(step);
    }
    Some(steps)
}

fn walk<'a>(steps: &[Step], value: &'a Value, found: &mut impl FnMut(&'a Value)) {
    let Some((step, rest)) = steps.split_first() else { return found(value) };
    let Some(child) = value.as_object().and_then(|object| object.get(&step.name)) else { return };
    let meant = items(child).iter().enumerate().filter(|(number, item)| step.means(*number, item));
    meant.for_each(|(_, item)| walk(rest, item, found));
}

/// The items of a property; what does not repeat is one item.
pub(super) fn items(child: &Value) -> &[Value] {
    child.as_array().map_or(std::slice::from_ref(child), |array| array.as_slice())
}

impl Step {
    /// Whether item `number` of its property is meant.
    pub(super) fn means(&self, number: usize, item: &Value) -> bool {
        let is = |(name, text): (&str, &str)| item.get(name).and_then(|it| it.as_str()) == Some(text);
        self.index.is_none_or(|index| index == number) && !item.is_null() && self.only.is_none_or(is)
    }
}
