//! A C-CDA document through `POST /$ingest`: searched as FHIR, taken once, and without an identifier on the other side.

use crate::net::Net;
use reqwest::Method;

const DOCUMENT: &str = include_str!("../../../ccda/tests/fixtures/everything.xml");
const XML: &[(&str, &str)] = &[("content-type", "application/hl7-cda+xml")];

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_searched_as_fhir_and_taken_once() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let first = node.send(Method::POST, "/$ingest?source=a.xml", XML, DOCUMENT.to_owned()).await;
    assert_eq!((first.status, &first.body["refused"]), (200, &0.into()), "{}", first.text);
    let new = first.body["new"].as_u64().unwrap();
    assert_eq!(new, 39, "{}", first.text);
    assert!(first.body["unmapped"].as_object().unwrap().keys().any(|path| path.starts_with("section")));
    for secret in ["Quillonia", "Farthingale", "MRN-830174", "Peregrina"] {
        assert!(!first.text.contains(secret), "{}", first.text);
    }

    // The form is seen where it is not said.
    let unsaid = [("content-type", "application/octet-stream")];
    let again = node.send(Method::POST, "/$ingest", &unsaid, DOCUMENT.to_owned()).await;
    assert_eq!((&again.body["new"], &again.body["duplicates"]), (&0.into(), &new.into()), "{}", again.text);

    let found = node.get("/Patient?identifier=MRN-830174").await;
    let patient = found.body["entry"][0]["resource"]["id"].as_str().unwrap().to_owned();
    assert_eq!(found.body["entry"].as_array().unwrap().len(), 1, "{}", found.text);
    for (query, count) in [
        ("Condition?code=http://snomed.info/sct|38341003&clinical-status=active", 1),
        ("AllergyIntolerance?criticality=high", 1),
        ("Observation?code=http://loinc.org|2160-0&value-quantity=gt1.3", 1),
        ("Observation?category=vital-signs&code=29463-7", 1),
        ("Immunization?status=not-done", 1),
        ("MedicationRequest?intent=order", 1),
        ("Encounter?class=AMB", 2),
        ("Device?type=58938008", 1),
        ("DocumentReference?type=34133-9", 1),
        ("Provenance?_count=5", 1),
    ] {
        let (kind, rest) = query.split_once('?').unwrap();
        let subject = match kind {
            "Provenance" => String::new(),
            "AllergyIntolerance" | "Immunization" | "Device" => format!("&patient={patient}"),
            _ => format!("&subject=Patient/{patient}"),
        };
        let found = node.get(&format!("/{kind}?{rest}{subject}")).await;
        let entries = found.body["entry"].as_array().map_or(0, Vec::len);
        assert_eq!(entries, count, "{query}: {}", found.text);
    }
}

/// Goal: nothing that the identity side of a document's records holds stands on the other side.
#[tokio::test(flavor = "multi_thread")]
async fn no_identifier_of_a_document_is_on_the_deidentified_side() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let taken = node.send(Method::POST, "/$ingest", XML, DOCUMENT.to_owned()).await;
    assert_eq!(taken.status, 200, "{}", taken.text);
    let scanned = node.post("/privacy/scan", "").await;
    assert_eq!(
        (scanned.status, &scanned.body["residual"]),
        (200, &serde_json::json!([])),
        "{}",
        scanned.text
    );
    assert_eq!(scanned.body["records"], taken.body["new"]);
    assert!(scanned.body["strings"].as_u64().unwrap() > 50, "{}", scanned.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_document_is_refused_by_place_and_nothing_is_taken() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let cut = DOCUMENT[..DOCUMENT.len() - 300].to_owned();
    let bomb = format!("<!DOCTYPE x [<!ENTITY a \"Quillonia\">]>{}", DOCUMENT.replace("Quillonia", "&a;"));
    for (body, expected) in [
        (cut, "the XML is damaged"),
        (bomb.replace("<?xml version=\"1.0\" encoding=\"UTF-8\"?>", ""), "document type"),
        ("<Bundle xmlns=\"http://hl7.org/fhir\"/>".to_owned(), "outermost element must be ClinicalDocument"),
        (String::new(), "the document is empty"),
    ] {
        let refused = node.send(Method::POST, "/$ingest?source=b.xml", XML, body).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert!(refused.diagnostics().contains(expected), "{}", refused.text);
        assert!(!refused.text.contains("Quillonia"), "{}", refused.text);
    }
    assert_eq!(node.get("/records").await.body["records"], serde_json::json!([]));
}
