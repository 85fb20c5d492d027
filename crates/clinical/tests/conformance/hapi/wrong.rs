//! The ways in which what is made is broken.

use super::made::{Case, Object, put, right};
use bxp_clinical::fhir::definitions::{Definitions, Kind, Primitive, Property, Structure};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Types of which a choice lacks at least one.
const CHOICE_TYPES: [&str; 4] = ["Oid", "SampledData", "Signature", "Narrative"];

/// An edit of an object.
type Edit = Box<dyn Fn(&mut Object)>;

/// Wrong values of a property, each with what is wrong. The path decides in which of four ways the JSON is wrong.
pub(super) fn values(
    path: &str,
    name: &str,
    property: &Property,
    right: &Value,
) -> Vec<(&'static str, Value)> {
    let one = |value: Value| if property.repeats { json!([value]) } else { value };
    let mut all = Vec::new();
    if let Some(value) = value(property) {
        all.push(("value", one(value)));
    }
    if let Kind::Structure(id) = property.kind
        && Definitions::r4().structure(id).name == "Reference"
    {
        all.push(("reference", one(json!({"reference": "nothing here"}))));
        all.push(("target", one(json!({"reference": "Binary/1"}))));
    }
    if name == "resourceType" {
        return all;
    }
    let number = matches!(
        property.kind,
        Kind::Primitive(
            Primitive::Boolean
                | Primitive::Decimal
                | Primitive::Integer
                | Primitive::PositiveInt
                | Primitive::UnsignedInt,
            _
        )
    );
    all.push(match digest(path) % 4 {
        0 => {
            let other =
                if number || !matches!(property.kind, Kind::Primitive(..)) { json!("x") } else { json!(7) };
            ("type", one(other))
        }
        1 => {
            let swapped = if property.repeats { right.clone() } else { json!([right]) };
            ("array", swapped)
        }
        2 => ("null", one(Value::Null)),
        _ if property.repeats => ("empty", json!([])),
        _ if number => ("type", json!("x")),
        _ if matches!(property.kind, Kind::Primitive(..)) => ("empty", json!("")),
        _ => ("empty", json!({})),
    });
    all
}

/// FNV-1a.
pub(super) fn digest(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
        >> 20
}

/// A value of the wrong form.
fn value(property: &Property) -> Option<Value> {
    let Kind::Primitive(kind, codes) = property.kind else { return None };
    Some(match kind {
        Primitive::Boolean | Primitive::Decimal | Primitive::Markdown | Primitive::String => return None,
        Primitive::Integer => json!(1.5),
        Primitive::PositiveInt => json!(0),
        Primitive::UnsignedInt => json!(-1),
        Primitive::Base64Binary => json!("A!"),
        Primitive::Date => json!("2020-02-30"),
        Primitive::DateTime => json!("2020-01-01T25:00:00Z"),
        Primitive::Instant => json!("2020-01-01"),
        Primitive::Time => json!("25:00:00"),
        Primitive::Id => json!("a b"),
        Primitive::Oid => json!("1.2.3"),
        Primitive::Uuid => json!("urn:uuid:1"),
        Primitive::Canonical | Primitive::Uri | Primitive::Url => json!("http://a.example/a b"),
        Primitive::Xhtml => json!("<div xmlns=\"http://www.w3.org/1999/xhtml\"><script>x</script></div>"),
        Primitive::Code if codes.is_some() => json!("no-such-code"),
        Primitive::Code => json!(" x"),
    })
}

/// Edits of the least object of a structure: what is missing, unknown or there twice.
pub(super) fn edits(about: &str, structure: &'static Structure) -> Vec<(&'static str, String, Edit)> {
    let mut all: Vec<(&str, String, Edit)> = Vec::new();
    let unknown: Edit = Box::new(|object| {
        object.insert("unheardOf".to_owned(), json!("x"));
    });
    all.push(("unknown", about.to_owned(), unknown));
    let mut elements = BTreeMap::<usize, Vec<&'static str>>::new();
    for (name, property) in &structure.properties {
        elements.entry(property.element).or_default().push(name);
    }
    for (element, mut names) in elements {
        names.sort_unstable();
        let path = format!("{about}.{}", structure.elements[element]);
        if structure.required.contains(&element) {
            let names = names.clone();
            let missing: Edit =
                Box::new(move |object| object.retain(|name, _| !names.contains(&name.as_str())));
            all.push(("missing", path.clone(), missing));
        }
        let Some(stem) = structure.elements[element].strip_suffix("[x]") else { continue };
        let (first, last) = (names[0], names[names.len() - 1]);
        if first != last {
            let both: Edit = Box::new(move |object| {
                put(object, structure, first, &structure.properties[first], of(structure, first));
                object.insert(last.to_owned(), of(structure, last));
            });
            all.push(("both", path.clone(), both));
        }
        let absent = CHOICE_TYPES.iter().map(|kind| format!("{stem}{kind}"));
        if let Some(name) = absent.into_iter().find(|name| !structure.properties.contains_key(name.as_str()))
        {
            let other: Edit = Box::new(move |object| {
                object.retain(|name, _| !names.contains(&name.as_str()));
                object.insert(name.clone(), json!("urn:oid:1.2.3"));
            });
            all.push(("choice", path, other));
        }
    }
    all
}

