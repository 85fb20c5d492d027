//! The pool, for those who look into it, and what arrives there.

use crate::{
    client::Rig,
    ledger::{account_of, key, raw, transfer},
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_pool_shows_what_waits() {
    let rig = Rig::start().await;
    for nonce in 0..2 {
        rig.call("eth_sendRawTransaction", json!([raw(&transfer(1, nonce, 7))])).await;
    }
    let sender = account_of(&key(1));
    assert_eq!(rig.call("txpool_status", json!([])).await, json!({ "pending": "0x2", "queued": "0x0" }));
    let content = rig.call("txpool_content", json!([])).await;
    let of_sender = &content["pending"][sender.to_checksum(None)];
    assert_eq!(of_sender["1"]["nonce"], "0x1");
    assert_eq!(of_sender["1"]["blockHash"], json!(null));
    let from = rig.call("txpool_contentFrom", json!([sender])).await;
    assert_eq!(&from["pending"], of_sender);
    let lines = rig.call("txpool_inspect", json!([])).await;
    let line = lines["pending"][sender.to_checksum(None)]["0"].as_str().unwrap();
    assert!(line.ends_with(": 5 wei + 21000 gas × 10000 wei"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn arrivals_are_told_to_filters_and_subscribers() {
    let rig = Rig::start().await;
    let filter = rig.call("eth_newPendingTransactionFilter", json!([])).await;
    let mut socket = rig.websocket().await;
    let hashes = socket.try_call("eth_subscribe", json!(["newPendingTransactions"])).await.unwrap();
    let first = rig.call("eth_sendRawTransaction", json!([raw(&transfer(1, 0, 7))])).await;
    assert_eq!(socket.notified(&hashes).await, first);
    let mut other = rig.websocket().await;
    let full = other.try_call("eth_subscribe", json!(["newPendingTransactions", true])).await.unwrap();
    let second = rig.call("eth_sendRawTransaction", json!([raw(&transfer(1, 1, 7))])).await;
    assert_eq!(other.notified(&full).await["hash"], second);
    assert_eq!(rig.call("eth_getFilterChanges", json!([filter])).await, json!([first, second]));
    assert_eq!(rig.call("eth_getFilterChanges", json!([filter])).await, json!([]));
}
