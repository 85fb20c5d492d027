//! Two hundred and more planted identifiers at all kinds of places: none of them leaves.

use crate::fixtures::{leaves, parse, split_and_join};

/// Ways to write an identifier; `#` is a number that no other has.
const STYLES: [&str; 16] = [
    "Quirina Vantoor#",
    "## Hollowfen Crescent, Apt #",
    "9##-55-####",
    "MRN-00#7110",
    "+1 555 0# ####",
    "(617) 555-####",
    "vantoor#@example.org",
    "1961-07-04T0#:11:12Z",
    "https://vantoor.example/#",
    "203.0.113.#",
    "1HGBH41JXMN10####",
    "urn:uuid:0000####-aaaa-bbbb-cccc-00000000####",
    "UXVpcmluYSBWYW50b29y####",
    "patient was seen with her husband Otto Vantoor#",
    "VANTOOR_####",
    "5551#1234#",
];

/// Places to plant it; `@` is the identifier.
const PLACES: &[&str] = &[
    r#"{"resourceType":"Patient","name":[{"use":"official","family":"@","given":["@"],"prefix":["@"]}]}"#,
    r#"{"resourceType":"Patient","name":[{"text":"@","_family":{"extension":[{"url":"@","valueString":"@"}]}}]}"#,
    r#"{"resourceType":"Patient","contact":[{"name":{"family":"@"},"telecom":[{"value":"@"}],"address":{"line":["@"],"state":"@","country":"US"}}]}"#,
    r#"{"resourceType":"Patient","address":[{"use":"@","text":"@","line":["@","@"],"city":"@","district":"@","state":"@","postalCode":"@","country":"@","period":{"start":"@"}}]}"#,
    r#"{"resourceType":"Patient","address":[{"state":"@","postalCode":"@","country":"US","_country":{"id":"@"}}]}"#,
    r#"{"resourceType":"Patient","telecom":[{"system":"@","value":"@","use":"@"}],"photo":[{"contentType":"@","data":"@","url":"@","title":"@"}]}"#,
    r#"{"resourceType":"Patient","identifier":[{"use":"@","system":"@","value":"@","type":{"text":"@","coding":[{"system":"@","code":"@","display":"@"}]},"assigner":{"display":"@"}}]}"#,
    r#"{"resourceType":"Patient","birthDate":"@","_birthDate":{"extension":[{"url":"@","valueDateTime":"@"}]},"deceasedDateTime":"@"}"#,
    r#"{"resourceType":"Patient","gender":"@","active":"@","multipleBirthInteger":"@","maritalStatus":{"text":"@","coding":[{"system":"http://terminology.hl7.org/CodeSystem/v3-MaritalStatus","code":"@","display":"@"}]}}"#,
    r#"{"resourceType":"Patient","communication":[{"language":{"coding":[{"system":"urn:ietf:bcp:47","code":"@"}],"text":"@"}}],"language":"@","implicitRules":"@"}"#,
    r#"{"resourceType":"Patient","meta":{"profile":["@"],"source":"@","versionId":"@","lastUpdated":"@","tag":[{"system":"@","code":"@"}],"security":[{"display":"@"}]}}"#,
    r#"{"resourceType":"Patient","extension":[{"url":"@","valueString":"@"},{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-birthsex","valueCode":"@","valueString":"@"}]}"#,
    r#"{"resourceType":"Patient","extension":[{"url":"http://hl7.org/fhir/us/core/StructureDefinition/us-core-race","id":"@","extension":[{"url":"ombCategory","valueCoding":{"system":"urn:oid:2.16.840.1.113883.6.238","code":"@","display":"@"}},{"url":"text","valueString":"@"},{"url":"@","valueCoding":{"system":"http://loinc.org","code":"8302-2"}}]}]}"#,
    r#"{"resourceType":"Patient","modifierExtension":[{"url":"@","valueAddress":{"city":"@"}}],"text":{"status":"@","div":"<div>@</div>"}}"#,
    r#"{"resourceType":"Patient","link":[{"type":"@","other":{"reference":"Patient/1","display":"@","type":"@","identifier":{"value":"@"}}}],"generalPractitioner":[{"display":"@"}]}"#,
    r#"{"resourceType":"Patient","@":"@","unknown":{"deep":[{"deeper":["@",{"@":"@"}]}]},"name":"@","address":"@"}"#,
    r#"{"resourceType":"Observation","status":"@","code":{"text":"@","coding":[{"system":"http://loinc.org","code":"@","display":"@","version":"@"},{"system":"@","code":"8302-2"}]}}"#,
    r#"{"resourceType":"Observation","code":{"coding":[{"system":"http://snomed.info/sct","code":"@"},{"system":"http://www.nlm.nih.gov/research/umls/rxnorm","code":"@"},{"system":"http://hl7.org/fhir/sid/icd-10","code":"@"},{"system":"http://hl7.org/fhir/sid/ndc","code":"@"}]}}"#,
    r#"{"resourceType":"Observation","valueString":"@","valueTime":"@","valueDateTime":"@","effectiveDateTime":"@","effectiveInstant":"@","issued":"@"}"#,
    r#"{"resourceType":"Observation","valueQuantity":{"value":1,"unit":"@","code":"@","system":"http://unitsofmeasure.org","comparator":"@"},"interpretation":[{"text":"@"}]}"#,
    r#"{"resourceType":"Observation","valueQuantity":{"value":"@","unit":"mg","extension":[{"url":"@","valueString":"@"}]},"valueInteger":"@","valueBoolean":"@"}"#,
    r#"{"resourceType":"Observation","component":[{"code":{"text":"@"},"valueString":"@","valueCodeableConcept":{"text":"@"}}],"note":[{"authorString":"@","text":"@","time":"@"}]}"#,
    r#"{"resourceType":"Observation","subject":{"reference":"@","display":"@"},"performer":[{"reference":"Practitioner?identifier=@","display":"@"}],"referenceRange":[{"text":"@"}]}"#,
    r##"{"resourceType":"Observation","contained":[{"resourceType":"Patient","id":"@","name":[{"family":"@"}],"birthDate":"@"},{"resourceType":"@","id":"@"}],"subject":{"reference":"#@"}}"##,
    r##"{"resourceType":"Observation","contained":[{"resourceType":"Binary","data":"@","contentType":"@"},"@",["@"]],"derivedFrom":[{"reference":"#@"}]}"##,
    r#"{"resourceType":"Condition","onsetString":"@","abatementString":"@","evidence":[{"detail":[{"display":"@"}]}],"stage":[{"summary":{"text":"@"}}],"recorder":{"display":"@"}}"#,
    r#"{"resourceType":"Encounter","class":{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"@","display":"@"},"location":[{"location":{"display":"@"},"period":{"start":"@","end":"@"}}],"reasonCode":[{"text":"@"}]}"#,
    r#"{"resourceType":"Procedure","statusReason":{"text":"@"},"location":{"display":"@"},"performedString":"@","performedPeriod":{"start":"@"},"note":[{"text":"@"}],"outcome":{"text":"@"}}"#,
    r#"{"resourceType":"MedicationRequest","groupIdentifier":{"value":"@"},"medicationCodeableConcept":{"text":"@"},"dosageInstruction":[{"text":"@","patientInstruction":"@","timing":{"event":["@"],"repeat":{"timeOfDay":["@"],"periodUnit":"@","dayOfWeek":["@"]},"code":{"text":"@"}}}]}"#,
    r#"{"resourceType":"Medication","batch":{"lotNumber":"@","expirationDate":"@"},"code":{"text":"@"},"ingredient":[{"itemCodeableConcept":{"text":"@"}}]}"#,
    r#"{"resourceType":"Immunization","lotNumber":"@","manufacturer":{"display":"@"},"education":[{"documentType":"@","reference":"@"}],"protocolApplied":[{"series":"@","doseNumberString":"@"}]}"#,
    r#"{"resourceType":"AllergyIntolerance","onsetString":"@","asserter":{"display":"@"},"reaction":[{"description":"@","severity":"@","note":[{"text":"@"}]}],"category":["@"]}"#,
    r#"{"resourceType":"DiagnosticReport","conclusion":"@","presentedForm":[{"contentType":"@","data":"@","title":"@","url":"@","creation":"@","language":"@"}],"media":[{"comment":"@"}]}"#,
    r#"{"resourceType":"DocumentReference","description":"@","docStatus":"@","masterIdentifier":{"value":"@"},"content":[{"attachment":{"data":"@","hash":"@","url":"@"},"format":{"system":"@","code":"@"}}],"date":"@"}"#,
    r#"{"resourceType":"CarePlan","title":"@","description":"@","activity":[{"detail":{"description":"@","location":{"display":"@"},"scheduledString":"@","kind":"@"},"progress":[{"text":"@"}]}]}"#,
    r#"{"resourceType":"CareTeam","name":"@","participant":[{"member":{"display":"@"},"role":[{"text":"@"}]}],"telecom":[{"value":"@"}]}"#,
    r#"{"resourceType":"Claim","patient":{"display":"@"},"accident":{"date":"@","locationAddress":{"line":["@"],"city":"@"}},"insurance":[{"businessArrangement":"@","preAuthRef":["@"]}],"total":{"value":1,"currency":"@"}}"#,
    r#"{"resourceType":"ExplanationOfBenefit","disposition":"@","preAuthRef":["@"],"processNote":[{"text":"@"}],"item":[{"adjudication":[{"category":{"text":"@"},"reason":{"coding":[{"code":"@"}]}}],"noteNumber":["@"]}]}"#,
    r#"{"resourceType":"ImagingStudy","description":"@","identifier":[{"value":"@"}],"series":[{"uid":"@","description":"@","instance":[{"uid":"@","title":"@","sopClass":{"system":"urn:ietf:rfc:3986","code":"@"}}]}]}"#,
    r#"{"resourceType":"Device","distinctIdentifier":"@","serialNumber":"@","lotNumber":"@","modelNumber":"@","deviceName":[{"name":"@","type":"@"}],"udiCarrier":[{"carrierHRF":"@"}],"url":"@","safety":[{"text":"@"}]}"#,
    r#"{"resourceType":"SupplyDelivery","destination":{"display":"@"},"suppliedItem":{"itemCodeableConcept":{"text":"@"}},"occurrenceDateTime":"@","receiver":[{"display":"@"}]}"#,
    r#"{"resourceType":"Provenance","recorded":"@","policy":["@"],"agent":[{"who":{"display":"@","identifier":{"value":"@"}}}],"signature":[{"data":"@"}],"location":{"display":"@"}}"#,
    r#"{"resourceType":"Goal","description":{"text":"@"},"statusReason":"@","target":[{"detailString":"@","dueDate":"@"}],"note":[{"text":"@"}]}"#,
    r#"{"resourceType":"Organization","name":"@","alias":["@"],"address":[{"line":["@"],"postalCode":"@","country":"US"}],"contact":[{"name":{"text":"@"}}]}"#,
    r#"{"resourceType":"Practitioner","name":[{"family":"@"}],"birthDate":"@","qualification":[{"identifier":[{"value":"@"}],"code":{"text":"@"},"issuer":{"display":"@"}}]}"#,
    r#"{"resourceType":"PractitionerRole","availabilityExceptions":"@","notAvailable":[{"description":"@"}],"availableTime":[{"availableStartTime":"@","daysOfWeek":["@"]}],"telecom":[{"value":"@"}]}"#,
    r#"{"resourceType":"Location","name":"@","alias":["@"],"description":"@","status":"@","mode":"@","position":{"longitude":"@"},"availabilityExceptions":"@"}"#,
    r#"{"resourceType":"ServiceRequest","requisition":{"value":"@"},"patientInstruction":"@","intent":"@","priority":"@","orderDetail":[{"text":"@"}],"instantiatesUri":["@"]}"#,
    r#"{"resourceType":"Media","deviceName":"@","content":{"data":"@","title":"@","contentType":"@"},"reasonCode":[{"text":"@"}],"createdDateTime":"@"}"#,
    r#"{"resourceType":"Coverage","subscriberId":"@","dependent":"@","network":"@","class":[{"value":"@","name":"@"}],"policyHolder":{"display":"@"},"type":{"text":"@"}}"#,
    r#"{"resourceType":"Bundle","identifier":{"value":"@"},"entry":[{"fullUrl":"@","resource":{"resourceType":"Patient","name":[{"family":"@"}],"gender":"@"}}]}"#,
    r#"{"resourceType":"Questionnaire","title":"@","item":[{"text":"@","item":[{"text":"@"}]}]}"#,
    r#"{"resourceType":"Binary","contentType":"@","data":"@","securityContext":{"reference":"@"}}"#,
];

