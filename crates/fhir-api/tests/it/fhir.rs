//! FHIR REST on single resources: create, read, update, patch, delete, with conditions and histories.

use crate::{
    client::{Answer, bundle, patient, weight},
    net::{Net, Place, TOKEN, on_both},
};
use reqwest::Method;

on_both! {
    a_resource_lives_from_its_creation_to_its_deletion,
    conditions_are_looked_at_when_the_write_has_its_turn,
    of_writers_at_once_on_one_version_or_condition_one_wins,
    a_resource_that_cannot_be_taken_is_named_element_by_element,
    profiles_are_checked_where_they_are_named_or_asked_for,
    what_was_ingested_is_read_and_searched_like_what_was_written,
    every_reading_for_treatment_is_in_the_accounting,
}

const PATCH: [(&str, &str); 1] = [("content-type", "application/json-patch+json")];

async fn a_resource_lives_from_its_creation_to_its_deletion(place: Place) {
    let net = Net::of_one_at(place).await;
    let node = &net.nodes[0];
    let created = node.post("/Patient", patient(1, "US")).await;
    assert_eq!(created.status, 201, "{}", created.text);
    let id = created.body["id"].as_str().unwrap().to_owned();
    assert_ne!(id, "original-1", "the server gives the id");
    assert!(created.header("location").ends_with(&format!("/Patient/{id}/_history/1")));
    assert_eq!((created.header("etag"), created.body["meta"]["versionId"].as_str()), ("W/\"1\"", Some("1")));
    let address = format!("/Patient/{id}");
    let read = node.get(&format!("{address}?_format=json")).await;
    assert_eq!((read.status, read.header("etag"), read.header("x-bxp-part")), (200, "W/\"1\"", "whole"));
    assert_eq!(read.header("content-type"), "application/fhir+json");
    assert_eq!(read.text, created.text);
    let changed = read.text.replace("Plantedcity", "Othercity");
    let updated = node.send(Method::PUT, &address, &[("if-match", "W/\"1\"")], changed.clone()).await;
    assert_eq!((updated.status, updated.header("etag")), (200, "W/\"2\""), "{}", updated.text);
    let stale = node.send(Method::PUT, &address, &[("if-match", "W/\"1\"")], changed.clone()).await;
    assert_eq!(stale.status, 412, "{}", stale.text);
    let same = node.put(&address, changed).await;
    assert_eq!((same.status, same.header("etag")), (200, "W/\"2\""), "the same again is no new version");
    let patch =
        r#"[{"op":"test","path":"/gender","value":"female"},{"op":"add","path":"/active","value":true}]"#;
    let patched = node.send(Method::PATCH, &address, &PATCH, patch.to_owned()).await;
    assert_eq!((patched.status, &patched.body["active"]), (200, &true.into()), "{}", patched.text);
    let wrong = node.send(Method::PATCH, &address, &PATCH, patch.replace("female", "male")).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(node.send(Method::DELETE, &address, &[], String::new()).await.status, 204);
    assert_eq!(node.send(Method::DELETE, &address, &[], String::new()).await.status, 204);
    assert_eq!(node.get(&address).await.status, 410);
    assert_eq!(node.get(&format!("{address}/_history/4")).await.status, 410);
    let first = node.get(&format!("{address}/_history/1")).await;
    assert_eq!((first.status, first.text == created.text), (200, true));
    let history = node.get(&format!("{address}/_history")).await;
    let methods: Vec<_> = history.body["entry"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["request"]["method"].as_str().unwrap())
        .collect();
    assert_eq!(methods, ["DELETE", "PUT", "PUT", "PUT"], "{}", history.text);
    let again = node.put(&address, read.text.clone()).await;
    assert_eq!((again.status, again.header("etag")), (201, "W/\"5\""), "{}", again.text);
    assert_eq!(node.get("/_history?_count=2").await.body["entry"].as_array().unwrap().len(), 2);
    for missing in ["/Patient/none", "/Patient/none/_history", "/Patient/x/_history/1", "/Spaceship/1"] {
        assert_eq!(node.get(missing).await.status, 404, "{missing}");
    }
}

