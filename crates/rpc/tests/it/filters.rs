//! Filters that are polled.

use crate::{
    client::Rig,
    ledger::{log, raw, transfer},
};
use alloy_primitives::Address;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_block_filter_tells_each_block_once() {
    let rig = Rig::start().await;
    rig.ledger.mine(Vec::new());
    let id = rig.call("eth_newBlockFilter", json!([])).await;
    assert_eq!(rig.call("eth_getFilterChanges", json!([id])).await, json!([]));
    let (one, two) = (rig.ledger.mine(Vec::new()), rig.ledger.mine(Vec::new()));
    assert_eq!(rig.call("eth_getFilterChanges", json!([id])).await, json!([one.hash, two.hash]));
    assert_eq!(rig.call("eth_getFilterChanges", json!([id])).await, json!([]));
    let refusal = rig.refused("eth_getFilterLogs", json!([id])).await;
    assert_eq!((refusal.code, refusal.message.as_str()), (-32_000, "filter not found"));
    assert_eq!(rig.call("eth_uninstallFilter", json!([id])).await, true);
    assert_eq!(rig.call("eth_uninstallFilter", json!([id])).await, false);
    assert_eq!(rig.refused("eth_getFilterChanges", json!([id])).await.message, "filter not found");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_filter_tells_new_logs_and_can_tell_all() {
    let rig = Rig::start().await;
    let address = Address::repeat_byte(0xa1);
    rig.ledger.mine(vec![(transfer(1, 0, 1), vec![log(0xa1, &[1])])]);
    let id = rig
        .call("eth_newFilter", json!([{ "address": address, "fromBlock": "0x0", "toBlock": "0x3" }]))
        .await;
    assert_eq!(rig.call("eth_getFilterChanges", json!([id])).await, json!([]));
    rig.ledger.mine(vec![(transfer(1, 1, 1), vec![log(0xa2, &[1]), log(0xa1, &[2])])]);
    let blocks = |logs: &Value| -> Vec<Value> {
        logs.as_array().unwrap().iter().map(|log| log["blockNumber"].clone()).collect()
    };
    let changes = rig.call("eth_getFilterChanges", json!([id])).await;
    assert_eq!((blocks(&changes), &changes[0]["logIndex"]), (vec![json!("0x2")], &json!("0x1")));
    assert_eq!(blocks(&rig.call("eth_getFilterLogs", json!([id])).await), ["0x1", "0x2"]);
    rig.ledger.mine(Vec::new());
    rig.ledger.mine(vec![(transfer(1, 2, 1), vec![log(0xa1, &[1])])]);
    assert_eq!(
        rig.call("eth_getFilterChanges", json!([id])).await,
        json!([]),
        "block 4 is outside the range"
    );
}

/// More logs than one answer takes come in several, none twice and none lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_poll_of_too_many_logs_is_continued_by_the_next() {
    let rig = Rig::start().await;
    let id = rig.call("eth_newFilter", json!([{}])).await;
    for nonce in 0..3 {
        rig.ledger.mine(vec![(transfer(1, nonce, 1), vec![log(0xa1, &[]); 8_000])]);
    }
    for expected in [16_000, 8_000, 0] {
        let changes = rig.call("eth_getFilterChanges", json!([id])).await;
        assert_eq!(changes.as_array().unwrap().len(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_of_transactions_tells_hashes_or_all_of_them() {
    let rig = Rig::start().await;
    let hashes = rig.call("eth_newPendingTransactionFilter", json!([])).await;
    let whole = rig.call("eth_newPendingTransactionFilter", json!([true])).await;
    let sent = [transfer(1, 0, 7), transfer(1, 1, 7)];
    for one in &sent {
        rig.call("eth_sendRawTransaction", json!([raw(one)])).await;
    }
    let names = sent.each_ref().map(|one| json!(one.tx_hash()));
    assert_eq!(rig.call("eth_getFilterChanges", json!([hashes])).await, json!(names));
    let told = rig.call("eth_getFilterChanges", json!([whole])).await;
    for (index, name) in names.iter().enumerate() {
        assert_eq!((&told[index]["hash"], &told[index]["value"]), (name, &json!("0x5")));
        assert_eq!(told[index]["from"], json!(sent[index].signer()));
    }
    for id in [hashes, whole] {
        assert_eq!(rig.call("eth_getFilterChanges", json!([id])).await, json!([]));
    }
}