fn of(structure: &'static Structure, name: &'static str) -> Value {
    right(structure.name, name, &structure.properties[name])
}

/// Faults that no definition leads to: between elements, of JSON, of calendars and of texts.
const BY_HAND: [(&str, &str); 26] = [
    ("type-unknown", r#"{"resourceType":"Spaceship","id":"a1"}"#),
    ("type-missing", r#"{"id":"a1"}"#),
    ("type-number", r#"{"resourceType":7}"#),
    ("not-an-object", r"[1]"),
    ("twice", r#"{"resourceType":"Patient","active":true,"active":true}"#),
    (
        "contained-without-id",
        r##"{"resourceType":"Patient","managingOrganization":{"reference":"#o"},"contained":[{"resourceType":"Organization","name":"x"}]}"##,
    ),
    (
        "contained-in-contained",
        r##"{"resourceType":"Patient","managingOrganization":{"reference":"#o"},"contained":[{"resourceType":"Organization","id":"o","name":"x","contained":[{"resourceType":"Organization","id":"p","name":"x"}]}]}"##,
    ),
    (
        "contained-twice",
        r##"{"resourceType":"Patient","managingOrganization":{"reference":"#o"},"contained":[{"resourceType":"Organization","id":"o","name":"x"},{"resourceType":"Organization","id":"o","name":"x"}]}"##,
    ),
    (
        "contained-of-no-type",
        r#"{"resourceType":"Patient","contained":[{"resourceType":"Spaceship","id":"o"}]}"#,
    ),
    ("contained-not-there", r##"{"resourceType":"Patient","managingOrganization":{"reference":"#o"}}"##),
    ("extension-of-nothing", r#"{"resourceType":"Patient","extension":[{"url":"http://a.example/e"}]}"#),
    (
        "extension-of-both",
        r#"{"resourceType":"Patient","extension":[{"url":"http://a.example/e","valueString":"x","extension":[{"url":"y","valueString":"x"}]}]}"#,
    ),
    ("extension-without-url", r#"{"resourceType":"Patient","extension":[{"valueString":"x"}]}"#),
    ("reference-of-nothing", r#"{"resourceType":"Patient","managingOrganization":{"type":"Organization"}}"#),
    ("beside-a-primitive", r#"{"resourceType":"Patient","active":true,"_active":{"value":1}}"#),
    ("beside-a-structure", r#"{"resourceType":"Patient","_name":[{"id":"x"}]}"#),
    ("null-in-array", r#"{"resourceType":"Patient","name":[{"given":["x",null]}]}"#),
    ("day-of-no-month", r#"{"resourceType":"Patient","birthDate":"2021-02-29"}"#),
    ("month-of-no-year", r#"{"resourceType":"Patient","birthDate":"2021-13"}"#),
    ("date-with-time", r#"{"resourceType":"Patient","birthDate":"2021-01-01T10:00:00Z"}"#),
    ("time-without-zone", r#"{"resourceType":"Patient","deceasedDateTime":"2021-01-01T10:00:00"}"#),
    ("time-without-seconds", r#"{"resourceType":"Patient","deceasedDateTime":"2021-01-01T10:00Z"}"#),
    ("narrative-of-no-div", r#"{"resourceType":"Patient","text":{"status":"generated","div":"<p>x</p>"}}"#),
    (
        "narrative-without-namespace",
        r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div>x</div>"}}"#,
    ),
    (
        "narrative-with-event",
        r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\" onclick=\"x()\">x</div>"}}"#,
    ),
    (
        "narrative-unclosed",
        r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div xmlns=\"http://www.w3.org/1999/xhtml\"><p>x</div>"}}"#,
    ),
];

pub(super) fn by_hand() -> impl Iterator<Item = Case> {
    BY_HAND
        .iter()
        .map(|(name, json)| Case { name: format!("broken/by-hand/{name}"), json: (*json).to_owned() })
}
