//! The contribution switch, by custody, on a real chain.

use crate::{
    client::patient,
    net::{Net, Node},
};
use bxp_types::Height;
use serde_json::{Value, json};

/// One more than two transactions carry.
const PATIENTS: usize = 2 * 128 + 1;
/// EIP-7825.
const TRANSACTION_GAS_MAX: u64 = 1 << 24;

async fn node_with_patients(count: usize) -> Net {
    let net = Net::of_one().await;
    let lines: Vec<String> = (0..count).map(|number| patient(number, "US")).collect();
    let report = net.nodes[0].post_ndjson("/$ingest", lines.join("\n")).await;
    assert_eq!(report.body["patients_new"], count, "{}", report.text);
    net.nodes[0].settled().await;
    net
}

async fn change(node: &Node, body: &Value) -> Value {
    let answer = node.post("/consents", body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

/// Goal (row B2): all switches of a node move in few transactions, once. Way: all on, again, some off.
#[tokio::test(flavor = "multi_thread")]
async fn all_switches_move_in_few_transactions_and_only_once() {
    let net = node_with_patients(PATIENTS).await;
    let node = &net.nodes[0];
    let ledger = node.edge.sender.ledger();
    let done = change(node, &json!({ "all": true, "on": true })).await;
    assert_eq!((&done["changed"], &done["contributing"]), (&PATIENTS.into(), &PATIENTS.into()), "{done}");
    let hashes = done["transactions"].as_array().unwrap();
    assert_eq!(hashes.len(), 3);
    for hash in hashes {
        let place = ledger.locate(hash.as_str().unwrap().parse().unwrap()).unwrap().unwrap();
        let receipts = ledger.receipts(place.height).unwrap().unwrap();
        let receipt = &receipts[place.index as usize];
        assert!(
            receipt.receipt.status() && receipt.gas_used < TRANSACTION_GAS_MAX / 2,
            "{}",
            receipt.gas_used
        );
    }
    let before = ledger.account(node.edge.enclave.public().account).unwrap().nonce;
    let again = change(node, &json!({ "all": true, "on": true })).await;
    assert_eq!((&again["changed"], &again["unchanged"]), (&0.into(), &PATIENTS.into()));
    assert_eq!(ledger.account(node.edge.enclave.public().account).unwrap().nonce, before);
    let page = node.get("/patients?limit=2").await.body;
    let patients = page["patients"].as_array().unwrap();
    assert!(patients.iter().all(|one| one["contributing"] == true && one["home"] == "US"), "{page}");
    let off = json!({ "changes": [
        { "subject": patients[0]["subject"], "on": false },
        { "account": patients[1]["account"], "on": false },
    ] });
    let done = change(node, &off).await;
    assert_eq!((&done["changed"], &done["contributing"]), (&2.into(), &(PATIENTS - 2).into()));
    let page = node.get("/patients?limit=2").await.body;
    assert!(page["patients"].as_array().unwrap().iter().all(|one| one["contributing"] == false));
    assert!(ledger.head().height() > Height(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn patients_are_listed_page_by_page() {
    let net = node_with_patients(5).await;
    let node = &net.nodes[0];
    let (mut seen, mut after) = (Vec::new(), String::new());
    loop {
        let page = node.get(&format!("/patients?limit=2{after}")).await.body;
        seen.extend(page["patients"].as_array().unwrap().iter().map(|one| one["subject"].clone()));
        match page["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => break,
        }
    }
    seen.dedup();
    assert_eq!(seen.len(), 5);
}

/// Goal: nothing is signed for who is no patient here. Way: strangers, the node's own account, a patient named twice.
#[tokio::test(flavor = "multi_thread")]
async fn only_patients_in_custody_are_signed_for() {
    let net = node_with_patients(1).await;
    let node = &net.nodes[0];
    let own = node.edge.enclave.public().account;
    let subject = node.get("/patients").await.body["patients"][0]["subject"].clone();
    for (body, status, expected) in [
        (
            json!({ "changes": [{ "subject": "00".repeat(16), "on": true }] }),
            404,
            "changes[0] names no patient",
        ),
        (json!({ "changes": [{ "account": own, "on": true }] }), 404, "changes[0] names no patient"),
        (
            json!({ "changes": [{ "subject": subject, "on": true }, { "subject": subject, "on": false }] }),
            400,
            "changes[1] names a patient twice",
        ),
        (json!({ "changes": [{ "on": true }] }), 400, "must have a subject or an account"),
        (json!({ "all": true }), 400, "the body must be"),
        (json!({ "changes": [{ "subject": "Plantedname", "on": true }] }), 400, "the body must be"),
    ] {
        let answer = node.post("/consents", body.to_string()).await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert!(answer.diagnostics().contains(expected), "{}", answer.text);
        assert!(!answer.text.contains("Planted"));
    }
    let ledger = node.edge.sender.ledger();
    assert_eq!(ledger.account(own).unwrap().nonce, 1, "the anchor alone");
}
