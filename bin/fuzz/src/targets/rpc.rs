//! Bodies of JSON-RPC requests, single and in batches, and frames of WebSockets.

use bxp_rpc::fuzz::Node;
use serde_json::{Value, json, value::RawValue};
use std::sync::LazyLock;

/// Code of a failure inside the node (JSON-RPC 2.0).
const INTERNAL: i64 = -32_603;
const ACCOUNT: &str = "0x00000000000000000000000000000000000000aa";
const WORD: &str = "0x0000000000000000000000000000000000000000000000000000000000000007";

static NODE: LazyLock<Node> = LazyLock::new(|| Node::start().expect("a node without a port"));

/// Whatever comes is answered as JSON-RPC 2.0 has it, and the node does not fail over it.
pub(crate) fn request(bytes: &[u8]) {
    let subscribes = bytes.windows(8).any(|part| part == b"ubscribe");
    // Over HTTP nobody subscribes, which the server calls a failure. A name may be written with escapes.
    let may_fail = subscribes || bytes.contains(&b'\\');
    let asked: Option<Value> = serde_json::from_slice(bytes).ok();
    if let Some(answer) = NODE.answer(bytes).expect("an answer in time") {
        match serde_json::from_slice(&answer).expect("an answer is JSON") {
            Value::Array(answers) => {
                let entries: Vec<&RawValue> =
                    serde_json::from_slice(bytes.trim_ascii_start()).expect("a batch is answered by a batch");
                assert!(!answers.is_empty() && answers.len() <= entries.len(), "an answer for an entry");
                answers.iter().for_each(|answer| check(answer, may_fail));
            }
            answer => check_single(&answer, asked.as_ref(), may_fail),
        }
    }
    if let Some(text) = std::str::from_utf8(bytes).ok().filter(|_| subscribes)
        && let Some(answer) = NODE.answer_frame(text).expect("an answer in time")
    {
        let answer: Value = serde_json::from_str(&answer).expect("an answer is JSON");
        check_single(&answer, asked.as_ref(), false);
    }
}

/// An answer that stands alone is for the request, or for none.
fn check_single(answer: &Value, asked: Option<&Value>, may_fail: bool) {
    check(answer, may_fail);
    let id = &answer["id"];
    if let Some(asked) = asked.filter(|_| !id.is_null()) {
        assert_eq!(*id, asked["id"], "an answer has its request's id: {answer}");
    }
}

/// An answer has a result or an error, and an error has its code and words.
fn check(answer: &Value, may_fail: bool) {
    assert_eq!(answer["jsonrpc"], "2.0", "{answer}");
    assert!(answer.get("id").is_some(), "{answer}");
    assert_ne!(answer.get("result").is_some(), answer.get("error").is_some(), "{answer}");
    if let Some(error) = answer.get("error") {
        let code = error["code"].as_i64().expect("an error has a code");
        assert!(error["message"].is_string(), "{answer}");
        assert!(may_fail || code != INTERNAL, "the node failed: {answer}");
    }
}

/// A request of each kind of parameters, and batches.
pub(crate) fn requests() -> Vec<Vec<u8>> {
    let calls = [reads(), runs(), controls()].concat();
    let single = calls.iter().map(|(method, params)| call(1, method, params));
    let raw = json!(["0x02f86b8207e280843b9aca0082520894000000000000000000000000000000000000000905"]);
    let batches = [
        json!([
            call(1, "eth_chainId", &json!([])),
            call(2, "eth_sendRawTransaction", &raw),
            call(3, "eth_sendRawTransaction", &raw),
            { "jsonrpc": "2.0", "method": "eth_blockNumber", "params": [] },
            call(4, "eth_getBlockByNumber", &json!(["latest", true])),
            { "id": "no request" },
            7,
        ]),
        json!([]),
        json!({ "jsonrpc": "2.0", "method": "net_version", "params": [] }),
        json!({ "jsonrpc": "2.0", "id": "a name", "method": "bxp_nodeInfo" }),
    ];
    single.chain(batches).map(|request| request.to_string().into_bytes()).collect()
}