async fn conditions_are_looked_at_when_the_write_has_its_turn(place: Place) {
    let net = Net::of_one_at(place).await;
    let node = &net.nodes[0];
    let identified = |number: usize| {
        patient(number, "US").replace(
            "\"id\":\"original-",
            "\"identifier\":[{\"system\":\"s\",\"value\":\"7\"}],\"language\":\"en-",
        )
    };
    let unless = [("if-none-exist", "identifier=s|7")];
    let first = node.send(Method::POST, "/Patient", &unless, identified(1)).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let second = node.send(Method::POST, "/Patient", &unless, identified(2)).await;
    assert_eq!((second.status, &second.body["id"]), (200, &first.body["id"]), "{}", second.text);
    let put = node.put("/Patient?identifier=s|7", identified(3)).await;
    assert_eq!(
        (put.status, &put.body["id"], put.header("etag")),
        (200, &first.body["id"], "W/\"2\""),
        "{}",
        put.text
    );
    let new = node.put("/Patient?identifier=s|8", identified(4).replace("\"7\"", "\"8\"")).await;
    assert_eq!(new.status, 201, "{}", new.text);
    let many = node.put("/Patient?gender=female", identified(5)).await;
    assert_eq!(many.status, 412, "{}", many.text);
    let unknown = node.put("/Patient?nonsense=1", identified(5)).await;
    assert_eq!(unknown.status, 412, "{}", unknown.text);
    let under_id = node
        .send(
            Method::PUT,
            "/Patient/own-id",
            &[("if-none-match", "*")],
            patient(6, "US").replace("original-6", "own-id"),
        )
        .await;
    assert_eq!(under_id.status, 201, "{}", under_id.text);
    let there = node
        .send(
            Method::PUT,
            "/Patient/own-id",
            &[("if-none-match", "*")],
            patient(7, "US").replace("original-7", "own-id"),
        )
        .await;
    assert_eq!(there.status, 412);
    assert_eq!(node.send(Method::DELETE, "/Patient?identifier=s|8", &[], String::new()).await.status, 204);
    assert_eq!(node.get("/Patient?identifier=s|8").await.body["total"], 0);
    let id = first.body["id"].as_str().unwrap();
    let unchanged = node
        .send(Method::GET, &format!("/Patient/{id}"), &[("if-none-match", "W/\"2\"")], String::new())
        .await;
    assert_eq!(unchanged.status, 304);
    let minimal =
        node.send(Method::POST, "/Patient", &[("prefer", "return=minimal")], patient(8, "US")).await;
    assert_eq!((minimal.status, minimal.text.as_str()), (201, ""));
    let outcome =
        node.send(Method::POST, "/Patient", &[("prefer", "return=OperationOutcome")], patient(9, "US")).await;
    assert_eq!(outcome.body["resourceType"], "OperationOutcome");
}

/// Goal: no update is lost, and no condition is met twice. Way: many writers at once who stand on the same version, or on there
/// being nothing, beside bulk submissions that are named while others are written.
async fn of_writers_at_once_on_one_version_or_condition_one_wins(place: Place) {
    const WRITERS: usize = 8;
    const LINES: usize = 100;
    let net = Net::of_one_at(place).await;
    let node = &net.nodes[0];
    let created = node.post("/Patient", patient(1, "US")).await;
    let address = format!("/Patient/{}", created.body["id"].as_str().unwrap());
    let begin =
        |method: Method, path: &str, (form, condition): (&str, Option<(&str, &str)>), body: String| {
            let mut request = node.request(method, path).bearer_auth(TOKEN).header("content-type", form);
            if let Some((name, value)) = condition {
                request = request.header(name, value);
            }
            tokio::spawn(async move { Answer::of(request.body(body).send().await.unwrap()).await })
        };
    let (json, ndjson) = ("application/fhir+json", "application/fhir+ndjson");
    let (mut updates, mut creations, mut bulks) = (Vec::new(), Vec::new(), Vec::new());
    for writer in 0..WRITERS {
        let lines = (0..LINES).map(|line| {
            format!("{{\"resourceType\":\"Organization\",\"id\":\"o{writer}-{line}\",\"name\":\"Star\"}}\n")
        });
        bulks.push(begin(Method::POST, "/$ingest", (ndjson, None), lines.collect()));
        let changed = created.text.replace("Plantedcity", &format!("City{writer}"));
        let first = Some(("if-match", "W/\"1\""));
        updates.push(begin(Method::PUT, &address, (json, first), changed));
        let identified = patient(2, "US").replace(
            "\"id\":\"original-2\"",
            &format!("\"identifier\":[{{\"system\":\"s\",\"value\":\"9\"}}],\"language\":\"en-{writer}\""),
        );
        let unless = Some(("if-none-exist", "identifier=s|9"));
        creations.push(begin(Method::POST, "/Patient", (json, unless), identified));
    }
    let (mut updated, mut ids) = (Vec::new(), Vec::new());
    for update in updates {
        updated.push(update.await.unwrap().status);
    }
    let mut new = 0;
    for creation in creations {
        let answer = creation.await.unwrap();
        assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
        new += usize::from(answer.status == 201);
        ids.push(answer.body["id"].clone());
    }
    for bulk in bulks {
        let answer = bulk.await.unwrap();
        assert_eq!(answer.body["new"].as_u64(), Some(LINES as u64), "{}", answer.text);
    }
    updated.sort_unstable();
    assert_eq!(updated, [vec![200], vec![412; WRITERS - 1]].concat());
    assert_eq!((new, ids.iter().all(|id| *id == ids[0])), (1, true), "{ids:?}");
    assert_eq!(node.get("/Patient?identifier=s|9").await.body["total"], 1);
    assert_eq!(node.get(&address).await.header("etag"), "W/\"2\"");
}