/// Fills a template: every `#` with digits of a number that counts up.
fn fill(style: &str, number: &mut usize) -> String {
    *number += 7;
    let mut digits = format!("{number:05}").into_bytes().into_iter().rev().cycle();
    style.chars().map(|c| if c == '#' { char::from(digits.next().unwrap_or(b'0')) } else { c }).collect()
}

#[test]
fn no_planted_identifier_leaves() {
    let (mut planted, mut number) = (0, 10_000);
    for (turn, place) in PLACES.iter().enumerate() {
        for round in 0..STYLES.len() {
            let mut canaries = Vec::new();
            let parts: Vec<_> = place.split('@').collect();
            let resource =
                parts.iter().skip(1).enumerate().fold(parts[0].to_owned(), |text, (index, part)| {
                    let canary = fill(STYLES[(index + turn + round) % STYLES.len()], &mut number);
                    let filled = text + &canary + part;
                    canaries.push(canary);
                    filled
                });
            let result = std::panic::catch_unwind(|| leaves(&resource));
            let left = result.unwrap_or_else(|_| panic!("does not split: {resource}"));
            for canary in &canaries {
                assert!(!left.contains(canary.as_str()), "{canary} left: {left}");
                let words = canary.split([' ', ',', '@', '/', '(', ')']).filter(|word| word.len() >= 7);
                words.for_each(|word| assert!(!left.contains(word), "{word} left: {left}"));
            }
            planted += canaries.len();
        }
    }
    assert!(planted >= 200, "{planted} planted");
}

