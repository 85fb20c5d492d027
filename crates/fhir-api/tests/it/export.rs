//! Bulk Data: kicked off, asked after, fetched.

use crate::{
    client::{Answer, bundle, patient, weight},
    net::{Net, Node, Place, on_both, until},
};
use bxp_fhir_api::serve;
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;

on_both! {
    an_export_has_every_resource_of_its_moment_once,
}

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

async fn an_export_has_every_resource_of_its_moment_once(place: Place) {
    let net = Net::of_one_at(place).await;
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

/// The names of a manifest's files with their counts.
fn files(manifest: &Answer) -> Vec<(String, u64)> {
    let files = manifest.body["output"].as_array().unwrap().iter();
    files.map(|one| (one["type"].as_str().unwrap().to_owned(), one["count"].as_u64().unwrap())).collect()
}

async fn lines(node: &Node, manifest: &Answer, kind: &str) -> Vec<Value> {
    let files = manifest.body["output"].as_array().unwrap();
    let file = files.iter().find(|one| one["type"] == kind).unwrap();
    let answer = node.get(&path(file["url"].as_str().unwrap())).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(lines: &[Value]) -> Vec<&str> {
    let mut ids: Vec<&str> = lines.iter().map(|one| one["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids
}

/// Goal: an export is there after a restart, as it was, and until it is ended. Way: the server stops and another one begins
/// on the same disk, while an update came in between.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_survives_a_restart_and_shows_its_moment() {
    let mut net = Net::of_one().await;
    let node = &net.nodes[0];
    let first: Vec<String> = (0..3).map(|number| patient(number, "US")).collect();
    node.post("/$ingest", bundle("batch", &first.iter().map(String::as_str).collect::<Vec<_>>())).await;
    let before = manifest(node, "/$export?_type=Patient").await;
    assert_eq!(files(&before), [("Patient".to_owned(), 3)]);
    let status = path(before.body["output"][0]["url"].as_str().unwrap());
    let status = status.replace("$export-file", "$export-status").replace("/Patient", "");
    let changed = patient(1, "US").replace("female", "male");
    assert_eq!(node.put("/Patient/original-1", changed).await.status, 200);

    let Node { edge, vault, server } = net.nodes.pop().unwrap();
    server.stop().await;
    let server = serve("127.0.0.1:0".parse().unwrap(), edge.clone()).await.unwrap();
    net.nodes.push(Node { edge, vault, server });
    let node = &net.nodes[0];
    let after = node.get(&status).await;
    assert_eq!((after.status, &after.body["transactionTime"]), (200, &before.body["transactionTime"]));
    let exported = lines(node, &after, "Patient").await;
    assert_eq!(ids(&exported), ["original-0", "original-1", "original-2"]);
    let one = exported.iter().find(|one| one["id"] == "original-1").unwrap();
    assert_eq!((&one["gender"], &one["meta"]["versionId"]), (&json!("female"), &json!("1")));
    assert_eq!(node.send(Method::DELETE, &status, &[], String::new()).await.status, 202);
    assert_eq!(node.get(&status).await.status, 404);
}

/// Goal: an export is given out within its term of 24 hours and not a moment longer, and then its list leaves the disk.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_ends_with_its_term() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    node.post("/$ingest", bundle("batch", &[&patient(1, "US")])).await;
    let made = manifest(node, "/$export?_type=Patient").await;
    let file = path(made.body["output"][0]["url"].as_str().unwrap());
    let status = file.replace("$export-file", "$export-status").replace("/Patient", "");
    let began: jiff::Timestamp = made.body["transactionTime"].as_str().unwrap().parse().unwrap();
    let ends = jiff::fmt::rfc2822::parse(made.header("expires")).unwrap().timestamp();
    assert_eq!(ends.as_second() - began.as_second(), 24 * 3_600);
    net.turn_clocks(23);
    assert_eq!(node.get(&status).await.status, 200);
    assert_eq!(ids(&lines(node, &made, "Patient").await), ["original-1"]);
    net.turn_clocks(1);
    for gone in [&status, &file] {
        assert_eq!(node.get(gone).await.status, 404, "{gone}");
    }
    let rows = |name: &str| node.edge.store.table(name).unwrap().iter().count();
    assert_eq!((rows("fhir.exports"), rows("fhir.export-lines")), (1, 1), "nothing has looked for it yet");
    let second = manifest(node, "/$export?_type=Patient").await;
    assert_eq!(files(&second), [("Patient".to_owned(), 1)]);
    assert_eq!((rows("fhir.exports"), rows("fhir.export-lines")), (1, 1), "the new one alone");
    assert_eq!(node.get(&status).await.status, 404);
}

/// Goal: an erasure takes a patient out of exports that were made before it, and nothing of an export lies readable on the
/// disk.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_reaches_exports_and_none_lies_in_clear() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let taken = node.post("/$ingest", bundle("batch", &[&patient(1, "US"), &weight(1)])).await;
    assert_eq!(taken.body["new"], 2);
    let known = node.get("/patients").await;
    let subject = known.body["patients"][0]["subject"].as_str().unwrap().to_owned();
    node.post("/$ingest", bundle("batch", &[&patient(2, "US"), &weight(2)])).await;
    let made = manifest(node, "/$export?_type=Patient,Observation").await;
    assert_eq!(files(&made), [("Observation".to_owned(), 2), ("Patient".to_owned(), 2)]);
    for planted in ["original-1", "weight-2"] {
        assert_eq!(holding(net.folder(), planted), Vec::<String>::new());
    }
    assert_eq!(
        node.send(Method::DELETE, &format!("/patients/{subject}"), &[], String::new()).await.status,
        200
    );
    let status = path(made.body["output"][0]["url"].as_str().unwrap());
    let status = status.replace("$export-file", "$export-status").replace("/Observation", "");
    let left = node.get(&status).await;
    assert_eq!(files(&left), [("Observation".to_owned(), 1), ("Patient".to_owned(), 1)]);
    assert_eq!(ids(&lines(node, &left, "Patient").await), ["original-2"]);
    assert_eq!(ids(&lines(node, &left, "Observation").await), ["weight-2"]);
}

/// The files under a folder in which a text stands.
fn holding(folder: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            found.extend(holding(&path, text));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            found.push(path.display().to_string());
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_groups_export_has_its_members_and_what_belongs_to_them() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let resources = [
        patient(1, "US"),
        patient(2, "US"),
        patient(3, "US"),
        patient(4, "US"),
        weight(1),
        weight(3),
        r#"{"resourceType":"Organization","id":"star","name":"Star"}"#.to_owned(),
        r#"{"resourceType":"Encounter","id":"e","status":"finished","class":{"code":"AMB"},"subject":{"reference":"Patient/original-1"},"serviceProvider":{"reference":"Organization/star"}}"#.to_owned(),
    ];
    let group = |id: &str, members: &str| {
        format!(
            r#"{{"resourceType":"Group","id":"{id}","type":"person","actual":true,"member":[{members}]}}"#
        )
    };
    let member = |reference: &str, more: &str| format!(r#"{{"entity":{{"reference":"{reference}"}}{more}}}"#);
    let inner = group("inner", &[member("Patient/original-2", ""), member("Group/outer", "")].join(","));
    let outer = [
        member("Patient/original-1", ""),
        member("Patient/original-1", ""),
        member("Patient/original-4", r#","inactive":true"#),
        member("Group/inner", ""),
    ];
    let outer = group("outer", &outer.join(","));
    let taken = node
        .post("/$ingest", bundle("batch", &resources.iter().map(String::as_str).collect::<Vec<_>>()))
        .await;
    assert_eq!(taken.body["new"], 8, "{}", taken.text);
    for (id, group) in [("inner", inner), ("outer", outer)] {
        let put = node.put(&format!("/Group/{id}"), group).await;
        assert_eq!(put.status, 201, "{}", put.text);
    }
    let made = manifest(node, "/Group/outer/$export?_type=Patient,Observation,Organization,Encounter").await;
    assert_eq!(ids(&lines(node, &made, "Patient").await), ["original-1", "original-2"]);
    assert_eq!(ids(&lines(node, &made, "Observation").await), ["weight-1"]);
    assert_eq!(ids(&lines(node, &made, "Organization").await), ["star"]);
    let later = "/Group/outer/$export?_since=2999-01-01T00:00:00Z";
    assert_eq!(files(&manifest(node, later).await), []);
    let missing = node.send(Method::GET, "/Group/none/$export", &ASYNC, String::new()).await;
    assert_eq!(missing.status, 404, "{}", missing.text);
    let unknown = node.send(Method::GET, "/$export?_typeFilter=Patient%3Fx%3Dy", &ASYNC, String::new()).await;
    assert_eq!(unknown.status, 400, "what would be exported more than was asked for is refused");
}
