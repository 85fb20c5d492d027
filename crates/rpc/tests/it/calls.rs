//! Calls and estimates.

use crate::{
    client::Rig,
    ledger::{BASE_FEE, CHAIN_ID, GAS_LIMIT},
};
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{Revert, SolError};
use bxp_types::{CallOutcome, LedgerError};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_call_passes_what_was_asked_and_returns_what_was_returned() {
    let rig = Rig::start().await;
    rig.ledger.set_evm(|call| {
        assert_eq!(call.to, Some(Address::repeat_byte(2)));
        assert_eq!(call.from, Some(Address::repeat_byte(1)));
        assert_eq!(
            (call.value, call.gas, call.gas_price),
            (U256::from(9), Some(50_000), Some(u128::from(BASE_FEE) + 3))
        );
        Ok(CallOutcome::Success { output: call.data.clone(), gas_used: 1 })
    });
    let request = json!({
        "from": Address::repeat_byte(1), "to": Address::repeat_byte(2), "value": "0x9", "gas": "0xc350",
        "maxFeePerGas": "0x2710", "maxPriorityFeePerGas": "0x3", "data": "0x0102",
        "chainId": format!("{CHAIN_ID:#x}"), "type": "0x2", "nonce": "0x4",
    });
    assert_eq!(rig.call("eth_call", json!([request, "latest"])).await, "0x0102");
    assert_eq!(rig.call("eth_call", json!([request, "latest", {}, null])).await, "0x0102");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revert_is_error_3_with_its_data() {
    let rig = Rig::start().await;
    let data: Bytes = Revert::from("consent is revoked").abi_encode().into();
    let output = data.clone();
    rig.ledger.set_evm(move |_| Ok(CallOutcome::Revert { output: output.clone(), gas_used: 1 }));
    for method in ["eth_call", "eth_estimateGas"] {
        let refusal = rig.refused(method, json!([{ "to": Address::ZERO }])).await;
        assert_eq!((refusal.code, refusal.message.as_str()), (3, "execution reverted: consent is revoked"));
        assert_eq!(refusal.data, json!(data));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_failures_have_geths_words() {
    let rig = Rig::start().await;
    let to = json!({ "to": Address::ZERO });
    rig.ledger.set_evm(|_| Ok(CallOutcome::Halt { reason: "OutOfGas(Basic)".to_owned(), gas_used: 1 }));
    let refusal = rig.refused("eth_call", json!([to])).await;
    assert_eq!((refusal.code, refusal.message.as_str()), (-32_000, "out of gas"));
    let refusal = rig.refused("eth_estimateGas", json!([to])).await;
    let words = "gas required exceeds allowance (16777216)".to_owned();
    assert_eq!((refusal.code, refusal.message), (-32_000, words));

    rig.ledger.set_evm(|_| Err(LedgerError::InvalidCall("insufficient funds for transfer".to_owned())));
    let refusal = rig.refused("eth_call", json!([to])).await;
    assert_eq!((refusal.code, refusal.message.as_str()), (-32_000, "insufficient funds for transfer"));

    for request in [
        json!({ "gasPrice": "0x1", "maxFeePerGas": "0x1" }),
        json!({ "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2" }),
        json!({ "data": "0x01", "input": "0x02" }),
        json!({ "chainId": "0x1" }),
        json!({ "maxFeePerBlobGas": "0x1" }),
        json!({ "to": "0x12" }),
    ] {
        assert_eq!(rig.refused("eth_call", json!([request])).await.code, -32_602, "{request}");
    }
    let overrides = json!([to, "latest", { Address::ZERO.to_string(): { "balance": "0x1" } }]);
    assert_eq!(rig.refused("eth_call", overrides).await.code, -32_602);
}

/// An EVM that uses `used` and needs at least `needed` to succeed.
fn needs(used: u64, needed: u64) -> impl Fn(&bxp_types::CallRequest) -> Result<CallOutcome, LedgerError> {
    move |call| match call.gas.unwrap_or(GAS_LIMIT) {
        gas if gas < 21_000 => Err(LedgerError::InvalidCall("intrinsic gas too low".to_owned())),
        gas if gas < needed => Ok(CallOutcome::Halt { reason: "OutOfGas(Basic)".to_owned(), gas_used: gas }),
        _ => Ok(CallOutcome::Success { output: Bytes::new(), gas_used: used }),
    }
}

async fn estimate(rig: &Rig, request: serde_json::Value) -> u64 {
    let gas = rig.call("eth_estimateGas", json!([request])).await;
    u64::from_str_radix(gas.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_is_enough_and_not_much_more() {
    let rig = Rig::start().await;
    let to = json!({ "to": Address::ZERO });
    rig.ledger.set_evm(needs(21_000, 21_000));
    assert_eq!(estimate(&rig, to.clone()).await, 21_000);
    for (used, needed) in [(40_000, 40_000), (40_000, 41_500), (60_000, 110_000), (21_001, 16_500_000)] {
        rig.ledger.set_evm(needs(used, needed));
        let found = estimate(&rig, to.clone()).await;
        assert!((needed..=needed + needed / 60).contains(&found), "{found} for {needed}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_counts_lists_and_the_senders_balance() {
    let rig = Rig::start().await;
    rig.ledger.set_evm(needs(50_000, 50_000));
    let list = json!([{ "address": Address::ZERO, "storageKeys": [format!("0x{:064x}", 1), format!("0x{:064x}", 2)] }]);
    let with_list = estimate(&rig, json!({ "to": Address::ZERO, "accessList": list })).await;
    assert_eq!(with_list, 50_000 + 2_400 + 2 * 1_900);

    let from = Address::repeat_byte(1);
    rig.ledger.set_account(from, 0, U256::from(49_999 * 10 + 5));
    let request = json!({ "from": from, "to": Address::ZERO, "value": "0x5", "gasPrice": "0xa" });
    let refusal = rig.refused("eth_estimateGas", json!([request])).await;
    assert_eq!(refusal.message, "gas required exceeds allowance (49999)");
    let request = json!({ "from": from, "to": Address::ZERO, "value": "0xffffff", "gasPrice": "0xa" });
    let refusal = rig.refused("eth_estimateGas", json!([request])).await;
    assert_eq!((refusal.code, refusal.message.as_str()), (-32_000, "insufficient funds for transfer"));
}
