//! Requests that would take all of the node: each is answered within a bound, and the node goes on.

use crate::{
    client::Rig,
    dev::{DevRig, SPINS},
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a hostile request may take.
const PATIENCE: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_ten_thousand_is_refused_at_once() {
    let rig = Rig::start().await;
    let one = json!({ "jsonrpc": "2.0", "id": 1, "method": "eth_blockNumber", "params": [] });
    let began = Instant::now();
    let answer = rig.post(Value::from(vec![one; 10_000])).await;
    assert!(answer["error"]["code"].is_i64(), "{answer}");
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x0");
}

#[tokio::test(flavor = "multi_thread")]
async fn deep_json_is_refused() {
    let rig = Rig::start().await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"eth_getLogs","params":{deep}}}"#);
    let answer = reqwest::Client::new()
        .post(rig.url())
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .unwrap()
        .text()
        .await
        .unwrap();
    assert!(answer.contains("error"), "{answer}");
    assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x0");
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_transactions_are_told_so() {
    let rig = Rig::start().await;
    for raw in ["0x", "0x00", "0x02", "0xf8", "0xc0", "0x02f8ffff", "0x7fffffff", "0xb9ffff"] {
        let refusal = rig.refused("eth_sendRawTransaction", json!([raw])).await;
        assert_eq!(refusal.code, -32_000, "{raw}: {refusal:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_burn_gas_stop_no_block() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(SPINS).await;
    let burn = json!([{ "to": contract, "gas": "0xffffffffffffffff" }, "latest"]);
    let began = Instant::now();
    let burning: Vec<_> = (0..16).map(|_| rig.try_call("eth_call", burn.clone())).collect();
    let (answers, receipt) = tokio::join!(
        futures::future::join_all(burning),
        rig.send(json!({ "to": rig.account(1), "value": "0x1" })),
    );
    assert_eq!(receipt["status"], "0x1");
    // On a busy machine some run out of time before they run out of gas.
    for answer in &answers {
        let words = answer.as_ref().map_err(|refusal| refusal.message.as_str());
        assert!(matches!(words, Err("out of gas" | "execution timeout")), "{words:?}");
    }
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_is_bounded_by_gas() {
    let rig = DevRig::start().await;
    // Writes to memory at 2^32 - 1: more than any gas pays for.
    let code = json!({ "0x00000000000000000000000000000000000000aa": { "code": "0x60ff63ffffffff5200" } });
    let call = json!([{ "to": "0x00000000000000000000000000000000000000aa" }, "latest", code]);
    assert_eq!(rig.refused("eth_call", call).await.message, "out of gas");
}
