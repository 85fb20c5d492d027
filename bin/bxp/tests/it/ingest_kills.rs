//! `kill -9` at any moment of ingest: transactions over HTTP and an HL7 v2 feed at once into one node, again and again.
//!
//! `BXP_KILLS` says how often; `make kills` does it a hundred times.

use crate::{
    hl7::{connect, exchange},
    kit::{Client, Net, STAR},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::sleep};

/// How often the node is killed, unless `BXP_KILLS` says otherwise.
const KILLS: u64 = 4;
/// Senders of each kind at once.
const LANES: usize = 2;
/// Observations of one transaction.
const OBSERVATIONS: usize = 3;
/// Resources of one page when everything is read back.
const PAGE: usize = 1_000;

/// What a sender has been told is there, by its identifiers.
#[derive(Clone, Default)]
struct Acknowledged(Arc<Mutex<Vec<String>>>);

impl Acknowledged {
    fn note(&self, name: String) {
        self.0.lock().unwrap().push(name);
    }

    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

fn name(lane: usize, number: usize) -> String {
    format!("{lane}x{number}")
}

/// A patient with observations, as a client writes it who may have to send it again: nothing that is there is made anew.
fn transaction(name: &str) -> String {
    let entry = |kind: &str, full_url: String, identifier: String, resource: Value| {
        let mut resource = resource;
        resource["resourceType"] = json!(kind);
        resource["identifier"] = json!([{ "system": "urn:kills", "value": identifier }]);
        let unless = format!("identifier=urn:kills|{identifier}");
        json!({
            "fullUrl": full_url, "resource": resource,
            "request": { "method": "POST", "url": kind, "ifNoneExist": unless },
        })
    };
    let patient = json!({
        "name": [{ "family": "Wexford" }], "gender": "female", "birthDate": "1961-04-12",
        "address": [{ "country": "US", "state": "IL" }],
    });
    let subject = format!("urn:uuid:patient-{name}");
    let mut entries = vec![entry("Patient", subject.clone(), name.to_owned(), patient)];
    entries.extend((0..OBSERVATIONS).map(|number| {
        let observation = json!({
            "status": "final", "subject": { "reference": subject },
            "code": { "coding": [{ "system": "http://loinc.org", "code": "8867-4" }] },
            "valueQuantity": { "value": 60 + number },
        });
        entry("Observation", format!("urn:uuid:{name}-{number}"), format!("{name}-{number}"), observation)
    }));
    json!({ "resourceType": "Bundle", "type": "transaction", "entry": entries }).to_string()
}

fn message(name: &str) -> String {
    format!(
        "MSH|^~\\&|LAB|HOSP|BXP|STAR|20260101120000+0000||ORU^R01^ORU_R01|{name}|P|2.5.1\r\
         PID|1||{name}^^^HOSP^MR||Wexford^Nigel||19610412|M|||1 Elm St^^Springfield^IL^62701^USA\r\
         OBR|1|{name}|{name}|8867-4^Heart rate^LN|||20260101\rOBX|1|NM|8867-4^Heart rate^LN||60|/min|||||F\r"
    )
}

/// Sends transactions from `next` on until the node does not answer. Gives the number of the one without an answer.
async fn transactions(client: Client, lane: usize, mut next: usize, told: Acknowledged) -> usize {
    loop {
        let name = name(lane, next);
        let Some(answer) = client.post("/", &transaction(&name)).await else { return next };
        assert_eq!(answer.status, 200, "{}", answer.text);
        let entries = answer.body["entry"].as_array().unwrap();
        assert_eq!(entries.len(), 1 + OBSERVATIONS);
        for entry in entries {
            let status = entry["response"]["status"].as_str().unwrap();
            assert!(status.starts_with("201") || status.starts_with("200"), "{}", answer.text);
        }
        told.note(name);
        next += 1;
    }
}

/// Sends messages from `next` on until the node does not answer. Gives the number of the one without an answer.
async fn messages(address: SocketAddr, lane: usize, mut next: usize, told: Acknowledged) -> usize {
    let mut stream = connect(address).await;
    loop {
        let name = name(lane, next);
        let Some(answer) = exchange(&mut stream, message(&name).as_bytes()).await else { return next };
        assert!(answer.contains(&format!("\rMSA|AA|{name}")), "{answer}");
        told.note(name);
        next += 1;
    }
}

/// Every resource of a type: how often its identifier is there, and that each has one version.
async fn counted(client: &Client, kind: &str) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let mut path = format!("/{kind}?_count={PAGE}");
    loop {
        let page = client.get(&path).await;
        assert_eq!(page.status, 200, "{}", page.text);
        for entry in page.body["entry"].as_array().into_iter().flatten() {
            let resource = &entry["resource"];
            assert_eq!(resource["meta"]["versionId"], "1", "{resource}");
            let mut identifiers = resource["identifier"].as_array().into_iter().flatten();
            let first = identifiers.find_map(|one| one["value"].as_str());
            *counts.entry(first.unwrap_or_default().to_owned()).or_default() += 1;
        }
        let links = page.body["link"].as_array().unwrap();
        let Some(next) = links.iter().find(|link| link["relation"] == "next") else { return counts };
        path = format!("/{}", next["url"].as_str().unwrap().splitn(4, '/').nth(3).unwrap());
    }
}

