//! Goal: what a pool refuses is refused in geth's words, which clients match on.

use crate::dev::DevRig;
use serde_json::{Value, json};

const GWEI: u64 = 1_000_000_000;

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_refuses_in_geths_words() {
    let rig = DevRig::start().await;
    let (from, to) = (rig.account(0), rig.account(1));
    let request = |nonce: u64, cap_gwei: u64, tip_gwei: u64| {
        json!({
            "from": from, "to": to, "value": "0x1", "gas": "0x5208", "nonce": format!("{nonce:#x}"),
            "maxFeePerGas": format!("{:#x}", cap_gwei * GWEI),
            "maxPriorityFeePerGas": format!("{:#x}", tip_gwei * GWEI),
        })
    };
    let refused = async |request: Value| {
        let refusal = rig.refused("eth_sendTransaction", json!([request])).await;
        assert_eq!(refusal.code, -32_000, "{refusal:?}");
        refusal.message
    };
    rig.call("eth_sendTransaction", json!([request(0, 10, 1)])).await;
    assert_eq!(refused(request(0, 10, 1)).await, "nonce too low: next nonce 1, tx nonce 0");
    rig.call("evm_setAutomine", json!([false])).await;

    // A gap is taken and waits; what fills it makes both ready.
    let ahead = rig.call("eth_sendTransaction", json!([request(2, 10, 1)])).await;
    assert_eq!(rig.call("txpool_status", json!([])).await, json!({ "pending": "0x0", "queued": "0x1" }));
    assert_eq!(rig.call("eth_getTransactionCount", json!([from, "pending"])).await, "0x1");
    let filled = rig.call("eth_sendTransaction", json!([request(1, 10, 1)])).await;
    assert_eq!(rig.call("txpool_status", json!([])).await, json!({ "pending": "0x2", "queued": "0x0" }));
    assert_eq!(rig.call("eth_getTransactionCount", json!([from, "pending"])).await, "0x3");

    assert_eq!(refused(request(1, 10, 1)).await, "already known");
    for (cap, tip) in [(10, 2), (20, 1), (10, 0)] {
        let words = refused(request(1, cap, tip)).await;
        assert_eq!(words, "replacement transaction underpriced", "both have to be a tenth more");
    }
    let better = rig.call("eth_sendTransaction", json!([request(1, 11, 2)])).await;
    assert!(rig.call("eth_getTransactionByHash", json!([filled])).await.is_null());

    let far = refused(request(1 << 20, 10, 1)).await;
    assert_eq!(far, "nonce too high: next nonce 1, tx nonce 1048576");
    let words = refused(request(3, 1, 2)).await;
    assert_eq!(words, "max priority fee per gas higher than max fee per gas");
    assert!(refused(request(3, 0, 0)).await.starts_with("max fee per gas less than block base fee"));
    let mut poor = request(3, 10, 1);
    poor["value"] = json!("0xffffffffffffffffffffffff");
    assert!(refused(poor).await.starts_with("insufficient funds for gas * price + value"));
    let mut low = request(3, 10, 1);
    low["gas"] = json!("0x5207");
    assert_eq!(refused(low).await, "intrinsic gas too low: have 20999, want 21000");

    rig.call("evm_mine", json!([])).await;
    let mined = rig.call("eth_getBlockByNumber", json!(["latest", false])).await;
    assert_eq!(mined["transactions"], json!([better, ahead]));
}
