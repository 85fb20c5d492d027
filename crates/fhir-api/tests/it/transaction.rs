//! `POST /`: batches and transactions.

use crate::{
    client::{bundle, patient, weight},
    net::{Net, Place, on_both},
};
use serde_json::Value;

on_both! {
    a_transaction_is_done_wholly_and_its_references_lead_to_what_it_made,
    a_transaction_that_fails_leaves_nothing,
    a_batch_is_answered_entry_by_entry,
    hostile_bundles_are_answered_and_leave_nothing,
}

fn statuses(answer: &Value) -> Vec<String> {
    let entries = answer["entry"].as_array().unwrap();
    entries.iter().map(|one| one["response"]["status"].as_str().unwrap()[..3].to_owned()).collect()
}

async fn a_transaction_is_done_wholly_and_its_references_lead_to_what_it_made(place: Place) {
    let net = Net::of_one_at(place).await;
    let node = &net.nodes[0];
    node.put("/Organization/known", r#"{"resourceType":"Organization","id":"known","identifier":[{"system":"npi","value":"9"}],"name":"Star"}"#.to_owned()).await;
    node.post("/Practitioner", r#"{"resourceType":"Practitioner","id":"x","active":true}"#).await;
    let sent = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000002","resource":{"resourceType":"Observation","status":"final","code":{"text":"x"},
          "subject":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"},"performer":[{"reference":"Organization?identifier=npi|9"}]},"request":{"method":"POST","url":"Observation"}},
        {"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000001","resource":{"resourceType":"Patient","id":"mine","address":[{"country":"US"}],"managingOrganization":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000003"}},"request":{"method":"POST","url":"Patient"}},
        {"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000003","resource":{"resourceType":"Organization","name":"Other"},"request":{"method":"POST","url":"Organization","ifNoneExist":"identifier=npi|9"}},
        {"request":{"method":"DELETE","url":"Practitioner?active=true"}},
        {"request":{"method":"GET","url":"Organization/known"}},
        {"request":{"method":"GET","url":"Observation?status=final"}}]}"#;
    let answer = node.post("/", sent).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert_eq!(answer.body["type"], "transaction-response");
    assert_eq!(statuses(&answer.body), ["201", "201", "200", "204", "200", "200"], "{}", answer.text);
    let location = answer.body["entry"][0]["response"]["location"].as_str().unwrap();
    assert_eq!(answer.body["entry"][0]["response"]["etag"], "W/\"1\"");
    let observation = node.get(&format!("/{location}")).await.body;
    let patient = observation["subject"]["reference"].as_str().unwrap();
    assert!(answer.body["entry"][1]["response"]["location"].as_str().unwrap().starts_with(patient));
    assert_eq!(observation["performer"][0]["reference"], "Organization/known");
    assert_eq!(
        node.get(&format!("/{patient}")).await.body["managingOrganization"]["reference"],
        "Organization/known"
    );
    assert_eq!(answer.body["entry"][4]["resource"]["name"], "Star");
    assert_eq!(
        answer.body["entry"][5]["resource"]["entry"].as_array().unwrap().len(),
        1,
        "reads see what was written"
    );
    assert_eq!(node.get("/Practitioner").await.body["total"], 0);
}

/// Goal: of a transaction that fails nothing is left: not in the store, not in the vault, not in the index.
async fn a_transaction_that_fails_leaves_nothing(place: Place) {
    let net = Net::of_one_at(place).await;
    let node = &net.nodes[0];
    node.post("/$ingest", bundle("batch", &[&patient(9, "US")])).await;
    let wrong = r#"{"resourceType":"Patient","id":"p3","gender":"Plantedname"}"#;
    let twice = bundle("transaction", &[&patient(2, "US"), &patient(2, "US")]);
    let conditional = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"resource":{"resourceType":"Organization","name":"Star"},"request":{"method":"POST","url":"Organization"}},
        {"request":{"method":"DELETE","url":"Patient/original-9","ifMatch":"W/\"7\""}}]}"#;
    let dangling = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"resource":{"resourceType":"Organization","name":"Star","partOf":{"reference":"Organization?name=Plantedname"}},"request":{"method":"POST","url":"Organization"}}]}"#;
    for (sent, status, place) in [
        (
            bundle("transaction", &[&patient(1, "US"), wrong, &weight(1)]),
            422,
            "Bundle.entry[1].resource.gender",
        ),
        (bundle("transaction", &[&patient(1, "US"), &patient(2, "DE")]), 422, "Bundle.entry[1]"),
        (bundle("transaction", &[&patient(1, "US"), &weight(7)]), 422, "Bundle.entry[1]"),
        (twice, 400, "Bundle.entry[1]"),
        (conditional.to_owned(), 412, "Bundle.entry[1]"),
        (dangling.to_owned(), 412, "Bundle.entry[0]"),
    ] {
        let answer = node.post("/", sent).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.body["issue"][0]["expression"][0], place, "{}", answer.text);
        assert!(!answer.text.contains("Planted"), "{}", answer.text);
    }
    assert_eq!(node.get("/records").await.body["records"].as_array().unwrap().len(), 1);
    assert_eq!(node.get("/_history").await.body["entry"].as_array().unwrap().len(), 1);
    assert_eq!(node.get("/Organization").await.body["total"], 0);
}

