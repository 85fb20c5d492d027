//! `POST /$ingest`.

use crate::{
    client::{Answer, bundle, patient, weight},
    net::{BODY_BYTES_MAX, Net, TOKEN},
};
use reqwest::Method;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_submission_again_makes_no_duplicates() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let bundle = bundle("collection", &[&patient(1, "US"), &weight(1)]);
    let first = node.post("/$ingest?source=first.json", bundle.clone()).await;
    assert_eq!((first.status, &first.body["new"], &first.body["duplicates"]), (200, &2.into(), &0.into()));
    let again = node.post("/$ingest?source=first.json", bundle).await;
    assert_eq!((again.status, &again.body["new"], &again.body["duplicates"]), (200, &0.into(), &2.into()));
    let lines = [patient(1, "US"), weight(1), weight(1).replace("71.50", "72.0")].join("\n");
    let other = node.post_ndjson("/$ingest", lines).await;
    assert_eq!((&other.body["duplicates"], &other.body["changed"]), (&2.into(), &1.into()));
    assert_eq!(node.get("/records").await.body["records"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_and_assumed_countries_are_reported() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let stateless = r#"{"resourceType":"Patient","id":"p"}"#;
    let spaceship = r#"{"resourceType":"Spaceship","name":"Plantedname"}"#;
    let bundle = bundle("batch", &[stateless, spaceship, &patient(2, "DE")]);
    let report = node.post("/$ingest?source=ward%207.json", bundle).await;
    assert_eq!(report.status, 200);
    assert_eq!((&report.body["new"], &report.body["countries_defaulted"]), (&1.into(), &1.into()));
    let refusals = report.body["refusals"].as_array().unwrap();
    assert_eq!(refusals[0]["source_name"], "ward 7.json");
    assert_eq!(refusals[0]["position"], "entry 1");
    assert!(refusals[0]["reason"].as_str().unwrap().contains("resourceType is not one of"));
    assert!(refusals[1]["reason"].as_str().unwrap().contains("lives in DE"));
    assert!(!report.text.contains("Planted"));
}

/// Goal: damage leaves nothing half taken and is named without what it says.
#[tokio::test(flavor = "multi_thread")]
async fn damaged_submissions_are_named_by_place_and_leave_nothing() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let whole = bundle("transaction", &[&patient(1, "US"), &weight(1)]);
    let cut = whole[..whole.len() - 40].to_owned();
    let lines = format!("{}\n{}\n{{\"resourceType\":\"Plantedname\n", patient(1, "US"), weight(1));
    for (path, body, ndjson, expected) in [
        ("/$ingest?source=cut.json", cut.clone(), false, "cut.json line 1 column"),
        ("/$ingest?source=bad.ndjson", lines, true, "bad.ndjson line 3"),
        ("/$ingest", "[\"Plantedname\"]".to_owned(), false, "no FHIR resource"),
        ("/$ingest", String::new(), false, "ends too early"),
        ("/", cut.clone(), false, "Bundle line 1 column"),
        ("/Patient", cut, false, "resource line 1 column"),
        ("/Patient", "{}".to_owned(), false, "no FHIR resource"),
        ("/", patient(1, "US"), false, "POST / takes a Bundle"),
    ] {
        let answer = if ndjson { node.post_ndjson(path, body).await } else { node.post(path, body).await };
        assert_eq!(answer.status, 400, "{path}: {}", answer.text);
        assert!(answer.diagnostics().contains(expected), "{}", answer.text);
        assert!(!answer.text.contains("Planted"), "{}", answer.text);
    }
    assert_eq!(node.get("/records").await.body["records"], serde_json::json!([]));
    assert_eq!(node.get("/patients").await.body["patients"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_of_other_forms_and_sizes_are_refused() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    for (name, value) in [("content-type", "application/fhir+xml"), ("content-encoding", "gzip")] {
        for path in ["/$ingest", "/", "/Patient"] {
            let request = node.request(Method::POST, path).bearer_auth(TOKEN).header(name, value).body("x");
            let answer = Answer::of(request.send().await.unwrap()).await;
            assert_eq!(answer.status, 415, "{path} {value}");
            answer.diagnostics();
        }
    }
    let large = node.post("/$ingest", vec![b' '; BODY_BYTES_MAX + 1]).await;
    assert_eq!(large.status, 413);
    assert!(large.diagnostics().contains("split it"));
}
