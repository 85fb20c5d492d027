//! Each of the eighteen identifiers of 45 CFR 164.514(b)(2)(i)(A)-(R): planted, it stays behind and is counted as what it is.

use crate::fixtures::{parse, split_and_join};
use bxp_privacy::IdentifierKind;

/// Splits `resource`: nothing of `planted` may leave, and each must be counted as `kind`.
fn check(kind: IdentifierKind, resource: &str, planted: &[&str]) {
    let (left, split) = split_and_join(&parse(resource));
    for value in planted {
        assert!(resource.contains(value), "{value} is not planted");
        assert!(!left.contains(value), "({}) {value} left: {left}", kind.letter());
    }
    let counted = split.removed.count(kind);
    assert_eq!(usize::try_from(counted).unwrap(), planted.len(), "({}) {:?}", kind.letter(), split.removed);
}

fn check_identifier(kind: IdentifierKind, code: &str, value: &str) {
    let system = "http://terminology.hl7.org/CodeSystem/v2-0203";
    let identifier =
        format!(r#"{{"type":{{"coding":[{{"system":"{system}","code":"{code}"}}]}},"value":"{value}"}}"#);
    check(kind, &format!(r#"{{"resourceType":"Patient","identifier":[{identifier}]}}"#), &[value]);
}

fn check_telecom(kind: IdentifierKind, system: &str, value: &str) {
    let telecom = format!(r#"{{"system":"{system}","value":"{value}","use":"home"}}"#);
    check(kind, &format!(r#"{{"resourceType":"Patient","telecom":[{telecom}]}}"#), &[value]);
}

#[test]
fn a_names() {
    let patient = r#"{"resourceType":"Patient","name":[{"family":"Cormier","given":["Chi"],"text":"Chi Cormier"},{"text":"Mrs. C"}]}"#;
    check(IdentifierKind::Name, patient, &["Cormier", "Mrs. C"]);
}

#[test]
fn b_geography_smaller_than_a_state() {
    let patient = r#"{"resourceType":"Patient","address":[{"line":["310 Daugherty Path"],"city":"East Douglas",
        "district":"Worcester","postalCode":"01516-2204","state":"MA","country":"US"}]}"#;
    check(IdentifierKind::Geography, patient, &["310 Daugherty Path", "East Douglas", "Worcester", "01516"]);
}

#[test]
fn c_dates_and_ages_over_89() {
    let patient = r#"{"resourceType":"Patient","birthDate":"1986-04-13","deceasedDateTime":"2020-03-25T17:39:15+01:00"}"#;
    check(IdentifierKind::Date, patient, &["04-13", "03-25T17:39:15+01:00"]);
    let very_old = r#"{"resourceType":"Patient","birthDate":"1929-03-21"}"#;
    check(IdentifierKind::Date, very_old, &["1929"]);
}

#[test]
fn d_telephone_numbers() {
    check_telecom(IdentifierKind::Telephone, "phone", "555-942-8848");
    check_telecom(IdentifierKind::Telephone, "sms", "+49 30 901820");
}

#[test]
fn e_fax_numbers() {
    check_telecom(IdentifierKind::Fax, "fax", "555-532-2849");
}

#[test]
fn f_email_addresses() {
    check_telecom(IdentifierKind::Email, "email", "chi@example.org");
}

#[test]
fn g_social_security_numbers() {
    check_identifier(IdentifierKind::SocialSecurityNumber, "SS", "999-82-5655");
    let by_system = r#"{"resourceType":"Patient","identifier":[{"system":"http://hl7.org/fhir/sid/us-ssn","value":"999-82-5656"}]}"#;
    check(IdentifierKind::SocialSecurityNumber, by_system, &["999-82-5656"]);
}

#[test]
fn h_medical_record_numbers() {
    check_identifier(IdentifierKind::MedicalRecordNumber, "MR", "MRN-0057110");
}

#[test]
fn i_health_plan_beneficiary_numbers() {
    check_identifier(IdentifierKind::HealthPlanNumber, "MB", "1EG4-TE5-MK73");
    let coverage = r#"{"resourceType":"Coverage","status":"active","subscriberId":"A123456780"}"#;
    check(IdentifierKind::HealthPlanNumber, coverage, &["A123456780"]);
}

#[test]
fn j_account_numbers() {
    check_identifier(IdentifierKind::AccountNumber, "AN", "DE89370400440532013000");
}

#[test]
fn k_certificate_and_license_numbers() {
    check_identifier(IdentifierKind::LicenseNumber, "DL", "S99934475");
    check_identifier(IdentifierKind::LicenseNumber, "PPN", "X58337163X");
}

#[test]
fn l_vehicle_identifiers() {
    check_identifier(IdentifierKind::Vehicle, "VIN", "1HGBH41JXMN109186");
}

#[test]
fn m_device_identifiers() {
    let device = r#"{"resourceType":"Device","status":"active","distinctIdentifier":"11561601530528","lotNumber":"3003628844",
        "serialNumber":"768064339551","udiCarrier":[{"deviceIdentifier":"11561601530520","carrierHRF":"(01)1156"}]}"#;
    let planted = ["11561601530528", "3003628844", "768064339551", "11561601530520", "(01)1156"];
    check(IdentifierKind::Device, device, &planted);
}

#[test]
fn n_web_addresses() {
    check_telecom(IdentifierKind::Url, "url", "https://chi.example.org");
    let report = r#"{"resourceType":"DocumentReference","status":"current",
        "content":[{"attachment":{"contentType":"text/plain","url":"https://hospital.example/chi.txt"}}]}"#;
    check(IdentifierKind::Url, report, &["https://hospital.example/chi.txt"]);
}

#[test]
fn o_internet_protocol_addresses() {
    let event = r#"{"resourceType":"Device","network":{"address":"203.0.113.77"}}"#;
    check(IdentifierKind::IpAddress, event, &["203.0.113.77"]);
    check_identifier(IdentifierKind::IpAddress, "IP", "2001:db8::77");
}

#[test]
fn p_biometric_identifiers() {
    let voice = r#"{"resourceType":"Observation","status":"final","valueSampledData":{"data":"7 9 12 E","dimensions":1}}"#;
    check(IdentifierKind::Biometric, voice, &["7 9 12 E"]);
}

#[test]
fn q_photographs() {
    let patient = r#"{"resourceType":"Patient","photo":[{"contentType":"image/jpeg","data":"Zm90bw=="}]}"#;
    check(IdentifierKind::Photograph, patient, &["Zm90bw=="]);
}

#[test]
fn r_any_other_identifier() {
    let patient =
        r#"{"resourceType":"Patient","favouriteHorse":"Silver Blaze","text":{"div":"<div>Chi</div>"}}"#;
    check(IdentifierKind::Other, patient, &["Silver Blaze", "<div>Chi</div>"]);
}

/// Goal: no age above 89 leaves, whatever says that it is one. Way: ages of 95 years under every form of a unit, and without one.
#[test]
fn an_age_above_89_stays_in_whatever_unit() {
    let ucum = r#""system":"http://unitsofmeasure.org","#;
    let forms = [
        (format!(r#"{{"value":95,{ucum}"code":"a"}}"#), true),
        (r#"{"value":95}"#.to_owned(), true),
        (r#"{"value":95,"unit":"a"}"#.to_owned(), true),
        (r#"{"value":95,"unit":"a","code":"yr"}"#.to_owned(), true),
        (format!(r#"{{"value":95,{ucum}"code":"a_j"}}"#), true),
        (format!(r#"{{"value":1140,{ucum}"code":"mo"}}"#), true),
        (format!(r#"{{"value":1140,{ucum}"code":"mo_s"}}"#), true),
        (format!(r#"{{"value":34698,{ucum}"code":"d"}}"#), true),
        (format!(r#"{{"value":57,{ucum}"code":"a"}}"#), false),
        (format!(r#"{{"value":95,{ucum}"code":"mo"}}"#), false),
    ];
    let places = [
        ("Condition", "onsetAge"),
        ("Condition", "abatementAge"),
        ("AllergyIntolerance", "onsetAge"),
        ("Procedure", "performedAge"),
        ("FamilyMemberHistory", "ageAge"),
        ("FamilyMemberHistory", "deceasedAge"),
    ];
    for (kind, element) in places {
        for (age, stays) in &forms {
            let (left, _) =
                split_and_join(&parse(&format!(r#"{{"resourceType":"{kind}","{element}":{age}}}"#)));
            assert_eq!(!left.contains("value"), *stays, "{kind}.{element} {age}: {left}");
        }
    }
}

#[test]
fn a_measurement_within_a_type_of_ages_is_no_age() {
    let procedure = r#"{"resourceType":"Procedure","contained":[{"resourceType":"Observation","id":"o","valueQuantity":{"value":120}}],
        "performedAge":{"value":95}}"#;
    let (left, _) = split_and_join(&parse(procedure));
    assert!(left.contains("120") && !left.contains("95"), "{left}");
}

/// Goal: a relative is protected as the patient is, and what the relative had is told (164.514(b)(2)(i), "or of relatives").
#[test]
fn of_relatives_what_they_had_leaves_and_who_they_are_stays() {
    let mother = r#"{"resourceType":"FamilyMemberHistory","status":"completed","patient":{"reference":"Patient/7","display":"Chi Cormier"},
        "name":"Bathsheba Cormier","relationship":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-RoleCode","code":"MTH",
        "display":"my mother Bathsheba"}]},"bornDate":"1929-03-21","deceasedAge":{"value":93,"system":"http://unitsofmeasure.org","code":"a"},
        "note":[{"text":"she lived in East Douglas"}],"condition":[{"code":{"coding":[{"system":"http://snomed.info/sct","code":"22298006"}],
        "text":"heart attack of Bathsheba"},"contributedToDeath":true,"onsetAge":{"value":57,"system":"http://unitsofmeasure.org","code":"a"},
        "note":[{"text":"on 3 May"}]}]}"#;
    let (left, _) = split_and_join(&parse(mother));
    for stays in ["Bathsheba", "Cormier", "1929", "93", "East Douglas", "3 May", "heart attack"] {
        assert!(mother.contains(stays) && !left.contains(stays), "{stays} left: {left}");
    }
    for leaves in ["MTH", "22298006", "57", r#""contributedToDeath":true"#, r#""status":"completed""#] {
        assert!(left.contains(leaves), "{leaves} stayed: {left}");
    }
}
