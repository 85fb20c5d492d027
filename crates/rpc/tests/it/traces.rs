//! Traces and raw encodings.

use crate::dev::{DevRig, REVERTS_WITH_REASON, SPINS, STORES};
use alloy_primitives::{B256, Bytes, keccak256};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn tracers_show_what_a_transaction_did() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(STORES).await;
    rig.send(json!({ "to": contract, "data": format!("0x{:064x}", 1) })).await;
    let receipt = rig.send(json!({ "to": contract, "data": format!("0x{:064x}", 2) })).await;
    let hash = &receipt["transactionHash"];
    let trace = |options| rig.call("debug_traceTransaction", json!([hash, options]));

    let steps = trace(json!({})).await;
    assert_eq!((&steps["failed"], &steps["gas"]), (&json!(false), &json!(gas(&receipt))));
    let logs = steps["structLogs"].as_array().unwrap();
    assert_eq!(
        (logs[0]["op"].as_str(), logs.last().unwrap()["op"].as_str()),
        (Some("CALLDATASIZE"), Some("STOP"))
    );
    assert!(logs.iter().any(|log| log["op"] == "SSTORE"));

    let calls = trace(json!({ "tracer": "callTracer", "tracerConfig": { "withLog": true } })).await;
    assert_eq!((&calls["type"], &calls["to"]), (&json!("CALL"), &json!(contract)));
    assert_eq!(calls["gasUsed"], receipt["gasUsed"]);
    assert_eq!(calls["logs"].as_array().unwrap().len(), 1);

    let slot = format!("0x{:064x}", 0);
    let word = |value: u64| json!(format!("0x{value:064x}"));
    let name = format!("{contract:#x}");
    let before = trace(json!({ "tracer": "prestateTracer" })).await;
    assert_eq!(before[&name]["storage"][&slot], word(1));
    let diff = trace(json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } })).await;
    assert_eq!(diff["pre"][&name]["storage"][&slot], word(1));
    assert_eq!(diff["post"][&name]["storage"][&slot], word(2));
    assert_eq!(trace(json!({ "tracer": "noopTracer" })).await, json!({}));
    assert!(trace(json!({ "tracer": "4byteTracer" })).await.is_object());
    let refusal = rig.refused("debug_traceTransaction", json!([hash, { "tracer": "{step: ..." }])).await;
    assert_eq!(refusal.code, -32_602);

    let block = rig.call("debug_traceBlockByNumber", json!(["latest", { "tracer": "callTracer" }])).await;
    assert_eq!((&block[0]["txHash"], &block[0]["result"]), (hash, &json!(calls_without_logs(&calls))));
    let by_hash =
        rig.call("debug_traceBlockByHash", json!([receipt["blockHash"], { "tracer": "callTracer" }])).await;
    assert_eq!(by_hash, block);
}

fn calls_without_logs(calls: &serde_json::Value) -> serde_json::Value {
    let mut calls = calls.clone();
    calls.as_object_mut().unwrap().remove("logs");
    calls
}

