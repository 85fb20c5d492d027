//! The content store's routes, the gateway, and a record set on its way from a holder to a regulator by bitswap.

use crate::{
    client::{Answer, bundle, patient, weight},
    net::{Net, Node, TOKEN, US},
};
use bxp_content::car::CarReader;
use reqwest::Method;
use serde_json::{Value, json};

/// A node with one patient of two records, settled; and the patient's pseudonym.
async fn holder(net: &Net) -> String {
    let node = &net.nodes[0];
    let taken = node.post("/", bundle("transaction", &[&patient(1, "US"), &weight(1)])).await;
    assert_eq!(taken.status, 200, "{}", taken.text);
    node.settled().await;
    let patients = node.get("/patients").await.body;
    patients["patients"][0]["subject"].as_str().expect("a subject").to_owned()
}

fn peer(node: &Node) -> String {
    node.edge.swarm.as_ref().unwrap().peer().to_string()
}

fn until() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    now.as_secs() + 600
}

async fn publish(node: &Node, body: Value) -> Answer {
    node.post("/dags/$publish", body.to_string()).await
}

async fn fetch(node: &Node, root: &str, from: &Node) -> Answer {
    let address = from.edge.swarm.as_ref().unwrap().multiaddr().to_string();
    node.post("/dags/$fetch", json!({ "root": root, "peers": [address] }).to_string()).await
}

/// Blocks of a CAR file, each verified.
async fn car(node: &Node, path: &str, token: &str) -> (u16, Vec<bxp_content::Block>) {
    let request = node.request(Method::GET, path).bearer_auth(token);
    let response = request.header("accept", "application/vnd.ipld.car").send().await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.bytes().await.unwrap();
    if status != 200 {
        return (status, Vec::new());
    }
    (status, CarReader::new(bytes.as_ref()).unwrap().collect::<Result<_, _>>().unwrap())
}

