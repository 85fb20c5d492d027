//! Sending transactions.

use crate::{
    client::Rig,
    ledger::{raw, transfer},
};
use bxp_types::Ledger;
use serde_json::json;
use std::time::Duration;

/// Waits until the node has the transaction in its pool.
async fn until_pending(rig: &Rig, hash: alloy_primitives::B256) {
    let waiting = async {
        while rig.ledger.pending(hash).is_none() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), waiting).await.expect("the transaction reaches the pool");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transaction_is_taken_or_refused_in_geths_words() {
    let rig = Rig::start().await;
    let sent = transfer(1, 0, 7);
    let hash = rig.call("eth_sendRawTransaction", json!([raw(&sent)])).await;
    assert_eq!(hash, json!(sent.tx_hash()));
    let refusal = rig.refused("eth_sendRawTransaction", json!([raw(&sent)])).await;
    assert_eq!((refusal.code, refusal.message.as_str()), (-32_000, "already known"));
    rig.ledger.mine(vec![(sent, vec![])]);
    let refusal = rig.refused("eth_sendRawTransaction", json!([raw(&transfer(1, 0, 9))])).await;
    assert_eq!(refusal.message, "nonce too low: next nonce 1, tx nonce 0");
    let refusal = rig.refused("eth_sendRawTransaction", json!(["0x02ff"])).await;
    assert_eq!(refusal.code, -32_000);
    assert_eq!(rig.refused("eth_sendRawTransaction", json!(["zz"])).await.code, -32_602);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_send_answers_with_the_receipt() {
    let rig = Rig::start().await;
    let sent = transfer(1, 0, 7);
    let include = async {
        until_pending(&rig, *sent.tx_hash()).await;
        rig.ledger.mine(Vec::new());
        rig.ledger.mine(vec![(sent.clone(), vec![])]);
    };
    let (receipt, ()) =
        tokio::join!(rig.call("eth_sendRawTransactionSync", json!([raw(&sent), 20_000])), include);
    assert_eq!(
        (&receipt["transactionHash"], &receipt["blockNumber"]),
        (&json!(sent.tx_hash()), &json!("0x2"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_send_that_takes_too_long_tells_the_hash() {
    let rig = Rig::start().await;
    let sent = transfer(1, 0, 7);
    let refusal = rig.refused("eth_sendRawTransactionSync", json!([raw(&sent), "0x32"])).await;
    assert_eq!((refusal.code, refusal.data), (4, json!(sent.tx_hash())));
    assert!(refusal.message.contains("50 ms"), "{}", refusal.message);
    assert!(rig.ledger.pending(*sent.tx_hash()).is_some(), "it goes on waiting");
}

/// EIP-7966: a timeout above the node's maximum is as none.
#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_send_may_not_wait_for_ever() {
    let rig = Rig::start().await;
    let sent = transfer(1, 0, 7);
    let refusal = rig.refused("eth_sendRawTransactionSync", json!([raw(&sent), 60_001])).await;
    assert_eq!((refusal.code, refusal.data), (4, json!(sent.tx_hash())));
    assert!(refusal.message.contains("2000 ms"), "{}", refusal.message);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_send_does_not_wait_for_another_nonce() {
    let rig = Rig::start().await;
    let sent = transfer(1, 5, 7);
    let refusal = rig.refused("eth_sendRawTransactionSync", json!([raw(&sent), 60_000])).await;
    assert_eq!((refusal.code, refusal.data), (5, json!(sent.tx_hash())));
    assert!(refusal.message.ends_with("tx nonce 5"), "{}", refusal.message);
    assert!(rig.ledger.pending(*sent.tx_hash()).is_some(), "it is in the pool all the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_synchronous_send_tells_why_it_was_left_out() {
    let rig = Rig::start().await;
    let sent = transfer(1, 0, 7);
    let leave_out = async {
        until_pending(&rig, *sent.tx_hash()).await;
        rig.ledger.drop_transaction(*sent.tx_hash(), "nonce too low");
        rig.ledger.mine(Vec::new());
    };
    let (refusal, ()) =
        tokio::join!(rig.refused("eth_sendRawTransactionSync", json!([raw(&sent), 20_000])), leave_out);
    assert_eq!((refusal.code, &refusal.data), (-32_000, &json!(sent.tx_hash())));
    assert!(refusal.message.ends_with("nonce too low"), "{}", refusal.message);
    assert_eq!(rig.call("bxp_getDropped", json!([sent.tx_hash()])).await, "nonce too low");
}
