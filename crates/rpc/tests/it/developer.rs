//! The controls of a developer's chain, as Hardhat and Foundry use them.

use crate::dev::{DevRig, STORES};
use alloy_primitives::{Address, U256};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_takes_blocks_and_edits_back() {
    let rig = DevRig::start().await;
    let contract = rig.deploy(STORES).await;
    rig.send(json!({ "to": contract, "data": format!("0x{:064x}", 1) })).await;
    let root = rig.call("eth_getBlockByNumber", json!(["latest", false])).await["stateRoot"].clone();
    let proof = rig.call("eth_getProof", json!([contract, ["0x0"], "latest"])).await;
    let snapshot = rig.call("evm_snapshot", json!([])).await;

    for value in 2..6 {
        rig.send(json!({ "to": contract, "data": format!("0x{value:064x}") })).await;
    }
    let lost = rig.call("eth_getBlockByNumber", json!(["latest", false])).await["transactions"][0].clone();
    rig.call("hardhat_setBalance", json!([contract, "0x7b"])).await;
    rig.call("anvil_setStorageAt", json!([contract, "0x0", format!("0x{:064x}", 99)])).await;
    rig.deploy(STORES).await;
    assert_eq!(rig.call("eth_getBalance", json!([contract])).await, "0x7b");

    assert_eq!(rig.call("evm_revert", json!([snapshot])).await, true);
    assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x2");
    assert_eq!(rig.call("eth_getBalance", json!([contract])).await, "0x0");
    assert_eq!(rig.call("eth_getTransactionReceipt", json!([lost])).await, json!(null));
    assert_eq!(rig.call("eth_getProof", json!([contract, ["0x0"], "latest"])).await, proof);
    assert_eq!(rig.call("evm_revert", json!([snapshot])).await, false, "a snapshot is used once");
    // The chain goes on from there, with honest roots.
    rig.send(json!({ "to": contract, "data": format!("0x{:064x}", 1) })).await;
    let next = rig.call("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(next["number"], "0x3");
    assert_ne!(next["stateRoot"], root, "the sender's nonce has moved");
    assert_eq!(
        rig.call("eth_getLogs", json!([{ "fromBlock": "0x0", "address": contract }]))
            .await
            .as_array()
            .unwrap()
            .len(),
        2
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_can_be_edited_and_impersonated() {
    let rig = DevRig::start().await;
    let whale = Address::repeat_byte(0xab);
    let request = json!({ "from": whale, "to": rig.account(1), "value": "0x1" });
    assert_eq!(rig.refused("eth_sendTransaction", json!([request])).await.code, -32_000);
    rig.call("hardhat_setBalance", json!([whale, format!("{:#x}", U256::from(10).pow(U256::from(18)))]))
        .await;
    rig.call("hardhat_setNonce", json!([whale, "0x5"])).await;
    rig.call("hardhat_impersonateAccount", json!([whale])).await;
    let hash = rig.call("eth_sendTransaction", json!([request])).await;
    let sent = rig.call("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!((&sent["from"], &sent["nonce"]), (&json!(whale), &json!("0x5")));
    let receipt = rig.call("eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!((&receipt["status"], &receipt["from"]), (&json!("0x1"), &json!(whale)));
    rig.call("anvil_stopImpersonatingAccount", json!([whale])).await;
    assert_eq!(rig.refused("eth_sendTransaction", json!([request])).await.message, "unknown account");

    // A contract can be impersonated too.
    let contract = rig.deploy(STORES).await;
    rig.call("anvil_setBalance", json!([contract, "0xde0b6b3a7640000"])).await;
    rig.call("anvil_impersonateAccount", json!([contract])).await;
    let request = json!({ "from": contract, "to": rig.account(1), "value": "0x1", "gas": "0x5208" });
    let hash = rig.call("eth_sendTransaction", json!([request])).await;
    assert_eq!(rig.call("eth_getTransactionReceipt", json!([hash])).await["status"], "0x1");

    let code = "0x6001600055";
    rig.call("hardhat_setCode", json!([whale, code])).await;
    assert_eq!(rig.call("eth_getCode", json!([whale])).await, code);
}

#[tokio::test(flavor = "multi_thread")]
async fn time_and_blocks_follow_the_developer() {
    let rig = DevRig::start().await;
    let newest = || async { rig.call("eth_getBlockByNumber", json!(["latest", false])).await };
    let time =
        |block: &serde_json::Value| block["timestamp"].as_str().unwrap().parse::<U256>().unwrap().to::<u64>();
    let start = time(&newest().await);
    rig.call("evm_increaseTime", json!([3_600])).await;
    rig.call("evm_mine", json!([])).await;
    assert!(time(&newest().await) >= start + 3_600);
    let named = time(&newest().await) + 100_000;
    rig.call("evm_setNextBlockTimestamp", json!([format!("{named:#x}")])).await;
    rig.call("evm_mine", json!([])).await;
    assert_eq!(time(&newest().await), named);
    let refusal = rig.refused("evm_setNextBlockTimestamp", json!([named])).await;
    assert!(refusal.message.contains("lower than or equal"), "{}", refusal.message);
    rig.call("hardhat_mine", json!(["0xa", "0x3c"])).await;
    let last = newest().await;
    assert_eq!((&last["number"], time(&last)), (&json!("0xc"), named + 1 + 9 * 60));

    rig.call("evm_setAutomine", json!([false])).await;
    let request = json!({ "from": rig.account(0), "to": rig.account(1), "value": "0x1" });
    let hash = rig.call("eth_sendTransaction", json!([request])).await;
    assert_eq!(rig.call("eth_getTransactionReceipt", json!([hash])).await, json!(null));
    assert_eq!(rig.call("txpool_status", json!([])).await, json!({ "pending": "0x1", "queued": "0x0" }));
    rig.call("anvil_mine", json!([])).await;
    assert_eq!(rig.call("eth_getTransactionReceipt", json!([hash])).await["blockNumber"], "0xd");

    rig.call("hardhat_reset", json!([])).await;
    assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x0");
    assert_eq!(rig.call("hardhat_getAutomine", json!([])).await, true);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_known_accounts_are_there_and_sign() {
    let rig = DevRig::start().await;
    let accounts = rig.call("eth_accounts", json!([])).await;
    assert_eq!(accounts.as_array().unwrap().len(), 10);
    assert_eq!(accounts[0], "0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266");
    let signature = rig.call("eth_sign", json!([accounts[0], "0x68690a"])).await;
    let signature: alloy_primitives::Signature = signature.as_str().unwrap().parse().unwrap();
    let signer = signature.recover_address_from_msg(b"hi\n").unwrap();
    assert_eq!(json!(signer), accounts[0]);
    assert_eq!(rig.refused("eth_sign", json!([Address::ZERO, "0x00"])).await.message, "unknown account");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_transaction_asks_for_is_sent_or_refused() {
    let rig = DevRig::start().await;
    let (from, to) = (rig.account(0), rig.account(1));
    let list = json!([{ "address": to, "storageKeys": [format!("0x{:064x}", 1)] }]);
    let priced = json!({ "from": from, "to": to, "gasPrice": "0x77359400", "accessList": list });
    let hash = rig.call("eth_sendTransaction", json!([priced])).await;
    let sent = rig.call("eth_getTransactionByHash", json!([hash])).await;
    assert_eq!((&sent["type"], &sent["accessList"]), (&json!("0x1"), &list));
    for wrong in [
        json!({ "chainId": "0x1" }),
        json!({ "gasPrice": "0x77359400", "maxFeePerGas": "0x77359400" }),
        json!({ "gasPrice": "0x77359400", "authorizationList": [] }),
        json!({ "data": "0x01", "input": "0x02" }),
        json!({ "maxFeePerBlobGas": "0x1" }),
        json!({ "type": "0x0", "maxFeePerGas": "0x77359400" }),
        json!({ "type": "0x3" }),
    ] {
        let mut request = wrong.clone();
        (request["from"], request["to"]) = (json!(from), json!(to));
        assert_eq!(rig.refused("eth_sendTransaction", json!([request])).await.code, -32_602, "{wrong}");
    }
    let own = json!({ "from": from, "to": to, "chainId": "0x7a69" });
    rig.call("eth_sendTransaction", json!([own])).await;
    for named in ["0x0", "0x1", "0x2"] {
        let hash = rig.call("eth_sendTransaction", json!([{ "from": from, "to": to, "type": named }])).await;
        assert_eq!(rig.call("eth_getTransactionByHash", json!([hash])).await["type"], named);
        assert_eq!(rig.call("eth_getTransactionReceipt", json!([hash])).await["status"], "0x1");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reset_to_another_chain_is_refused() {
    let rig = DevRig::start().await;
    rig.call("evm_mine", json!([])).await;
    let elsewhere = json!([{ "forking": { "jsonRpcUrl": "http://localhost:1", "blockNumber": 5 } }]);
    for method in ["hardhat_reset", "anvil_reset"] {
        let refusal = rig.refused(method, elsewhere.clone()).await;
        assert_eq!(refusal.code, -32_602);
        assert!(refusal.message.contains("cannot fork"), "{}", refusal.message);
    }
    assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x1", "nothing was taken back");
    rig.call("anvil_reset", json!([{}])).await;
    assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x0");
}