async fn a_resource_that_cannot_be_taken_is_named_element_by_element(place: Place) {
    let net = Net::of_one_at(place).await;
    let node = &net.nodes[0];
    let wrong = r#"{"resourceType":"Patient","gender":"Plantedname","birthDate":"Plantedcity"}"#;
    for path in ["/Patient", "/Patient/$validate"] {
        let answer = node.post(path, wrong).await;
        assert_eq!(answer.status, if path == "/Patient" { 422 } else { 200 });
        answer.diagnostics();
        let issues = answer.body["issue"].as_array().unwrap();
        let named: Vec<_> = issues.iter().map(|issue| issue["expression"][0].as_str().unwrap()).collect();
        assert!(named.contains(&"Patient.gender") && named.contains(&"Patient.birthDate"), "{named:?}");
        assert!(!answer.text.contains("Planted"));
    }
    let valid = node.post("/Patient/$validate", patient(1, "US")).await;
    assert_eq!(valid.body["issue"][0]["severity"], "information", "{}", valid.text);
    assert_eq!(node.get("/Patient").await.body["total"], 0, "validating stores nothing");
    let mismatch = node.post("/Observation", patient(1, "US")).await;
    assert_eq!(mismatch.status, 400);
    assert_eq!(mismatch.diagnostics(), "resourceType must be Observation, as the address says");
    let unknown = node.post("/Observation", weight(7)).await;
    assert_eq!(unknown.status, 422);
    assert!(unknown.diagnostics().contains("hand in the Patient first"));
    let abroad = node.post("/Patient", patient(1, "DE")).await;
    assert_eq!(abroad.status, 422);
    assert!(abroad.diagnostics().contains("a node in DE takes it in"));
    let other_id = node.put("/Patient/x", patient(1, "US")).await;
    assert_eq!(other_id.status, 400);
}

