//! What leaves of whole resources, and that both sides give the original back.

use crate::fixtures::{Pseudonyms, leaves, parse, split_and_join, text};
use bxp_privacy::{
    DEPTH_MAX, JoinError, RULES_VERSION, Remainder, SplitContext, SplitError, join, rules_digest, split,
};

const PATIENT: &str = r#"{"resourceType":"Patient","id":"057aa36e","meta":{"versionId":"1","profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient","http://hospital.example/chi"]},"text":{"status":"generated","div":"<div>Chi Cormier</div>"},"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3","display":"White"}},{"url":"text","valueString":"White"}]},{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"F"},{"url":"http://hl7.org/fhir/StructureDefinition/patient-mothersMaidenName","valueString":"Marlo Towne"}],"identifier":[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-82-5655"}],"active":true,"name":[{"family":"Cormier","given":["Chi"]}],"telecom":[{"system":"phone","value":"555-942-8848"}],"gender":"female","birthDate":"1949-03-21","_birthDate":{"extension":[{"url":"http://hl7.org/fhir/StructureDefinition/patient-birthTime","valueDateTime":"1949-03-21T03:04:05Z"}]},"address":[{"line":["310 Daugherty Path"],"city":"East Douglas","state":"MA","postalCode":"01516","country":"US"},{"city":"Berlin","state":"BE","postalCode":"10117","country":"DE"}],"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"}],"text":"Married to Jim"},"multipleBirthInteger":3,"communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"en-US","display":"English"}],"text":"English"}}]}"#;

#[test]
fn a_us_core_patient() {
    let expected = r#"{"resourceType":"Patient","id":"p0","meta":{"profile":["http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"]},"extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","extension":[{"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"2106-3"}}]},{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"F"}],"active":true,"gender":"female","birthDate":"1949","address":[{"state":"MA","postalCode":"015","country":"US"},{"country":"DE"}],"maritalStatus":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"M"}]},"multipleBirthInteger":3,"communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"en-US"}]}}]}"#;
    assert_eq!(leaves(PATIENT), expected);
}

#[test]
fn an_observation_keeps_its_numbers_literally() {
    let observation = r#"{"id":"dd7c","resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"vital-signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"85354-9","display":"Blood Pressure"},{"system":"http://hospital.example","code":"CHI-1"}],"text":"Chi's"},"subject":{"reference":"urn:uuid:057a","display":"Chi"},"effectiveDateTime":"2010-09-16T12:21:06+02:00","issued":"2010-09-16T12:21:06.190+02:00","component":[{"valueQuantity":{"value":80.10,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}},{"valueQuantity":{"value":1.0,"unit":"glasses of Chi"}},{"valueString":"Chi"}]}"#;
    let expected = r#"{"id":"p0","resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"85354-9"}]},"subject":{"reference":"urn:uuid:p1"},"effectiveDateTime":"2010","component":[{"valueQuantity":{"value":80.10,"unit":"mm[Hg]","system":"http://unitsofmeasure.org","code":"mm[Hg]"}}]}"#;
    assert_eq!(leaves(observation), expected);
}

#[test]
fn contained_resources_go_by_their_own_type() {
    let benefit = r##"{"resourceType":"ExplanationOfBenefit","contained":[{"resourceType":"ServiceRequest","id":"referral","status":"completed","note":[{"text":"Chi"}],"contained":[{"resourceType":"Patient","gender":"male"}]},{"resourceType":"JaneDoe","id":"x"},{"resourceType":"Basic","id":"coverage","created":"2020"}],"referral":{"reference":"#referral"},"insurance":[{"focal":true,"coverage":{"reference":"#coverage","display":"Blue Cross"}},{"coverage":{"reference":"#jane-doe"}}]}"##;
    let expected = r##"{"resourceType":"ExplanationOfBenefit","contained":[{"resourceType":"ServiceRequest","id":"c0","status":"completed"},{"resourceType":"Basic"}],"referral":{"reference":"#c0"},"insurance":[{"focal":true,"coverage":{"reference":"#c2"}}]}"##;
    assert_eq!(leaves(benefit), expected);
}

