//! Nodes that the chain's registry moves to other countries: what they lose, at once, and what they prove.

use crate::{
    kit::{Net, NodeProcess, RHEIN, bxp, until},
    placement::{identity, ids, part_shown, start},
    records::{ALL, counts},
};
use serde_json::Value;
use std::{fs, process::Output};

/// Validators in their order: Star, Dawn and Star 2 in the US, Rhein in Germany, the regulator in Canada.
const STAR: usize = 0;
const DAWN: usize = 1;
const STAR_2: usize = 4;

/// `bxp node`, with these arguments and then the configuration of Rhein's node, which carries it.
async fn bxp_node(net: &Net, arguments: &[&str]) -> Output {
    bxp().arg("node").args(arguments).arg("--config").arg(&net.nodes[RHEIN].config).output().await.unwrap()
}

fn json(output: &Output) -> Value {
    let (said, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}{error}");
    serde_json::from_str(&said).unwrap()
}

/// Has the devnet's governor move the node, and waits until it knows.
async fn move_node(net: &Net, node: usize, country: &str) -> u64 {
    let node = &net.nodes[node];
    let moved = json(&bxp_node(net, &["move", &node.name, "--country", country]).await);
    assert_eq!((&moved["made"], &moved["approvalsNeeded"]), (&true.into(), &1.into()), "{moved}");
    let block = moved["block"].as_u64().unwrap();
    until(&format!("{} goes by the directory of block {block}", node.name), async || {
        node.client.get("/keepers").await.body["height"] == block
    })
    .await;
    block
}

/// Waits until the others have the node's whole statement and the chain its hash. Gives the departure as they have it.
async fn proven(net: &Net, node: usize, asked: usize, block: u64) -> Value {
    let name = net.nodes[node].name.as_str();
    let departure = async || {
        let keepers = net.nodes[asked].client.get("/keepers").await;
        let departures = keepers.body["departures"].as_array().unwrap().clone();
        departures.into_iter().find(|one| one["node"] == name && one["height"] == block).unwrap_or_default()
    };
    until(&format!("{name}'s proof is on the chain"), async || {
        let departure = departure().await;
        departure["owesProof"] == false && departure["chain"]["agrees"] == true
    })
    .await;
    departure().await
}

/// How many of the records the node shows whole.
async fn shown_whole(node: &NodeProcess, ids: &[String]) -> usize {
    let mut whole = 0;
    for id in ids {
        whole += usize::from(part_shown(node, id).await.as_deref() == Some("whole"));
    }
    whole
}

/// Goal: a node moved by the contract loses access at its block, deletes, and proves it on the chain; no record is lost,
/// and nobody but the governor moves anyone. Way: three nodes of the US keep two copies each; first one that only keeps
/// copies goes, then the holder itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_moved_node_loses_the_records_and_proves_that_it_deleted_them() {
    let mut net = start("9").await;
    until("each record has two copies", async || {
        identity(&net.nodes[DAWN]).await[2] + identity(&net.nodes[STAR_2]).await[2] == ALL
    })
    .await;
    let kept = identity(&net.nodes[DAWN]).await[1];
    let ids = ids(&net.nodes[STAR]).await;
    assert_eq!((ids.len() as u64, shown_whole(&net.nodes[DAWN], &ids).await as u64), (ALL, kept));
    assert!(kept > 0);

    refused_to_others(&net).await;
    let block = move_node(&net, DAWN, "DE").await;
    assert_eq!(shown_whole(&net.nodes[DAWN], &ids).await, 0, "at once, whatever it still has");
    until("Dawn has no identity block of the US, and no key", async || {
        identity(&net.nodes[DAWN]).await == [ALL, 0, 0]
    })
    .await;
    assert_eq!([identity(&net.nodes[STAR]).await, identity(&net.nodes[STAR_2]).await], [[ALL; 3]; 2]);
    assert_eq!(shown_whole(&net.nodes[STAR_2], &ids).await as u64, ALL);
    let departure = proven(&net, DAWN, STAR_2, block).await;
    assert_eq!(counts(&departure, ["deleted", "unnamed"]), [kept, 0], "{departure}");
    assert_eq!(departure["chain"]["blocks"], kept, "{departure}");
    listed(&net, block, &departure).await;

    the_holder_moves(&mut net, &ids).await;
}

