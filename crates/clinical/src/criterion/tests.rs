//! The borders of a criterion.

use super::*;
use bxp_types::Phi;
use sonic_rs::Value;

fn record(json: &str) -> Phi<Value> {
    Phi::new(sonic_rs::from_str(json).unwrap())
}

fn condition(code: &str, onset: &str) -> Phi<Value> {
    record(&format!(
        r#"{{"resourceType":"Condition","code":{{"coding":[{{"system":"{SNOMED}","code":"{code}"}}]}},{onset}}}"#
    ))
}

fn ekg(kind: &str, status: &str, date: &str) -> Phi<Value> {
    record(&format!(
        r#"{{"resourceType":"{kind}","status":"{status}","code":{{"coding":[{{"system":"{LOINC}","code":"11524-6"}}]}},{date}}}"#
    ))
}

fn matches(chart: &[Phi<Value>]) -> bool {
    evaluate(&Criterion::afib_or_mi_with_earlier_ekg(), chart).matched
}

#[test]
fn thirteen_days_are_too_few_and_fourteen_are_enough() {
    for (day, expected) in
        [("2015-03-14", false), ("2015-03-15", true), ("2015-03-16", true), ("2015-02-01", false)]
    {
        let chart = [
            ekg("Observation", "final", r#""effectiveDateTime":"2015-03-01""#),
            condition("49436004", &format!(r#""onsetDateTime":"{day}""#)),
        ];
        let outcome = evaluate(&Criterion::afib_or_mi_with_earlier_ekg(), &chart);
        let found = expected.then_some((1, 0));
        assert_eq!(
            (outcome.matched, outcome.index_record.zip(outcome.evidence_record)),
            (expected, found),
            "{day}"
        );
    }
}

#[test]
fn doubtful_dates_do_not_match() {
    let table = [
        (r#""effectiveDateTime":"2015-03""#, r#""onsetDateTime":"2015-04-13""#, false),
        (r#""effectiveDateTime":"2015-03""#, r#""onsetDateTime":"2015-04-14""#, true),
        (r#""effectiveDateTime":"2015-03-01""#, r#""onsetDateTime":"2015-03""#, false),
        (r#""effectiveDateTime":"2015-03-01""#, r#""onsetDateTime":"2015-04""#, true),
        (r#""effectiveDateTime":"2014""#, r#""onsetDateTime":"2015""#, false),
        (r#""effectiveDateTime":"2013""#, r#""onsetDateTime":"2015""#, true),
        (
            r#""effectiveDateTime":"2015-03-01T23:30:00-05:00""#,
            r#""onsetDateTime":"2015-03-15T00:30:00+02:00""#,
            false,
        ),
        (
            r#""effectiveDateTime":"2015-03-01T09:00:00-05:00""#,
            r#""onsetDateTime":"2015-03-15T09:00:00-05:00""#,
            true,
        ),
        (
            r#""effectivePeriod":{"start":"2015-03-01","end":"2015-03-02"}"#,
            r#""onsetDateTime":"2015-03-15""#,
            false,
        ),
        (r#""effectivePeriod":{"start":"2015-03-01"}"#, r#""onsetDateTime":"2016""#, false),
        (r#""effectiveInstant":"2015-03-01T09:00:00Z""#, r#""onsetPeriod":{"start":"2015-03-15"}"#, true),
        (r#""effectiveDateTime":"2015-03-01""#, r#""recordedDate":"2016-01-01""#, false),
        (r#""effectiveDateTime":"2015-03-01""#, r#""onsetString":"long ago""#, false),
        (r#""effectiveDateTime":"soon""#, r#""onsetDateTime":"2016""#, false),
        (r#""note":[]"#, r#""onsetDateTime":"2016""#, false),
    ];
    for (date, onset, expected) in table {
        let chart = [condition("22298006", onset), ekg("Observation", "final", date)];
        assert_eq!(matches(&chart), expected, "{date} {onset}");
    }
}

#[test]
fn only_examinations_that_were_done_and_conditions_that_are_confirmed_count() {
    let (date, onset) = (r#""effectiveDateTime":"2015-01-01""#, r#""onsetDateTime":"2015-03-15""#);
    let sure = condition("57054005", onset);
    for (kind, status, expected) in [
        ("Observation", "final", true),
        ("DiagnosticReport", "amended", true),
        ("Observation", "cancelled", false),
        ("Observation", "entered-in-error", false),
        ("DiagnosticReport", "registered", false),
        ("Encounter", "final", false),
    ] {
        assert_eq!(matches(&[ekg(kind, status, date), sure.clone()]), expected, "{kind} {status}");
    }
    let performed = r#""performedPeriod":{"start":"2015-01-01","end":"2015-01-01"}"#;
    assert!(matches(&[ekg("Procedure", "completed", performed), sure.clone()]));
    assert!(!matches(&[ekg("Procedure", "not-done", performed), sure]));
    for (status, expected) in
        [("confirmed", true), ("refuted", false), ("entered-in-error", false), ("provisional", false)]
    {
        let verified =
            format!(r#"{onset},"verificationStatus":{{"coding":[{{"system":"s","code":"{status}"}}]}}"#);
        let chart = [ekg("Observation", "final", date), condition("49436004", &verified)];
        assert_eq!(matches(&chart), expected, "{status}");
    }
    assert!(!matches(&[ekg("Observation", "final", date), condition("38341003", onset)]), "hypertension");
    let icd = record(&format!(
        r#"{{"resourceType":"Condition","code":{{"coding":[{{"system":"{ICD10_GM}","code":"I48.1"}}]}},{onset}}}"#
    ));
    assert!(matches(&[ekg("Observation", "final", date), icd]));
    assert!(!matches(&[]));
}

#[test]
fn the_encoding_is_one_and_pinned() {
    let criterion = Criterion::afib_or_mi_with_earlier_ekg();
    let mut shuffled = criterion.clone();
    shuffled.condition_any.reverse();
    shuffled.condition_any.push(criterion.condition_any[0].clone());
    assert_eq!(shuffled.canonical(), criterion.canonical());
    let pretty = serde_json::to_vec_pretty(&shuffled).unwrap();
    let read = Criterion::from_json(&pretty).unwrap();
    assert_eq!((read.hash(), &read), (criterion.hash(), &criterion));
    assert_eq!(
        criterion.hash().to_string(),
        "0xca13785a8efe141ef99ab9e7392076e5a2afb18683500a47bcf38fd69906720d"
    );
}

#[test]
fn wrong_criteria_are_refused() {
    let code = r#"[{"system":"s","code":"c"}]"#;
    for wrong in [
        "{}".to_owned(),
        format!(r#"{{"condition_any":[],"evidence_any":{code},"days_before_min":1}}"#),
        format!(r#"{{"condition_any":{code},"evidence_any":{code},"days_before_min":-1}}"#),
        format!(r#"{{"condition_any":{code},"evidence_any":{code},"days_before_min":40000}}"#),
        format!(r#"{{"condition_any":{code},"evidence_any":{code},"days_before_min":1,"more":1}}"#),
        format!(
            r#"{{"condition_any":{code},"evidence_any":[{{"system":"s","code":"*"}}],"days_before_min":1}}"#
        ),
    ] {
        assert!(Criterion::from_json(wrong.as_bytes()).is_err(), "{wrong}");
    }
}
