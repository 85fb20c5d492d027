//! The values of one element, by its type.

use super::target;
use crate::{
    parameters::{Class, Leaf, Parameters},
    value::{
        Amount, Indexed, Target,
        date::{self, EARLIEST, LATEST, Span},
        text::fold,
    },
};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// The most bytes of a code or URI that are indexed.
const CODE_BYTES_MAX: usize = 512;

/// Who has no word of death is alive for the search.
fn deceased(resource: &Value) -> Indexed {
    let said = resource.get("deceasedBoolean").and_then(JsonValueTrait::as_bool);
    let dead = said.unwrap_or_else(|| resource.get("deceasedDateTime").is_some());
    token("", if dead { "true" } else { "false" }, "")
}

fn token(system: &str, code: &str, label: &str) -> Indexed {
    Indexed::Token { system: cut(system), code: cut(code), label: fold(label) }
}

/// What is longer than any code is cut, so that an index entry stays small.
pub(super) fn cut(text: &str) -> String {
    let mut end = text.len().min(CODE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// The children of these names; of two with one name the first. One pass over the members finds them all.
fn children<'a, const N: usize>(value: &'a Value, names: [&str; N]) -> [Option<&'a Value>; N] {
    let mut found = [None; N];
    let Some(object) = value.as_object() else { return found };
    for (name, child) in object.iter() {
        if let Some((place, _)) = found.iter_mut().zip(names).find(|(_, one)| *one == name) {
            place.get_or_insert(child);
        }
    }
    found
}

fn texts<'a, const N: usize>(value: &'a Value, names: [&str; N]) -> [Option<&'a str>; N] {
    children(value, names).map(text_of)
}

pub(super) fn text_of(child: Option<&Value>) -> Option<&str> {
    child?.as_str()
}

fn items(child: Option<&Value>) -> &[Value] {
    let Some(child) = child else { return &[] };
    child.as_array().map_or(std::slice::from_ref(child), |array| array.as_slice())
}

/// A number as written, in text or as JSON number.
fn number(value: &Value) -> Option<f64> {
    let raw = value.as_raw_number()?;
    raw.as_str().parse().ok().filter(|number: &f64| number.is_finite())
}

/// Adds the values of an element to `found`. What is said of a death stands in two elements of `resource`.
pub(super) fn leaf(class: Class, leaf: Leaf, element: &Value, resource: &Value, found: &mut Vec<Indexed>) {
    match leaf {
        Leaf::CodeableConcept => concept(element, found),
        Leaf::Coding => found.extend(coding(element, "")),
        Leaf::Identifier | Leaf::ContactPoint => {
            let [system, value] = texts(element, ["system", "value"]);
            found.extend(value.map(|value| token(system.unwrap_or_default(), value, "")));
        }
        Leaf::Code | Leaf::Text | Leaf::Uri => plain(class, element, found),
        Leaf::HumanName => all_words(element, ["family", "given", "prefix", "suffix", "text"], found),
        Leaf::Address => {
            let parts = ["line", "city", "district", "state", "postalCode", "country", "text"];
            all_words(element, parts, found);
        }
        Leaf::Date => found.extend(element.as_str().and_then(date::parse).map(Indexed::Date)),
        Leaf::Period => found.extend(period(element).map(Indexed::Date)),
        Leaf::Timing => found.extend(timing(element).map(Indexed::Date)),
        Leaf::Number => {
            found.extend(number(element).map(|number| amount(number, number, "", "", "")));
        }
        Leaf::Quantity | Leaf::Money => found.extend(quantity(element)),
        Leaf::Range => found.extend(range(element)),
        Leaf::SampledData => {
            let origin = element.get("origin");
            found.extend(origin.and_then(quantity));
        }
        Leaf::Reference => reference(element, found),
        Leaf::Resource => {
            let [name, id] = texts(element, ["resourceType", "id"]);
            let kind = name.and_then(|name| Parameters::r4().kind(name));
            if let (Some(kind), Some(id)) = (kind, id) {
                found.push(Indexed::Reference(Target::Local(kind, id.to_owned())));
            }
        }
        Leaf::Position => {
            let degrees = |name| element.get(name).and_then(number);
            if let (Some(latitude), Some(longitude)) = (degrees("latitude"), degrees("longitude")) {
                found.push(Indexed::Place { latitude, longitude });
            }
        }
        Leaf::Deceased => found.push(deceased(resource)),
        Leaf::Any => {}
    }
}

