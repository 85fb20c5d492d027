//! Transactions and their receipts.

use crate::{
    client::Rig,
    ledger::{account_of, creation, key, log, raw, transfer},
};
use alloy_rpc_types_eth::Transaction;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_waits_and_is_included() {
    let rig = Rig::start().await;
    let sent = transfer(1, 0, 7);
    rig.call("eth_sendRawTransaction", json!([raw(&sent)])).await;
    let waiting = rig.call("eth_getTransactionByHash", json!([sent.tx_hash()])).await;
    assert_eq!(
        (&waiting["blockHash"], &waiting["blockNumber"], &waiting["transactionIndex"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(waiting["from"], json!(account_of(&key(1))));
    assert_eq!(rig.call("eth_getTransactionReceipt", json!([sent.tx_hash()])).await, Value::Null);

    let block = rig.ledger.mine(vec![(creation(2, 0), vec![]), (sent.clone(), vec![])]);
    let included = rig.call("eth_getTransactionByHash", json!([sent.tx_hash()])).await;
    assert_eq!(included["blockHash"], json!(block.hash));
    assert_eq!((&included["blockNumber"], &included["transactionIndex"]), (&json!("0x1"), &json!("0x1")));
    assert_eq!((&included["type"], &included["chainId"]), (&json!("0x2"), &json!("0x1e79")));
    let read: Transaction = serde_json::from_value(included.clone()).unwrap();
    assert_eq!(read.inner, sent);

    for (method, params) in [
        ("eth_getTransactionByBlockNumberAndIndex", json!(["latest", "0x1"])),
        ("eth_getTransactionByBlockHashAndIndex", json!([block.hash, "0x1"])),
    ] {
        assert_eq!(rig.call(method, params).await, included, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receipt_says_what_became_of_it() {
    let rig = Rig::start().await;
    let (sent, created) = (transfer(1, 0, 7), creation(2, 0));
    let block =
        rig.ledger.mine(vec![(sent.clone(), vec![log(9, &[1])]), (created.clone(), vec![log(8, &[2, 3])])]);
    let receipt = rig.call("eth_getTransactionReceipt", json!([created.tx_hash()])).await;
    let address = account_of(&key(2)).create(0);
    for (field, expected) in [
        ("status", json!("0x1")),
        ("type", json!("0x0")),
        ("transactionHash", json!(created.tx_hash())),
        ("transactionIndex", json!("0x1")),
        ("blockHash", json!(block.hash)),
        ("blockNumber", json!("0x1")),
        ("gasUsed", json!("0x5208")),
        ("cumulativeGasUsed", json!("0xa410")),
        ("effectiveGasPrice", json!("0xbb8")),
        ("from", json!(account_of(&key(2)))),
        ("to", Value::Null),
        ("contractAddress", json!(address)),
    ] {
        assert_eq!(receipt[field], expected, "{field}");
    }
    let log = &receipt["logs"][0];
    assert_eq!((&log["logIndex"], &log["removed"]), (&json!("0x1"), &json!(false)));
    assert_eq!(log["transactionHash"], json!(created.tx_hash()));
    assert_ne!(receipt["logsBloom"], json!(format!("0x{}", "00".repeat(256))));
    let receipt = rig.call("eth_getTransactionReceipt", json!([sent.tx_hash()])).await;
    assert_eq!((&receipt["contractAddress"], &receipt["effectiveGasPrice"]), (&Value::Null, &json!("0x3ef")));
}