async fn a_batch_is_answered_entry_by_entry(place: Place) {
    let net = Net::of_one_at(place).await;
    let node = &net.nodes[0];
    let wrong = r#"{"resourceType":"Patient","id":"p3","gender":"Plantedname"}"#;
    let sent = bundle("batch", &[&patient(1, "US"), wrong, &weight(1)]);
    let answer = node.post("/", sent.clone()).await;
    assert_eq!((answer.status, &answer.body["type"]), (200, &"batch-response".into()), "{}", answer.text);
    assert_eq!(statuses(&answer.body), ["201", "422", "201"], "{}", answer.text);
    let issue = &answer.body["entry"][1]["response"]["outcome"]["issue"][0];
    assert_eq!(
        (&issue["code"], &issue["expression"][0]),
        (&"code-invalid".into(), &"Bundle.entry[1].resource.gender".into())
    );
    assert!(!answer.text.contains("Planted"));
    assert_eq!(statuses(&node.post("/", sent).await.body), ["200", "422", "200"]);
    let mixed = r#"{"resourceType":"Bundle","type":"batch","entry":[
        {"request":{"method":"DELETE","url":"Observation/weight-1"}},
        {"request":{"method":"GET","url":"Observation/weight-1"}},
        {"request":{"method":"PATCH","url":"Patient/original-1"},"resource":{"resourceType":"Binary","contentType":"application/json-patch+json",
          "data":"W3sib3AiOiJhZGQiLCJwYXRoIjoiL2FjdGl2ZSIsInZhbHVlIjp0cnVlfV0="}},
        {"request":{"method":"GET","url":"Patient?active=true"}},
        {"request":{"method":"POST","url":"Spaceship"},"resource":{"resourceType":"Spaceship"}},
        {"resource":{"resourceType":"Patient"}}]}"#;
    let answer = node.post("/", mixed).await;
    assert_eq!(statuses(&answer.body), ["204", "410", "200", "200", "404", "400"], "{}", answer.text);
    assert_eq!(answer.body["entry"][3]["resource"]["total"], 1, "{}", answer.text);
    assert_eq!(
        node.post("/", r#"{"resourceType":"Bundle","type":"transaction"}"#).await.status,
        200,
        "nothing to do"
    );
}

/// Hostile bodies: each is answered, nothing is stored, nothing of it is repeated.
async fn hostile_bundles_are_answered_and_leave_nothing(place: Place) {
    let net = Net::of_one_at(place).await;
    let node = &net.nodes[0];
    let deep = format!(r#"{{"resourceType":"Bundle","type":"transaction","entry":{}"#, "[".repeat(10_000));
    let circle = r#"{"resourceType":"Bundle","type":"transaction","entry":[
        {"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000001","resource":{"resourceType":"Organization","name":"a","partOf":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000002"}},"request":{"method":"POST","url":"Organization"}},
        {"fullUrl":"urn:uuid:00000000-0000-4000-8000-000000000002","resource":{"resourceType":"Organization","name":"b","partOf":{"reference":"urn:uuid:00000000-0000-4000-8000-000000000001"}},"request":{"method":"POST","url":"Organization"}}]}"#;
    for body in [
        deep.into_bytes(),
        b"{\"resourceType\":\"Bundle\",\"type\":\"Planted\"}".to_vec(),
        b"{\"resourceType\":\"Bundle\",\"type\":\"batch\",\"entry\":{}}".to_vec(),
        b"{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[7,null,[]]}".to_vec(),
        b"{\"resourceType\":\"Bundle\",\"type\":\"transaction\",\"entry\":[{\"request\":{\"method\":\"PUT\",\"url\":\"Patient/../../Planted\"}}]}".to_vec(),
        b"{\"resourceType\":\"Bundle\",\"type\":\"\xff\xfe\"}".to_vec(),
        b"\"Planted\"".to_vec(),
    ] {
        let answer = node.post("/", body).await;
        assert!((400..500).contains(&answer.status), "{}", answer.text);
        answer.diagnostics();
        assert!(!answer.text.contains("Planted"), "{}", answer.text);
    }
    assert_eq!(node.get("/_history").await.body["entry"], Value::Null);
    assert_eq!(node.post("/", circle).await.status, 200, "two that refer to each other are no harm");
    assert_eq!(node.get("/Organization?partof.name=a").await.body["total"], 1);
}