/// A transaction that nobody answered is there whole, or not at all.
async fn assert_whole(client: &Client, name: &str) {
    let patients = client.get(&format!("/Patient?identifier=urn:kills|{name}&_summary=count")).await;
    let patients = patients.body["total"].as_u64().unwrap();
    let mut observations = 0;
    for number in 0..OBSERVATIONS {
        let path = format!("/Observation?identifier=urn:kills|{name}-{number}&_summary=count");
        observations += client.get(&path).await.body["total"].as_u64().unwrap();
    }
    let whole = (1, OBSERVATIONS as u64);
    assert!([(0, 0), whole].contains(&(patients, observations)), "{patients} and {observations} of {name}");
}

/// Goal: whatever a client was told is there is there, once, and a transaction is whole or absent, however often and whenever
/// the node is killed. Way: two senders of transactions and two feeds, each of which repeats what was not answered.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_was_acknowledged_is_there_once_however_often_the_node_is_killed() {
    let kills = std::env::var("BXP_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(KILLS);
    let began = Instant::now();
    let mut net = Net::start().await;
    let (client, feed) = (net.nodes[STAR].client.clone(), net.nodes[STAR].listen.mllp.unwrap());
    let (taken, received) = (Acknowledged::default(), Acknowledged::default());
    // Of each lane, the next transaction and the next message.
    let mut next = [(1_usize, 1_usize); LANES];
    for kill in 0..kills {
        let mut lanes = JoinSet::new();
        for (lane, (transaction, message)) in next.into_iter().enumerate() {
            let (client, taken, received) = (client.clone(), taken.clone(), received.clone());
            lanes.spawn(async move { (true, lane, transactions(client, lane, transaction, taken).await) });
            lanes.spawn(async move { (false, lane, messages(feed, LANES + lane, message, received).await) });
        }
        // Another moment each time, from before the first answer to many answers later.
        sleep(Duration::from_millis(kill * 137 % 900)).await;
        net.nodes[STAR].strike();
        while let Some(ended) = lanes.join_next().await {
            let (of_transactions, lane, pending) = ended.unwrap();
            *(if of_transactions { &mut next[lane].0 } else { &mut next[lane].1 }) = pending;
        }
        net.nodes[STAR].gone().await;
        net.nodes[STAR].start().await;
        for (lane, (transaction, _)) in next.iter().enumerate() {
            assert_whole(&client, &name(lane, *transaction)).await;
        }
    }
    // Each sender sends what was not answered a last time, and then everybody is told.
    for (lane, (taken_next, received_next)) in next.into_iter().enumerate() {
        let (transaction_name, message_name) = (name(lane, taken_next), name(LANES + lane, received_next));
        assert_eq!(client.post("/", &transaction(&transaction_name)).await.unwrap().status, 200);
        taken.note(transaction_name);
        let answer = exchange(&mut connect(feed).await, message(&message_name).as_bytes()).await.unwrap();
        assert!(answer.contains("\rMSA|AA|"), "{answer}");
        received.note(message_name);
    }
    let (taken, received) = (taken.all(), received.all());
    let (patients, observations) = (counted(&client, "Patient").await, counted(&client, "Observation").await);
    let mut expected: BTreeMap<String, usize> = taken.iter().map(|name| (name.clone(), 1)).collect();
    expected.extend(received.iter().map(|name| (name.clone(), 1)));
    assert_eq!(patients, expected, "every patient once, and no other");
    for name in &taken {
        for number in 0..OBSERVATIONS {
            assert_eq!(observations.get(&format!("{name}-{number}")), Some(&1), "{name}");
        }
    }
    let all = observations.values().sum::<usize>();
    assert_eq!(all, taken.len() * OBSERVATIONS + received.len(), "and no other");
    println!(
        "{kills} kills: {} transactions and {} messages were acknowledged, all there once, in {:.0?}",
        taken.len(),
        received.len(),
        began.elapsed()
    );
}
