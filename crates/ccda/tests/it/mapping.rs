//! Each section becomes the resources that HL7's C-CDA on FHIR guide says, told by the text of the Bundle.

use bxp_ccda::{Document, Limits, Mapped, Options, map, patient_candidates};
use std::collections::BTreeMap;

const DOCUMENT: &str = include_str!("../fixtures/everything.xml");

fn taken(text: &str) -> Mapped {
    let document = Document::parse(text.as_bytes(), &Limits::default()).unwrap();
    map(&document, &Options { original: text.as_bytes().to_vec(), ..Options::default() }).unwrap()
}

/// The resources, as text, by type.
fn by_type(bundle: &str) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for part in bundle.split(r#""resource":{"resourceType":""#).skip(1) {
        let (kind, rest) = part.split_once('"').unwrap();
        all.entry(kind.to_owned())
            .or_default()
            .push(rest.split(r#"},"request":"#).next().unwrap().to_owned());
    }
    all
}

/// That one resource of a type has all of these pieces.
fn has(all: &BTreeMap<String, Vec<String>>, kind: &str, pieces: &[&str]) {
    let found = all.get(kind).map(Vec::as_slice).unwrap_or_default();
    let whole = |text: &&String| pieces.iter().all(|piece| text.contains(piece));
    assert!(found.iter().any(|text| whole(&text)), "no {kind} with {pieces:?} in {found:#?}");
}

#[test]
fn the_header_becomes_patient_people_and_encounter() {
    let all = by_type(&taken(DOCUMENT).bundle);
    has(
        &all,
        "Patient",
        &[
            r#""system":"urn:oid:2.16.840.1.113883.19.5.99.2","value":"MRN-830174""#,
            r#""system":"http://hl7.org/fhir/sid/us-ssn","value":"987-65-4320""#,
            r#""given":["Quillonia","Ysolde"]"#,
            r#""gender":"female","birthDate":"1971-05-14""#,
            r#""postalCode":"97006""#,
            r#""system":"email","value":"quillonia@farthingale.example""#,
            r#""valueString":"White, Native Hawaiian""#,
            r#""preferred":true"#,
            "Barnaby",
        ],
    );
    has(
        &all,
        "Practitioner",
        &[r#""system":"http://hl7.org/fhir/sid/us-npi","value":"1740283779""#, "Brackenbury"],
    );
    has(&all, "Organization", &["Larkspur Clinic", "+1(555)555-5000"]);
    has(
        &all,
        "Encounter",
        &[r#""start":"2024-03-02T09:00:00-05:00""#, r#""code":"AMB""#, r#""status":"finished""#],
    );
    has(
        &all,
        "DocumentReference",
        &["DOC-4711", "application/hl7-cda+xml", r#""date":"2024-03-02T09:30:00-05:00""#],
    );
    has(
        &all,
        "Provenance",
        &["\"entity\"", "\"recorded\":\"2024-03-02T09:30:00-05:00\"", "AllergyIntolerance/"],
    );
    assert_eq!(all["Practitioner"].len(), 1, "one, however often named");
}

#[test]
fn problems_allergies_and_family_history() {
    let all = by_type(&taken(DOCUMENT).bundle);
    has(
        &all,
        "Condition",
        &[
            r#""code":"38341003""#,
            r#"http://hl7.org/fhir/sid/icd-10-cm","code":"I10""#,
            r#""text":"Essential hypertension""#,
            r#""code":"active""#,
            "problem-list-item",
            r#""onsetDateTime":"2019-06-12""#,
            r#""recordedDate":"2024-03-01T10:15:00-05:00""#,
        ],
    );
    has(
        &all,
        "Condition",
        &[
            "233604007",
            r#""code":"resolved""#,
            r#""onsetDateTime":"2018-01""#,
            r#""abatementDateTime":"2018-02-14""#,
        ],
    );
    has(&all, "Condition", &["195662009", "encounter-diagnosis"]);
    has(
        &all,
        "AllergyIntolerance",
        &[
            r#""code":"7980""#,
            r#""category":["medication"]"#,
            r#""criticality":"high""#,
            "247472004",
            r#""severity":"moderate""#,
        ],
    );
    has(
        &all,
        "FamilyMemberHistory",
        &[r#""code":"FTH""#, "22298006", r#""onsetAge":{"value":57"#, r#""bornDate":"1940""#],
    );
}

#[test]
fn medications_and_immunizations() {
    let all = by_type(&taken(DOCUMENT).bundle);
    has(
        &all,
        "MedicationRequest",
        &[
            r#""intent":"order""#,
            "http://www.nlm.nih.gov/research/umls/rxnorm\",\"code\":\"314076\"",
            r#""period":12,"periodUnit":"h""#,
            r#""boundsPeriod":{"start":"2023-01-05"}"#,
            r#""numberOfRepeatsAllowed":2"#,
            "Take with water",
            r#""doseQuantity":{"value":1,"unit":"{tablet}""#,
            r#""reasonCode""#,
        ],
    );
    has(&all, "MedicationStatement", &[r#""status":"completed""#, r#""effectiveDateTime":"2023-01-05""#]);
    has(
        &all,
        "Immunization",
        &[r#""status":"completed""#, "LOT-X7", r#""code":"150""#, r#""occurrenceDateTime":"2023-10-02""#],
    );
    has(&all, "Immunization", &[r#""status":"not-done""#, "PATOBJ"]);
}

#[test]
fn results_vital_signs_and_other_observations() {
    let all = by_type(&taken(DOCUMENT).bundle);
    has(&all, "DiagnosticReport", &["24323-8", "Observation/", r#""status":"final""#]);
    has(
        &all,
        "Observation",
        &[
            "2160-0",
            r#""valueQuantity":{"value":1.40,"unit":"mg/dL""#,
            r#""code":"H""#,
            r#""low":{"value":0.6"#,
            "laboratory",
        ],
    );
    has(&all, "Observation", &["33914-3", r#""comparator":"<""#]);
    has(&all, "Observation", &["5778-6", r#""valueString":"Yellow""#]);
    has(&all, "Observation", &["2345-7", r#""code":"not-asked""#]);
    has(
        &all,
        "Observation",
        &["8480-6", "vital-signs", r#""effectiveDateTime":"2024-02-15T08:30:00-05:00""#],
    );
    has(&all, "Observation", &["46680005", "hasMember"]);
    has(&all, "Observation", &["72166-2", "8517006", "social-history"]);
    has(&all, "Observation", &["54522-8", "survey"]);
}

#[test]
fn procedures_plans_goals_devices_and_the_rest() {
    let all = by_type(&taken(DOCUMENT).bundle);
    has(&all, "Procedure", &["73761001", r#""performedDateTime":"2022-07-11""#, "focalDevice"]);
    has(&all, "Device", &["SER-55187", "704708004"]);
    has(&all, "DeviceUseStatement", &["Device/"]);
    has(&all, "Device", &["SER-90431"]);
    has(&all, "Encounter", &["99213", r#""code":"AMB""#]);
    has(&all, "Encounter", &[r#""status":"planned""#, "185349003"]);
    has(&all, "ServiceRequest", &["2160-0", r#""intent":"order""#, r#""occurrenceDateTime":"2024-06-01""#]);
    has(&all, "Goal", &["8480-6", r#""detailRange":{"low":{"value":110"#]);
    has(&all, "CareTeam", &["Practitioner/", r#""code":"PCP""#]);
    has(&all, "Coverage", &[r#""subscriberId":"MEM-771942""#, "Organization/"]);
    // "Quillonia feels well today." as base64.
    has(&all, "DocumentReference", &["11506-3", "UXVpbGxvbmlhIGZlZWxzIHdlbGwgdG9kYXku"]);
}

#[test]
fn what_has_no_place_is_named_by_path() {
    let notes = taken(DOCUMENT).notes;
    let said: Vec<String> = notes.iter().map(|note| format!("{}: {}", note.path, note.what)).collect();
    assert!(said.iter().any(|one| one.starts_with("section: a section that has no entries")), "{said:#?}");
    for secret in ["Quillonia", "Peregrina", "MRN-830174", "987-65", "Larkspur"] {
        assert!(!said.iter().any(|one| one.contains(secret)), "{said:#?}");
    }
    let informant = DOCUMENT.replace(
        "<custodian>",
        "<informant><relatedEntity><code code=\"FTH\"/></relatedEntity></informant><custodian>",
    );
    assert!(taken(&informant).notes.iter().any(|note| note.path == "informant"), "{said:#?}");
    assert!(said.len() <= 6, "{said:#?}");
}

#[test]
fn the_same_document_gives_the_same_bundle_and_a_later_one_the_same_ids() {
    assert_eq!(taken(DOCUMENT).bundle, taken(DOCUMENT).bundle);
    let later = DOCUMENT.replace("DOC-4711", "DOC-4712").replace("20240302093000", "20240402093000");
    let ids = |text: &str| -> Vec<String> {
        let all = by_type(&taken(text).bundle);
        let own = ["Patient", "Condition", "AllergyIntolerance", "Observation", "Procedure", "Coverage"];
        own.iter().flat_map(|kind| all[*kind].iter().map(|text| text[..50].to_owned())).collect()
    };
    assert_eq!(ids(DOCUMENT), ids(&later));
}

#[test]
fn a_patient_is_told_by_the_same_id_as_in_hl7_v2() {
    let document = Document::parse(DOCUMENT.as_bytes(), &Limits::default()).unwrap();
    let names = ["urn:oid:2.16.840.1.113883.19.5.99.2", "MRN-830174"];
    assert_eq!(patient_candidates(&document), [bxp_hl7v2::build::derive_id("Patient", &names)]);
    let known = ["abc".to_owned()].into();
    let mapped = map(&document, &Options { known, original: Vec::new() }).unwrap();
    assert!(!mapped.bundle.contains("Patient/abc"), "an id that the document does not give is not taken");
}

#[test]
fn what_a_document_denies_is_never_taken_for_said() {
    let plain = r#"<observation classCode="OBS" moodCode="EVN">"#;
    let denied = r#"<observation classCode="OBS" moodCode="EVN" negationInd="true">"#;
    let everything = DOCUMENT.replace(plain, denied);
    let mapped = taken(&everything);
    let all = by_type(&mapped.bundle);
    let results = all.get("Observation").map(Vec::as_slice).unwrap_or_default();
    assert!(!results.iter().any(|one| one.contains("2160-0")), "creatinine is denied: {results:#?}");
    assert!(mapped.notes.iter().any(|note| note.what.contains("negated observation")), "{:#?}", mapped.notes);
    has(&all, "AllergyIntolerance", &["refuted", "7980"]);
    assert!(
        !all["AllergyIntolerance"].iter().any(|one| one.contains("716186003")),
        "one substance is not all"
    );
}

#[test]
fn an_end_date_alone_does_not_end_an_allergy_that_the_document_calls_active() {
    let ended = DOCUMENT.replacen("<low value=\"1998\"/>", "<low value=\"1998\"/><high value=\"2019\"/>", 1);
    let (before, after) = ended.split_once("extension=\"ac1\"/>").unwrap();
    let status = |text: &str| {
        let changed = after.replacen("<statusCode code=\"active\"/>", text, 1);
        let all = by_type(&taken(&format!("{before}extension=\"ac1\"/>{changed}")).bundle);
        all["AllergyIntolerance"].iter().find(|one| one.contains("7980")).unwrap().clone()
    };
    let says = |text: &str, code: &str| {
        assert!(text.contains(&format!("allergyintolerance-clinical\",\"code\":\"{code}\"")), "{text}");
    };
    says(&status("<statusCode code=\"active\"/>"), "active");
    says(&status("<statusCode code=\"completed\"/>"), "resolved");
    says(&status(""), "resolved");
}

/// A document with one more section, told by `said`.
fn with_section(said: &str, entry: &str) -> String {
    let section = format!("<component><section>{said}{entry}</section></component></structuredBody>");
    DOCUMENT.replace("</structuredBody>", &section)
}

#[test]
fn advance_directives_complications_and_indications() {
    let snomed = "codeSystem=\"2.16.840.1.113883.6.96\"";
    let observation = |template: &str, code: &str, value: &str| {
        format!(
            "<entry><observation classCode=\"OBS\" moodCode=\"EVN\"><templateId root=\"2.16.840.1.113883.10.20.22.4.{template}\"/>\
             <id root=\"2.16.840.1.113883.19.5.99\" extension=\"added\"/><code code=\"{code}\" {snomed}/>\
             <statusCode code=\"completed\"/><effectiveTime value=\"20240302\"/>\
             <value xsi:type=\"CD\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" code=\"{value}\" {snomed}/></observation></entry>"
        )
    };
    let made = |section: &str, entry: &str| {
        let template = section
            .strip_prefix("template ")
            .map(|number| format!("<templateId root=\"2.16.840.1.113883.10.20.22.2.{number}\"/>"));
        let said = template.unwrap_or_else(|| format!("<code code=\"{section}\"/>"));
        by_type(&taken(&with_section(&said, entry)).bundle)
    };
    for section in ["42348-3", "template 21", "template 21.1"] {
        let all = made(section, &observation("48", "304251008", "304253006"));
        has(&all, "Observation", &[r#""code":"304251008""#, r#""code":"304253006""#, r#""code":"survey""#]);
    }
    for (section, template) in [("55109-3", "4"), ("59776-5", "4"), ("59768-2", "19")] {
        let all = made(section, &observation(template, "404684003", "385093006"));
        has(&all, "Condition", &[r#""code":"385093006""#]);
    }
}

#[test]
fn a_name_in_which_nothing_stands_is_no_name() {
    let author = "<name>\n<given>Ottoline</given>\n<family>Brackenbury</family>\n</name>";
    assert!(DOCUMENT.contains(author));
    for empty in ["<name/>", "<name use=\"L\"><given/> </name>"] {
        let all = by_type(&taken(&DOCUMENT.replace(author, empty)).bundle);
        has(&all, "Practitioner", &["1740283779"]);
        assert!(
            all["Practitioner"].iter().all(|one| !one.contains(r#""name""#)),
            "{:?}",
            all["Practitioner"]
        );
    }
}
