//! Messages and what becomes of them.

use super::*;
use crate::Limits;
use proptest::prelude::*;

const HEADER: &str = "MSH|^~\\&|LAB|HOSP^1.2.3^ISO|BXP|STAR|20260101120000+0100||";
const PATIENT: &str = "PID|1||7^^^HOSP^MR||Doe^Jane^Q^^Dr.^^L||19800102|F|||1 Elm St^^Bonn^^53111^DE^H||^PRN^PH^^49^228^1234567\r";

fn mapped(kind: &str, segments: &str) -> Mapped {
    let text = format!("{HEADER}{kind}|1|P|2.5.1\r{segments}");
    map(&Message::parse(&text, &Limits::default()).unwrap(), &Options::default())
}

/// What is made of a message must hold each of these texts.
fn check(kind: &str, segments: &str, expected: &[&str]) {
    let made = mapped(kind, segments);
    for text in expected {
        assert!(made.bundle.contains(text), "{text} is not in {}", made.bundle);
    }
}

#[test]
fn a_patient_is_mapped_whole() {
    check(
        "ADT^A01^ADT_A01",
        &format!("{PATIENT}PV1|1|I|W^2^1^HOSP||||9^Who^Ada|||||||||||V|V1^^^HOSP"),
        &[
            r#""gender":"female""#,
            r#""birthDate":"1980-01-02""#,
            r#"{"use":"official","family":"Doe","given":["Jane","Q"],"prefix":["Dr."]}"#,
            r#""line":["1 Elm St"],"city":"Bonn","postalCode":"53111","country":"DE""#,
            r#"{"system":"phone","value":"+49 228 1234567","use":"home""#,
            r#""class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"IMP""#,
            r#""status":"in-progress""#,
            r#""physicalType":{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/location-physical-type","code":"bd"}]}"#,
            r#""system":"urn:id:HOSP","value":"7""#,
        ],
    );
}

