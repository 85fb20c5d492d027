//! Readings of members' devices through `POST /$device-data`: who may hand in what, what becomes of it, and what stays home.

use crate::{
    client::{Answer, bundle, patient},
    net::{DE, Net, Node, TOKEN, US, until},
};
use reqwest::Method;
use serde_json::{Value, json};

const CREDENTIALS: &str = "/Patient/original-1/$device-credential";

/// Three readings of a device whose every name is planted.
fn readings() -> Value {
    json!({
        "device": { "id": "SN-PLANTEDDEVICE-77", "model": "Plantedmodel 9", "manufacturer": "Plantedmaker" },
        "readings": [
            { "code": "8867-4", "value": 62, "unit": "/min", "time": "2023-03-01T07:30:00+01:00" },
            { "code": "29463-7", "value": 71.5, "unit": "kg", "time": "2023-03-01T07:31:00+01:00" },
            { "code": "85354-9", "time": "2023-03-01T07:32:00+01:00", "components": [
                { "code": "8480-6", "value": 121, "unit": "mm[Hg]" },
                { "code": "8462-4", "value": 79, "unit": "mm[Hg]" },
            ] },
        ],
    })
}

async fn upload(node: &Node, token: &str, path: &str, body: &Value) -> Answer {
    let request = node.request(Method::POST, path).bearer_auth(token).json(body);
    Answer::of(request.send().await.unwrap()).await
}

