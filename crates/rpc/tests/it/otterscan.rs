//! What the Otterscan explorer asks.

use crate::dev::{DevRig, REVERTS_WITH_REASON, STORES};
use serde_json::json;

#[tokio::test(flavor = "multi_thread")]
async fn the_explorer_finds_its_way() {
    let rig = DevRig::start().await;
    assert_eq!(rig.call("ots_getApiLevel", json!([])).await, 8);
    let contract = rig.deploy(STORES).await;
    let sent = rig.send(json!({ "to": contract, "data": format!("0x{:064x}", 3) })).await;
    let paid = rig.send(json!({ "to": rig.account(5), "value": "0x5" })).await;
    let hash = &sent["transactionHash"];

    assert_eq!(rig.call("ots_hasCode", json!([contract, "latest"])).await, true);
    assert_eq!(rig.call("ots_hasCode", json!([contract, "0x0"])).await, false);
    let details = rig.call("ots_getBlockDetails", json!(["0x2"])).await;
    assert_eq!(
        (&details["block"]["transactionCount"], &details["block"]["logsBloom"]),
        (&json!(1), &json!(null))
    );
    assert_ne!(details["totalFees"], "0x0");
    let by_hash = rig.call("ots_getBlockDetailsByHash", json!([sent["blockHash"]])).await;
    assert_eq!(by_hash, details);
    let page = rig.call("ots_getBlockTransactions", json!(["0x2", 0, 25])).await;
    assert_eq!(&page["fullblock"]["transactions"][0]["hash"], hash);
    assert_eq!(page["fullblock"]["transactions"][0]["input"].as_str().unwrap().len(), 10);
    assert_eq!(page["receipts"][0]["logs"], json!(null));

    let creator = rig.call("ots_getContractCreator", json!([contract])).await;
    assert_eq!(creator["creator"], json!(rig.account(0)));
    let found = rig.call("ots_getTransactionBySenderAndNonce", json!([rig.account(0), 1])).await;
    assert_eq!(&found, hash);
    let trace = rig.call("ots_traceTransaction", json!([hash])).await;
    assert_eq!((&trace[0]["type"], &trace[0]["depth"]), (&json!("CALL"), &json!(0)));
    assert_eq!(rig.call("ots_getInternalOperations", json!([hash])).await, json!([]));
    assert_eq!(rig.call("ots_getTransactionError", json!([hash])).await, "0x");

    let newest = rig.call("ots_searchTransactionsBefore", json!([rig.account(0), 0, 2])).await;
    assert_eq!((&newest["firstPage"], &newest["lastPage"]), (&json!(true), &json!(false)));
    assert_eq!(newest["txs"][0]["hash"], paid["transactionHash"]);
    assert_eq!(&newest["txs"][1]["hash"], hash);
    let oldest = rig.call("ots_searchTransactionsAfter", json!([rig.account(0), 0, 2])).await;
    assert_eq!((&oldest["firstPage"], &oldest["lastPage"]), (&json!(false), &json!(true)));
    assert_eq!(&oldest["txs"][0]["hash"], hash);
    let received = rig.call("ots_searchTransactionsBefore", json!([rig.account(5), 0, 25])).await;
    assert_eq!(received["txs"].as_array().unwrap().len(), 1);
    assert_eq!(received["lastPage"], true);
    assert_eq!(rig.call("erigon_getHeaderByNumber", json!(["0x2"])).await["hash"], sent["blockHash"]);

    let reverts = rig.deploy(REVERTS_WITH_REASON).await;
    let failed = rig.send(json!({ "to": reverts, "gas": "0x186a0" })).await;
    assert_eq!(failed["status"], "0x0");
    let error = rig.call("ots_getTransactionError", json!([failed["transactionHash"]])).await;
    assert!(error.as_str().unwrap().starts_with("0x08c379a0"), "{error}");
}
