//! Bulk Data: kicked off, asked after, fetched.

use crate::{
    client::{Answer, bundle, patient, weight},
    net::{Net, Node, until},
};
use reqwest::Method;

const ASYNC: [(&str, &str); 1] = [("prefer", "respond-async")];

fn path(url: &str) -> String {
    format!("/{}", url.splitn(4, '/').nth(3).unwrap())
}

async fn manifest(node: &Node, kick_off: &str) -> Answer {
    let begun = node.send(Method::GET, kick_off, &ASYNC, String::new()).await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    let status = path(begun.header("content-location"));
    until("the export is ready", || async { node.get(&status).await.status == 200 }).await;
    node.get(&status).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_has_every_resource_of_its_moment_once() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let mut resources: Vec<String> = (0..700).map(|number| patient(number, "US")).collect();
    resources.push(weight(1));
    resources.push(r#"{"resourceType":"Organization","id":"o","name":"Star"}"#.to_owned());
    node.post("/$ingest", bundle("batch", &resources.iter().map(String::as_str).collect::<Vec<_>>())).await;
    assert_eq!(node.get("/$export").await.status, 400, "without Prefer: respond-async");
    let all = manifest(node, "/$export").await;
    let files = all.body["output"].as_array().unwrap().clone();
    let names: Vec<_> = files.iter().map(|file| file["type"].as_str().unwrap()).collect();
    assert_eq!(names, ["Observation", "Organization", "Patient"], "{}", all.text);
    // What comes after the moment of the export is not in it.
    node.post("/$ingest", bundle("batch", &[&patient(900, "US")])).await;
    let patients = node.get(&path(files[2]["url"].as_str().unwrap())).await;
    assert_eq!(patients.header("content-type"), "application/fhir+ndjson");
    let mut ids: Vec<String> = patients
        .text
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["id"].as_str().unwrap().to_owned()
        })
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!((ids.len(), patients.text.lines().count()), (700, 700));
    let of_patients = manifest(node, "/Patient/$export?_type=Patient,Organization").await;
    let names: Vec<_> = of_patients.body["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["type"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["Patient"]);
    let begun = node.send(Method::GET, "/$export?_type=Patient", &ASYNC, String::new()).await;
    let status = path(begun.header("content-location"));
    assert_eq!(node.send(Method::DELETE, &status, &[], String::new()).await.status, 202);
    assert_eq!(node.get(&status).await.status, 404);
}
