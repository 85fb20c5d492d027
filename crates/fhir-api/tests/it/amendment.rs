//! Amendment on a patient's request: the old version stays, the new one is linked to it, a denial is kept with what the
//! patient says to it.

use crate::{
    client::{bundle, patient, weight},
    net::{Net, Node},
};
use reqwest::Method;
use serde_json::{Value, json};

const WEIGHT: &str = "/Observation/weight-1";

async fn requested(node: &Node) -> String {
    let asked = node
        .post(&format!("{WEIGHT}/$request-amendment"), json!({ "text": "I weighed less" }).to_string())
        .await;
    assert_eq!((asked.status, &asked.body["status"]), (201, &json!("requested")), "{}", asked.text);
    assert_eq!(asked.body["focus"]["reference"], "Observation/weight-1/_history/1");
    assert_eq!(asked.body["for"]["reference"], "Patient/original-1");
    format!("/Task/{}", asked.body["id"].as_str().unwrap())
}

async fn with_a_weight() -> Net {
    let net = Net::of_one().await;
    let taken = net.nodes[0].post("/$ingest", bundle("batch", &[&patient(1, "US"), &weight(1)])).await;
    assert_eq!(taken.body["new"], 2, "{}", taken.text);
    net
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accepted_amendment_is_a_new_version_that_is_linked_to_the_old() {
    let net = with_a_weight().await;
    let node = &net.nodes[0];
    let task = requested(node).await;
    let accept = format!("{task}/$accept-amendment");
    let same = node.post(&accept, weight(1)).await;
    assert_eq!(same.status, 400, "{}", same.text);
    let other = node.post(&accept, weight(2)).await;
    assert_eq!(other.status, 400, "another resource: {}", other.text);
    let invalid = node.post(&accept, weight(1).replace("final", "Plantedstatus")).await;
    assert_eq!(invalid.status, 422, "{}", invalid.text);
    assert_eq!(node.get(&task).await.body["status"], "requested", "nothing of a refused step is kept");

    let amended = node.post(&accept, weight(1).replace("71.50", "69.50")).await;
    assert_eq!(amended.status, 200, "{}", amended.text);
    assert_eq!(amended.body["meta"]["versionId"], "2");
    let (old, new) = (format!("{WEIGHT}/_history/1"), format!("{WEIGHT}/_history/2"));
    assert!(node.get(&old).await.text.contains("71.50"), "the old version stays");
    assert!(node.get(&new).await.text.contains("69.50"));
    let provenance = node.get("/Provenance?target=Observation/weight-1").await;
    let provenance = &provenance.body["entry"][0]["resource"];
    assert_eq!(provenance["target"][0]["reference"], new[1..]);
    assert_eq!(provenance["entity"][0]["what"]["reference"], old[1..]);
    assert_eq!(provenance["entity"][0]["role"], "revision");
    assert_eq!(provenance["agent"][0]["who"]["reference"], "Patient/original-1");
    let done = node.get(&task).await;
    assert_eq!((&done.body["status"], &done.body["meta"]["versionId"]), (&json!("completed"), &json!("2")));
    assert_eq!(done.body["output"][0]["valueReference"]["reference"], new[1..]);
    assert_eq!(node.post(&accept, weight(1)).await.status, 409, "it is accepted once");
    // Every version is sealed and split as all records are, and what was said of it stays on the identity side.
    let scanned = node.post("/privacy/scan", "").await;
    assert_eq!(scanned.body["residual"], json!([]), "{}", scanned.text);
    assert_eq!(node.get("/records").await.body["records"].as_array().unwrap().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_denial_is_kept_with_the_statement_of_disagreement() {
    let net = with_a_weight().await;
    let node = &net.nodes[0];
    let task = requested(node).await;
    let words = |text: &str| json!({ "text": text }).to_string();
    assert_eq!(
        node.post(&format!("{task}/$disagree"), words("no")).await.status,
        409,
        "nothing is denied yet"
    );
    let unknown =
        node.post(&format!("{task}/$deny-amendment"), json!({ "basis": "because" }).to_string()).await;
    assert_eq!(unknown.status, 400);
    assert!(unknown.diagnostics().contains("accurate-and-complete"), "{}", unknown.text);
    let basis = json!({ "basis": "accurate-and-complete" }).to_string();
    let denied = node.post(&format!("{task}/$deny-amendment"), basis.clone()).await;
    assert_eq!((denied.status, &denied.body["status"]), (200, &json!("rejected")), "{}", denied.text);
    assert_eq!(node.post(&format!("{task}/$deny-amendment"), basis).await.status, 409);
    assert_eq!(
        node.post(&format!("{task}/$rebut"), words("early")).await.status,
        400,
        "there is nothing to rebut"
    );
    assert_eq!(node.post(&format!("{task}/$disagree"), words("The scale was broken")).await.status, 200);
    assert_eq!(node.post(&format!("{task}/$rebut"), words("It was checked")).await.status, 200);
    assert_eq!(node.get(WEIGHT).await.body["meta"]["versionId"], "1", "nothing is amended");

    // Whoever gets the chart gets the request, the denial and the statements with it.
    let everything = node.get("/Patient/original-1/$everything").await;
    let entries = everything.body["entry"].as_array().unwrap();
    let found = entries.iter().map(|one| &one["resource"]).find(|one| one["resourceType"] == "Task").unwrap();
    assert!(found["statusReason"]["text"].as_str().unwrap().starts_with("164.526(a)(2)(iv)"));
    let notes: Vec<&str> =
        found["note"].as_array().unwrap().iter().map(|one| one["text"].as_str().unwrap()).collect();
    assert_eq!(
        notes,
        [
            "statement of disagreement (164.526(d)(2)): The scale was broken",
            "rebuttal (164.526(d)(3)): It was checked",
        ]
    );
    assert_eq!(found["note"][0]["authorReference"]["reference"], "Patient/original-1");
    let history = node.get(&format!("{task}/_history")).await;
    assert_eq!(history.body["entry"].as_array().unwrap().len(), 4, "every step is a version");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_amended_is_told() {
    let net = with_a_weight().await;
    let node = &net.nodes[0];
    let words = json!({ "text": "x" }).to_string();
    node.put("/Organization/o", r#"{"resourceType":"Organization","id":"o","name":"Star"}"#.to_owned()).await;
    let own = r#"{"resourceType":"Task","id":"t","status":"requested","intent":"order","for":{"reference":"Patient/original-1"}}"#;
    assert_eq!(node.put("/Task/t", own.to_owned()).await.status, 201);
    for (path, body, status) in [
        ("/Observation/none/$request-amendment", words.clone(), 404),
        ("/Organization/o/$request-amendment", words.clone(), 400),
        ("/Observation/weight-1/$request-amendment", "{}".to_owned(), 400),
        ("/Task/t/$accept-amendment", weight(1), 400),
        ("/Task/none/$accept-amendment", weight(1), 404),
    ] {
        let answer = node.post(path, body).await;
        assert_eq!(answer.status, status, "{path}: {}", answer.text);
    }
    // A version that came in between is not amended over.
    let task = requested(node).await;
    let changed = node.send(Method::PUT, WEIGHT, &[], weight(1).replace("71.50", "72.50")).await;
    assert_eq!(changed.status, 200, "{}", changed.text);
    let late = node.post(&format!("{task}/$accept-amendment"), weight(1).replace("71.50", "69.50")).await;
    assert_eq!(late.status, 412, "{}", late.text);
    assert_eq!(node.get(WEIGHT).await.body["valueQuantity"]["value"], Value::from(72.5));
}