#[test]
fn ids_are_those_that_other_messages_give() {
    let id = |made: &Mapped, kind: &str| {
        let at = made.bundle.find(&format!(r#"{{"resourceType":"{kind}","id":""#)).unwrap();
        made.bundle[at..].split('"').nth(7).unwrap().to_owned()
    };
    let one = mapped("ADT^A01^ADT_A01", &format!("{PATIENT}PV1|1|I|||||||||||||||||V1^^^HOSP"));
    let two = mapped(
        "ORU^R01^ORU_R01",
        &format!(
            "{PATIENT}PV1|1|O|||||||||||||||||V1^^^HOSP\rORC|RE|P1|F1\rOBR|1|P1|F1|24323-8^^LN\rOBX|1|NM|2345-7^Glucose^LN||5.10|mmol/L^^UCUM||N|||F"
        ),
    );
    let three = mapped(
        "ORU^R01^ORU_R01",
        &format!(
            "{PATIENT}ORC|RE|P1|F1\rOBR|1|P1|F1|24323-8^^LN\rOBX|4|NM|2345-7^Glucose^LN||5.20|mmol/L^^UCUM||N|||C"
        ),
    );
    // Pinned: another build must find the same resources again.
    assert_eq!(id(&one, "Patient"), id(&two, "Patient"));
    assert_eq!(id(&one, "Encounter"), id(&two, "Encounter"));
    assert_eq!(id(&two, "Observation"), id(&three, "Observation"));
    assert_eq!(id(&two, "DiagnosticReport"), id(&three, "DiagnosticReport"));
    assert_eq!(id(&one, "Patient"), identity::derive("Patient", &["urn:id:HOSP", "7"]));
}

#[test]
fn results_keep_their_digits_and_stand_under_their_report() {
    check(
        "ORU^R01^ORU_R01",
        &format!(
            "{PATIENT}OBR|1|P1|F1|24323-8^Panel^LN|||202601011100||||||||||||||||||F\rOBX|1|NM|2345-7^Glucose^LN||5.10|mmol/L^^UCUM|3.9-5.5|N|||F|||202601011100\rNTE|1||Fasting\rOBX|2|SN|x^^L||<^7|mg\rOBX|3|CE|y^^L||A^Alpha^L||||||P\rOBX|4|TS|z^^L||20260101\rOBX|5|SN|r^^L||^1^:^128"
        ),
        &[
            r#""valueQuantity":{"value":5.10,"unit":"mmol/L","system":"http://unitsofmeasure.org","code":"mmol/L"}"#,
            r#""note":[{"text":"Fasting"}]"#,
            r#""valueQuantity":{"value":7,"unit":"mg","comparator":"<"}"#,
            r#""valueCodeableConcept":{"coding":[{"system":"urn:id:L","code":"A","display":"Alpha"}]}"#,
            r#""valueDateTime":"2026-01-01""#,
            r#""valueRatio":{"numerator":{"value":1},"denominator":{"value":128}}"#,
            r#""effectiveDateTime":"2026-01-01T11:00:00+01:00""#,
            r#""status":"final""#,
            r#""result":[{"reference":"Observation/"#,
        ],
    );
}

#[test]
fn a_merge_links_both_patients() {
    check(
        "ADT^A40^ADT_A39",
        &format!("{PATIENT}MRG|8^^^HOSP^MR"),
        &[r#""type":"replaces""#, r#""type":"replaced-by""#, r#""active":false"#, r#""value":"8""#],
    );
}

#[test]
fn a_document_is_put_together() {
    check(
        "MDM^T02^MDM_T02",
        &format!(
            "{PATIENT}TXA|1|DS^Discharge summary|TX||20260101||||9^Who^Ada|||D1^HOSP|||||AU||AV\rOBX|1|TX|a||Line one\rOBX|2|TX|a||Line two\rOBX|3|ED|b^Scan||^AP^PDF^Base64^QUJD"
        ),
        &[
            r#""docStatus":"final""#,
            // "Line one\nLine two".
            r#""data":"TGluZSBvbmUKTGluZSB0d28=""#,
            r#"{"contentType":"application/pdf","data":"QUJD","title":"Scan"}"#,
        ],
    );
}

#[test]
fn vaccines_appointments_orders_and_charges_are_mapped() {
    check(
        "VXU^V04^VXU_V04",
        &format!(
            "{PATIENT}ORC|RE||65^HOSP\rRXA|0|1|20260101||08^Hep B^CVX|0.5|mL^^UCUM||00^New^NIP001||||||L7||MSD^Merck^MVX|||CP|A\rRXR|IM|LA\rOBX|1|CE|64994-7^^LN||V02^Medicaid^HL70064||||||F"
        ),
        &[
            r#""vaccineCode":{"coding":[{"system":"http://hl7.org/fhir/sid/cvx","code":"08","display":"Hep B"}]}"#,
            r#""primarySource":true"#,
            r#""lotNumber":"L7""#,
            r#""programEligibility""#,
        ],
    );
    check(
        "SIU^S12^SIU_S12",
        &format!(
            "SCH|A1|B1|||||CHECKUP^^HL70276|||30|min|^^30^202601020900^202601020930|||||||||||||Booked\r{PATIENT}RGS|1\rAIP|1||9^Who^Ada\rAIL|1||W^2^1"
        ),
        &[
            r#""status":"booked""#,
            r#""participant":[{"actor":{"reference":"#,
            r#""actor":{"reference":"Patient/"#,
        ],
    );
    check(
        "RDE^O11^RDE_O11",
        &format!(
            "{PATIENT}ORC|NW|P9^HOSP\rRXE|^^^20260101^20260107|0069-2587^Drug^NDC|1||TAB|||||30|TAB|2\rRXR|PO\rTQ1|1||BID"
        ),
        &[
            r#""resourceType":"MedicationRequest""#,
            r#""system":"http://hl7.org/fhir/sid/ndc","code":"0069-2587""#,
            r#""numberOfRepeatsAllowed":2"#,
            r#""doseQuantity":{"value":1,"unit":"TAB"}"#,
        ],
    );
    check(
        "DFT^P03^DFT_P03",
        &format!("{PATIENT}FT1|1|T1||20260101||CG|99213^Visit^C4|||1|100.50&USD"),
        &[r#""priceOverride":{"value":100.50,"currency":"USD"}"#, r#""status":"billable""#],
    );
}

#[test]
fn what_has_no_place_is_named_without_its_value() {
    let made = mapped(
        "ADT^A01^ADT_A01",
        "PID|1||7^^^H^MR||Doe||1980-99|Q\rZPV|secret\rPV1|1|I||||||||||||||||||||||||||||||||||||||||||||secret",
    );
    let notes: Vec<String> = made.notes.iter().map(|note| format!("{}: {}", note.place, note.what)).collect();
    for expected in [
        "PID-7: no date or time in HL7's form",
        "PID-8: a code for which HL7's concept map has no FHIR code",
        "ZPV: a segment of the sender's own",
    ] {
        assert!(notes.iter().any(|note| note.starts_with(expected)), "{expected}: {notes:?}");
    }
    assert!(!notes.iter().any(|note| note.contains("secret")));
}

#[test]
fn the_message_is_kept_whole_where_it_is_given() {
    let text = format!("{HEADER}ADT^A01|1|P|2.5\r{PATIENT}");
    let message = Message::parse(&text, &Limits::default()).unwrap();
    let options = Options { original: Some(text.clone().into_bytes()), ..Options::default() };
    let encoded = datatype::base64(text.as_bytes());
    assert!(map(&message, &options).bundle.contains(&encoded));
}

proptest! {
    #[test]
    fn any_message_is_mapped_without_a_panic(
        text in "((PID|PV1|OBX|OBR|ORC|RXA|RXE|TXA|SCH|AIL|MRG|NK1|IN1|FT1|SPM|TQ1|DG1|NTE|PRT)[|][|A-Z0-9^&~\\\\. -]{0,60}\r){0,12}"
    ) {
        let _ = mapped("ADT^A01", &text);
    }
}
