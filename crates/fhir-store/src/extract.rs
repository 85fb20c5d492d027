//! From a resource to the values of its search parameters.

use crate::{
    parameters::{Class, Kind, Leaf, ParameterId, Parameters, Path},
    value::{
        Amount, Indexed, Target,
        date::{self, EARLIEST, LATEST, Span},
        text::fold,
    },
};
use sonic_rs::{JsonContainerTrait, JsonValueTrait, Value};

/// The most values of one parameter that are indexed of one resource.
const VALUES_MAX: usize = 1_000;
/// The most bytes of a code or URI that are indexed.
const CODE_BYTES_MAX: usize = 512;

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
    let mut extracted = Extracted::default();
    for parameter in Parameters::r4().of(kind) {
        if parameter.class == Class::Composite {
            continue;
        }
        if parameter.alias.is_some() {
            // Its values are in the other index; whether it has any depends on the targets' types.
            let any = values(parameter.class, &parameter.paths, resource, resource).next().is_some();
            extracted.present |= i64::from(any) << parameter.bit;
            continue;
        }
        let before = extracted.values.len();
        let found = values(parameter.class, &parameter.paths, resource, resource).take(VALUES_MAX);
        for value in found {
            // The same code in two codings of one text is one entry of the index.
            if !extracted.values[before..].iter().any(|(_, known)| *known == value) {
                extracted.values.push((parameter.id, value));
            }
        }
        extracted.present |= i64::from(extracted.values.len() > before) << parameter.bit;
    }
    extracted
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
            found.push(deceased(resource));
            continue;
        }
        path.walk(from, &mut |element| {
            let before = found.len();
            leaf(class, path.leaf, element, &mut found);
            if let Some(target) = path.target {
                let mut place = before;
                while place < found.len() {
                    let keep = matches!(&found[place], Indexed::Reference(Target::Local(kind, _)) if *kind == target);
                    if keep { place += 1 } else { drop(found.remove(place)) }
                }
            }
        });
    }
    found.into_iter()
}

/// Who has no word of death is alive for the search.
fn deceased(resource: &Value) -> Indexed {
    let said = resource.get("deceasedBoolean").and_then(sonic_rs::JsonValueTrait::as_bool);
    let dead = said.unwrap_or_else(|| resource.get("deceasedDateTime").is_some());
    token("", if dead { "true" } else { "false" }, "")
}

fn token(system: &str, code: &str, label: &str) -> Indexed {
    Indexed::Token { system: cut(system), code: cut(code), label: fold(label) }
}

/// What is longer than any code is cut, so that an index entry stays small.
fn cut(text: &str) -> String {
    let mut end = text.len().min(CODE_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

fn text<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value.get(name).and_then(|child| child.as_str())
}

fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    let Some(child) = value.as_object().and_then(|object| object.get(&name)) else { return &[] };
    child.as_array().map_or(std::slice::from_ref(child), |array| array.as_slice())
}

/// A number as written, in text or as JSON number.
fn number(value: &Value) -> Option<f64> {
    let raw = value.as_raw_number()?;
    raw.as_str().parse().ok().filter(|number: &f64| number.is_finite())
}

