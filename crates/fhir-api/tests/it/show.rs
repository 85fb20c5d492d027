//! Showing at home and abroad, over two real nodes in two countries.

use crate::{
    client::{Answer, bundle, patient, weight},
    net::{DE, Net, Node, US, until},
};
use bxp_types::BlockClass;
use reqwest::Method;
use serde_json::Value;

/// A US and a German node; a patient of the US one with a weight, anchored and handed over. Gives the patient's pseudonym
/// and the records.
async fn net_with_a_patient() -> (Net, String, Vec<Value>) {
    let net = Net::start(&[US, DE]).await;
    let report = net.nodes[0].post("/$ingest", bundle("collection", &[&patient(1, "US"), &weight(1)])).await;
    assert_eq!(report.body["new"], 2, "{}", report.text);
    net.nodes[0].settled().await;
    for node in &net.nodes {
        until("the anchor is noted", || async {
            let listed = node.get("/records").await.body;
            listed["records"].as_array().unwrap().iter().filter(|one| one["anchor"].is_object()).count() == 2
        })
        .await;
    }
    let listed = net.nodes[0].get("/records").await.body["records"].as_array().unwrap().clone();
    let subject = listed[0]["subject"].as_str().unwrap().to_owned();
    (net, subject, listed)
}

async fn shown(node: &Node, id: &str, query: &str) -> Answer {
    node.get(&format!("/records/{id}{query}")).await
}

