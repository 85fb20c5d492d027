//! The newest state, and the refusal of older ones.

use crate::{
    client::Rig,
    ledger::{account_of, key, raw, transfer},
};
use alloy_primitives::{Address, Bytes, U256};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_newest_state_is_read() {
    let rig = Rig::start().await;
    let (account, contract) = (account_of(&key(1)), Address::repeat_byte(0xcc));
    rig.ledger.set_account(account, 3, U256::from(10).pow(U256::from(21)));
    rig.ledger.set_code(contract, Bytes::from_static(&[0x60, 0x01]));
    rig.ledger.set_storage(contract, U256::from(5), U256::from(0xabc));
    let newest = rig.ledger.mine(Vec::new());
    assert_eq!(rig.call("eth_getBalance", json!([account, "latest"])).await, "0x3635c9adc5dea00000");
    assert_eq!(rig.call("eth_getBalance", json!([account])).await, "0x3635c9adc5dea00000");
    assert_eq!(rig.call("eth_getBalance", json!([contract, "latest"])).await, "0x0");
    assert_eq!(rig.call("eth_getCode", json!([contract, "latest"])).await, "0x6001");
    assert_eq!(rig.call("eth_getCode", json!([account, "latest"])).await, "0x");
    let word = "0x0000000000000000000000000000000000000000000000000000000000000abc";
    let slot = format!("0x{:064x}", 5);
    assert_eq!(rig.call("eth_getStorageAt", json!([contract, "0x5", "latest"])).await, word);
    assert_eq!(rig.call("eth_getStorageAt", json!([contract, slot, "latest"])).await, word);
    assert_eq!(rig.call("eth_getTransactionCount", json!([account, "latest"])).await, "0x3");
    for block in [
        json!("safe"),
        json!("finalized"),
        json!("0x1"),
        json!({ "blockNumber": "0x1" }),
        json!({ "blockHash": newest.hash }),
        json!({ "blockHash": newest.hash, "requireCanonical": true }),
    ] {
        assert_eq!(rig.call("eth_getTransactionCount", json!([account, block])).await, "0x3", "{block}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pending_nonce_counts_the_pool() {
    let rig = Rig::start().await;
    let account = account_of(&key(1));
    for nonce in 0..2 {
        rig.call("eth_sendRawTransaction", json!([raw(&transfer(1, nonce, 7))])).await;
    }
    assert_eq!(rig.call("eth_getTransactionCount", json!([account, "pending"])).await, "0x2");
    assert_eq!(rig.call("eth_getTransactionCount", json!([account, "latest"])).await, "0x0");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_state_is_refused_in_clear_words() {
    let rig = Rig::start().await;
    let old = rig.ledger.mine(Vec::new());
    rig.ledger.mine(Vec::new());
    rig.ledger.oldest_state.store(2, std::sync::atomic::Ordering::Relaxed);
    let account = Address::ZERO;
    for block in [json!("0x1"), json!({ "blockHash": old.hash }), json!({ "blockNumber": "0x1" })] {
        for (method, params) in [
            ("eth_getBalance", json!([account, block])),
            ("eth_getCode", json!([account, block])),
            ("eth_getTransactionCount", json!([account, block])),
            ("eth_getStorageAt", json!([account, "0x0", block])),
            ("eth_call", json!([{ "to": account }, block])),
            ("eth_estimateGas", json!([{ "to": account }, block])),
        ] {
            let refusal = rig.refused(method, params).await;
            let words = "state of block 1 is not kept; the oldest is that of block 2";
            assert_eq!((refusal.code, refusal.message.as_str()), (-32_000, words), "{method}");
        }
    }
    for block in [json!("0x9"), json!({ "blockHash": format!("0x{}", "ab".repeat(32)) })] {
        let refusal = rig.refused("eth_getBalance", json!([account, block])).await;
        assert_eq!((refusal.code, refusal.message.as_str()), (-32_000, "header not found"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_inside_is_not_told() {
    let rig = Rig::start().await;
    let refusal = rig.refused("eth_getBalance", json!([Address::repeat_byte(0xdd), "latest"])).await;
    assert_eq!((refusal.code, refusal.message.as_str()), (-32_603, "internal error"));
}
