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
    assert_eq!((known.status, known.text.as_str(), known.header("etag")), (304, "", tag.as_str()));
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
        let answer = answer.unwrap();
        assert_eq!(answer.status().as_u16(), 401, "{token:?}");
        assert!(answer.headers().contains_key("www-authenticate"));
    }
    assert_eq!(node.send(Method::DELETE, &format!("/dags/{cid}"), &[], String::new()).await.status, 200);
    assert_eq!(node.send(Method::DELETE, &format!("/dags/{cid}"), &[], String::new()).await.status, 404);
    assert_eq!(node.send(Method::PUT, &format!("/dags/{cid}"), &[], String::new()).await.status, 200);
    node.send(Method::DELETE, &format!("/dags/{cid}"), &[], String::new()).await;
    assert_eq!(node.post("/dags/$gc", "").await.body["removedBlocks"], 1);
    assert_eq!(node.get(&format!("{path}?format=raw")).await.status, 404);
}

/// A link of DAG-PB, and a node of UnixFS with such links: as other peers make files and folders.
fn unixfs(data: &[u8], links: &[(&bxp_content::Block, &str)]) -> bxp_content::Block {
    let field =
        |number: u8, bytes: &[u8]| [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat();
    let link = |(child, name): &(&bxp_content::Block, &str)| {
        field(2, &[field(1, &child.cid().to_bytes()), field(2, name.as_bytes())].concat())
    };
    let links: Vec<u8> = links.iter().flat_map(link).collect();
    bxp_content::Block::new(bxp_content::Codec::DagPb, [links, field(1, data)].concat().into()).unwrap()
}

/// Puts blocks in under the first of them.
async fn import(node: &Node, blocks: &[bxp_content::Block]) {
    let header = bxp_content::car::header(&[*blocks[0].cid()]);
    let file = blocks.iter().fold(header, |file, block| [file, bxp_content::car::section(block)].concat());
    let taken = node.post("/dags", file).await;
    assert_eq!(taken.status, 200, "{}", taken.text);
}

/// Goal: parts of blocks are served as HTTP has it (RFC 9110 section 14). Way: ranges of one block, and what is no range.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_block_is_served() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let block = raw("0123456789");
    import(node, std::slice::from_ref(&block)).await;
    let path = format!("/ipfs/{}?format=raw", block.cid());
    let tag = format!("\"{}.raw\"", block.cid());
    for (headers, status, range, text) in [
        (vec![], 200, "", "0123456789"),
        (vec![("range", "bytes=2-4")], 206, "bytes 2-4/10", "234"),
        (vec![("range", "bytes=-3")], 206, "bytes 7-9/10", "789"),
        (vec![("range", "bytes=6-99")], 206, "bytes 6-9/10", "6789"),
        (vec![("range", "bytes=6-7,0-1")], 206, "bytes 6-7/10", "67"),
        (vec![("range", "bytes=2-4"), ("if-range", tag.as_str())], 206, "bytes 2-4/10", "234"),
        (vec![("range", "bytes=2-4"), ("if-range", "\"other\"")], 200, "", "0123456789"),
        (vec![("range", "bytes=4-2")], 200, "", "0123456789"),
        (vec![("range", "bytes=2-4"), ("if-none-match", tag.as_str())], 304, "", ""),
    ] {
        let answer = node.send(Method::GET, &path, &headers, String::new()).await;
        assert_eq!((answer.status, answer.text.as_str()), (status, text), "{headers:?}");
        assert_eq!(answer.header("content-range"), range, "{headers:?}");
        assert_eq!(answer.header("accept-ranges"), "bytes");
        assert_eq!(answer.header("etag"), tag);
        assert_eq!(answer.header("cache-control"), "private, no-cache");
    }
    let beyond = node.send(Method::GET, &path, &[("range", "bytes=10-")], String::new()).await;
    assert_eq!((beyond.status, beyond.header("content-range")), (416, "bytes */10"));
    let head = node.send(Method::HEAD, &path, &[("range", "bytes=2-4")], String::new()).await;
    assert_eq!((head.status, head.header("content-length")), (200, "10"), "a range is for GET");
    let car =
        node.send(Method::GET, &path.replace("raw", "car"), &[("range", "bytes=2-4")], String::new()).await;
    assert_eq!((car.status, car.header("accept-ranges")), (200, "none"));
}

