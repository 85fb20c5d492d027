//! What validation accepts and refuses.

use super::*;
use proptest::prelude::*;

fn issues(json: &str) -> Vec<String> {
    let resource = sonic_rs::from_str(json).unwrap();
    let validation = validate(&resource, Mode::Strict);
    validation.issues.iter().map(ToString::to_string).collect()
}

const PATIENT: &str = r#"{"resourceType":"Patient","id":"a-1.B","active":true,
  "name":[{"use":"official","family":"Doe","given":["Jane"],"_given":[{"extension":[{"url":"http://x","valueCode":"IN"}]}]}],
  "gender":"female","birthDate":"1970-01-01","_birthDate":{"extension":[{"url":"http://x","valueDateTime":"1970-01-01T10:00:00Z"}]},
  "deceasedBoolean":false,"managingOrganization":{"reference":"Organization/1"},
  "contained":[{"resourceType":"Organization","id":"o","name":"Star"}]}"#;

#[test]
fn a_good_resource_has_no_issue() {
    assert_eq!(issues(PATIENT), Vec::<String>::new());
}

/// Faults, and the beginning of what is said of them.
const FAULTS: &[(&str, &str)] = &[
    (r#"{"resourceType":"Patient","id":"Jane Doe"}"#, "Patient.id: an id has"),
    (r#"{"resourceType":"Patient","birthDate":"Jane"}"#, "Patient.birthDate: a date looks like"),
    (r#"{"resourceType":"Patient","birthDate":"1970-01-01T10:00:00Z"}"#, "Patient.birthDate: a date"),
    (r#"{"resourceType":"Patient","birthDate":null}"#, "Patient.birthDate: must not be null"),
    (r#"{"resourceType":"Patient","gender":"Jane"}"#, "Patient.gender: is not in the code set"),
    (r#"{"resourceType":"Patient","active":"true"}"#, "Patient.active: must be true or false"),
    (r#"{"resourceType":"Patient","name":{"family":"Jane"}}"#, "Patient.name: must be an array"),
    (r#"{"resourceType":"Patient","name":[]}"#, "Patient.name: must not be an empty array"),
    (r#"{"resourceType":"Patient","name":[{}]}"#, "Patient.name[0]: must not be empty"),
    (
        r#"{"resourceType":"Patient","name":[{"given":["Jane",""]}]}"#,
        "Patient.name[0].given[1]: must not be empty",
    ),
    (
        r#"{"resourceType":"Patient","name":[{"given":["Jane",null]}]}"#,
        "Patient.name[0].given[1]: must not be null",
    ),
    (r#"{"resourceType":"Patient","Jane":1}"#, "Patient: property 2 of 2 is not defined by R4"),
    (r#"{"resourceType":"Patient","active":true,"active":true}"#, "Patient: a property stands there twice"),
    (
        r#"{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}"#,
        "Patient.deceasedDateTime: a choice has only one type",
    ),
    (r#"{"resourceType":"Patient","_active":{"Jane":1}}"#, "Patient.active: beside a primitive"),
    (
        r#"{"resourceType":"Patient","multipleBirthInteger":1.5}"#,
        "Patient.multipleBirthInteger: must be a whole",
    ),
    (r#"{"resourceType":"Observation","status":"final"}"#, "Observation: code is required"),
    (
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"reference":"Jane Doe"}}"#,
        "Observation.subject.reference: must be Type/id",
    ),
    (
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"subject":{"type":"Patient"}}"#,
        "Observation.subject: a reference needs",
    ),
    (
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"issued":"2015-01-01"}"#,
        "Observation.issued: an instant looks like",
    ),
    (
        r#"{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":"7"}}"#,
        "Observation.valueQuantity.value: must be a number",
    ),
    (
        r#"{"resourceType":"Patient","extension":[{"url":"http://x"}]}"#,
        "Patient.extension[0]: an extension has either",
    ),
    (r#"{"resourceType":"Patient","photo":[{"data":"Jane!"}]}"#, "Patient.photo[0].data: must be base64"),
    (
        r#"{"resourceType":"Patient","text":{"status":"generated","div":"<div><script>Jane</script></div>"}}"#,
        "Patient.text.div: a narrative",
    ),
    (r#"{"resourceType":"Patient","contained":[{"resourceType":"Organization","name":"x"}]}"#, "needs an id"),
    (
        r#"{"resourceType":"Patient","contained":[{"resourceType":"Jane"}]}"#,
        "Patient.contained[0]: resourceType",
    ),
    (r#"{"resourceType":"Jane"}"#, "Resource: resourceType is not one"),
    (r#"{"id":"a"}"#, "Resource: resourceType is missing"),
    ("[1]", "Resource: a resource must be a JSON object"),
];

#[test]
fn each_fault_is_named_by_its_place_and_never_by_its_value() {
    for (json, expected) in FAULTS {
        let found = issues(json);
        assert!(found.len() == 1 && found[0].contains(expected), "{json}: {found:?}");
        assert!(!found[0].contains("Jane"), "{found:?}");
    }
}

/// Elements and codes that came in with later versions of FHIR, and one that went.
const LATER: &[(&str, &str)] = &[
    (
        r#"{"resourceType":"Patient","meta":{"author":{"reference":"Practitioner/1"}}}"#,
        "Patient.meta: property 1 of 1",
    ),
    (r#"{"resourceType":"Binary","contentType":"text/plain","url":"http://x"}"#, "Binary: property 3 of 3"),
    (r#"{"resourceType":"ResearchStudy","status":"active","name":"x"}"#, "ResearchStudy: property 3 of 3"),
    (r#"{"resourceType":"DeviceDefinition","bodySite":{"text":"x"}}"#, "DeviceDefinition: property 2 of 2"),
    (
        r#"{"resourceType":"ObservationDefinition","code":{"text":"x"},"publisher":{"display":"x"}}"#,
        "ObservationDefinition: property 3 of 3",
    ),
    (
        r#"{"resourceType":"EvidenceVariable","status":"draft","characteristic":[{"definitionCanonical":"http://x","linkId":"x"}]}"#,
        "EvidenceVariable.characteristic[0]: property 2 of 2",
    ),
    (
        r#"{"resourceType":"EvidenceVariable","status":"draft"}"#,
        "EvidenceVariable: characteristic is required",
    ),
    (
        r#"{"resourceType":"DetectedIssue","status":"mitigated"}"#,
        "DetectedIssue.status: is not in the code set",
    ),
    (
        r#"{"resourceType":"Questionnaire","status":"draft","item":[{"linkId":"1","type":"question"}]}"#,
        "Questionnaire.item[0].type: is not in the code set",
    ),
];

#[test]
fn what_r4_4_0_1_does_not_have_is_refused() {
    for (json, expected) in LATER {
        let found = issues(json);
        assert!(found.len() == 1 && found[0].contains(expected), "{json}: {found:?}");
    }
    for json in [
        r#"{"resourceType":"DetectedIssue","status":"registered"}"#,
        r#"{"resourceType":"EvidenceVariable","status":"draft","characteristic":[{"definitionCanonical":"http://x",
            "participantEffectivePeriod":{"start":"2020"},"timeFromStart":{"value":1},"groupMeasure":"mean"}]}"#,
        r#"{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"200",
            "outcome":{"resourceType":"Parameters","parameter":[{"name":"x","valueBoolean":true}]}}}]}"#,
    ] {
        assert_eq!(issues(json), Vec::<String>::new(), "{json}");
    }
}

#[test]
fn modes_decide_what_is_refused() {
    let faulty = sonic_rs::from_str(r#"{"resourceType":"Patient","gender":"x"}"#).unwrap();
    let accepted = |mode| validate(&faulty, mode).accepted();
    assert_eq!((accepted(Mode::Strict), accepted(Mode::Warn), accepted(Mode::Off)), (false, true, true));
    assert_eq!(validate(&faulty, Mode::Warn).issues[0].severity, Severity::Warning);
    let unusable = sonic_rs::from_str(r#"{"resourceType":"Patient","id":"a/b"}"#).unwrap();
    let unknown = sonic_rs::from_str(r#"{"resourceType":"Spaceship"}"#).unwrap();
    for mode in [Mode::Strict, Mode::Warn, Mode::Off] {
        assert!(!validate(&unusable, mode).accepted(), "{mode:?}");
        assert!(!validate(&unknown, mode).accepted(), "{mode:?}");
    }
}

#[test]
fn issues_are_bounded_and_make_an_operation_outcome() {
    let names = vec![r#"{"family":""}"#; 500].join(",");
    let resource = sonic_rs::from_str(&format!(r#"{{"resourceType":"Patient","name":[{names}]}}"#)).unwrap();
    let validation = validate(&resource, Mode::Strict);
    assert_eq!(validation.issues.len(), 51);
    let outcome = operation_outcome(&validation.issues[..1]);
    let expected = serde_json::json!({ "resourceType": "OperationOutcome", "issue": [{
        "severity": "error", "code": "value", "expression": ["Patient.name[0].family"],
        "diagnostics": "must not be empty; leave the element out" }] });
    assert_eq!(outcome, expected);
    let own = sonic_rs::from_str(&outcome.to_string()).unwrap();
    assert!(validate(&own, Mode::Strict).accepted());
}

/// JSON of FHIR's words and others, nested at random.
fn arbitrary_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("\"Jane\"".to_owned()),
        Just("-1.5e3".to_owned()),
        Just("\"2015-01-01\"".to_owned()),
        Just("{}".to_owned()),
        Just("[]".to_owned()),
    ];
    let key = prop_oneof![
        Just("resourceType"),
        Just("id"),
        Just("name"),
        Just("_given"),
        Just("given"),
        Just("contained"),
        Just("extension"),
        Just("valueString"),
        Just("url"),
        Just("reference"),
        Just("text"),
        Just("div"),
        Just("component"),
        Just("Jane"),
        Just("birthDate"),
        Just("_birthDate"),
        Just("subject"),
        Just("data"),
        Just("photo"),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let member = (key.clone(), inner.clone()).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec(member, 0..6).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_comes_is_judged_without_repeating_it(rest in arbitrary_json(), kind in "Patient|Observation|Binary|Parameters") {
        let json = format!(r#"{{"resourceType":"{kind}","name":{rest},"extension":{rest},"contained":{rest},"photo":{rest}}}"#);
        let resource = sonic_rs::from_str(&json).unwrap();
        for issue in validate(&resource, Mode::Strict).issues {
            prop_assert!(!issue.to_string().contains("Jane"), "{issue}");
        }
    }
}
