//! Blocks and their receipts.

use crate::{
    client::Rig,
    ledger::{creation, log, transfer},
};
use alloy_consensus::BlockBody;
use alloy_eips::eip4895::Withdrawals;
use alloy_rlp::Encodable;
use alloy_rpc_types_eth::{Block, TransactionReceipt};
use serde_json::{Value, json};

/// Fields that ethers v6, viem and cast read from a block.
const FIELDS: [&str; 26] = [
    "hash",
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "timestampMs",
    "extraData",
    "mixHash",
    "nonce",
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
    "size",
    "uncles",
    "transactions",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_block_is_whole_and_hashes_to_its_hash() {
    let rig = Rig::start().await;
    let stored = rig.ledger.mine(vec![(transfer(1, 0, 7), vec![log(1, &[2])]), (creation(2, 0), vec![])]);
    let json = rig.call("eth_getBlockByNumber", json!(["0x1", true])).await;
    for field in FIELDS {
        assert!(json.get(field).is_some(), "{field} is missing");
    }
    assert_eq!(json["withdrawals"], json!([]));
    assert_eq!(json["timestampMs"], format!("{:#x}", stored.time_ms));
    assert_eq!(json["timestamp"], format!("{:#x}", stored.time_ms / 1000));
    assert_eq!(json["transactions"][0]["gasPrice"], "0x3ef", "base fee and tip");
    assert_eq!(json["transactions"][1]["to"], Value::Null);

    let block: Block = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(block.header.inner.hash_slow(), stored.hash);
    assert_eq!(block.header.inner, stored.header);
    let transactions = stored.transactions.iter().map(|one| one.inner().clone()).collect();
    let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: Some(Withdrawals::default()) };
    let consensus = alloy_consensus::Block::new(stored.header.clone(), body);
    assert_eq!(json["size"], format!("{:#x}", consensus.length()));

    let by_hash = rig.call("eth_getBlockByHash", json!([stored.hash, true])).await;
    assert_eq!(by_hash, json);
    let hashes = rig.call("eth_getBlockByHash", json!([stored.hash, false])).await;
    let expected: Vec<_> = stored.transactions.iter().map(|one| *one.tx_hash()).collect();
    assert_eq!(hashes["transactions"], json!(expected));
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_mean_the_newest_block() {
    let rig = Rig::start().await;
    rig.ledger.mine(Vec::new());
    let newest = rig.ledger.mine(Vec::new());
    for tag in ["latest", "safe", "finalized"] {
        let block = rig.call("eth_getBlockByNumber", json!([tag, false])).await;
        assert_eq!(block["hash"], json!(newest.hash), "{tag}");
    }
    let pending = rig.call("eth_getBlockByNumber", json!(["pending", false])).await;
    assert_eq!((&pending["number"], &pending["parentHash"]), (&json!("0x3"), &json!(newest.hash)));
    let earliest = rig.call("eth_getBlockByNumber", json!(["earliest", false])).await;
    assert_eq!((&earliest["number"], &earliest["transactions"]), (&json!("0x0"), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_exist_is_null() {
    let rig = Rig::start().await;
    let nowhere = format!("0x{}", "ab".repeat(32));
    for (method, params) in [
        ("eth_getBlockByNumber", json!(["0x9", true])),
        ("eth_getBlockByHash", json!([nowhere, false])),
        ("eth_getBlockTransactionCountByNumber", json!(["0x9"])),
        ("eth_getBlockTransactionCountByHash", json!([nowhere])),
        ("eth_getBlockReceipts", json!(["0x9"])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["0x0", "0x0"])),
        ("eth_getTransactionByBlockHashAndIndex", json!([nowhere, "0x0"])),
        ("eth_getTransactionByHash", json!([nowhere])),
        ("eth_getTransactionReceipt", json!([nowhere])),
    ] {
        assert_eq!(rig.call(method, params).await, Value::Null, "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocks_transactions_are_counted_and_its_receipts_listed() {
    let rig = Rig::start().await;
    let stored = rig.ledger.mine(vec![
        (transfer(1, 0, 7), vec![log(1, &[2]), log(1, &[3])]),
        (creation(2, 0), vec![log(4, &[])]),
    ]);
    let count = rig.call("eth_getBlockTransactionCountByNumber", json!(["latest"])).await;
    assert_eq!(count, "0x2");
    assert_eq!(rig.call("eth_getBlockTransactionCountByHash", json!([stored.hash])).await, "0x2");

    let receipts = rig.call("eth_getBlockReceipts", json!(["0x1"])).await;
    assert_eq!(rig.call("eth_getBlockReceipts", json!([{ "blockHash": stored.hash }])).await, receipts);
    assert_eq!(receipts[1]["logs"][0]["logIndex"], "0x2");
    for (at, transaction) in stored.transactions.iter().enumerate() {
        let one = rig.call("eth_getTransactionReceipt", json!([transaction.tx_hash()])).await;
        assert_eq!(receipts[at], one);
        let receipt: TransactionReceipt = serde_json::from_value(one).unwrap();
        assert_eq!(receipt.from, transaction.signer());
    }
}
