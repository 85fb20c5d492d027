//! FHIR REST: transactions, creating, reading.

use crate::{
    client::{bundle, patient, weight},
    net::Net,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_answered_entry_by_entry() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let wrong = r#"{"resourceType":"Patient","id":"p3","gender":"Plantedname"}"#;
    let nameless = r#"{"resourceType":"Organization","name":"Star"}"#;
    let sent = bundle("transaction", &[&patient(1, "US"), wrong, &weight(1), nameless]);
    let answer = node.post("/", sent.clone()).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/fhir+json"));
    assert_eq!(answer.body["type"], "transaction-response");
    let entries = answer.body["entry"].as_array().unwrap();
    let statuses: Vec<_> = entries.iter().map(|one| one["response"]["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["201 Created", "422 Unprocessable Entity", "201 Created", "201 Created"]);
    assert_eq!(entries[0]["response"]["location"], "Patient/original-1");
    assert_eq!(entries[2]["response"]["location"], "Observation/weight-1");
    let issue = &entries[1]["response"]["outcome"]["issue"][0];
    assert_eq!((&issue["code"], &issue["expression"][0]), (&"code-invalid".into(), &"Patient.gender".into()));
    assert!(!answer.text.contains("Planted"));
    for number in [0, 2, 3] {
        let location = entries[number]["response"]["location"].as_str().unwrap();
        assert_eq!(node.get(&format!("/{location}")).await.status, 200, "{location}");
    }
    let again = node.post("/", sent.replace("transaction", "batch")).await;
    assert_eq!(again.body["type"], "batch-response");
    let statuses: Vec<_> =
        again.body["entry"].as_array().unwrap().iter().map(|one| one["response"]["status"].clone()).collect();
    assert_eq!(statuses, ["200 OK", "422 Unprocessable Entity", "200 OK", "200 OK"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_that_ask_for_something_else_are_answered_in_their_place() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let sent = format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[
            {{"request":{{"method":"DELETE","url":"Patient/Plantedname"}}}},
            {{"resource":{},"request":{{"method":"POST","url":"Patient"}}}}]}}"#,
        patient(1, "US")
    );
    let answer = node.post("/", sent).await;
    assert_eq!(answer.body["entry"][0]["response"]["status"], "422 Unprocessable Entity");
    assert_eq!(answer.body["entry"][1]["response"]["status"], "201 Created");
    assert!(!answer.text.contains("Planted"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_comes_back_character_by_character() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let created = node.post("/Patient", patient(1, "US")).await;
    assert_eq!((created.status, created.header("location")), (201, "/Patient/original-1"));
    assert_eq!(node.post("/Patient", patient(1, "US")).await.status, 200);
    assert_eq!(node.post("/Observation", weight(1)).await.status, 201);
    let read = node.get("/Observation/weight-1").await;
    assert_eq!((read.status, read.text.as_str()), (200, weight(1).as_str()), "decimals keep their digits");
    assert_eq!(read.header("content-type"), "application/fhir+json");
    assert_eq!(read.header("x-bxp-part"), "whole");
    assert_eq!(node.get("/Patient/original-1?_format=json").await.text, patient(1, "US"));
    let changed = patient(1, "US").replace("Plantedcity", "Othercity");
    assert_eq!(node.post("/Patient", changed.clone()).await.status, 200);
    assert_eq!(node.get("/Patient/original-1").await.text, changed, "the newest version");
    for missing in
        ["/Patient/original-2", "/Observation/original-1", "/Patient/00000000000000000000000000000000"]
    {
        let answer = node.get(missing).await;
        assert_eq!(answer.status, 404, "{missing}");
        answer.diagnostics();
    }
    let record = node.get("/records").await.body["records"][0]["record_id"].as_str().unwrap().to_owned();
    assert_eq!(
        node.get(&format!("/Patient/{record}")).await.text,
        patient(1, "US"),
        "a version by its record"
    );
    assert_eq!(node.get(&format!("/Observation/{record}")).await.status, 404, "of another type");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resource_that_cannot_be_taken_is_named_element_by_element() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let wrong = r#"{"resourceType":"Patient","gender":"Plantedname","birthDate":"Plantedcity"}"#;
    let answer = node.post("/Patient", wrong).await;
    assert_eq!(answer.status, 422);
    answer.diagnostics();
    let issues = answer.body["issue"].as_array().unwrap();
    let named: Vec<_> = issues.iter().map(|issue| issue["expression"][0].as_str().unwrap()).collect();
    assert!(named.contains(&"Patient.gender") && named.contains(&"Patient.birthDate"), "{named:?}");
    assert!(!answer.text.contains("Planted"));
    let mismatch = node.post("/Observation", patient(1, "US")).await;
    assert_eq!(mismatch.status, 400);
    assert_eq!(mismatch.diagnostics(), "resourceType must be Observation, as the address says");
    let unknown = node.post("/Observation", weight(7)).await;
    assert_eq!(unknown.status, 422);
    assert!(unknown.diagnostics().contains("hand in the Patient first"));
    let abroad = node.post("/Patient", patient(1, "DE")).await;
    assert_eq!(abroad.status, 422);
    assert!(abroad.diagnostics().contains("a node in DE takes it in"));
}