/// A development account that governs nothing, a country that is none, a node that is none.
async fn refused_to_others(net: &Net) {
    let key = net.dir().join("other.key");
    let devnet: Value =
        serde_json::from_str(&fs::read_to_string(net.dir().join("devnet.json")).unwrap()).unwrap();
    fs::write(&key, devnet["funded"][0]["private_key"].as_str().unwrap()).unwrap();
    let key = key.to_str().unwrap();
    for (arguments, reason) in [
        (["move", "dawn", "--country", "DE", "--key", key].as_slice(), "does not govern this network"),
        (&["suspend", "dawn", "--key", key], "does not govern this network"),
        (&["move", "dawn", "--country", "US"], "stands in US already"),
        (&["move", "dawn", "--country", "Germany"], "invalid value"),
        (&["move", "nobody", "--country", "DE"], "genesis names star, dawn"),
        (&["admit", "dawn", "--country", "DE"], "is not suspended"),
    ] {
        let refused = bxp_node(net, arguments).await;
        let said = String::from_utf8_lossy(&refused.stderr);
        assert!(!refused.status.success() && said.contains(reason), "{arguments:?}: {said}");
    }
    let listed = json(&bxp_node(net, &["list"]).await);
    assert!(listed["nodes"].as_array().unwrap().iter().all(|node| node["changedAt"] == 0), "{listed}");
}

/// `bxp node list` and `bxp record keepers` show the departure.
async fn listed(net: &Net, block: u64, departure: &Value) {
    let listed = json(&bxp_node(net, &["list"]).await);
    let dawn = &listed["nodes"][DAWN];
    let left = &dawn["left"][0];
    assert_eq!(
        (&dawn["country"], &dawn["changedAt"], &left["country"]),
        (&"DE".into(), &block.into(), &"US".into())
    );
    assert_eq!((&left["leftAt"], &left["owesProof"]), (&block.into(), &false.into()), "{listed}");
    let proof = left["proof"].as_str().unwrap().trim_start_matches("0x").to_owned();
    assert_eq!(departure["chain"]["proof"], proof.as_str());
    let config = &net.nodes[STAR].config;
    let keepers = bxp().args(["record", "keepers", "--config"]).arg(config).output().await.unwrap();
    let keepers = json(&keepers);
    assert_eq!(keepers["departures"][0]["chain"]["proof"], proof.as_str(), "{keepers}");
}

/// The holder goes too: its working copy is closed at once, and its records stay with the last node of the country.
async fn the_holder_moves(net: &mut Net, ids: &[String]) {
    let counted = net.nodes[STAR].client.get("/Patient?_summary=count").await;
    assert_eq!(counted.status, 200, "{}", counted.text);
    let block = move_node(net, STAR, "CA").await;
    let closed = net.nodes[STAR].client.get("/Patient?_summary=count").await;
    let empty = closed.body["total"] == 0;
    assert!(closed.status == 403 || empty, "{}", closed.text);
    assert_eq!(shown_whole(&net.nodes[STAR], ids).await, 0);
    let departure = proven(net, STAR, STAR_2, block).await;
    assert_eq!(counts(&departure, ["deleted", "unnamed"]), [ALL, 0], "{departure}");
    assert_eq!(identity(&net.nodes[STAR]).await, [ALL, 0, 0]);
    assert_eq!(identity(&net.nodes[STAR_2]).await, [ALL; 3]);
    assert_eq!(shown_whole(&net.nodes[STAR_2], ids).await as u64, ALL);

    for node in [STAR, DAWN] {
        net.nodes[node].kill().await;
        net.nodes[node].start().await;
    }
    net.connected().await;
    for (node, country) in [(STAR, "CA"), (DAWN, "DE"), (STAR_2, "US")] {
        let holdings = net.nodes[node].client.get("/holdings").await;
        assert_eq!(holdings.body["jurisdiction"], country, "{}", holdings.text);
        let keepers = net.nodes[node].client.get("/keepers").await;
        assert_eq!(
            (&keepers.body["height"], &keepers.body["leaving"]),
            (&block.into(), &Value::Array(vec![]))
        );
    }
    let counted = net.nodes[STAR].client.get("/Patient?_summary=count").await;
    assert_eq!((counted.status, &counted.body["total"]), (200, &0.into()), "{}", counted.text);
    assert_eq!(shown_whole(&net.nodes[STAR], ids).await, 0);
}