async fn profiles_are_checked_where_they_are_named_or_asked_for(place: Place) {
    const US_CORE: &str = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient";
    let net = Net::of_one_at(place).await;
    let node = &net.nodes[0];
    let elements = |answer: &crate::client::Answer| -> Vec<String> {
        let issues = answer.body["issue"].as_array().unwrap();
        issues.iter().map(|issue| issue["expression"][0].as_str().unwrap_or_default().to_owned()).collect()
    };
    let bare =
        r#"{"resourceType":"Patient","id":"p","name":[{"text":"Plantedname"}],"address":[{"country":"US"}]}"#;
    let asked = node.post(&format!("/Patient/$validate?profile={US_CORE}"), bare).await;
    assert_eq!(elements(&asked), ["Patient", "Patient.name[0]", "Patient"], "{}", asked.text);
    let parameters = format!(
        r#"{{"resourceType":"Parameters","parameter":[{{"name":"profile","valueUri":"{US_CORE}"}},{{"name":"resource","resource":{bare}}}]}}"#
    );
    let by_body = node.post("/Patient/$validate", parameters).await;
    assert_eq!(elements(&by_body).len(), 3, "{}", by_body.text);
    let unknown = node.post("/Patient/$validate?profile=http://x/other", bare).await;
    assert_eq!(unknown.body["issue"][0]["code"], "not-supported", "{}", unknown.text);
    // This node only warns of what a resource claims.
    let claims = bare.replacen('{', &format!(r#"{{"meta":{{"profile":["{US_CORE}"]}},"#), 1);
    let claimed = node.post("/Patient/$validate", claims.clone()).await;
    assert_eq!(elements(&claimed).len(), 3, "{}", claimed.text);
    assert_eq!(node.post("/Patient", claims).await.status, 201);
    let stated = node.get("/metadata").await;
    assert!(stated.text.contains(US_CORE));
}

async fn what_was_ingested_is_read_and_searched_like_what_was_written(place: Place) {
    let net = Net::of_one_at(place).await;
    let node = &net.nodes[0];
    let uuid = "057aa36e-b892-9964-75b9-ffb46b097e34";
    let sent = format!(
        r#"{{"resourceType":"Bundle","type":"transaction","entry":[
            {{"fullUrl":"urn:uuid:{uuid}","resource":{{"resourceType":"Patient","identifier":[{{"system":"s","value":"1"}}],"address":[{{"country":"US"}}]}},"request":{{"method":"POST","url":"Patient"}}}},
            {{"resource":{{"resourceType":"Observation","id":"o","status":"final","code":{{"text":"x"}},"subject":{{"reference":"urn:uuid:{uuid}"}},"valueQuantity":{{"value":1.50}}}},"request":{{"method":"POST","url":"Observation"}}}}]}}"#
    );
    let report = node.post("/$ingest", sent.clone()).await;
    assert_eq!(report.body["new"], 2, "{}", report.text);
    assert_eq!(node.post("/$ingest", sent).await.body["duplicates"], 2);
    let read = node.get("/Observation/o").await;
    assert_eq!(read.body["subject"]["reference"], format!("Patient/{uuid}"));
    assert!(read.text.contains("\"value\":1.50"), "decimals keep their digits");
    let found = node.get(&format!("/Observation?patient={uuid}&_include=Observation:patient")).await;
    assert_eq!(found.body["entry"].as_array().unwrap().len(), 2, "{}", found.text);
    let all = node.get(&format!("/Patient/{uuid}/$everything")).await;
    assert_eq!(all.body["entry"].as_array().unwrap().len(), 2, "{}", all.text);
    let record = node.get("/records").await.body["records"][1]["record_id"].as_str().unwrap().to_owned();
    assert_eq!(
        node.get(&format!("/Observation/{record}")).await.status,
        200,
        "by its record, from the vault"
    );
}

/// Goal (row F2): reading is accounted for, unless it is the holder's own work.
async fn every_reading_for_treatment_is_in_the_accounting(place: Place) {
    let net = Net::of_one_at(place).await;
    let node = &net.nodes[0];
    node.post("/$ingest", bundle("batch", &[&patient(1, "US"), &weight(1)])).await;
    let subject = node.get("/records").await.body["records"][0]["subject"].as_str().unwrap().to_owned();
    let rows = async || {
        let listed = node.get(&format!("/disclosures?subject={subject}")).await;
        listed.body["disclosures"].as_array().unwrap().len()
    };
    node.get("/Patient/original-1?purpose=operations").await;
    node.get("/Patient?name=Plantedname&purpose=operations").await;
    assert_eq!(rows().await, 0);
    node.get("/Patient/original-1").await;
    assert_eq!(rows().await, 1);
    node.get("/Observation?patient=original-1&_include=Observation:patient").await;
    assert_eq!(rows().await, 3);
    node.get("/Patient/original-1/_history").await;
    assert_eq!(rows().await, 4);
    node.get("/Patient?name=nobody").await;
    assert_eq!(rows().await, 4);
    let overseen = node.get("/Patient/original-1?purpose=oversight").await;
    assert_ne!(overseen.header("x-bxp-part"), "whole", "{}", overseen.text);
    assert_eq!(node.get("/Patient?purpose=oversight").await.status, 403);
}
