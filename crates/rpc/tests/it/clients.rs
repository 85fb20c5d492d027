//! Goal: a client that asks too much is told so in the standard way, and the others go on.

use crate::client::Rig;
use bxp_rpc::ClientLimits;
use serde_json::{Value, json};

const LIMITS: ClientLimits =
    ClientLimits { calls_per_second: 1, burst_calls: 5, connections: 3, loopback: true };
/// Attempts within which the limit must have been met: the rate is far below what a test does in them.
const ATTEMPTS_MAX: usize = 1_000;

fn batch(calls: usize) -> Value {
    (0..calls)
        .map(|id| json!({ "jsonrpc": "2.0", "id": id, "method": "eth_chainId", "params": [] }))
        .collect()
}

async fn post(rig: &Rig, body: &Value) -> (u16, Option<u64>, Value) {
    let answer = reqwest::Client::new().post(rig.url()).json(body).send().await.unwrap();
    let retry_after = answer.headers().get("retry-after");
    let retry_after = retry_after.map(|seconds| seconds.to_str().unwrap().parse().unwrap());
    (answer.status().as_u16(), retry_after, answer.json().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_beyond_the_limit_is_refused_whole_and_costs_nothing() {
    let rig = Rig::start_limiting(LIMITS).await;
    let (status, retry_after, answers) = post(&rig, &batch(6)).await;
    assert_eq!((status, retry_after), (429, Some(2)), "one call is too many, and is worth a second");
    let answers = answers.as_array().unwrap().clone();
    assert_eq!(answers.len(), 6);
    for (id, answer) in answers.iter().enumerate() {
        assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(id), &json!(-32_005)));
        assert!(answer["error"]["data"]["retryAfterMs"].is_u64(), "{answer}");
    }
    let (status, retry_after, answers) = post(&rig, &batch(5)).await;
    assert_eq!((status, retry_after), (200, None));
    assert!(answers.as_array().unwrap().iter().all(|answer| answer["result"] == "0x1e79"));
}

#[tokio::test(flavor = "multi_thread")]
async fn single_calls_are_counted_over_http_and_websocket_together() {
    let rig = Rig::start_limiting(LIMITS).await;
    let mut socket = rig.websocket().await;
    let mut refusal = None;
    for _ in 0..ATTEMPTS_MAX {
        refusal = socket.try_call("eth_chainId", json!([])).await.err();
        if refusal.is_some() {
            break;
        }
    }
    let refusal = refusal.expect("the limit is met");
    assert_eq!(refusal.code, -32_005);
    assert!(
        refusal.message.starts_with("too many calls: a client may make 1 a second"),
        "{}",
        refusal.message
    );
    for _ in 0..ATTEMPTS_MAX {
        let (status, _, answer) = post(&rig, &batch(1)[0]).await;
        if status == 429 {
            assert_eq!(answer["error"]["code"], -32_005);
            return;
        }
    }
    panic!("over HTTP the limit is never met");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_a_number_of_connections() {
    let rig = Rig::start_limiting(ClientLimits { burst_calls: 100_000, ..LIMITS }).await;
    let sockets = (rig.websocket().await, rig.websocket().await, rig.websocket().await);
    let (status, retry_after, answer) = post(&rig, &batch(1)[0]).await;
    assert_eq!((status, retry_after), (429, Some(1)));
    assert_eq!(answer["error"]["message"], "too many connections: a client may have 3 at once");
    drop(sockets);
    for _ in 0..ATTEMPTS_MAX {
        if post(&rig, &batch(1)[0]).await.0 == 200 {
            return;
        }
    }
    panic!("closed connections are never forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_on_this_machine_are_not_limited_by_default() {
    let rig = Rig::start_limiting(ClientLimits { loopback: false, ..LIMITS }).await;
    for _ in 0..3 {
        assert_eq!(post(&rig, &batch(200)).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_a_number_of_filters() {
    let rig = Rig::start_limiting(ClientLimits { burst_calls: 100_000, connections: 100, ..LIMITS }).await;
    for _ in 0..64 {
        rig.call("eth_newBlockFilter", json!([])).await;
    }
    for method in ["eth_newBlockFilter", "eth_newPendingTransactionFilter"] {
        let refusal = rig.refused(method, json!([])).await;
        assert!(refusal.message.contains("one client has at most 64"), "{}", refusal.message);
    }
}