/// Goal (row A12): whole on a node of the country, the rest elsewhere, each with its proof; and it is accounted for.
#[tokio::test(flavor = "multi_thread")]
async fn whole_at_home_and_the_rest_abroad() {
    let (net, subject, listed) = net_with_a_patient().await;
    let (home, abroad) = (&net.nodes[0], &net.nodes[1]);
    for record in &listed {
        let id = record["record_id"].as_str().unwrap();
        let whole = shown(home, id, "").await;
        assert_eq!((whole.status, &whole.body["part"]), (200, &"whole".into()));
        assert_eq!((&whole.body["home"], &whole.body["holder"]), (&"US".into(), &"node-0".into()));
        assert_eq!(
            (&whole.body["anchor"]["verified"], &whole.body["anchor"]["batch"]),
            (&true.into(), &1.into())
        );
        assert!(whole.text.contains("Planted") || whole.text.contains("\"value\":71.50"), "{}", whole.text);
        let rest = shown(abroad, id, "").await;
        assert_eq!((rest.status, &rest.body["part"]), (200, &"de-identified".into()), "{}", rest.text);
        assert_eq!(rest.body["anchor"], whole.body["anchor"]);
        assert!(!rest.text.contains("Planted") && !rest.text.contains("original"), "{}", rest.text);
        assert_eq!(rest.body["resource"]["resourceType"], whole.body["resource"]["resourceType"]);
    }
    let disclosures = home.get(&format!("/disclosures?subject={subject}")).await.body;
    let rows = disclosures["disclosures"].as_array().unwrap();
    let abroad_rows: Vec<_> = rows.iter().filter(|row| row["requester"] == "node-1").collect();
    assert_eq!(abroad_rows.len(), 2, "a key each: {rows:?}");
    assert!(abroad_rows.iter().all(|row| row["class"] == "de-identified" && row["purpose"] == "treatment"));
    assert!(rows.iter().any(|row| row["requester"] == "node-0" && row["class"] == "identity"));
    let page = home.get(&format!("/disclosures?subject={subject}&limit=1")).await.body;
    assert_eq!(page["next"], page["disclosures"][0]["number"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_patient_s_records_are_shown_page_by_page() {
    let (net, subject, _) = net_with_a_patient().await;
    for (node, part) in net.nodes.iter().zip(["whole", "de-identified"]) {
        let all = shown(node, &subject, "").await.body;
        let parts: Vec<_> = all["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["part"].as_str().unwrap_or_default())
            .collect();
        assert_eq!((parts, &all["next"]), (vec![part; 2], &Value::Null), "{all}");
        let first = shown(node, &subject, "?limit=1").await.body;
        let next = first["next"].as_str().unwrap();
        let second = shown(node, &subject, &format!("?limit=1&after={next}")).await.body;
        assert_eq!(second["next"], Value::Null);
        assert_ne!(first["records"][0]["record_id"], second["records"][0]["record_id"]);
        let listed = node.get(&format!("/records?subject={subject}&limit=1")).await.body;
        assert_eq!(listed["next"], first["records"][0]["record_id"]);
    }
}

/// Goal: what no rule allows is refused, and refusals tell nothing.
#[tokio::test(flavor = "multi_thread")]
async fn purposes_without_a_right_are_refused() {
    let (net, subject, listed) = net_with_a_patient().await;
    let (home, abroad) = (&net.nodes[0], &net.nodes[1]);
    let id = listed[0]["record_id"].as_str().unwrap();
    let unknown = "00000000000000000000000000000000";
    for (node, id, query, status) in [
        (abroad, id, "?purpose=operations", 403),
        (abroad, id, "?purpose=oversight", 200),
        (home, id, "?purpose=oversight", 403),
        (home, id, "?purpose=operations", 200),
        (home, id, "?purpose=curiosity", 400),
        (home, id, "?purpose=research", 400),
        (home, unknown, "", 404),
        (home, "Plantedname", "", 404),
    ] {
        let answer = shown(node, id, query).await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
        if status == 403 {
            assert_eq!(answer.diagnostics(), "not permitted");
        }
        assert!(status == 200 || !answer.text.contains("Planted"));
    }
    let page = shown(abroad, &subject, "?purpose=operations").await.body;
    let problems: Vec<_> = page["records"].as_array().unwrap().iter().map(|one| &one["problem"]).collect();
    assert_eq!(problems, ["not permitted", "not permitted"]);
    let read = abroad.get(&format!("/Patient/{id}")).await;
    assert_eq!((read.status, read.header("x-bxp-part")), (200, "de-identified"));
    assert_eq!(abroad.get("/Patient/original-1").await.status, 404, "the original id stays at home");
}

/// Goal: sealed de-identified blocks for anyone, identity blocks for no one. Way: all CIDs of both nodes.
#[tokio::test(flavor = "multi_thread")]
async fn identity_content_is_never_served() {
    let (net, _, _) = net_with_a_patient().await;
    for node in &net.nodes {
        let at = |path: String| node.request(Method::GET, &path);
        for row in node.vault.entries(0) {
            let (_, entry) = row.unwrap();
            let cid = entry.deidentified_cid;
            let response = at(format!("/content/{cid}")).send().await.unwrap();
            assert_eq!(response.status().as_u16(), 200);
            assert_eq!(response.headers()["content-type"], "application/vnd.ipld.raw");
            assert_eq!(response.headers()["etag"].to_str().unwrap(), format!("\"{cid}\""));
            let bytes = response.bytes().await.unwrap();
            assert_eq!(bxp_vault::cid_of(&bytes).unwrap(), cid);
            assert_eq!(bxp_vault::decode_class(&bytes).unwrap(), BlockClass::Deidentified);
            let known = at(format!("/content/{cid}")).header("if-none-match", format!("W/\"x\", \"{cid}\""));
            let known = known.send().await.unwrap();
            assert_eq!((known.status().as_u16(), known.bytes().await.unwrap().len()), (304, 0));
            let identity = format!("/content/{}", entry.identity_cid);
            for answer in
                [Answer::of(at(identity.clone()).send().await.unwrap()).await, node.get(&identity).await]
            {
                assert_eq!(answer.status, 404);
                assert_eq!(answer.diagnostics(), "no such content here");
            }
        }
        for wrong in ["/content/x", "/content/bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"] {
            assert_eq!(at(wrong.to_owned()).send().await.unwrap().status().as_u16(), 404);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn holdings_count_what_is_really_here() {
    let (net, _, _) = net_with_a_patient().await;
    let [home, abroad] = [0, 1].map(|index| &net.nodes[index]);
    let (home, abroad) = (home.get("/holdings").await.body, abroad.get("/holdings").await.body);
    assert_eq!((&home["node"], &abroad["jurisdiction"]), (&"node-0".into(), &"DE".into()));
    let us = |holdings: &Value, what: &str| holdings["countries"]["US"][what].as_u64().unwrap();
    for (what, at_home, there) in [
        ("records", 2, 2),
        ("own", 2, 0),
        ("anchored", 2, 2),
        ("identityBlocks", 2, 0),
        ("identityKeys", 2, 0),
        ("deidentifiedBlocks", 2, 2),
        ("deidentifiedKeys", 2, 0),
    ] {
        assert_eq!((us(&home, what), us(&abroad, what)), (at_home, there), "{what}");
    }
}