/// A primitive, by the type of its parameter.
fn plain(class: Class, element: &Value, found: &mut Vec<Indexed>) {
    let boolean = element.as_bool().map(|yes| if yes { "true" } else { "false" });
    let Some(text) = element.as_str().or(boolean) else { return };
    match class {
        Class::String => found.extend(words(element)),
        Class::Uri => found.push(Indexed::Uri(cut(text))),
        Class::Reference => found.push(Indexed::Reference(target(text))),
        _ => found.push(token("", text, "")),
    }
}

fn words(value: &Value) -> Option<Indexed> {
    value.as_str().filter(|text| !text.is_empty()).map(|text| Indexed::Text(cut(text)))
}

/// The texts of these parts, by part.
fn all_words<const N: usize>(element: &Value, parts: [&str; N], found: &mut Vec<Indexed>) {
    found.extend(children(element, parts).into_iter().flat_map(items).filter_map(words));
}

fn concept(element: &Value, found: &mut Vec<Indexed>) {
    let [said, codings] = children(element, ["text", "coding"]);
    let said = text_of(said).unwrap_or_default();
    let before = found.len();
    found.extend(items(codings).iter().filter_map(|one| coding(one, said)));
    if found.len() == before && !said.is_empty() {
        found.push(token("", "", said));
    }
}

fn coding(element: &Value, said: &str) -> Option<Indexed> {
    let [system, code, display] = texts(element, ["system", "code", "display"]);
    Some(token(system.unwrap_or_default(), code?, display.unwrap_or(said)))
}

fn period(element: &Value) -> Option<Span> {
    let [start, end] = texts(element, ["start", "end"]);
    if start.is_none() && end.is_none() {
        return None;
    }
    let low = start.map_or(Some(EARLIEST), |start| date::parse(start).map(|span| span.low))?;
    let high = end.map_or(Some(LATEST), |end| date::parse(end).map(|span| span.high))?;
    (low <= high).then_some(Span { low, high })
}

/// From the first to the last time that a schedule names.
fn timing(element: &Value) -> Option<Span> {
    let [event, repeat] = children(element, ["event", "repeat"]);
    let events = items(event).iter().filter_map(|event| event.as_str()).filter_map(date::parse);
    let bounds = repeat.and_then(|repeat| repeat.get("boundsPeriod")).and_then(period);
    events.chain(bounds).reduce(|a, b| Span { low: a.low.min(b.low), high: a.high.max(b.high) })
}

pub(super) fn amount(low: f64, high: f64, system: &str, unit: &str, label: &str) -> Indexed {
    let (system, unit, label) = (cut(system), cut(unit), fold(label));
    Indexed::Amount(Amount { low, high, system, unit, label })
}

fn quantity(element: &Value) -> Option<Indexed> {
    let names = ["value", "comparator", "unit", "code", "currency", "system"];
    let [value, comparator, unit, code, currency, system] = children(element, names);
    let value = number(value?)?;
    let (low, high) = match text_of(comparator) {
        Some("<" | "<=") => (f64::MIN, value),
        Some(">" | ">=") => (value, f64::MAX),
        _ => (value, value),
    };
    let written = text_of(unit).unwrap_or_default();
    let code = text_of(code).or(text_of(currency)).unwrap_or(written);
    Some(amount(low, high, text_of(system).unwrap_or_default(), code, written))
}

fn range(element: &Value) -> Option<Indexed> {
    let [low, high] = children(element, ["low", "high"]);
    let end = |end: Option<&Value>| number(end?.get("value")?);
    let (least, most) = (end(low), end(high));
    if least.is_none() && most.is_none() {
        return None;
    }
    let [written, code, system] = texts(low.or(high)?, ["unit", "code", "system"]);
    let (written, system) = (written.unwrap_or_default(), system.unwrap_or_default());
    let (least, most) = (least.unwrap_or(f64::MIN), most.unwrap_or(f64::MAX));
    Some(amount(least, most, system, code.unwrap_or(written), written))
}

fn reference(element: &Value, found: &mut Vec<Indexed>) {
    let [literal, identifier] = children(element, ["reference", "identifier"]);
    if let Some(literal) = text_of(literal).filter(|literal| !literal.starts_with('#')) {
        found.push(Indexed::Reference(target(literal)));
    }
    let Some(identifier) = identifier else { return };
    if let [system, Some(code)] = texts(identifier, ["system", "value"]) {
        let system = cut(system.unwrap_or_default());
        found.push(Indexed::ReferenceIdentifier { system, code: cut(code) });
    }
}
