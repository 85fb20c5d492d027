//! `eth_simulateV1`.

use crate::dev::{DevRig, SPINS, STORES};
use alloy_primitives::Address;
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn blocks_follow_one_another_and_leave_nothing() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(STORES).await;
    let (from, to) = (rig.account(0), Address::repeat_byte(0x77));
    let head = rig.call("eth_getBlockByNumber", json!(["latest", false])).await;
    let payload = json!({
        "blockStateCalls": [
            { "calls": [{ "from": from, "to": contract, "data": format!("0x{:064x}", 5) }] },
            { "calls": [{ "to": contract }, { "from": from, "to": to, "value": "0x9" }] },
        ],
        "traceTransfers": true,
    });
    let blocks = rig.call("eth_simulateV1", json!([payload, "latest"])).await;
    assert_eq!(blocks[0]["parentHash"], head["hash"]);
    assert_eq!(blocks[1]["parentHash"], blocks[0]["hash"]);
    assert_eq!(blocks[0]["calls"][0]["logs"][0]["address"], json!(contract));
    assert_eq!(blocks[1]["calls"][0]["returnData"], format!("0x{:064x}", 5));
    let moved = &blocks[1]["calls"][1]["logs"][0];
    assert_eq!(moved["address"], "0xeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee");
    assert_eq!(rig.call("eth_call", json!([{ "to": contract }])).await, format!("0x{:064x}", 0));
    assert_eq!(rig.call("eth_getBalance", json!([to])).await, "0x0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_simulated_state_root_is_that_of_the_real_block() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(STORES).await;
    let from = rig.account(0);
    rig.call("evm_setAutomine", json!([false])).await;
    let request = json!({ "from": from, "to": contract, "data": format!("0x{:064x}", 5), "value": "0x0" });
    rig.call("eth_sendTransaction", json!([request])).await;
    let head = rig.call("eth_blockNumber", json!([])).await;
    rig.call("evm_mine", json!([])).await;
    let real = rig.call("eth_getBlockByNumber", json!(["latest", true])).await;
    let sent = &real["transactions"][0];
    let call = json!({
        "from": from, "to": contract, "data": sent["input"], "gas": sent["gas"], "nonce": sent["nonce"],
        "maxFeePerGas": sent["maxFeePerGas"], "maxPriorityFeePerGas": sent["maxPriorityFeePerGas"],
    });
    let overrides = json!({
        "time": real["timestamp"], "baseFeePerGas": real["baseFeePerGas"], "prevRandao": real["mixHash"],
        "beaconRoot": real["parentBeaconBlockRoot"],
    });
    let payload = json!({
        "blockStateCalls": [{ "blockOverrides": overrides, "calls": [call] }], "validation": true,
    });
    let simulated = rig.call("eth_simulateV1", json!([payload, head])).await;
    assert_eq!(simulated[0]["gasUsed"], real["gasUsed"]);
    assert_eq!(simulated[0]["receiptsRoot"], real["receiptsRoot"]);
    assert_eq!(simulated[0]["stateRoot"], real["stateRoot"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn simulations_are_bounded() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(SPINS).await;
    let many: Vec<_> = (0..300).map(|_| json!({})).collect();
    let refusal = rig.refused("eth_simulateV1", json!([{ "blockStateCalls": many }, "latest"])).await;
    assert_eq!((refusal.code, refusal.message.as_str()), (-38_026, "too many blocks"));
    let calls: Vec<_> = (0..100).map(|_| json!({ "to": contract, "gas": "0x989680" })).collect();
    let refusal =
        rig.refused("eth_simulateV1", json!([{ "blockStateCalls": [{ "calls": calls }] }, "latest"])).await;
    assert!([-38_013, -38_015].contains(&refusal.code), "{refusal:?}");
    let early = json!([{ "blockStateCalls": [{ "blockOverrides": { "time": "0x1" } }] }, "latest"]);
    assert_eq!(rig.refused("eth_simulateV1", early).await.code, -38_021);
}