/// Goal: a regulator gets the de-identified records by bitswap, nobody else does, and an erasure ends it. Way: the
/// holder publishes for the regulator's peer; the regulator fetches; a third node tries; then the patient is erased.
#[tokio::test(flavor = "multi_thread")]
async fn a_regulator_fetches_a_record_set_and_nobody_else_does() {
    let net = Net::start(&[US, US, US]).await;
    let [star, regulator, other] = net.nodes.as_slice() else { panic!("three nodes") };
    let subject = holder(&net).await;
    let order = |peers: Value, patients: Value| json!({ "purpose": "oversight", "peers": peers, "until": until(), "patients": patients });
    let published = publish(star, order(json!([peer(regulator)]), json!([subject]))).await;
    assert_eq!(published.status, 200, "{}", published.text);
    assert_eq!((&published.body["charts"], &published.body["records"]), (&json!(1), &json!(2)));
    let root = published.body["root"].as_str().unwrap();

    let refused = fetch(other, root, star).await;
    assert_eq!(refused.status, 502, "{}", refused.text);
    let fetched = fetch(regulator, root, star).await;
    assert_eq!(fetched.status, 200, "{}", fetched.text);
    assert_eq!(fetched.body["fromPeers"], 4);
    let (status, blocks) = car(regulator, &format!("/ipfs/{root}"), TOKEN).await;
    assert_eq!((status, blocks.len()), (200, 4));
    let text: String =
        blocks.iter().map(|block| String::from_utf8_lossy(block.bytes()).into_owned()).collect();
    assert!(
        text.contains("71.50") && text.contains(r#""resourceType":"Patient""#),
        "the records, to the digit"
    );
    for planted in ["Plantedname", "Plantedcity", "1970-01", "original-1", subject.as_str()] {
        assert!(!text.contains(planted), "{planted}");
    }
    let disclosed = star.get(&format!("/disclosures?subject={subject}")).await;
    assert!(disclosed.text.contains("oversight"), "{}", disclosed.text);

    let strangers = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA";
    for (peers, patients, status) in [
        (json!([strangers]), json!([subject]), 422),
        (json!([peer(other)]), json!([subject]), 403),
        (json!([]), json!([subject]), 422),
        (json!([peer(regulator)]), json!([]), 422),
    ] {
        let refused = publish(star, order(peers.clone(), patients)).await;
        assert_eq!(refused.status, status, "{peers} {}", refused.text);
    }

    let erased = star.send(Method::DELETE, &format!("/patients/{subject}"), &[], String::new()).await;
    assert_eq!(erased.status, 200, "{}", erased.text);
    let (status, _) = car(star, &format!("/ipfs/{root}/charts/0/records/0"), TOKEN).await;
    assert_eq!(status, 404);
    assert_eq!(star.get("/dags/$stat").await.body["blocks"], 2, "root and chart, which name nobody");
    regulator.send(Method::DELETE, &format!("/dags/{root}"), &[], String::new()).await;
    regulator.post("/dags/$gc", "").await;
    assert_eq!(fetch(regulator, root, star).await.status, 502, "it cannot be fetched again");
}

fn raw(bytes: &'static str) -> bxp_content::Block {
    bxp_content::Block::new(bxp_content::Codec::Raw, bytes.into()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn car_files_go_in_and_out_and_the_gateway_answers_as_specified() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let block = raw("hello world");
    let cid = block.cid().to_string();
    let file = [bxp_content::car::header(&[*block.cid()]), bxp_content::car::section(&block)].concat();
    assert_eq!(node.post("/dags", file[..file.len() - 1].to_vec()).await.status, 422);
    assert_eq!(node.get("/dags/$stat").await.body["blocks"], 0);
    assert_eq!(node.post("/dags", file.clone()).await.body, json!({ "roots": [cid] }));
    assert_eq!(node.get("/dags").await.body, json!({ "pins": [cid], "publications": [] }));

    let raw_type = [("accept", "application/vnd.ipld.raw")];
    let path = format!("/ipfs/{cid}");
    let got = node.send(Method::GET, &path, &raw_type, String::new()).await;
    assert_eq!((got.status, got.text.as_str()), (200, "hello world"));
    for (name, value) in [
        ("content-type", "application/vnd.ipld.raw".to_owned()),
        ("etag", format!("\"{cid}.raw\"")),
        ("cache-control", "private, no-cache".to_owned()),
        ("content-disposition", format!("attachment; filename=\"{cid}.bin\"")),
        ("x-content-type-options", "nosniff".to_owned()),
        ("x-ipfs-path", path.clone()),
        ("content-location", format!("{path}?format=raw")),
        ("content-length", "11".to_owned()),
    ] {
        assert_eq!(got.header(name), value, "{name}");
    }
    let tag = format!("\"{cid}.raw\"");
    let known = [("if-none-match", tag.as_str())];
    let known = node.send(Method::GET, &format!("{path}?format=raw"), &known, String::new()).await;
    assert_eq!(known.status, 304);
    let head = node.send(Method::HEAD, &format!("{path}?format=raw"), &[], String::new()).await;
    assert_eq!((head.status, head.text.as_str(), head.header("content-length")), (200, "", "11"));
    let named = node.get(&format!("{path}?format=car&filename=records.car")).await;
    assert_eq!(named.header("content-type"), "application/vnd.ipld.car; version=1; order=dfs; dups=n");
    assert_eq!(named.header("content-disposition"), "attachment; filename=\"records.car\"");
    let tags: std::collections::BTreeSet<_> = ["", "&dag-scope=block", "&entity-bytes=0:4"]
        .map(|query| format!("{path}?format=car{query}"))
        .into_iter()
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    for query in tags {
        assert!(
            seen.insert(node.get(&query).await.header("etag").to_owned()),
            "{query} has a tag of its own"
        );
    }
    let evil = node.get(&format!("{path}?format=raw&filename=..%2Fx%22")).await;
    assert_eq!(evil.header("content-disposition"), format!("attachment; filename=\"{cid}.bin\""));
    let (status, blocks) = car(node, &path, TOKEN).await;
    assert_eq!((status, blocks), (200, vec![block.clone()]));

    let other = raw("not here").cid().to_string();
    for (path, headers, status) in [
        (format!("/ipfs/{other}?format=raw"), vec![], 404),
        (format!("/ipfs/{other}?format=car"), vec![("cache-control", "only-if-cached")], 412),
        (format!("/ipfs/{cid}/x?format=car"), vec![], 404),
        (format!("/ipfs/{cid}/x?format=raw"), vec![], 400),
        ("/ipfs/nonsense?format=raw".to_owned(), vec![], 400),
        (path.clone(), vec![("accept", "text/html")], 406),
        (format!("{path}?format=tar"), vec![], 406),
        (format!("{path}?format=car&dag-scope=some"), vec![], 400),
    ] {
        let answer = node.send(Method::GET, &path, &headers, String::new()).await;
        assert_eq!(answer.status, status, "{path} {}", answer.text);
    }
    for token in ["", "guess"] {
        let answer = node.request(Method::GET, &format!("{path}?format=raw")).bearer_auth(token).send().await;
        assert_eq!(answer.unwrap().status().as_u16(), 401, "{token:?}");
    }
    assert_eq!(node.send(Method::DELETE, &format!("/dags/{cid}"), &[], String::new()).await.status, 200);
    assert_eq!(node.send(Method::DELETE, &format!("/dags/{cid}"), &[], String::new()).await.status, 404);
    assert_eq!(node.send(Method::PUT, &format!("/dags/{cid}"), &[], String::new()).await.status, 200);
    node.send(Method::DELETE, &format!("/dags/{cid}"), &[], String::new()).await;
    assert_eq!(node.post("/dags/$gc", "").await.body["removedBlocks"], 1);
    assert_eq!(node.get(&format!("{path}?format=raw")).await.status, 404);
}
