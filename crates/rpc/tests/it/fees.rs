//! What gas costs.

use crate::{client::Rig, ledger::transfer};
use serde_json::json;
use std::sync::atomic::Ordering;

#[tokio::test(flavor = "multi_thread")]
async fn prices_follow_what_was_paid() {
    let rig = Rig::start().await;
    assert_eq!(rig.call("eth_maxPriorityFeePerGas", json!([])).await, "0x0");
    assert_eq!(rig.call("eth_gasPrice", json!([])).await, "0x465", "the next base fee");
    let tips = [10, 20, 30, 40, 50];
    rig.ledger.mine((0..).zip(tips).map(|(nonce, tip)| (transfer(1, nonce, tip), vec![])).collect());
    assert_eq!(rig.call("eth_maxPriorityFeePerGas", json!([])).await, "0x1e");
    assert_eq!(rig.call("eth_gasPrice", json!([])).await, "0x483");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fee_history_has_its_shape() {
    let rig = Rig::start().await;
    rig.ledger.mine((0..4).map(|nonce| (transfer(1, nonce, 10 + u128::from(nonce)), vec![])).collect());
    rig.ledger.mine(Vec::new());
    let history = rig.call("eth_feeHistory", json!(["0x2", "latest", [0, 50, 100]])).await;
    assert_eq!(
        history,
        json!({
            "oldestBlock": "0x1",
            "baseFeePerGas": ["0x3e8", "0x3e8", "0x465"],
            "gasUsedRatio": [0.0028, 0.0],
            "baseFeePerBlobGas": ["0x0", "0x0", "0x0"],
            "blobGasUsedRatio": [0.0, 0.0],
            "reward": [["0xa", "0xb", "0xd"], ["0x0", "0x0", "0x0"]],
        })
    );
    let history = rig.call("eth_feeHistory", json!([1024, "0x1", null])).await;
    assert_eq!(history["oldestBlock"], "0x0");
    assert_eq!(history["baseFeePerGas"].as_array().unwrap().len(), 3);
    assert_eq!(history.get("reward"), None);
    for params in [
        json!(["0x1", "0x9", []]),
        json!(["0x1", "latest", [101.0]]),
        json!(["0x1", "latest", [50, 10]]),
        json!(["0x1", "latest", vec![1; 101]]),
    ] {
        assert_eq!(rig.refused("eth_feeHistory", params.clone()).await.code, -32_602, "{params}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fee_history_reads_receipts_for_percentiles_alone() {
    let rig = Rig::start().await;
    for nonce in 0..5 {
        rig.ledger.mine(vec![(transfer(1, nonce, 10), vec![])]);
    }
    let before = rig.ledger.receipts_read.load(Ordering::Relaxed);
    for percentiles in [json!(null), json!([])] {
        rig.call("eth_feeHistory", json!(["0x400", "latest", percentiles])).await;
    }
    assert_eq!(rig.ledger.receipts_read.load(Ordering::Relaxed), before);
    rig.call("eth_feeHistory", json!(["0x3", "latest", [50]])).await;
    assert_eq!(rig.ledger.receipts_read.load(Ordering::Relaxed), before + 3);
}