fn leaf(class: Class, leaf: Leaf, element: &Value, found: &mut Vec<Indexed>) {
    match leaf {
        Leaf::CodeableConcept => concept(element, found),
        Leaf::Coding => found.extend(coding(element, "")),
        Leaf::Identifier => {
            let (system, value) = (text(element, "system"), text(element, "value"));
            if let Some(value) = value {
                found.push(token(system.unwrap_or_default(), value, ""));
            }
        }
        Leaf::ContactPoint => {
            if let Some(value) = text(element, "value") {
                found.push(token(text(element, "system").unwrap_or_default(), value, ""));
            }
        }
        Leaf::Code | Leaf::Text | Leaf::Uri => plain(class, element, found),
        Leaf::HumanName => {
            let parts = ["family", "given", "prefix", "suffix", "text"];
            found.extend(parts.iter().flat_map(|part| items(element, part)).filter_map(words));
        }
        Leaf::Address => {
            let parts = ["line", "city", "district", "state", "postalCode", "country", "text"];
            found.extend(parts.iter().flat_map(|part| items(element, part)).filter_map(words));
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
            let kind = text(element, "resourceType").and_then(|name| Parameters::r4().kind(name));
            if let (Some(kind), Some(id)) = (kind, text(element, "id")) {
                found.push(Indexed::Reference(Target::Local(kind, id.to_owned())));
            }
        }
        Leaf::Position => {
            let degrees = |name| element.get(name).and_then(number);
            if let (Some(latitude), Some(longitude)) = (degrees("latitude"), degrees("longitude")) {
                found.push(Indexed::Place { latitude, longitude });
            }
        }
        Leaf::Deceased | Leaf::Any => {}
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

fn concept(element: &Value, found: &mut Vec<Indexed>) {
    let said = text(element, "text").unwrap_or_default();
    let before = found.len();
    found.extend(items(element, "coding").iter().filter_map(|one| coding(one, said)));
    if found.len() == before && !said.is_empty() {
        found.push(token("", "", said));
    }
}

fn coding(element: &Value, said: &str) -> Option<Indexed> {
    let code = text(element, "code")?;
    let label = text(element, "display").unwrap_or(said);
    Some(token(text(element, "system").unwrap_or_default(), code, label))
}

fn period(element: &Value) -> Option<Span> {
    let (start, end) = (text(element, "start"), text(element, "end"));
    if start.is_none() && end.is_none() {
        return None;
    }
    let low = start.map_or(Some(EARLIEST), |start| date::parse(start).map(|span| span.low))?;
    let high = end.map_or(Some(LATEST), |end| date::parse(end).map(|span| span.high))?;
    (low <= high).then_some(Span { low, high })
}

/// From the first to the last time that a schedule names.
fn timing(element: &Value) -> Option<Span> {
    let events = items(element, "event").iter().filter_map(|event| event.as_str()).filter_map(date::parse);
    let bounds = element.get("repeat").and_then(|repeat| repeat.get("boundsPeriod")).and_then(period);
    events.chain(bounds).reduce(|a, b| Span { low: a.low.min(b.low), high: a.high.max(b.high) })
}

fn amount(low: f64, high: f64, system: &str, unit: &str, label: &str) -> Indexed {
    let (system, unit, label) = (cut(system), cut(unit), fold(label));
    Indexed::Amount(Amount { low, high, system, unit, label })
}

fn quantity(element: &Value) -> Option<Indexed> {
    let value = number(element.get("value")?)?;
    let (low, high) = match text(element, "comparator") {
        Some("<" | "<=") => (f64::MIN, value),
        Some(">" | ">=") => (value, f64::MAX),
        _ => (value, value),
    };
    let written = text(element, "unit").unwrap_or_default();
    let code = text(element, "code").or_else(|| text(element, "currency")).unwrap_or(written);
    Some(amount(low, high, text(element, "system").unwrap_or_default(), code, written))
}

fn range(element: &Value) -> Option<Indexed> {
    let end = |name| element.get(name).and_then(|end| number(end.get("value")?));
    let (low, high) = (end("low"), end("high"));
    if low.is_none() && high.is_none() {
        return None;
    }
    let unit = element.get("low").or_else(|| element.get("high"))?;
    let written = text(unit, "unit").unwrap_or_default();
    let code = text(unit, "code").unwrap_or(written);
    let system = text(unit, "system").unwrap_or_default();
    Some(amount(low.unwrap_or(f64::MIN), high.unwrap_or(f64::MAX), system, code, written))
}

fn reference(element: &Value, found: &mut Vec<Indexed>) {
    if let Some(literal) = text(element, "reference").filter(|literal| !literal.starts_with('#')) {
        found.push(Indexed::Reference(target(literal)));
    }
    let Some(identifier) = element.get("identifier") else { return };
    if let Some(code) = text(identifier, "value") {
        let system = cut(text(identifier, "system").unwrap_or_default());
        found.push(Indexed::ReferenceIdentifier { system, code: cut(code) });
    }
}

/// Where a literal reference leads: `Type/id`, with or without a version, is here; anything else is elsewhere.
#[must_use]
pub fn target(literal: &str) -> Target {
    let plain = literal.split_once("/_history/").map_or(literal, |(plain, _)| plain);
    let local = plain.split_once('/').and_then(|(kind, id)| {
        let kind = Parameters::r4().kind(kind)?;
        is_id(id).then(|| Target::Local(kind, id.to_owned()))
    });
    local.unwrap_or_else(|| Target::Elsewhere(cut(plain)))
}

/// Whether `text` is an id of R4: 1 to 64 letters, digits, `-` and `.`.
#[must_use]
pub fn is_id(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
    (1..=64).contains(&text.len()) && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(code: &str, resource: &str) -> Vec<Indexed> {
        let value: Value = sonic_rs::from_str(resource).unwrap();
        let kind = Parameters::r4().kind(text(&value, "resourceType").unwrap()).unwrap();
        let parameter = Parameters::r4().find(kind, code).unwrap();
        values(parameter.class, &parameter.paths, &value, &value).collect()
    }

    fn code(system: &str, code: &str, label: &str) -> Indexed {
        Indexed::Token { system: system.to_owned(), code: code.to_owned(), label: label.to_owned() }
    }

    #[test]
    fn each_type_of_value_is_read_where_it_stands() {
        let observation = r#"{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org",
            "code":"8480-6","display":"Systolic Pressure"}],"text":"x"},"subject":{"reference":"Patient/1/_history/2"},
            "effectivePeriod":{"start":"1970-01-01"},"valueQuantity":{"value":120.50,"unit":"mmHg","code":"mm[Hg]"},
            "component":[{"code":{"text":"Sitting"},"valueQuantity":{"value":7,"comparator":"<"}}]}"#;
        let patient = Target::Local(Parameters::r4().kind("Patient").unwrap(), "1".to_owned());
        assert_eq!(of("status", observation), [code("", "final", "")]);
        assert_eq!(of("code", observation), [code("http://loinc.org", "8480-6", "systolic pressure")]);
        assert_eq!(of("component-code", observation), [code("", "", "sitting")]);
        assert_eq!(of("patient", observation), [Indexed::Reference(patient)]);
        assert_eq!(of("date", observation), [Indexed::Date(Span { low: 0, high: LATEST })]);
        assert_eq!(of("combo-value-quantity", observation).len(), 2);
        assert_eq!(of("value-quantity", observation), [amount(120.5, 120.5, "", "mm[Hg]", "mmHg")]);
        let group = r#"{"resourceType":"Observation","subject":{"reference":"Group/1"}}"#;
        assert_eq!(of("patient", group), []);
    }

    #[test]
    fn extensions_and_filters_choose_their_items() {
        let patient = r#"{"resourceType":"Patient","telecom":[{"system":"phone","value":"1"},{"system":"email","value":"2"}],
            "extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[
            {"url":"ombCategory","valueCoding":{"system":"s","code":"2106-3","display":"White"}},{"url":"text","valueString":"White"}]}]}"#;
        assert_eq!(of("email", patient), [code("email", "2", "")]);
        assert_eq!(of("race", patient), [code("s", "2106-3", "white")]);
        assert_eq!(of("deceased", patient), [code("", "false", "")]);
        assert_eq!(
            of("deceased", r#"{"resourceType":"Patient","deceasedDateTime":"2020"}"#),
            [code("", "true", "")]
        );
    }

    #[test]
    fn damaged_resources_give_no_values_and_no_panic() {
        for damaged in ["null", "7", "[]", r#"{"name":7,"identifier":[[]],"birthDate":{},"telecom":"x"}"#] {
            let value: Value = sonic_rs::from_str(damaged).unwrap();
            for kind in Parameters::r4().kinds() {
                let _ = extract(kind, &value);
            }
        }
    }
}
