//! Whatever is planted in a listed resource stays behind, and both sides of anything give it back.

use crate::fixtures::{NOW_YEAR, Pseudonyms, parse, split_and_join, strings, text};
use bxp_privacy::{IdentifierKind, Remainder, SplitContext, SplitError, join, split, split_text};
use proptest::{prelude::*, sample::select};
use sha2::{Digest as _, Sha256};
use sonic_rs::Value;
use std::collections::BTreeSet;

const RULES: &str = include_str!("../../rules/safe-harbor-r4.txt");

/// The listed paths, `Patient.address` and on, extensions without their URLs.
fn paths() -> Vec<Vec<&'static str>> {
    let lines = RULES.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    let path = |line: &'static str| line.split_whitespace().next().unwrap_or_default();
    lines.map(path).filter(|path| !path.contains('[')).map(|path| path.split('.').collect()).collect()
}

fn resource_paths() -> Vec<Vec<&'static str>> {
    const TYPES: [&str; 12] = [
        "Adjudication",
        "Attachment",
        "CodeableConcept",
        "Dosage",
        "Money",
        "Period",
        "ProvenanceAgent",
        "Range",
        "Ratio",
        "ReferenceRange",
        "Timing",
        "Other",
    ];
    paths().into_iter().filter(|path| !TYPES.contains(&path[0]) && path[0] != "Resource").collect()
}

/// Every name that stands in a path, and some that data types have.
fn names() -> Vec<&'static str> {
    let more = [
        "system",
        "code",
        "display",
        "value",
        "unit",
        "reference",
        "country",
        "state",
        "postalCode",
        "line",
        "extension",
        "url",
        "valueCoding",
        "text",
        "resourceType",
        "contained",
        "id",
        "_birthDate",
        "modifierExtension",
        "name",
        "coding",
    ];
    let mut names: BTreeSet<_> = paths().into_iter().flatten().collect();
    names.extend(more);
    names.into_iter().collect()
}

/// A value that a listed element could have, with the planted string in every place that takes one.
fn shapes(planted: &str) -> Vec<String> {
    let quoted = sonic_rs::to_string(planted).unwrap();
    [
        "@",
        r#"[@,null,@]"#,
        r#"{"coding":[{"system":"http://loinc.org","code":@,"display":@},{"system":@,"code":"8302-2"}],"text":@}"#,
        r#"{"coding":[{"system":"http://loinc.org","code":"8302-2","display":@,"version":@,"extension":[{"url":@}]}]}"#,
        r#"{"system":@,"code":@,"display":@,"value":@,"unit":@,"comparator":@}"#,
        r#"{"system":"http://unitsofmeasure.org","code":"mg","value":1.50,"unit":@,"id":@}"#,
        r#"{"reference":@,"display":@,"type":@,"identifier":{"value":@}}"#,
        r#"{"country":"US","state":@,"postalCode":@,"line":[@],"city":@}"#,
        r#"{"start":@,"end":@,"low":{"value":@},"numerator":{"value":1,"unit":@}}"#,
        r#"[{"resourceType":"Patient","id":@,"gender":@,"name":[{"family":@}]},{"resourceType":@}]"#,
        r#"[{"url":@,"valueString":@,"extension":[{"url":@,"valueCode":@}]}]"#,
        r#"{@:@,"repeat":{"periodUnit":@,"frequency":@}}"#,
    ]
    .into_iter()
    .map(|shape| shape.replace('@', &quoted))
    .collect()
}

