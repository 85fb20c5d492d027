//! Goal: a batch's transactions are submitted together and everything in it is answered in its place.

use crate::{
    client::Rig,
    ledger::{raw, transfer},
};
use serde_json::{Value, json};

fn send(id: u64, raw: impl serde::Serialize) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "method": "eth_sendRawTransaction", "params": [raw] })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_of_transactions_is_submitted_at_once_and_answered_in_order() {
    let rig = Rig::start().await;
    let transfers: Vec<_> = (0..100).map(|nonce| transfer(1, nonce, 7)).collect();
    let batch: Vec<_> = transfers.iter().zip(0..).map(|(one, id)| send(id, raw(one))).collect();
    let answers = rig.post(Value::from(batch)).await;
    let expected: Vec<_> = transfers
        .iter()
        .zip(0..)
        .map(|(one, id)| json!({ "jsonrpc": "2.0", "id": id, "result": one.tx_hash() }))
        .collect();
    assert_eq!(answers, Value::from(expected));
    assert_eq!(*rig.ledger.together.read(), [100]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_between_transactions_sees_those_before_it() {
    let rig = Rig::start().await;
    let (first, second, third) = (transfer(1, 0, 7), transfer(1, 1, 7), transfer(1, 2, 7));
    let count = |id: u64| {
        json!({ "jsonrpc": "2.0", "id": id, "method": "eth_getTransactionCount",
                "params": [first.signer(), "pending"] })
    };
    let told = json!({ "jsonrpc": "2.0", "method": "eth_blockNumber", "params": [] });
    let batch = json!([
        count(1),
        send(2, raw(&first)),
        send(3, raw(&second)),
        count(4),
        told,
        send(5, raw(&third)),
        send(6, raw(&third)),
        send(7, "zz"),
        send(8, "0x02ff"),
        { "jsonrpc": "2.0", "id": 9, "method": "eth_sendRawTransaction", "params": {} },
        { "nonsense": true },
        count(10),
    ]);
    let answers = rig.post(batch).await;
    let of = |place: usize| &answers[place];
    assert_eq!(answers.as_array().unwrap().len(), 11, "a notification has no answer: {answers}");
    assert_eq!((&of(0)["id"], &of(0)["result"]), (&json!(1), &json!("0x0")));
    assert_eq!((&of(1)["id"], &of(1)["result"]), (&json!(2), &json!(first.tx_hash())));
    assert_eq!((&of(2)["id"], &of(2)["result"]), (&json!(3), &json!(second.tx_hash())));
    assert_eq!((&of(3)["id"], &of(3)["result"]), (&json!(4), &json!("0x2")));
    assert_eq!((&of(4)["id"], &of(4)["result"]), (&json!(5), &json!(third.tx_hash())));
    assert_eq!((&of(5)["id"], &of(5)["error"]["message"]), (&json!(6), &json!("already known")));
    assert_eq!((&of(6)["id"], &of(6)["error"]["code"]), (&json!(7), &json!(-32_602)));
    assert_eq!((&of(7)["id"], &of(7)["error"]["code"]), (&json!(8), &json!(-32_000)));
    assert_eq!((&of(8)["id"], &of(8)["error"]["code"]), (&json!(9), &json!(-32_602)));
    assert_eq!(of(9)["error"]["code"], json!(-32_600));
    assert_eq!((&of(10)["id"], &of(10)["result"]), (&json!(10), &json!("0x3")));
    assert_eq!(*rig.ledger.together.read(), [2, 2, 1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_batch_is_an_invalid_request() {
    let rig = Rig::start().await;
    assert_eq!(rig.post(json!([])).await["error"]["code"], json!(-32_600));
}
