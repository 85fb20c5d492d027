//! What is found, and that it is the same by whichever way.

use super::{
    leaf::{amount, text_of},
    *,
};
use crate::value::date::{LATEST, Span};
use sonic_rs::JsonValueTrait;
use std::fmt::Write;

fn of(code: &str, resource: &str) -> Vec<Indexed> {
    let value: Value = sonic_rs::from_str(resource).unwrap();
    let kind = Parameters::r4().kind(text_of(value.get("resourceType")).unwrap()).unwrap();
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

#[test]
fn of_an_element_that_stands_there_twice_the_first_counts() {
    let twice = r#"{"resourceType":"Observation","status":"final","status":"amended","code":{"text":"x","text":"y"}}"#;
    assert_eq!(of("status", twice), [code("", "final", "")]);
    assert_eq!(of("code", twice), [code("", "", "x")]);
    let value: Value = sonic_rs::from_str(twice).unwrap();
    let kind = Parameters::r4().kind("Observation").unwrap();
    assert!(extract(kind, &value).values.iter().all(|(_, value)| *value != code("", "amended", "")));
}

/// The values of each parameter, looked for along each of its paths.
fn by_paths(kind: Kind, resource: &Value) -> Extracted {
    let mut extracted = Extracted::default();
    for parameter in Parameters::r4().of(kind).filter(|parameter| parameter.class != Class::Composite) {
        let found: Vec<Indexed> =
            values(parameter.class, &parameter.paths, resource, resource).take(VALUES_MAX).collect();
        extracted.present |= i64::from(!found.is_empty()) << parameter.bit;
        if parameter.alias.is_some() {
            continue;
        }
        let before = extracted.values.len();
        for value in found {
            if !extracted.values[before..].iter().any(|(_, known)| *known == value) {
                extracted.values.push((parameter.id, value));
            }
        }
    }
    extracted
}

/// The number of values that both ways find.
fn compared(kind: Kind, resource: &str) -> usize {
    let value: Value = sonic_rs::from_str(resource).unwrap();
    let (once, by_paths) = (extract(kind, &value), by_paths(kind, &value));
    assert_eq!(once.values, by_paths.values, "{resource}");
    assert_eq!(once.present, by_paths.present, "{resource}");
    once.values.len()
}

#[test]
fn one_walk_finds_what_a_walk_along_each_path_finds() {
    let (parameters, mut draw, mut found) = (Parameters::r4(), Draw(0x9e37_79b9_7f4a_7c15), 0);
    for kind in parameters.kinds() {
        let paths = parameters.of(kind).flat_map(|parameter| &parameter.paths);
        let paths: Vec<_> = paths.map(Path::properties).filter(|path| !path.is_empty()).collect();
        let paths: Vec<&[Property]> = paths.iter().map(Vec::as_slice).collect();
        for _ in 0..100 {
            found += compared(kind, &object(&paths, &mut draw));
        }
    }
    assert!(found > 10_000, "{found}");
}

#[test]
fn both_ways_stop_at_the_same_value() {
    let mut items = String::new();
    for number in 0..1_500 {
        let _ = write!(items, "{{\"system\":\"s\",\"value\":\"{}\"}},", number / 3 * 2);
    }
    let items = items.trim_end_matches(',');
    let patient =
        format!(r#"{{"identifier":[{items}],"generalPractitioner":[{{"identifier":{{"value":"1"}}}}]}}"#);
    let found = compared(Parameters::r4().kind("Patient").unwrap(), &patient);
    assert!((300..400).contains(&found), "{found}");
}

type Property = (&'static str, Option<(&'static str, &'static str)>);

/// What stands at the ends of paths, whether it belongs there or not.
const ENDS: &[&str] = &[
    r#"{"coding":[{"system":"s","code":"a","display":"A"},{"code":"a"},{"system":"s","code":"a","display":"A"}],"text":"T"}"#,
    r#"{"coding":{"code":"c"},"text":"x","text":"y"}"#,
    r#"{"text":"Only text"}"#,
    r#"{"system":"s","code":"d","display":"D"}"#,
    r#"{"system":"email","value":"v"}"#,
    r#"{"reference":"Patient/1"}"#,
    r#"{"reference":"Group/2/_history/1","identifier":{"value":"3"}}"#,
    r#"{"reference":"https://x.example/Patient/1"}"#,
    r##"{"reference":"#x","identifier":{"system":"s","value":"4"}}"##,
    r#"{"family":"F","given":["A","B",""],"text":"F A"}"#,
    r#"{"line":["1 Street"],"city":"C"}"#,
    r#"{"value":7,"unit":"mg","comparator":"<","system":"u"}"#,
    r#"{"value":1.50,"currency":"USD"}"#,
    r#"{"low":{"value":1,"unit":"u"},"high":{"value":2}}"#,
    r#"{"origin":{"value":1}}"#,
    r#"{"start":"2020","end":"2021-02"}"#,
    r#"{"event":["2020","2021"],"repeat":{"boundsPeriod":{"start":"2019"}}}"#,
    r#"{"resourceType":"Patient","id":"p"}"#,
    r#"{"latitude":1.5,"longitude":2}"#,
    r#""Patient/3""#,
    r#""https://x.example/y""#,
    r#""2020-02""#,
    r#""final""#,
    "true",
    "7",
    "{}",
    "[]",
];

/// A sequence of numbers that is the same each time (Marsaglia's xorshift).
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % end
    }
}

/// An object with properties by which some of the paths go on, a few of them twice.
fn object(paths: &[&[Property]], draw: &mut Draw) -> String {
    let mut names: Vec<&str> = paths.iter().map(|path| path[0].0).collect();
    names.sort_unstable();
    names.dedup();
    let mut members = Vec::new();
    for name in names {
        for _ in 0..[0, 0, 1, 1, 1, 1, 1, 2][draw.below(8)] {
            members.push(format!("\"{name}\":{}", property(name, paths, draw)));
        }
    }
    let by = draw.below(members.len() + 1);
    members.rotate_left(by);
    format!("{{{}}}", members.join(","))
}

fn property(name: &str, paths: &[&[Property]], draw: &mut Draw) -> String {
    let paths: Vec<&[Property]> = paths.iter().copied().filter(|path| path[0].0 == name).collect();
    let items = draw.below(4);
    if items == 0 {
        return item(&paths, draw);
    }
    let items: Vec<String> = (0..items).map(|_| item(&paths, draw)).collect();
    format!("[{}]", items.join(","))
}

fn item(paths: &[&[Property]], draw: &mut Draw) -> String {
    if draw.below(12) == 0 {
        return "null".to_owned();
    }
    let path = paths[draw.below(paths.len())];
    let longer: Vec<&[Property]> =
        paths.iter().map(|path| &path[1..]).filter(|path| !path.is_empty()).collect();
    let text = if path.len() == 1 { ENDS[draw.below(ENDS.len())].to_owned() } else { object(&longer, draw) };
    match path[0].1 {
        Some((name, told)) if text.starts_with("{\"") && draw.below(4) > 0 => {
            text.replacen('{', &format!("{{\"{name}\":\"{told}\","), 1)
        }
        _ => text,
    }
}