/// Puts `value` at `path` of a resource, with the planted string beside it at every level.
fn nest(path: &[&str], value: &str, planted: &str) -> String {
    let quoted = sonic_rs::to_string(planted).unwrap();
    let inner = path.iter().skip(1).rev().fold(value.to_owned(), |inner, name| {
        format!(r#"{{"{name}":{inner},"unlisted":{quoted},"_{name}":{{"extension":[{{"url":"x","valueString":{quoted}}}]}}}}"#)
    });
    format!(r#"{{"resourceType":"{}",{}"#, path[0], &inner[1..])
}

fn json() -> impl Strategy<Value = String> {
    let number = "-?(0|[1-9][0-9]{0,12})(\\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?";
    let string = prop_oneof![
        any::<String>(),
        "[0-9]{4}-[0-9]{2}-[0-9]{2}",
        Just("final".to_owned()),
        Just("US".to_owned())
    ];
    let leaf = prop_oneof![
        select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        number.prop_map(|literal: String| literal),
        string.prop_map(|text| sonic_rs::to_string(&text).unwrap()),
    ];
    leaf.prop_recursive(5, 60, 6, |inner| {
        let key = prop_oneof![4 => select(names()).prop_map(str::to_owned), 1 => any::<String>()];
        let member = (key, inner.clone())
            .prop_map(|(key, value)| format!("{}:{value}", sonic_rs::to_string(&key).unwrap()));
        prop_oneof![
            prop::collection::vec(inner, 0..6).prop_map(|elements| format!("[{}]", elements.join(","))),
            prop::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

fn config(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

#[test]
fn what_is_planted_at_any_listed_path_stays_behind() {
    for path in resource_paths() {
        for planted in ["Quirina ~ Vantoor", "999~82~5655"] {
            for shape in shapes(planted) {
                let (left, _) = split_and_join(&parse(&nest(&path, &shape, planted)));
                assert!(!left.contains(planted), "{}: {left}", path.join("."));
            }
        }
    }
}

#[test]
fn spaces_and_escapes_make_no_difference_to_what_leaves() {
    let text = r#" { "resourceType" : "P\u0061tient" , "g\u0065nder":"fem\u0061le","n\u0061me":[ {"family":"A\/\"B"} ],"id":"a\u002db" }"#;
    let mapping = |original: &str| (original == "Patient/a-b").then(|| "Patient/f00".to_owned());
    let sides = split_text(text, &SplitContext { mapping: &mapping, now_year: NOW_YEAR }).unwrap();
    let left = String::from_utf8(sides.deidentified).unwrap();
    assert_eq!(left, r#"{"resourceType":"Patient","gender":"female","id":"f00"}"#);
    assert_eq!(sides.removed.count(IdentifierKind::Name), 1, "an escaped name is that name");
    let whole = join(sides.identity.expose(), &parse(&left)).unwrap();
    assert_eq!(self::text(&whole), self::text(&parse(text)));
}

proptest! {
    #![proptest_config(config(512))]

    #[test]
    fn a_planted_string_stays_behind(
        path in select(resource_paths()),
        planted in "[A-Za-z0-9 .:/@-]{0,8}~[^\\p{C}]{0,12}",
        shape in 0_usize..12,
    ) {
        let resource = parse(&nest(&path, &shapes(&planted)[shape], &planted));
        let (_, split) = split_and_join(&resource);
        let mut left = Vec::new();
        strings(&split.deidentified, &mut left);
        prop_assert!(left.iter().all(|text| !text.contains(&planted)), "{left:?}");
    }

    #[test]
    fn both_sides_give_back_anything(resource_type in select(vec!["Patient", "Observation", "Claim", "Timing", "Bundle"]), members in json()) {
        let members = if members.starts_with('{') { members } else { format!(r#"{{"component":{members}}}"#) };
        let resource = format!(r#"{{"resourceType":"{resource_type}",{}"#, &members[1..]);
        let resource = parse(&resource.replace(",}", "}"));
        match Pseudonyms::default().split(&resource) {
            Ok(split) => {
                let read = Remainder::from_bytes(split.identity.expose().as_bytes()).unwrap();
                prop_assert_eq!(text(&join(&read, &split.deidentified).unwrap()), text(&resource));
            }
            Err(error) => prop_assert!(
                matches!(error, SplitError::DuplicateKey | SplitError::UnknownResourceType | SplitError::NotAResource),
                "{error}"
            ),
        }
    }

    /// The split reads the text itself. What another parser refuses it refuses, and what it takes it takes in the same way.
    #[test]
    fn a_text_is_read_as_another_parser_reads_it(
        members in json(),
        at in any::<prop::sample::Index>(),
        put in select(vec!["", " ", "\n", "\"", "\\", "\\u00", "{", "]", ",", ":", "0", "-", "1e", ".", "\u{1}", "é", "true", "nul"]),
        cut in 0_usize..3,
    ) {
        let sound = format!(r#"{{"resourceType":"Observation","x":{members}}}"#);
        let at = (0..=at.index(sound.len())).rev().find(|at| sound.is_char_boundary(*at)).unwrap();
        let end = (at + cut..=sound.len()).find(|end| sound.is_char_boundary(*end)).unwrap_or(sound.len());
        let mut damaged = sound.clone();
        damaged.replace_range(at..end, put);
        let nothing = SplitContext { mapping: &|_| None, now_year: NOW_YEAR };
        let told = split_text(&damaged, &nothing);
        match (sonic_rs::from_str::<Value>(&damaged), told) {
            (Err(_), told) => prop_assert_eq!(told.map(|_| ()).unwrap_err(), SplitError::NotAResource),
            (Ok(value), Ok(sides)) => {
                let other = split(&value, &nothing).unwrap();
                prop_assert_eq!(String::from_utf8(sides.deidentified).unwrap(), text(&other.deidentified));
                prop_assert_eq!(sides.removed, other.removed);
                let whole = join(sides.identity.expose(), &other.deidentified).unwrap();
                prop_assert_eq!(text(&whole), text(&value));
            }
            (Ok(value), Err(error)) => prop_assert_eq!(split(&value, &nothing).map(|_| ()), Err(error)),
        }
    }

    #[test]
    fn a_damaged_remainder_is_an_error(bytes in any::<Vec<u8>>(), patch in json(), sound in json()) {
        let _ = Remainder::from_bytes(&bytes);
        let deidentified = parse(&sound);
        let of = hex::encode(&Sha256::digest(text(&deidentified))[..16]);
        let told = format!(r#"{{"v":1,"rules":"{}","of":"{of}","patch":[{patch}]}}"#, "00".repeat(32));
        if let Ok(remainder) = Remainder::from_bytes(told.as_bytes()) {
            let _ = join(&remainder, &deidentified);
        }
    }
}