fn gas(receipt: &serde_json::Value) -> u64 {
    receipt["gasUsed"].as_str().unwrap().parse::<alloy_primitives::U256>().unwrap().to()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_traced_call_sees_overrides_and_its_revert() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(REVERTS_WITH_REASON).await;
    let trace =
        rig.call("debug_traceCall", json!([{ "to": contract }, "latest", { "tracer": "callTracer" }])).await;
    assert_eq!((&trace["error"], &trace["revertReason"]), (&json!("execution reverted"), &json!("no")));
    let overrides = json!({ contract.to_string(): { "code": "0x00" } });
    let options = json!({ "tracer": "callTracer", "stateOverrides": overrides });
    let trace = rig.call("debug_traceCall", json!([{ "to": contract }, "latest", options])).await;
    assert!(trace.get("error").is_none(), "{trace}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_bounded_in_what_it_records() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(SPINS).await;
    let call = json!({ "to": contract, "gas": "0x2faf080" });
    let refusal = rig.refused("debug_traceCall", json!([call, "latest", {}])).await;
    assert_eq!(refusal.code, -32_005, "{refusal:?}");
    // Without a record of each step the call just ends.
    let trace = rig.call("debug_traceCall", json!([call, "latest", { "tracer": "callTracer" }])).await;
    assert_eq!(trace["error"], "out of gas");
}

/// Code that is never deployed: it stands at [`RUNS`] for one call alone.
const RUNS: &str = "0x00000000000000000000000000000000000000aa";
/// Writes at 1 MiB once and then at 0 for ever: each instruction has the whole MiB as its memory.
const WRITES_MEMORY: &str = "0x600162100000525b6000600052600756";
/// Reads slot after slot: each reading instruction has all slots before it as its storage.
const READS_SLOTS: &str = "0x60005b80545060010160025600";

fn call_of(code: &str, gas: &str, mut options: serde_json::Value) -> serde_json::Value {
    options["stateOverrides"] = json!({ RUNS: { "code": code } });
    json!([{ "to": RUNS, "gas": gas }, "latest", options])
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_storage_count_as_what_a_trace_records() {
    let rig = DevRig::start().await;
    for options in [json!({ "enableMemory": true }), json!({ "disableMemory": false })] {
        let call = call_of(WRITES_MEMORY, "0x2faf080", options.clone());
        let refusal = rig.refused("debug_traceCall", call).await;
        assert_eq!(refusal.code, -32_005, "{options}: {refusal:?}");
        assert!(refusal.message.contains("byte limit"), "{options}: {}", refusal.message);
    }
    let refusal = rig.refused("debug_traceCall", call_of(READS_SLOTS, "0x989680", json!({}))).await;
    assert_eq!(refusal.code, -32_005, "{refusal:?}");
    // What is left out of the record is not counted.
    let call = call_of(READS_SLOTS, "0x989680", json!({ "disableStorage": true }));
    assert_eq!(rig.call("debug_traceCall", call).await["failed"], true);
    let call = call_of(WRITES_MEMORY, "0x3d0900", json!({ "disableMemory": false, "limit": 3 }));
    let trace = rig.call("debug_traceCall", call).await;
    assert_eq!(trace["structLogs"].as_array().unwrap().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tracer_that_records_everything_is_refused() {
    let rig = DevRig::start().await;
    for options in [
        json!({ "tracer": "erc7562Tracer" }),
        json!({ "tracer": "muxTracer", "tracerConfig": { "erc7562Tracer": {} } }),
    ] {
        let call = call_of(WRITES_MEMORY, "0x2faf080", options.clone());
        assert_eq!(rig.refused("debug_traceCall", call).await.code, -32_602, "{options}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_traced_call_can_stand_inside_of_a_block() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(STORES).await;
    rig.call("evm_setAutomine", json!([false])).await;
    for value in [5, 6] {
        let request = json!({ "from": rig.account(0), "to": contract, "data": format!("0x{value:064x}") });
        rig.call("eth_sendTransaction", json!([request])).await;
    }
    rig.call("evm_mine", json!([])).await;
    let call = |options| json!([{ "to": contract }, "latest", options]);
    for (index, value) in [(Some("0x0"), 0), (Some("0x1"), 5), (None, 6)] {
        let options = json!({ "tracer": "callTracer", "txIndex": index });
        let trace = rig.call("debug_traceCall", call(options)).await;
        assert_eq!(trace["output"], format!("0x{value:064x}"), "before transaction {index:?}");
    }
    let refusal = rig.refused("debug_traceCall", call(json!({ "txIndex": "0x2" }))).await;
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (-32_602, "transaction index 2 out of range for block")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn raw_encodings_hash_to_their_names() {
    let rig = DevRig::start().await;
    let receipt = rig.send(json!({ "to": rig.account(1), "value": "0x1" })).await;
    let header: Bytes =
        serde_json::from_value(rig.call("debug_getRawHeader", json!(["latest"])).await).unwrap();
    assert_eq!(json!(keccak256(&header)), receipt["blockHash"]);
    let block: Bytes =
        serde_json::from_value(rig.call("debug_getRawBlock", json!(["latest"])).await).unwrap();
    assert!(block.windows(header.len()).any(|window| window == header.as_ref()));
    let hash = &receipt["transactionHash"];
    let raw: Bytes =
        serde_json::from_value(rig.call("debug_getRawTransaction", json!([hash])).await).unwrap();
    assert_eq!(&json!(keccak256(&raw)), hash);
    assert_eq!(rig.call("eth_getRawTransactionByHash", json!([hash])).await, json!(raw));
    let receipts = rig.call("debug_getRawReceipts", json!(["latest"])).await;
    assert!(receipts[0].as_str().unwrap().starts_with("0x02"), "{receipts}");

    let unknown = json!([B256::repeat_byte(9)]);
    assert_eq!(rig.call("debug_getRawTransaction", unknown.clone()).await, "0x");
    assert_eq!(rig.refused("debug_traceTransaction", unknown.clone()).await.message, "transaction not found");
    assert!(rig.refused("debug_traceBlockByHash", unknown).await.message.ends_with("not found"));
    assert_eq!(
        rig.refused("debug_traceBlockByNumber", json!(["0x0"])).await.message,
        "genesis is not traceable"
    );
    assert_eq!(rig.refused("debug_getRawBlock", json!(["2"])).await.code, -32_602);
}
