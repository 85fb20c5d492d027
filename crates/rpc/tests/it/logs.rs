//! `eth_getLogs`.

use crate::{
    client::Rig,
    ledger::{log, transfer},
};
use alloy_primitives::{Address, B256};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;

fn address(byte: u8) -> Address {
    Address::repeat_byte(byte)
}

fn topic(byte: u8) -> B256 {
    B256::repeat_byte(byte)
}

/// Blocks 1 to 3 with logs, block 4 without.
async fn rig() -> Rig {
    let rig = Rig::start().await;
    rig.ledger.mine(vec![
        (transfer(1, 0, 1), vec![log(0xa1, &[1, 2])]),
        (transfer(1, 1, 1), vec![log(0xa2, &[1]), log(0xa1, &[3])]),
    ]);
    rig.ledger.mine(vec![(transfer(1, 2, 1), vec![log(0xa2, &[1, 4])])]);
    rig.ledger.mine(vec![(transfer(1, 3, 1), vec![log(0xa3, &[])])]);
    rig.ledger.mine(Vec::new());
    rig
}

/// Block number and log index of each log.
async fn places(rig: &Rig, filter: Value) -> Vec<(String, String)> {
    let logs = rig.call("eth_getLogs", json!([filter])).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    logs.as_array().unwrap().iter().map(|log| (text(&log["blockNumber"]), text(&log["logIndex"]))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_found_by_address_topics_and_range() {
    let rig = rig().await;
    let all = json!({ "fromBlock": "earliest", "toBlock": "latest" });
    let with = |more: Value| {
        let mut filter = all.clone();
        filter.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        filter
    };
    let place = |block: u8, log: u8| (format!("{block:#x}"), format!("{log:#x}"));
    for (filter, expected) in [
        (with(json!({})), vec![place(1, 0), place(1, 1), place(1, 2), place(2, 0), place(3, 0)]),
        (with(json!({ "address": address(0xa1) })), vec![place(1, 0), place(1, 2)]),
        (
            with(json!({ "address": [address(0xa1), address(0xa3)] })),
            vec![place(1, 0), place(1, 2), place(3, 0)],
        ),
        (with(json!({ "topics": [topic(1)] })), vec![place(1, 0), place(1, 1), place(2, 0)]),
        (with(json!({ "topics": [topic(1), [topic(2), topic(4)]] })), vec![place(1, 0), place(2, 0)]),
        (with(json!({ "topics": [null, topic(4)] })), vec![place(2, 0)]),
        (with(json!({ "address": address(0xa2), "fromBlock": "0x2" })), vec![place(2, 0)]),
        (with(json!({ "toBlock": "0x1", "topics": [topic(3)] })), vec![place(1, 2)]),
        (with(json!({ "address": address(0x55) })), vec![]),
        (json!({}), vec![]),
        (json!({ "fromBlock": "0x3", "toBlock": "0x4" }), vec![place(3, 0)]),
    ] {
        assert_eq!(places(&rig, filter.clone()).await, expected, "{filter}");
    }
    let block = rig.call("eth_getBlockByNumber", json!(["0x2", false])).await;
    assert_eq!(places(&rig, json!({ "blockHash": block["hash"] })).await, vec![place(2, 0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn blooms_spare_the_reading_of_receipts() {
    let rig = rig().await;
    rig.ledger.receipts_read.store(0, Ordering::Relaxed);
    places(&rig, json!({ "fromBlock": "0x0", "address": address(0xa3) })).await;
    assert_eq!(rig.ledger.receipts_read.load(Ordering::Relaxed), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_wide_or_senseless_queries_are_refused() {
    let rig = Rig::start().await;
    for _ in 0..10_000 {
        rig.ledger.mine(Vec::new());
    }
    let refusal = rig.refused("eth_getLogs", json!([{ "fromBlock": "0x0", "toBlock": "latest" }])).await;
    assert_eq!(refusal.code, -32_005);
    assert!(refusal.message.contains("ask for blocks 0 to 9999 first"), "{}", refusal.message);
    let whole = json!({ "fromBlock": "0x0", "toBlock": "latest", "address": address(0x11) });
    assert!(places(&rig, whole).await.is_empty(), "the index covers the whole chain");
    assert!(places(&rig, json!({ "fromBlock": "0x0", "toBlock": "0x270f" })).await.is_empty());
    for filter in [
        json!({ "fromBlock": "0x5", "toBlock": "0x4" }),
        json!({ "fromBlock": "0x5", "toBlock": "0x99999" }),
        json!({ "blockHash": topic(1), "fromBlock": "0x1" }),
        json!({ "topics": [null, null, null, null, null] }),
        json!({ "address": (0..1001_u64).map(|at| Address::left_padding_from(&at.to_be_bytes())).collect::<Vec<_>>() }),
    ] {
        assert_eq!(rig.refused("eth_getLogs", json!([filter])).await.code, -32_602, "{filter}");
    }
    let refusal = rig.refused("eth_getLogs", json!([{ "blockHash": topic(1) }])).await;
    assert_eq!((refusal.code, refusal.message.as_str()), (-32_000, "header not found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_too_many_logs_is_refused_with_a_range_that_works() {
    let rig = Rig::start().await;
    for nonce in 0..3 {
        rig.ledger.mine(vec![(transfer(1, nonce, 1), vec![log(0xa1, &[]); 8_000])]);
    }
    let refusal = rig.refused("eth_getLogs", json!([{ "fromBlock": "0x1" }])).await;
    assert_eq!(refusal.code, -32_005);
    assert!(refusal.message.contains("ask for blocks 1 to 2 first"), "{}", refusal.message);
    assert_eq!(places(&rig, json!({ "fromBlock": "0x1", "toBlock": "0x2" })).await.len(), 16_000);
}
