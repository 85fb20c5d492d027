//! Arguments without sense: an answer to each, and the server lives.

use crate::client::Rig;
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};

const METHODS: [&str; 72] = [
    "web3_clientVersion",
    "web3_sha3",
    "net_version",
    "net_listening",
    "net_peerCount",
    "eth_chainId",
    "eth_blockNumber",
    "eth_syncing",
    "eth_accounts",
    "eth_gasPrice",
    "eth_maxPriorityFeePerGas",
    "eth_feeHistory",
    "eth_getBalance",
    "eth_getTransactionCount",
    "eth_getCode",
    "eth_getStorageAt",
    "eth_getBlockByNumber",
    "eth_getBlockByHash",
    "eth_getBlockTransactionCountByNumber",
    "eth_getBlockTransactionCountByHash",
    "eth_getBlockReceipts",
    "eth_getTransactionByHash",
    "eth_getTransactionByBlockNumberAndIndex",
    "eth_getTransactionByBlockHashAndIndex",
    "eth_getTransactionReceipt",
    "eth_call",
    "eth_estimateGas",
    "eth_sendRawTransaction",
    "eth_sendRawTransactionSync",
    "eth_getLogs",
    "eth_newFilter",
    "eth_newBlockFilter",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_uninstallFilter",
    "eth_subscribe",
    "eth_unsubscribe",
    "bxp_getCertificate",
    "bxp_getDropped",
    "bxp_nodeInfo",
    "eth_createAccessList",
    "eth_simulateV1",
    "eth_getProof",
    "eth_getStorageValues",
    "eth_getRawTransactionByHash",
    "eth_newPendingTransactionFilter",
    "eth_config",
    "eth_capabilities",
    "eth_baseFee",
    "eth_blobBaseFee",
    "txpool_status",
    "txpool_content",
    "txpool_contentFrom",
    "txpool_inspect",
    "debug_getRawHeader",
    "debug_getRawBlock",
    "debug_getRawReceipts",
    "debug_getRawTransaction",
    "debug_traceTransaction",
    "debug_traceBlockByNumber",
    "debug_traceBlockByHash",
    "debug_traceCall",
    "ots_getApiLevel",
    "ots_getBlockDetails",
    "ots_getBlockTransactions",
    "ots_searchTransactionsBefore",
    "ots_searchTransactionsAfter",
    "ots_getContractCreator",
    "ots_getTransactionBySenderAndNonce",
    "ots_traceTransaction",
    "erigon_getHeaderByNumber",
    "eth_nothing",
];

/// Values that a hostile client may think of.
fn argument() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "0x[0-9a-f]{0,70}".prop_map(Value::from),
        "0x[0-9a-f]{64}".prop_map(Value::from),
        "0x[0-9a-f]{40}".prop_map(Value::from),
        prop::sample::select(vec!["latest", "pending", "earliest", "0xffffffffffffffff", "0x0"])
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let name = prop::sample::select(vec![
            "to",
            "from",
            "gas",
            "value",
            "data",
            "input",
            "gasPrice",
            "fromBlock",
            "toBlock",
            "address",
            "topics",
            "blockHash",
            "blockNumber",
            "accessList",
            "authorizationList",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((name, inner), 0..4).prop_map(|fields| fields
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn senseless_arguments_are_answered() {
    let rig = Rig::start().await;
    rig.ledger.mine(Vec::new());
    let mut runner = TestRunner::deterministic();
    let arguments = prop::collection::vec(argument(), 0..5);
    for round in 0..20 {
        for method in METHODS {
            let params = arguments.new_tree(&mut runner).unwrap().current();
            let answer =
                rig.post(json!({ "jsonrpc": "2.0", "id": round, "method": method, "params": params })).await;
            let answered = answer.get("result").is_some() || answer["error"]["code"].is_i64();
            assert!(answered, "{method} {params:?} gives {answer}");
            let inside = answer["error"]["code"] == -32_603;
            // The ledger in memory has no tries to prove by.
            assert!(
                !inside || method.contains("ubscribe") || method == "eth_getProof",
                "{method} {params:?} fails inside: {answer}"
            );
        }
    }
    assert_eq!(rig.call("eth_blockNumber", json!([])).await, "0x1");
}
