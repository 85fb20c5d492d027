//! `eth_subscribe`.

use crate::{
    client::Rig,
    ledger::{log, transfer},
};
use alloy_primitives::Address;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn new_heads_are_told_in_order() {
    let rig = Rig::start().await;
    let mut socket = rig.websocket().await;
    assert_eq!(socket.try_call("eth_chainId", json!([])).await.unwrap(), "0x1e79", "methods work here too");
    let id = socket.try_call("eth_subscribe", json!(["newHeads"])).await.unwrap();
    assert!(id.as_str().unwrap().starts_with("0x"));
    let mined: Vec<_> = (0..5).map(|_| rig.ledger.mine(Vec::new())).collect();
    for block in mined {
        let header = socket.notified(&id).await;
        assert_eq!(header["hash"], json!(block.hash));
        assert_eq!(header["number"], format!("{:#x}", block.header.number));
        assert_eq!(header["timestampMs"], format!("{:#x}", block.time_ms));
    }
    assert_eq!(socket.try_call("eth_unsubscribe", json!([id])).await.unwrap(), true);
    rig.ledger.mine(Vec::new());
    assert_eq!(socket.try_call("eth_blockNumber", json!([])).await.unwrap(), "0x6", "nothing came between");
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_told_as_the_filter_asks() {
    let rig = Rig::start().await;
    let mut socket = rig.websocket().await;
    let filter = json!({ "address": Address::repeat_byte(0xa1) });
    let id = socket.try_call("eth_subscribe", json!(["logs", filter])).await.unwrap();
    let logs = vec![log(0xa1, &[1]), log(0xa2, &[1]), log(0xa1, &[2])];
    let block = rig.ledger.mine(vec![(transfer(1, 0, 1), logs)]);
    for index in ["0x0", "0x2"] {
        let told = socket.notified(&id).await;
        assert_eq!((&told["logIndex"], &told["blockHash"]), (&json!(index), &json!(block.hash)));
    }
    let refusal = socket.try_call("eth_subscribe", json!(["logs", true])).await.unwrap_err();
    assert_eq!(refusal.code, -32_602);
    assert_eq!(socket.try_call("eth_subscribe", json!(["nonsense"])).await.unwrap_err().code, -32_602);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_over_http_is_refused() {
    let rig = Rig::start().await;
    assert!(rig.try_call("eth_subscribe", json!(["newHeads"])).await.is_err());
}
