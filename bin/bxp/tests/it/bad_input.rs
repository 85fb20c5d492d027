//! Bad input: a clear error that says what, where and what to do; a non-zero exit; nothing half-written.

use crate::kit::{BOUND, Net, STAR, bxp};
use bxp_types::Genesis;
use serde_json::Value;
use std::{
    ffi::OsStr,
    fs,
    net::{SocketAddr, TcpListener},
    path::Path,
};

/// Runs the program, which must refuse, and gives what it says.
async fn refused<A: AsRef<OsStr>>(arguments: impl IntoIterator<Item = A>) -> String {
    let output = tokio::time::timeout(BOUND, bxp().args(arguments).output()).await;
    let output = output.expect("it refuses in time").unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    assert_eq!(output.stdout, b"", "what is refused says nothing as if it ran");
    let said = String::from_utf8(output.stderr).unwrap();
    let error = said.find("error: ").unwrap_or_else(|| panic!("no error in: {said}"));
    said[error..].to_owned()
}

async fn node_refused(config: &Path) -> String {
    refused([OsStr::new("node"), OsStr::new("--json"), OsStr::new("--config"), config.as_os_str()]).await
}

/// Goal: damage, unknown types and missing countries are named by place, and what they say is never repeated.
#[tokio::test(flavor = "multi_thread")]
async fn bad_submissions_get_clear_answers() {
    let mut net = Net::start().await;
    let star = &net.nodes[STAR].client;
    let stateless = r#"{"resourceType":"Patient","id":"p","name":[{"family":"Wexford"}]}"#;
    let spaceship = r#"{"resourceType":"Spaceship","name":"Wexford"}"#;
    let bundle = format!(
        r#"{{"resourceType":"Bundle","type":"batch","entry":[{{"resource":{stateless}}},{{"resource":{spaceship}}}]}}"#
    );
    let cut = star.post("/$ingest?source=cut.json", &bundle[..bundle.len() - 20]).await.unwrap();
    assert_eq!(cut.status, 400);
    let said = cut.body["issue"][0]["diagnostics"].as_str().unwrap();
    assert!(
        said.starts_with("cut.json line 1 column") && said.contains("nothing of this submission"),
        "{said}"
    );
    assert_eq!(star.get("/records").await.body["records"], Value::Array(Vec::new()), "nothing is half taken");
    let report = star.post("/$ingest?source=ward.json", &bundle).await.unwrap();
    let numbers = ["resources", "new", "refused", "countries_defaulted"].map(|name| &report.body[name]);
    assert_eq!((report.status, numbers), (200, [&2.into(), &1.into(), &1.into(), &1.into()]));
    let refusal = &report.body["refusals"][0];
    assert_eq!((&refusal["source_name"], &refusal["position"]), (&"ward.json".into(), &"entry 1".into()));
    assert!(refusal["reason"].as_str().unwrap().contains("resourceType is not one of"), "{refusal}");
    assert_eq!(star.holding("US").await["records"], 1, "the configured country is taken");
    assert!(!(cut.text + &report.text).contains("Wexford"));
    net.nodes[STAR].stop().await;
}

/// Goal: whichever port is taken, the node names its address and does not run.
#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_named() {
    let net = Net::make().await;
    let node = &net.nodes[STAR];
    let listen = node.listen;
    for address in [listen.p2p, listen.rpc, listen.fhir, listen.metrics] {
        let _taken = TcpListener::bind(address).unwrap();
        let said = node_refused(&node.config).await;
        assert!(said.contains(&address.to_string()) && said.contains("in use"), "{address}: {said}");
    }
}

/// Goal: a developer who misspells a host or a page is told so with the flag, before there is a chain.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_or_page_that_is_none_is_named_with_its_flag() {
    for (flag, wrong) in [("--host", "https://node.example"), ("--origin", "wallet.example")] {
        let said = refused(["dev", "chain", "--port", "0", flag, wrong]).await;
        assert!(said.starts_with(&format!("error: {flag}: ")) && said.contains(wrong), "{said}");
    }
}

/// Goal: a node never runs on data or keys that are not its own, and says whose they are.
#[tokio::test(flavor = "multi_thread")]
async fn folders_of_others_are_refused() {
    let mut net = Net::make().await;
    let config = fs::read_to_string(&net.nodes[STAR].config).unwrap();
    let folder = net.nodes[STAR].dir().to_owned();
    let beside = |name: &str| folder.join(name);

    let other = fs::read_to_string(net.dir().join("genesis.json"))
        .unwrap()
        .replace("\"chain_id\": 2018", "\"chain_id\": 2019");
    let other_id = Genesis::from_json(&other).unwrap().network_id().to_string();
    assert_ne!(other_id, net.network_id);
    fs::write(beside("other-genesis.json"), other).unwrap();
    fs::write(beside("other.toml"), config.replace("../../genesis.json", "other-genesis.json")).unwrap();
    let said = node_refused(&beside("other.toml")).await;
    assert!(said.contains(&net.network_id) && said.contains(&other_id), "{said}");

    fs::write(beside("keys.toml"), config.replace("name = \"star\"", "name = \"dawn\"")).unwrap();
    let said = node_refused(&beside("keys.toml")).await;
    assert!(said.contains("are not those of validator \"dawn\""), "{said}");

    fs::write(beside("stranger.toml"), config.replace("name = \"star\"", "name = \"nobody\"")).unwrap();
    let said = node_refused(&beside("stranger.toml")).await;
    assert!(said.contains("no validator \"nobody\"; it names star, dawn, rhein, regulator"), "{said}");

    net.start_all().await;
    // The sockets of the second process are free; the folder is not.
    let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
    let mut second = bxp_node::NodeConfig::read(&net.nodes[STAR].config).unwrap();
    second.listen = bxp_node::Listen { p2p: free, rpc: free, fhir: free, metrics: free, mllp: None };
    fs::write(beside("second.toml"), second.to_toml().unwrap()).unwrap();
    let said = node_refused(&beside("second.toml")).await;
    assert!(said.contains("another process"), "{said}");
}

/// Goal: what is missing or of another size is named before anything is made.
#[tokio::test(flavor = "multi_thread")]
async fn missing_files_and_networks_of_another_size_are_refused() {
    let net = Net::make().await;
    let missing = net.dir().join("nowhere").join("node.toml");
    let said = node_refused(&missing).await;
    assert!(said.contains(missing.to_str().unwrap()) && said.contains("No such file"), "{said}");

    let broken = net.nodes[STAR].config.with_file_name("broken.toml");
    fs::write(&broken, "name = \"star\"\ngenesi = \"x\"\n").unwrap();
    let said = node_refused(&broken).await;
    assert!(said.contains("broken.toml") && said.contains("genesi"), "{said}");

    let dir = net.dir();
    let devnet = |validators: &'static str, dir: &Path| {
        refused(["devnet", "--validators", validators, "--dir", dir.to_str().unwrap()].map(str::to_owned))
    };
    let said = devnet("7", &dir).await;
    assert!(said.contains("holds a network of 4 validators, not 7"), "{said}");
    let said = devnet("4", &dir.join("nodes")).await;
    assert!(said.contains("is not empty and holds no devnet"), "{said}");
}
