//! A country that wants two copies: three of its nodes as real processes, and which of them has what.

use crate::{
    kit::{Net, NodeProcess, until},
    records::{ALL, bundle, counts, ingest},
};
use serde_json::Value;
use std::fs;

/// Validators in their order: Star, Dawn and Star 2 in the US, Rhein in Germany, the regulator in Canada.
const HOLDER: usize = 0;
const OTHERS: [usize; 2] = [1, 4];
const ABROAD: [usize; 2] = [2, 3];

/// Three nodes in the US that keep two copies, of which the first has taken a bundle in.
pub(crate) async fn start(ward: &str) -> Net {
    let mut net = Net::make_of(&["--validators", "5", "--identity-copies", "US=2"]).await;
    net.start_all().await;
    let report = ingest(&net.nodes[HOLDER], &bundle(ward)).await;
    assert_eq!(counts(&report.body, ["new", "refused"]), [ALL, 0], "{}", report.text);
    net
}

/// Records of the US that the node knows, and their identity blocks and keys that it has.
pub(crate) async fn identity(node: &NodeProcess) -> [u64; 3] {
    counts(&node.client.holding("US").await, ["records", "identityBlocks", "identityKeys"])
}

/// The ids of all records.
pub(crate) async fn ids(node: &NodeProcess) -> Vec<String> {
    let listed = node.client.get("/records?limit=200").await;
    let records = listed.body["records"].as_array().unwrap();
    records.iter().map(|record| record["record_id"].as_str().unwrap().to_owned()).collect()
}

/// Which part of a record the node shows, if any. What is not the whole names nobody.
pub(crate) async fn part_shown(node: &NodeProcess, id: &str) -> Option<String> {
    let answer = node.client.get(&format!("/records/{id}")).await;
    let part = answer.body["part"].as_str().map(str::to_owned);
    let named = answer.text.contains("Wexford") || answer.text.contains("patient-");
    assert!(part.as_deref() == Some("whole") || !named, "{}: {}", node.name, answer.text);
    part
}

/// Waits until everyone knows every record, and asserts that each identity block lies at the holder and one other node of
/// the country. Gives how many those two have.
async fn assert_two_copies(net: &Net, records: u64) -> [u64; 2] {
    for node in &net.nodes {
        until(&format!("{} knows every record", node.name), async || {
            counts(&node.client.holding("US").await, ["records", "deidentifiedBlocks"]) == [records; 2]
        })
        .await;
    }
    assert_eq!(identity(&net.nodes[HOLDER]).await, [records; 3]);
    for node in ABROAD {
        assert_eq!(identity(&net.nodes[node]).await, [records, 0, 0]);
    }
    let mut kept = [0; 2];
    for (kept, node) in kept.iter_mut().zip(OTHERS) {
        let [_, blocks, keys] = identity(&net.nodes[node]).await;
        assert_eq!(blocks, keys);
        *kept = blocks;
    }
    assert_eq!(kept[0] + kept[1], records, "{kept:?}");
    kept
}

/// The ids of all records, and for each which of [`OTHERS`] shows it whole.
async fn shown_whole(net: &Net) -> Vec<(String, usize)> {
    let mut shown = Vec::new();
    for id in ids(&net.nodes[HOLDER]).await {
        let mut whole = Vec::new();
        for node in OTHERS {
            match part_shown(&net.nodes[node], &id).await.as_deref() {
                Some("whole") => whole.push(node),
                part => assert_eq!(part, Some("de-identified")),
            }
        }
        assert_eq!(whole.len(), 1, "record {id} at {whole:?}");
        shown.push((id, whole[0]));
    }
    shown
}

/// Goal: two copies in the country and no more, through `kill -9` and a scrub; an erasure is signed by all. Way: three nodes
/// in the US, of which the first takes everything in.
#[tokio::test(flavor = "multi_thread")]
async fn two_of_three_nodes_of_a_country_keep_a_record() {
    let mut net = start("5").await;
    let kept = assert_two_copies(&net, ALL).await;
    assert!(kept.iter().all(|kept| *kept > 0), "{kept:?}");
    let shown = shown_whole(&net).await;

    net.nodes[OTHERS[1]].kill().await;
    net.nodes[OTHERS[1]].start().await;
    net.connected().await;
    for node in OTHERS {
        let scrubbed = net.nodes[node].client.post("/scrub", "").await.unwrap();
        assert_eq!(counts(&scrubbed.body, ["missing", "damaged", "mended"]), [0; 3], "{}", scrubbed.text);
    }
    assert_eq!(assert_two_copies(&net, ALL).await, kept, "neither brings more copies");
    let keepers = net.nodes[HOLDER].client.get("/keepers").await;
    assert_eq!(keepers.body["nodes"].as_array().unwrap().len(), 5, "{}", keepers.text);
    assert_eq!(keepers.body["departures"], Value::Array(Vec::new()));

    for node in OTHERS {
        let (id, _) = shown.iter().find(|(_, whole)| *whole == node).unwrap();
        let erased = net.nodes[HOLDER].client.delete(&format!("/records/{id}")).await;
        assert_eq!(erased.status, 200, "{}", erased.text);
        until("all nodes have signed the erasure", async || {
            let erasure = net.nodes[HOLDER].client.get(&format!("/records/{id}/erasure")).await;
            erasure.body["receipts"].as_array().is_some_and(|receipts| receipts.len() == 4)
        })
        .await;
        for node in OTHERS {
            assert_eq!(net.nodes[node].client.get(&format!("/records/{id}")).await.status, 404);
        }
    }
    assert_two_copies(&net, ALL - 2).await;
    assert!(fs::read_to_string(net.dir().join("genesis.json")).unwrap().contains("identity_copies"));
}