async fn admitted(node: &Node) -> (String, String) {
    node.post("/$ingest", bundle("batch", &[&patient(1, "US"), &patient(2, "US")])).await;
    let issued = node.post(CREDENTIALS, json!({ "label": "the cuff", "days": 30 }).to_string()).await;
    assert_eq!(issued.status, 200, "{}", issued.text);
    let text = |name: &str| issued.body[name].as_str().unwrap().to_owned();
    (text("token"), text("id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_hands_in_readings_of_its_patient_and_nothing_else() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let (token, id) = admitted(node).await;
    let first = upload(node, &token, "/$device-data", &readings()).await;
    assert_eq!((first.status, &first.body["new"]), (200, &json!(5)), "{}", first.text);
    assert_eq!(first.body["warnings"], json!(0), "{}", first.text);
    assert_eq!(first.body["by_type"], json!({ "Device": 1, "Observation": 3, "Provenance": 1 }));
    let again = upload(node, &token, "/$device-data", &readings()).await;
    assert_eq!((&again.body["new"], &again.body["duplicates"]), (&json!(0), &json!(4)), "{}", again.text);

    let found = node.get("/Observation?patient=original-1&category=vital-signs&_sort=date").await;
    let entries = found.body["entry"].as_array().unwrap();
    assert_eq!(entries.len(), 3, "{}", found.text);
    let heart = &entries[0]["resource"];
    assert_eq!(heart["subject"]["reference"], "Patient/original-1");
    let device = heart["device"]["reference"].as_str().unwrap();
    let device = node.get(&format!("/{device}")).await;
    assert_eq!(device.body["identifier"][0]["value"], "SN-PLANTEDDEVICE-77", "{}", device.text);
    let target = format!("/Provenance?target=Observation/{}", heart["id"].as_str().unwrap());
    let provenance = node.get(&target).await;
    assert_eq!(provenance.body["entry"].as_array().unwrap().len(), 1, "{}", provenance.text);
    let agents = &provenance.body["entry"][0]["resource"]["agent"];
    assert_eq!(agents[0]["who"]["reference"], heart["device"]["reference"]);

    // A reading that comes again with another value is a new version: the first stays in the history.
    let mut corrected = readings();
    corrected["readings"][0]["value"] = json!(64);
    let corrected = upload(node, &token, "/$device-data", &corrected).await;
    assert_eq!(
        (&corrected.body["changed"], &corrected.body["new"]),
        (&json!(1), &json!(1)),
        "{}",
        corrected.text
    );
    let history = node.get(&format!("/Observation/{}/_history", heart["id"].as_str().unwrap())).await;
    assert_eq!(history.body["entry"].as_array().unwrap().len(), 2, "{}", history.text);

    // The token opens nothing but this route, for this patient, until it is revoked.
    for path in ["/Patient/original-1", "/records", "/$device-data", CREDENTIALS] {
        let request = node.request(Method::GET, path).bearer_auth(&token);
        assert_eq!(Answer::of(request.send().await.unwrap()).await.status, 401, "{path}");
    }
    let other = upload(node, &token, "/$device-data?patient=original-2", &readings()).await;
    assert_eq!(other.status, 403, "{}", other.text);
    let listed = node.get(CREDENTIALS).await;
    assert_eq!(
        (listed.body[0]["label"].as_str(), listed.body[0]["id"].as_str()),
        (Some("the cuff"), Some(&*id))
    );
    assert!(!listed.text.contains("token"), "{}", listed.text);
    let revoke = format!("{CREDENTIALS}/{id}");
    assert_eq!(node.send(Method::DELETE, &revoke, &[], String::new()).await.status, 200);
    assert_eq!(node.send(Method::DELETE, &revoke, &[], String::new()).await.status, 404);
    for wrong in [token.as_str(), "bxpd_", "bxpd_0123"] {
        assert_eq!(upload(node, wrong, "/$device-data", &readings()).await.status, 401);
    }
}

/// Goal: nothing that names a device leaves. Way: a device whose names are planted; a node abroad, the de-identified side
/// of every record, and a scan for all that the identity side holds.
#[tokio::test(flavor = "multi_thread")]
async fn no_name_of_a_device_is_on_the_deidentified_side() {
    let net = Net::start(&[US, DE]).await;
    let (node, abroad) = (&net.nodes[0], &net.nodes[1]);
    let (token, _) = admitted(node).await;
    assert_eq!(upload(node, &token, "/$device-data", &readings()).await.status, 200);
    node.settled().await;
    let scanned = node.post("/privacy/scan", "").await;
    assert_eq!((scanned.status, &scanned.body["residual"]), (200, &json!([])), "{}", scanned.text);
    let listed = || async { abroad.get("/records").await.body["records"].as_array().unwrap().clone() };
    until("the anchors are noted abroad", || async {
        listed().await.iter().filter(|one| one["anchor"].is_object()).count() == 7
    })
    .await;
    let (mut whole, mut shown) = (String::new(), String::new());
    for record in listed().await {
        let path = format!("/records/{}", record["record_id"].as_str().unwrap());
        whole.push_str(&node.get(&path).await.text);
        let view = abroad.get(&path).await;
        assert_eq!((view.status, &view.body["part"]), (200, &json!("de-identified")), "{}", view.text);
        shown.push_str(&view.text);
    }
    assert!(whole.contains("PLANTEDDEVICE") && whole.contains("Plantedmodel"), "the identity side has it");
    assert!(shown.contains("8480-6") && shown.contains("\"Device\""), "what was measured leaves: {shown}");
    for planted in ["PLANTEDDEVICE", "Planted", "original-1", "07:30"] {
        assert!(!shown.contains(planted), "{planted}: {shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_an_upload_is_told_and_nothing_of_it_is_taken() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let (token, _) = admitted(node).await;
    let records = async || node.get("/holdings").await.body["countries"]["US"]["records"].clone();
    assert_eq!(records().await, json!(2));
    let mut wrong = readings();
    wrong["readings"][2]["components"][1]["unit"] = json!("Plantedunit of pressure");
    let refused = upload(node, &token, "/$device-data", &wrong).await;
    assert_eq!(refused.status, 400, "{}", refused.text);
    assert!(refused.diagnostics().starts_with("readings[2].components[1].unit: must be"), "{}", refused.text);
    assert!(!refused.text.contains("Planted"), "{}", refused.text);
    let fhir = json!({
        "resourceType": "Observation", "status": "Plantedstatus", "effectiveDateTime": "2023-03-01T07:30:00Z",
        "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4" }] },
        "contained": [{ "resourceType": "Device", "id": "d", "serialNumber": "Plantedserial" }],
        "device": { "reference": "#d" },
    });
    let refused = upload(node, &token, "/$device-data", &fhir).await;
    assert_eq!(refused.status, 422, "{}", refused.text);
    assert!(!refused.text.contains("Planted"), "{}", refused.text);
    assert_eq!(records().await, json!(2), "nothing of a refused upload is taken");
    for (path, status) in [("/$device-data", 400), ("/$device-data?patient=nobody", 404)] {
        assert_eq!(upload(node, TOKEN, path, &readings()).await.status, status, "{path}");
    }
    assert_eq!(node.post("/Patient/nobody/$device-credential", "").await.status, 404);
    assert_eq!(node.post(CREDENTIALS, r#"{"days":0}"#).await.status, 400);
    assert_eq!(node.post(CREDENTIALS, r#"{"day":1}"#).await.status, 400);
}

/// Goal: a token opens the way in until its term ends, and then as little as one that never was; a new one opens it again.
#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_with_its_term() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let (token, id) = admitted(node).await;
    net.turn_clocks(30 * 24 - 1);
    assert_eq!(upload(node, &token, "/$device-data", &readings()).await.status, 200);
    net.turn_clocks(1);
    let late = upload(node, &token, "/$device-data", &readings()).await;
    let unknown = upload(node, "bxpd_0123", "/$device-data", &readings()).await;
    assert_eq!((late.status, &late.text), (401, &unknown.text));
    let listed = node.get(CREDENTIALS).await;
    assert_eq!(listed.body[0]["id"], json!(id), "it is listed with its end: {}", listed.text);
    let term = listed.body[0]["expiresMs"].as_u64().unwrap() - listed.body[0]["issuedMs"].as_u64().unwrap();
    assert_eq!(term, 30 * 24 * 3_600_000);
    // One that ended takes no room from those to come.
    for number in 0..16 {
        let issued = node.post(CREDENTIALS, json!({ "label": "", "days": 1 }).to_string()).await;
        assert_eq!(issued.status, 200, "{number}: {}", issued.text);
        let token = issued.body["token"].as_str().unwrap();
        assert_eq!(upload(node, token, "/$device-data", &readings()).await.status, 200);
    }
    let one_more = node.post(CREDENTIALS, json!({ "label": "", "days": 1 }).to_string()).await;
    assert!((400..500).contains(&one_more.status), "{}", one_more.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_ends_a_patients_devices() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let (token, _) = admitted(node).await;
    assert_eq!(upload(node, &token, "/$device-data", &readings()).await.status, 200);
    let known = node.get("/patients").await.body["patients"].as_array().unwrap().clone();
    for patient in &known {
        let path = format!("/patients/{}", patient["subject"].as_str().unwrap());
        assert_eq!(node.send(Method::DELETE, &path, &[], String::new()).await.status, 200);
    }
    assert_eq!(upload(node, &token, "/$device-data", &readings()).await.status, 401);
    assert_eq!(node.get("/Observation?category=vital-signs").await.body["entry"], Value::Null);
}
