//! `bxp_`: certificates and the node.

use crate::client::Rig;
use alloy_primitives::B256;
use bxp_types::{Certificate, Ledger, ValidatorIndex};
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_names_who_signed() {
    let rig = Rig::start().await;
    let block = rig.ledger.mine(Vec::new());
    assert_eq!(rig.call("bxp_getCertificate", json!(["0x1"])).await, Value::Null);
    let signatures = (0..3).map(|index| (ValidatorIndex(index), [index as u8; 64])).collect();
    rig.ledger.certify(Certificate { height: block.height(), block_hash: block.hash, signatures });
    for number in ["0x1", "latest"] {
        let certificate = rig.call("bxp_getCertificate", json!([number])).await;
        assert_eq!((&certificate["height"], &certificate["quorum"]), (&json!("0x1"), &json!(3)));
        assert_eq!(certificate["blockHash"], json!(block.hash));
        let entry = &rig.ledger.genesis().validators[2];
        assert_eq!(
            certificate["signatures"][2],
            json!({
                "validator": 2,
                "name": entry.name,
                "publicKey": entry.public_key,
                "signature": format!("0x{}", "02".repeat(64)),
            })
        );
    }
    assert_eq!(rig.call("bxp_getCertificate", json!(["0x77"])).await, Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_says_who_it_is() {
    let rig = Rig::start().await;
    let block = rig.ledger.mine(Vec::new());
    let network = B256::from(rig.ledger.genesis().network_id().0);
    assert_eq!(
        rig.call("bxp_nodeInfo", json!([])).await,
        json!({
            "version": "bxp/v0.1.0/test",
            "validator": {
                "index": 2,
                "name": "node-2",
                "jurisdiction": "US",
                "account": rig.ledger.genesis().validators[2].account,
            },
            "chainId": "0x1e79",
            "networkId": network,
            "validators": 4,
            "faultBound": 1,
            "peers": 3,
            "head": { "number": "0x1", "hash": block.hash, "timestampMs": format!("{:#x}", block.time_ms) },
        })
    );
    assert_eq!(rig.call("bxp_getDropped", json!([network])).await, Value::Null);
}