#[test]
fn no_number_of_an_identifiers_length_leaves() {
    let places = [
        r#"{"resourceType":"Observation","valueInteger":@}"#,
        r#"{"resourceType":"Observation","valueQuantity":{"value":@,"unit":"mg"}}"#,
        r#"{"resourceType":"Observation","component":[{"valueInteger":@,"valueRange":{"low":{"value":@}}}]}"#,
        r#"{"resourceType":"Patient","multipleBirthInteger":@,"extension":[{"url":"x","valueInteger":@}]}"#,
        r#"{"resourceType":"Claim","total":{"value":@,"currency":"USD"},"item":[{"sequence":@,"quantity":{"value":@}}]}"#,
        r#"{"resourceType":"Location","position":{"longitude":@,"latitude":@}}"#,
        r#"{"resourceType":"Patient","birthDate":@,"id":@,"gender":@,"address":[{"postalCode":@,"country":"US"}]}"#,
        r#"{"resourceType":"Device","serialNumber":@,"lotNumber":@,"identifier":[{"value":@}]}"#,
    ];
    // A social security number, a telephone number, a record number, a card, a date, one behind the point.
    for number in [
        "999825655",
        "5559428848",
        "10057119",
        "4111111111111111",
        "19610704",
        "-999825655",
        "999825655.5",
        "9.99825655e8",
    ] {
        for place in places {
            let left = leaves(&place.replace('@', number));
            assert!(!left.contains(number.trim_start_matches('-')), "{number} left: {left}");
        }
    }
}

#[test]
fn an_identifier_in_a_key_stays_behind() {
    for resource in [
        r#"{"resourceType":"Patient","Quirina Vantoor":true}"#,
        r#"{"resourceType":"Observation","valueQuantity":{"value":1,"Quirina Vantoor":2}}"#,
        r#"{"resourceType":"Observation","code":{"coding":[{"system":"http://loinc.org","code":"8302-2","Quirina Vantoor":1}]}}"#,
        r#"{"resourceType":"Patient","address":[{"country":"US","Quirina Vantoor":1}]}"#,
        r#"{"resourceType":"Observation","subject":{"reference":"Patient/1","Quirina Vantoor":{}}}"#,
    ] {
        let (left, _) = split_and_join(&parse(resource));
        assert!(!left.contains("Vantoor"), "{left}");
    }
}
