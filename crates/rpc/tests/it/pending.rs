//! Goal: `pending` is what the node would propose next, executed: a block, its receipts, and a state to read and call.

use crate::dev::{DevRig, STORES};
use serde_json::json;

/// Calldata of one word.
fn word(value: u8) -> String {
    format!("0x{value:064x}")
}

#[tokio::test(flavor = "multi_thread")]
async fn without_transactions_it_is_an_empty_block_above_the_newest() {
    let rig = DevRig::start().await;
    let latest = rig.call("eth_getBlockByNumber", json!(["latest", false])).await;
    let pending = rig.call("eth_getBlockByNumber", json!(["pending", true])).await;
    assert_eq!((&pending["number"], &pending["parentHash"]), (&json!("0x1"), &latest["hash"]));
    assert_eq!(pending["transactions"], json!([]));
    for field in ["hash", "nonce", "miner"] {
        assert!(pending[field].is_null(), "{field}");
    }
    assert_eq!(rig.call("eth_getBlockTransactionCountByNumber", json!(["pending"])).await, "0x0");
    let balance = |tag: &str| json!([rig.account(1), tag]);
    let (pending, latest) = tokio::join!(
        rig.call("eth_getBalance", balance("pending")),
        rig.call("eth_getBalance", balance("latest"))
    );
    assert_eq!(pending, latest);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_transactions_are_executed_in_it_and_the_chain_does_not_move() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(STORES).await;
    rig.call("evm_setAutomine", json!([false])).await;
    let (rich, to) = (rig.account(0), "0x00000000000000000000000000000000000000c1");
    let send = |request| rig.call("eth_sendTransaction", json!([request]));
    let paid = send(json!({ "from": rich, "to": to, "value": "0x64" })).await;
    let stored = send(json!({ "from": rich, "to": contract, "data": word(7) })).await;
    let deployed = send(json!({ "from": rich, "data": STORES })).await;

    let block = rig.call("eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!(block["transactions"], json!([paid, stored, deployed]));
    let full = rig.call("eth_getBlockByNumber", json!(["pending", true])).await;
    assert_eq!(
        (&full["transactions"][1]["hash"], &full["transactions"][1]["blockHash"]),
        (&stored, &json!(null))
    );
    assert_eq!(rig.call("eth_getBlockTransactionCountByNumber", json!(["pending"])).await, "0x3");
    let at = rig.call("eth_getTransactionByBlockNumberAndIndex", json!(["pending", "0x1"])).await;
    assert_eq!(at["hash"], stored);
    let receipts = rig.call("eth_getBlockReceipts", json!(["pending"])).await;
    assert_eq!((&receipts[1]["status"], receipts[1]["logs"].as_array().unwrap().len()), (&json!("0x1"), 1));
    let made = receipts[2]["contractAddress"].clone();

    for (tag, nonce, balance, slot) in [("latest", "0x1", "0x0", 0), ("pending", "0x4", "0x64", 7)] {
        assert_eq!(rig.call("eth_getTransactionCount", json!([rich, tag])).await, nonce);
        assert_eq!(rig.call("eth_getBalance", json!([to, tag])).await, balance);
        assert_eq!(rig.call("eth_getStorageAt", json!([contract, "0x0", tag])).await, word(slot));
        assert_eq!(rig.call("eth_call", json!([{ "to": contract }, tag])).await, word(slot));
        let code = rig.call("eth_getCode", json!([made, tag])).await;
        assert_eq!(code != "0x", tag == "pending", "{tag}: {code}");
    }
    let simulated = json!([{ "blockStateCalls": [{ "calls": [{ "to": contract }] }] }, "pending"]);
    let simulated = rig.call("eth_simulateV1", simulated).await;
    assert_eq!(
        (&simulated[0]["number"], &simulated[0]["calls"][0]["returnData"]),
        (&json!("0x3"), &json!(word(7)))
    );
    let refusal = rig.refused("eth_getProof", json!([contract, [], "pending"])).await;
    assert_eq!(
        (refusal.code, refusal.message.as_str()),
        (-32_000, "the pending state has no proofs; ask for the latest block's")
    );
    assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x1");

    // What was pending is what the block does.
    rig.call("evm_mine", json!([])).await;
    let receipts_now = rig.call("eth_getBlockReceipts", json!(["latest"])).await;
    for index in 0..3 {
        for field in ["transactionHash", "gasUsed", "status", "contractAddress", "cumulativeGasUsed"] {
            assert_eq!(receipts_now[index][field], receipts[index][field], "{index} {field}");
        }
    }
    let mined = rig.call("eth_getBlockByNumber", json!(["latest", false])).await;
    for field in ["number", "gasUsed", "baseFeePerGas", "transactionsRoot", "receiptsRoot", "logsBloom"] {
        assert_eq!(mined[field], block[field], "{field}");
    }
    assert_eq!(rig.call("eth_getStorageAt", json!([contract, "0x0", "latest"])).await, word(7));
    let after = rig.call("eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!((&after["transactions"], &after["parentHash"]), (&json!([]), &mined["hash"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_enter_is_left_out() {
    let rig = DevRig::start().await;
    rig.call("evm_setAutomine", json!([false])).await;
    let gap = json!({ "from": rig.account(0), "to": rig.account(1), "value": "0x1", "nonce": "0x5" });
    rig.call("eth_sendTransaction", json!([gap])).await;
    let block = rig.call("eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!(block["transactions"], json!([]));
    assert_eq!(rig.call("eth_getTransactionCount", json!([rig.account(0), "pending"])).await, "0x0");
}