fn call(id: u64, method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

/// A request of a transaction with every field that one may have.
fn transaction() -> Value {
    json!({
        "from": ACCOUNT, "to": ACCOUNT, "gas": "0x5208", "value": "0x1", "nonce": "0x0", "input": "0x00",
        "data": "0x00", "type": "0x2", "chainId": "0x7e2", "maxFeePerGas": "0x7d0", "maxPriorityFeePerGas": "0x1",
        "accessList": [{ "address": ACCOUNT, "storageKeys": [WORD] }],
        "authorizationList": [
            { "chainId": "0x7e2", "address": ACCOUNT, "nonce": "0x0", "yParity": "0x0", "r": "0x1", "s": "0x1" },
        ],
    })
}

fn state_overrides() -> Value {
    json!({ ACCOUNT: { "balance": "0x1", "nonce": "0x2", "code": "0x00", "stateDiff": { WORD: WORD } } })
}

fn block_overrides() -> Value {
    json!({ "number": "0x5", "time": "0x6553f100", "gasLimit": "0x5208", "baseFeePerGas": "0x1" })
}

/// Reads of blocks, accounts, logs and fees.
fn reads() -> Vec<(&'static str, Value)> {
    let by_hash = json!({ "blockHash": WORD, "requireCanonical": true });
    let filter = json!({
        "fromBlock": "0x0", "toBlock": "latest", "address": [ACCOUNT], "topics": [WORD, null, [WORD]],
    });
    vec![
        ("web3_sha3", json!(["0x00ff"])),
        ("eth_getBlockByNumber", json!(["earliest", false])),
        ("eth_getBlockReceipts", json!([by_hash])),
        ("eth_getTransactionByBlockNumberAndIndex", json!(["finalized", "0x0"])),
        ("eth_getBalance", json!([ACCOUNT, { "blockNumber": "0x0" }])),
        ("eth_getStorageAt", json!([ACCOUNT, "0x0", "latest"])),
        ("eth_getStorageValues", json!([{ ACCOUNT: ["0x0", WORD] }, by_hash])),
        ("eth_getProof", json!([ACCOUNT, [WORD, "0x1"], "latest"])),
        ("eth_feeHistory", json!(["0x4", "pending", [0.0, 12.5, 100]])),
        ("eth_getLogs", json!([filter])),
        ("eth_newFilter", json!([{ "blockHash": WORD, "topics": [] }])),
        ("eth_getFilterChanges", json!(["0x1"])),
        ("eth_newPendingTransactionFilter", json!([true])),
        ("eth_subscribe", json!(["logs", filter])),
        ("eth_subscribe", json!(["newPendingTransactions", true])),
        ("eth_unsubscribe", json!(["0x1"])),
        ("debug_getRawReceipts", json!(["latest"])),
        ("txpool_contentFrom", json!([ACCOUNT])),
        ("ots_getBlockTransactions", json!([0, 0, 10])),
        ("ots_searchTransactionsBefore", json!([ACCOUNT, 0, 25])),
        ("bxp_getCertificate", json!(["0x0"])),
    ]
}

/// Calls, simulations and traces, with overrides.
fn runs() -> Vec<(&'static str, Value)> {
    let tracer = json!({
        "tracer": "callTracer", "tracerConfig": { "onlyTopCall": true, "withLog": true }, "timeout": "5s",
    });
    let by_prestate = json!({ "tracer": "prestateTracer", "tracerConfig": { "diffMode": true } });
    let by_several = json!({ "tracer": "muxTracer", "tracerConfig": { "4byteTracer": {} } });
    let mut of_call = tracer.clone();
    of_call["stateOverrides"] = state_overrides();
    of_call["blockOverrides"] = block_overrides();
    of_call["txIndex"] = json!("0x0");
    let block = json!({
        "blockOverrides": block_overrides(), "stateOverrides": state_overrides(), "calls": [transaction()],
    });
    let simulated = json!({
        "blockStateCalls": [block], "traceTransfers": true, "validation": true, "returnFullTransactions": true,
    });
    vec![
        ("eth_call", json!([transaction(), "latest", state_overrides(), block_overrides()])),
        ("eth_estimateGas", json!([{ "to": ACCOUNT, "gasPrice": "0x7d0" }])),
        ("eth_createAccessList", json!([transaction(), "0x0"])),
        ("eth_simulateV1", json!([simulated, "safe"])),
        ("debug_traceTransaction", json!([WORD, tracer])),
        ("debug_traceBlockByNumber", json!(["latest", by_prestate])),
        ("debug_traceBlockByHash", json!([WORD, by_several])),
        ("debug_traceCall", json!([transaction(), "latest", of_call])),
        ("eth_sendRawTransactionSync", json!(["0x02f8", "0x10"])),
    ]
}

/// The controls of a developer's chain.
fn controls() -> Vec<(&'static str, Value)> {
    vec![
        ("eth_sendTransaction", json!([transaction()])),
        ("eth_sendTransaction", json!([{ "from": ACCOUNT, "gas": "0x5208", "type": "0x0" }])),
        ("personal_sign", json!(["0x00", ACCOUNT])),
        ("hardhat_setStorageAt", json!([ACCOUNT, "0x0", WORD])),
        ("hardhat_mine", json!(["0x2", 12])),
        ("hardhat_reset", json!([{ "forking": null }])),
        ("evm_mine", json!([{ "timestamp": 1_800_000_000 }])),
        ("evm_setNextBlockTimestamp", json!([1_800_000_000])),
        ("anvil_setIntervalMining", json!(["7"])),
    ]
}
