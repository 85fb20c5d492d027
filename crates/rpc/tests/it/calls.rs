//! Calls, estimates and access lists, on a real state.

use crate::dev::{DevRig, REVERTS_WITH_REASON, SPINS, STORES};
use alloy_primitives::{Address, U256};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_call_runs_on_the_state_that_is_asked_for() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(STORES).await;
    rig.send(json!({ "to": contract, "data": format!("0x{:064x}", 7) })).await;
    rig.send(json!({ "to": contract, "data": format!("0x{:064x}", 8) })).await;
    let read = json!({ "to": contract });
    let word = |value: u64| json!(format!("0x{value:064x}"));
    assert_eq!(rig.call("eth_call", json!([read, "latest"])).await, word(8));
    assert_eq!(rig.call("eth_call", json!([read, "0x2"])).await, word(7));
    assert_eq!(rig.call("eth_call", json!([read, { "blockNumber": "0x1" }])).await, word(0));
    let refusal = rig.refused("eth_call", json!([read, "0x99"])).await;
    assert_eq!((refusal.code, refusal.message.as_str()), (-32_000, "header not found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn overrides_hold_for_the_call_alone() {
    let rig = DevRig::start().await;
    let (nobody, contract) = (Address::repeat_byte(0xaa), Address::repeat_byte(0xbb));
    // Returns the number of the block.
    let number = json!({ contract.to_string(): { "code": "0x4360005260206000f3" } });
    let answer =
        rig.call("eth_call", json!([{ "to": contract }, "latest", number, { "number": "0x4d2" }])).await;
    assert_eq!(answer, json!(format!("0x{:064x}", 1_234)));
    assert_eq!(rig.call("eth_getCode", json!([contract, "latest"])).await, "0x");

    let pays = json!({ "from": nobody, "to": contract, "value": "0x64" });
    let refusal = rig.refused("eth_call", json!([pays, "latest"])).await;
    assert!(refusal.message.contains("insufficient funds for gas * price + value"), "{}", refusal.message);
    let rich = json!({ nobody.to_string(): { "balance": "0x64" } });
    assert_eq!(rig.call("eth_call", json!([pays, "latest", rich])).await, "0x");

    let both = json!({ contract.to_string(): { "state": {}, "stateDiff": {} } });
    assert_eq!(rig.refused("eth_call", json!([{ "to": contract }, "latest", both])).await.code, -32_602);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_is_error_3_with_its_data() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(REVERTS_WITH_REASON).await;
    for method in ["eth_call", "eth_estimateGas"] {
        let refusal = rig.refused(method, json!([{ "to": contract }])).await;
        assert_eq!((refusal.code, refusal.message.as_str()), (3, "execution reverted: no"));
        assert!(refusal.data.as_str().unwrap().starts_with("0x08c379a0"), "{}", refusal.data);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let rig = DevRig::start().await;
    for request in [
        json!({ "gasPrice": "0x1", "maxFeePerGas": "0x1" }),
        json!({ "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2" }),
        json!({ "data": "0x01", "input": "0x02" }),
        json!({ "chainId": "0x1" }),
        json!({ "to": "0x12" }),
    ] {
        assert_eq!(rig.refused("eth_call", json!([request])).await.code, -32_602, "{request}");
    }
    let cheap = json!({ "from": rig.account(0), "to": rig.account(1), "gasPrice": "0x1" });
    let refusal = rig.refused("eth_call", json!([cheap])).await;
    assert!(refusal.message.contains("max fee per gas less than block base fee"), "{}", refusal.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_is_enough_and_not_much_more() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(STORES).await;
    let transfer = json!({ "from": rig.account(0), "to": rig.account(1), "value": "0x1" });
    assert_eq!(rig.call("eth_estimateGas", json!([transfer])).await, "0x5208");
    let store = json!({ "from": rig.account(0), "to": contract, "data": format!("0x{:064x}", 9) });
    let gas = rig.call("eth_estimateGas", json!([store])).await;
    let sent = rig.send(json!({ "to": contract, "data": format!("0x{:064x}", 9), "gas": gas })).await;
    assert_eq!(sent["status"], "0x1");
    let (used, limit) = (number(&sent["gasUsed"]), number(&gas));
    assert!(used <= limit && limit <= used + used / 50, "{limit} for {used}");

    let poor =
        json!({ "from": Address::repeat_byte(9), "to": contract, "value": "0x1", "gasPrice": "0x77359400" });
    let refusal = rig.refused("eth_estimateGas", json!([poor])).await;
    assert_eq!((refusal.code, refusal.message.as_str()), (-32_000, "insufficient funds for transfer"));
}

fn number(value: &Value) -> u64 {
    value.as_str().unwrap().parse::<U256>().unwrap().to()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_never_ends_runs_out_of_gas() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(SPINS).await;
    let refusal = rig.refused("eth_call", json!([{ "to": contract, "gas": "0xffffffffffffffff" }])).await;
    assert_eq!((refusal.code, refusal.message.as_str()), (-32_000, "out of gas"));
    let refusal = rig.refused("eth_estimateGas", json!([{ "to": contract }])).await;
    assert_eq!(refusal.message, "gas required exceeds allowance (16777216)");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_access_list_names_what_is_read() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(STORES).await;
    let request = json!({ "from": rig.account(0), "to": contract, "data": format!("0x{:064x}", 5) });
    let found = rig.call("eth_createAccessList", json!([request, "latest"])).await;
    let slot = format!("0x{:064x}", 0);
    assert_eq!(found["accessList"], json!([{ "address": contract, "storageKeys": [slot] }]));
    assert!(number(&found["gasUsed"]) > 21_000 && found.get("error").is_none(), "{found}");
    let reverts = rig.deploy(REVERTS_WITH_REASON).await;
    let found = rig.call("eth_createAccessList", json!([{ "to": reverts }, "latest"])).await;
    assert_eq!(found["error"], "execution reverted: no");
}