#[test]
fn an_age_above_89_stays_behind_in_any_form() {
    let age = |value: &str| {
        leaves(&format!(
            r#"{{"resourceType":"Observation","code":{{"coding":[{{"system":"http://loinc.org","code":"30525-0"}}]}},{value}}}"#
        ))
    };
    for old in [
        r#""valueInteger":93"#,
        r#""valueQuantity":{"value":93}"#,
        r#""valueQuantity":{"value":93,"unit":"a","system":"http://unitsofmeasure.org","code":"a"}"#,
        r#""valueQuantity":{"value":1120,"unit":"mo","system":"http://unitsofmeasure.org","code":"mo"}"#,
    ] {
        assert!(!age(old).contains("value"), "{old}");
    }
    assert!(age(r#""valueInteger":89"#).contains("89"));
    let condition = leaves(r#"{"resourceType":"Condition","onsetAge":{"value":91,"unit":"a"}}"#);
    assert_eq!(condition, r#"{"resourceType":"Condition"}"#);
}

#[test]
fn zip_codes_of_few_people_become_000() {
    let zip = |zip: &str| {
        leaves(&format!(
            r#"{{"resourceType":"Patient","address":[{{"country":"US","postalCode":"{zip}"}}]}}"#
        ))
    };
    for (code, expected) in
        [("02138", Some("021")), ("02138-1234", Some("021")), ("03601", Some("000")), ("89301", Some("000"))]
    {
        assert!(zip(code).contains(&format!(r#""postalCode":"{}""#, expected.unwrap())), "{code}");
    }
    for code in ["2138", "021381", "02138-12", "0213X", "M5V 3L9", "Chi"] {
        assert!(!zip(code).contains("postalCode"), "{code}");
    }
    let no_country = leaves(r#"{"resourceType":"Patient","address":[{"state":"MA","postalCode":"02138"}]}"#);
    assert_eq!(no_country, r#"{"resourceType":"Patient"}"#);
}

#[test]
fn of_an_uncovered_type_only_the_type_leaves() {
    let basic = r#"{"resourceType":"Basic","id":"1","code":{"coding":[{"system":"http://loinc.org","code":"8302-2"}]}}"#;
    assert_eq!(leaves(basic), r#"{"resourceType":"Basic"}"#);
}

#[test]
fn odd_shapes_come_back_too() {
    for resource in [
        r#"{"resourceType":"Patient"}"#,
        r#"{"resourceType":"Patient","name":{},"gender":["female","Chi"],"":null,"birthDate":[null,"1980-01-01",[]]}"#,
        r#"{"resourceType":"Patient","communication":[{},{"preferred":true},null,[]],"meta":"x","maritalStatus":{"coding":{}}}"#,
        r#"{"resourceType":"Observation","valueQuantity":[],"component":{"valueInteger":1},"status":7,"code":true,"note":1E400}"#,
        r#"{"resourceType":"Observation","valueInteger":-0,"x":"\u0000\"\\\ud83d\ude00","x":2,"component":[[{"valueInteger":1}]]}"#,
        r#"{"resourceType":"Claim","contained":{"resourceType":"Patient"},"total":{"value":0.49400000000000005,"currency":"USD"}}"#,
    ] {
        split_and_join(&parse(resource));
    }
}

#[test]
fn what_is_no_resource_is_refused() {
    let refused = |resource: &str| Pseudonyms::default().split(&parse(resource)).unwrap_err();
    assert_eq!(refused("[]"), SplitError::NotAResource);
    assert_eq!(refused("{}"), SplitError::NotAResource);
    assert_eq!(refused(r#"{"resourceType":7}"#), SplitError::NotAResource);
    assert_eq!(refused(r#"{"resourceType":"JaneDoe"}"#), SplitError::UnknownResourceType);
    assert_eq!(
        refused(r#"{"resourceType":"Patient","gender":"male","gender":"female"}"#),
        SplitError::DuplicateKey
    );
    let coding = r#"{"system":"http://loinc.org","code":"8302-2","code":"Chi"}"#;
    let twice = format!(r#"{{"resourceType":"Observation","code":{{"coding":[{coding}]}}}}"#);
    assert_eq!(refused(&twice), SplitError::DuplicateKey);
    let deep = "[".repeat(DEPTH_MAX + 1) + &"]".repeat(DEPTH_MAX + 1);
    assert_eq!(refused(&format!(r#"{{"resourceType":"Patient","x":{deep}}}"#)), SplitError::TooDeep);
}

#[test]
fn a_mapping_that_gives_the_original_back_is_refused() {
    let with = |answer: &str| {
        let mapping = |_: &str| Some(answer.to_owned());
        split(
            &parse(r#"{"resourceType":"Patient","id":"123"}"#),
            &SplitContext { mapping: &mapping, now_year: 2026 },
        )
        .map(|split| text(&split.deidentified))
    };
    for wrong in ["123", "Patient/123", "urn:uuid:123", "Jane Doe", "JaneDoe/1", "", "Patient/1/2"] {
        assert_eq!(with(wrong).unwrap_err(), SplitError::Pseudonym, "{wrong}");
    }
    assert_eq!(with("Patient/f00").unwrap(), r#"{"resourceType":"Patient","id":"f00"}"#);
    let nothing = SplitContext { mapping: &|_| None, now_year: 2026 };
    let dropped = split(&parse(r#"{"resourceType":"Patient","id":"123"}"#), &nothing).unwrap();
    assert_eq!(text(&dropped.deidentified), r#"{"resourceType":"Patient"}"#);
}

#[test]
fn sides_of_two_records_are_never_joined() {
    let of = |gender: &str| {
        let patient =
            format!(r#"{{"resourceType":"Patient","gender":"{gender}","name":[{{"family":"X"}}]}}"#);
        Pseudonyms::default().split(&parse(&patient)).unwrap()
    };
    let (one, other) = (of("female"), of("male"));
    assert_eq!(join(one.identity.expose(), &other.deidentified).unwrap_err(), JoinError::Mismatch);
    assert_eq!(one.rules, rules_digest());
    assert_eq!(one.identity.expose().rules(), Ok(rules_digest()));
}

#[test]
fn a_remainder_survives_its_encoding() {
    let split = Pseudonyms::default().split(&parse(PATIENT)).unwrap();
    let bytes = split.identity.expose().as_bytes().to_vec();
    let read = Remainder::from_bytes(&bytes).unwrap();
    assert_eq!(text(&join(&read, &split.deidentified).unwrap()), PATIENT);
    // What left is not told again beside what stayed.
    let told = String::from_utf8(bytes).unwrap();
    assert!(!told.contains("female") && !told.contains("us-core-patient\""), "{told}");
}

#[test]
fn debug_tells_nothing() {
    let split = Pseudonyms::default().split(&parse(PATIENT)).unwrap();
    assert!(!format!("{split:?}").contains("Cormier"));
}

/// A change of the rules shows here: raise `RULES_VERSION` and pin the new digest.
#[test]
fn the_rules_are_pinned_by_their_digest() {
    let digest = hex::encode(rules_digest());
    assert_eq!(
        (RULES_VERSION, digest.as_str()),
        ("safe-harbor-r4/2", "5b36278fa337820a86108189e84b94fba3964b5c433af5cccf559a4eca41cd95")
    );
}

#[test]
fn the_patch_of_the_identity_side_is_stable() {
    let patient = r#"{"resourceType":"Patient","id":"7","active":true,"name":[{"family":"X"}],"birthDate":"1949-03-21","address":[{"city":"Y","country":"DE"},{"city":"Z"}]}"#;
    let split = Pseudonyms::default().split(&parse(patient)).unwrap();
    let told = String::from_utf8(split.identity.expose().as_bytes().to_vec()).unwrap();
    let (_, patch) = told.split_once(r#""patch":"#).unwrap();
    let expected =
        r#"[1,{"=":"7"},1,"name",[{"family":"X"}],{"=":"1949-03-21"},[["city","Y",1],{"+":{"city":"Z"}}]]}"#;
    assert_eq!(patch, expected);
}

#[test]
fn nesting_without_end_does_not_end_the_program() {
    for open in ["[", "{\"patch\":", "{\"v\":1,\"patch\":["] {
        assert_eq!(Remainder::from_bytes(open.repeat(200_000).as_bytes()), Err(JoinError::Remainder));
    }
}