/// Goal: the rules for CAR files of paths, with IPIP-402 and IPIP-412. Way: a folder that names one file twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_car_file_comes_in_the_form_that_was_asked_for() {
    const FORM: &str = "application/vnd.ipld.car; version=1; order=dfs; dups=";
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    let part = raw("part");
    let file = unixfs(&[0x08, 2, 0x20, 4, 0x20, 4], &[(&part, ""), (&part, "")]);
    let root = unixfs(&[0x08, 1], &[(&file, "a file"), (&file, "b")]);
    import(node, &[root.clone(), file.clone(), part.clone()]).await;
    let blocks_of = |bytes: &[u8]| -> Vec<bxp_content::Block> {
        CarReader::new(bytes).unwrap().collect::<Result<_, _>>().unwrap()
    };
    let get = |path: String, accept: &'static str| async move {
        let request = node.request(Method::GET, &path).bearer_auth(TOKEN).header("accept", accept);
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        (status, headers, response.bytes().await.unwrap())
    };
    let once = [root.clone(), file.clone(), part.clone()];
    let in_file = [file.clone(), part.clone(), part.clone()];
    let twice = [&[root.clone()][..], &in_file, &in_file].concat();
    let whole = format!("/ipfs/{}", root.cid());
    let mut tags = std::collections::BTreeSet::new();
    for (query, accept, dups, location, expected) in [
        ("", "application/vnd.ipld.car", "n", "?format=car", &once[..]),
        ("", "application/vnd.ipld.car; dups=y", "y", "?format=car&car-dups=y", &twice[..]),
        (
            "?format=car",
            "application/vnd.ipld.car; order=dfs; dups=y",
            "y",
            "?car-order=dfs&car-dups=y&format=car",
            &twice,
        ),
        ("?format=car&car-dups=y", "*/*", "y", "", &twice),
        ("?format=car&car-dups=n", "application/vnd.ipld.car;dups=y", "n", "?format=car&car-dups=n", &once),
        ("?format=car", "application/vnd.ipld.raw", "n", "?format=car", &once),
        ("", "application/vnd.ipld.car;order=unk", "n", "?format=car&car-order=unk", &once),
        (
            "",
            "application/vnd.ipld.car;order=x, application/vnd.ipld.car;dups=y;q=0.5",
            "y",
            "?format=car&car-dups=y",
            &twice,
        ),
    ] {
        let (status, headers, bytes) = get(format!("{whole}{query}"), accept).await;
        assert_eq!(status, 200, "{query} {accept}");
        assert_eq!(headers["content-type"], format!("{FORM}{dups}"), "{query} {accept}");
        assert_eq!(blocks_of(&bytes), expected, "{query} {accept}");
        let expected = if location.is_empty() { None } else { Some(format!("{whole}{location}")) };
        let found = headers.get("content-location").map(|value| value.to_str().unwrap().to_owned());
        assert_eq!(found, expected, "{query} {accept}");
        assert_eq!(
            (&headers["accept-ranges"], &headers["x-content-type-options"]),
            (&"none".parse().unwrap(), &"nosniff".parse().unwrap())
        );
        assert!(!headers.contains_key("content-length"), "nobody knows before the end how long it is");
        tags.insert(headers["etag"].to_str().unwrap().to_owned());
    }
    assert_eq!(tags.len(), 2, "with and without duplicates");

    let path = format!("{whole}/a%20file");
    let (status, headers, bytes) =
        get(format!("{path}?format=car&dag-scope=entity&entity-bytes=4:*"), "*/*").await;
    assert_eq!((status, blocks_of(&bytes)), (200, once.to_vec()));
    assert_eq!(headers["x-ipfs-path"], path);
    assert_eq!(headers["x-ipfs-roots"], format!("{},{}", root.cid(), file.cid()));
    let (_, _, bytes) = get(format!("{path}?format=car&dag-scope=block"), "*/*").await;
    assert_eq!(blocks_of(&bytes), once[..2]);
    for (query, accept, status) in [
        ("", "application/vnd.ipld.car;version=2", 406),
        ("", "application/vnd.ipld.car;dups=x", 406),
        ("?format=car&car-order=bfs", "*/*", 406),
        ("?format=car&entity-bytes=2:1", "*/*", 400),
        ("?format=ipns-record", "*/*", 406),
        ("/c?format=car", "*/*", 404),
    ] {
        assert_eq!(get(format!("{whole}{query}"), accept).await.0, status, "{query} {accept}");
    }
    let head = node.send(Method::HEAD, &format!("{path}?format=car"), &[], String::new()).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));
    for (path, status) in [(format!("{whole}/c?format=car"), 404), (format!("{whole}/c?format=raw"), 400)] {
        assert_eq!(node.send(Method::HEAD, &path, &[], String::new()).await.status, status, "{path}");
    }
    assert_eq!(node.send(Method::POST, &format!("{whole}?format=car"), &[], String::new()).await.status, 405);
}

