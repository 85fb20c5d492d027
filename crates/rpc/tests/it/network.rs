//! `web3_`, `net_`, and what `eth_` says of the network.

use crate::client::Rig;
use serde_json::json;
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn the_network_and_the_node_are_named() {
    let rig = Rig::start().await;
    for (method, params, expected) in [
        ("web3_clientVersion", json!([]), json!("bxp/v0.1.0/test")),
        (
            "web3_sha3",
            json!(["0x68656c6c6f20776f726c64"]),
            json!("0x47173285a8d7341e5e972fc677286384f802f8ef42a5ec5f03bbfa254cb01fad"),
        ),
        ("net_version", json!([]), json!("7801")),
        ("net_listening", json!([]), json!(true)),
        ("net_peerCount", json!([]), json!("0x3")),
        ("eth_chainId", json!([]), json!("0x1e79")),
        ("eth_blockNumber", json!([]), json!("0x0")),
        ("eth_accounts", json!([]), json!([])),
        ("eth_syncing", json!([]), json!(false)),
    ] {
        assert_eq!(rig.call(method, params).await, expected, "{method}");
    }
    rig.ledger.mine(Vec::new());
    assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x1");
    let without_params = rig.post(json!({ "jsonrpc": "2.0", "id": 7, "method": "eth_chainId" })).await;
    assert_eq!(without_params, json!({ "jsonrpc": "2.0", "id": 7, "result": "0x1e79" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_is_behind_says_how_far() {
    let rig = Rig::start().await;
    rig.ledger.mine(Vec::new());
    rig.status.highest.store(40, Ordering::Relaxed);
    let syncing = rig.call("eth_syncing", json!([])).await;
    assert_eq!(
        (&syncing["startingBlock"], &syncing["currentBlock"], &syncing["highestBlock"]),
        (&json!("0x0"), &json!("0x1"), &json!("0x28"))
    );
    rig.status.highest.store(1, Ordering::Relaxed);
    assert_eq!(rig.call("eth_syncing", json!([])).await, false);
}
