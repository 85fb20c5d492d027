//! Queries, and what they mean.

use super::*;
use proptest::prelude::*;

fn read(kind: &str, name: &str, value: &str) -> Result<Clause, StoreError> {
    let kind = Parameters::r4().kind(kind).unwrap();
    let bases = ["https://here/fhir/".to_owned()];
    let parsed = parse(kind, &[(name.to_owned(), value.to_owned())], &bases, 0)?;
    parsed.query.clauses.into_iter().next().ok_or_else(|| wrong("", "ignored"))
}

fn tests(kind: &str, name: &str, value: &str) -> Vec<Test> {
    match read(kind, name, value).unwrap() {
        Clause::Value { tests, .. } => tests,
        other => panic!("{other:?}"),
    }
}

fn token(system: Option<&str>, code: Option<&str>) -> Test {
    Test::Token { system: system.map(str::to_owned), code: code.map(str::to_owned) }
}

#[test]
fn tokens_texts_and_references_are_read() {
    let table = [
        (
            "code",
            "a,|b,s|c,s|",
            vec![
                token(None, Some("a")),
                token(Some(""), Some("b")),
                token(Some("s"), Some("c")),
                token(Some("s"), None),
            ],
        ),
        ("code", r"a\,b\|c", vec![token(None, Some("a,b|c"))]),
        ("code:text", "Müller", vec![Test::Label("muller".to_owned())]),
        ("value-string", "Ab-C", vec![Test::Starts("ab c".to_owned())]),
        ("value-string:exact", "Ab", vec![Test::Exact("Ab".to_owned())]),
    ];
    for (name, value, expected) in table {
        assert_eq!(tests("Observation", name, value), expected, "{name}={value}");
    }
    let patient = Parameters::r4().kind("Patient").unwrap();
    let one = Test::Reference(vec![Target::Local(patient, "1".to_owned())]);
    for (name, value) in [
        ("patient", "1"),
        ("patient", "Patient/1"),
        ("subject:Patient", "1"),
        ("subject", "https://here/fhir/Patient/1"),
        ("subject", "Patient/1/_history/3"),
    ] {
        assert_eq!(tests("Observation", name, value), std::slice::from_ref(&one), "{name}={value}");
    }
    assert_eq!(tests("Observation", "patient", "Group/1"), [Test::Reference(Vec::new())]);
    assert!(matches!(&tests("Observation", "subject", "1")[0], Test::Reference(any) if any.len() > 100));
}

#[test]
fn numbers_are_as_exact_as_they_are_written() {
    let window = |text: &str| match &tests("Observation", "value-quantity", text)[0] {
        Test::Amount { window, .. } => (window.low, window.high),
        other => panic!("{other:?}"),
    };
    assert_eq!(window("100"), (99.5, 100.5));
    let (low, high) = window("5.40");
    assert!((low - 5.395).abs() < 1e-9 && (high - 5.405).abs() < 1e-9);
    assert_eq!(window("1e2"), (50.0, 150.0));
    assert_eq!(window("gt5.4|http://unitsofmeasure.org|mg"), (5.4, 5.4));
    let composite = tests("Observation", "code-value-quantity", "http://loinc.org|8480-6$gt120|mmHg");
    assert!(matches!(&composite[0], Test::Composite(parts) if parts.len() == 2));
}

#[test]
fn chains_and_has_are_queries_of_their_own() {
    assert!(
        matches!(read("Observation", "subject:Patient.name", "x").unwrap(), Clause::Chain { targets, .. } if targets.len() == 1)
    );
    assert!(matches!(read("Observation", "patient.organization.name", "x").unwrap(), Clause::Chain { .. }));
    assert!(matches!(read("Patient", "_has:Observation:patient:code", "x").unwrap(), Clause::Has { .. }));
    let nested = "_has:Observation:patient:_has:Provenance:target:agent";
    assert!(matches!(read("Patient", nested, "Practitioner/1").unwrap(), Clause::Has { .. }));
    assert_eq!(read("Practitioner", "_has:Observation:patient:code", "x").unwrap(), Clause::Nothing);
}

#[test]
fn what_means_nothing_is_refused_by_name_and_without_its_value() {
    for (kind, name, value) in [
        ("Observation", "date", "Jane"),
        ("Observation", "value-quantity", "Jane"),
        ("Observation", "code:nonsense", "Jane"),
        ("Observation", "status.code", "Jane"),
        ("Observation", "subject:Nonsense", "Jane"),
        ("Observation", "code:missing", "Jane"),
        ("Observation", "code-value-quantity", "Jane"),
        ("Patient", "_has:Jane", "Jane"),
        ("Patient", "_sort", "Jane"),
        ("Patient", "_include", "Jane"),
        ("Location", "near", "Jane"),
        ("Patient", "name", ""),
    ] {
        let error = read(kind, name, value).unwrap_err();
        let StoreError::Search { parameter, reason } = &error else { panic!("{error}") };
        assert!(!parameter.contains("Jane") && !reason.contains("Jane"), "{error:?}");
    }
    let deep = format!("{}name", "link.".repeat(9));
    assert!(read("Patient", &deep, "x").is_err());
}

proptest! {
    #[test]
    fn arbitrary_queries_never_panic(name in "[a-z_:.A-Z-]{0,40}", value in ".{0,60}", kind in 0_usize..146) {
        let kind = Parameters::r4().kinds().nth(kind).unwrap();
        let _ = parse(kind, &[(name, value.clone())], &[], 0);
        for parameter in Parameters::r4().of(kind) {
            let _ = parse(kind, &[(parameter.code.to_owned(), value.clone())], &[], 0);
        }
    }
}