/// Goal: clients find out by the empty block that this is a gateway, and other CIDs that hold their bytes work too.
#[tokio::test(flavor = "multi_thread")]
async fn a_probe_is_answered_and_names_are_written_safely() {
    let net = Net::of_one().await;
    let node = &net.nodes[0];
    for (cid, text) in [("bafkqaaa", ""), ("bafkqaedimvwgiidcpeqgs5dtebxgc3lf", "held by its name")] {
        for path in [format!("/ipfs/{cid}?format=raw"), format!("/ipfs/{cid}/?format=raw")] {
            let got = node.get(&path).await;
            assert_eq!((got.status, got.text.as_str()), (200, text), "{path}");
            let head = node.send(Method::HEAD, &path, &[], String::new()).await;
            assert_eq!((head.status, head.text.as_str()), (200, ""));
        }
        for accept in ["application/vnd.ipld.car", "application/vnd.ipld.car;dups=y"] {
            let request = node.request(Method::GET, &format!("/ipfs/{cid}")).bearer_auth(TOKEN);
            let bytes = request.header("accept", accept).send().await.unwrap().bytes().await.unwrap();
            let mut reader = CarReader::new(bytes.as_ref()).unwrap();
            assert_eq!(reader.roots()[0].to_string(), cid);
            assert!(reader.next().is_none(), "a block that its CID holds is not sent");
        }
    }
    let probe = node.request(Method::GET, "/ipfs/bafkqaaa?format=raw").send().await.unwrap();
    assert_eq!(probe.status().as_u16(), 401, "also a probe shows a token");
    let path = "/ipfs/bafkqaaa?format=raw";
    for (name, expected) in [
        ("foobar.bin", "filename=\"foobar.bin\""),
        ("a%20b.bin", "filename=\"a b.bin\""),
        ("test%D1%82.pdf", "filename=\"test_.pdf\"; filename*=UTF-8''test%D1%82.pdf"),
        ("a%0D%0Ab", "filename=\"bafkqaaa.bin\""),
        ("a%22b", "filename=\"bafkqaaa.bin\""),
        ("..%2Fb", "filename=\"bafkqaaa.bin\""),
    ] {
        let named = node.get(&format!("{path}&filename={name}")).await;
        assert_eq!(named.header("content-disposition"), format!("attachment; {expected}"), "{name}");
    }
    let worker = node.send(Method::GET, path, &[("service-worker", "script")], String::new()).await;
    assert_eq!(worker.status, 400);
    let cached = [("cache-control", "max-stale, only-if-cached")];
    let missing = format!("/ipfs/{}?format=raw", raw("nowhere").cid());
    assert_eq!(node.send(Method::GET, &missing, &cached, String::new()).await.status, 412);
    assert_eq!(node.send(Method::HEAD, &missing, &[], String::new()).await.status, 404);
    assert_eq!(node.send(Method::GET, path, &cached, String::new()).await.status, 200);
}
