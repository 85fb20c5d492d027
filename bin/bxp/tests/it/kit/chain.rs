//! What nodes say about the chain, and whether they say the same.

use super::{BOUND, Client, NodeProcess, until};
use alloy_primitives::B256;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Calls in one batch; a node takes at most 200.
const BATCH: usize = 200;

/// The newest block's number.
pub(crate) async fn head(client: &Client) -> u64 {
    number(&client.rpc("eth_blockNumber", "[]").await.unwrap())
}

/// The newest block's numbers of all.
pub(crate) async fn heads_of(nodes: &[NodeProcess]) -> Vec<u64> {
    let mut heads = Vec::new();
    for node in nodes {
        heads.push(head(&node.client).await);
    }
    heads
}

fn number(hex: &Value) -> u64 {
    u64::from_str_radix(hex.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// Waits until all nodes have come to the highest head of now, and compares block hashes at every height up to it.
pub(crate) async fn assert_equal_chains(nodes: &[NodeProcess]) -> u64 {
    let goal = heads_of(nodes).await.into_iter().max().unwrap();
    for node in nodes {
        until(&format!("{} comes to block {goal}", node.name), async || head(&node.client).await >= goal)
            .await;
    }
    let first = hashes(&nodes[0].client, goal).await;
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len(), "every block has its own hash");
    for node in &nodes[1..] {
        let others = hashes(&node.client, goal).await;
        let differs = first.iter().zip(&others).position(|(mine, theirs)| mine != theirs);
        assert_eq!(differs, None, "{} and {} differ at this height", nodes[0].name, node.name);
        assert_eq!(first.len(), others.len());
    }
    goal
}

/// Block hashes from genesis to `last`.
async fn hashes(client: &Client, last: u64) -> Vec<String> {
    let heights: Vec<u64> = (0..=last).collect();
    let mut hashes = Vec::new();
    for heights in heights.chunks(BATCH) {
        let call = |height: &u64| ("eth_getBlockByNumber", json!([format!("{height:#x}"), false]));
        let blocks = client.rpc_batch(&heights.iter().map(call).collect::<Vec<_>>()).await.unwrap();
        for (height, block) in heights.iter().zip(blocks) {
            assert_eq!(number(&block["number"]), *height);
            hashes.push(block["hash"].as_str().unwrap().to_owned());
        }
    }
    hashes
}

/// Waits until each transaction has a receipt at this node, and asserts that each succeeded.
pub(crate) async fn assert_included(node: &NodeProcess, transactions: &[B256]) {
    let deadline = tokio::time::Instant::now() + BOUND;
    let mut missing = transactions.to_vec();
    loop {
        let mut still = Vec::new();
        for hashes in missing.chunks(BATCH) {
            let call = |hash: &B256| ("eth_getTransactionReceipt", json!([hash]));
            let receipts = node.client.rpc_batch(&hashes.iter().map(call).collect::<Vec<_>>()).await.unwrap();
            for (hash, receipt) in hashes.iter().zip(receipts) {
                match &receipt["status"] {
                    Value::Null => still.push(*hash),
                    status => assert_eq!(status, "0x1", "{hash} at {}", node.name),
                }
            }
        }
        missing = still;
        if missing.is_empty() {
            return;
        }
        let (count, all) = (missing.len(), transactions.len());
        assert!(
            tokio::time::Instant::now() < deadline,
            "{} has no receipt for {count} of {all} acknowledged transactions, such as {}",
            node.name,
            missing[0]
        );
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}
