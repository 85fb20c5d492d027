//! The canary test: identifiers planted in records are nowhere outside of the sealed blocks of the patient's country.
//!
//! Searched are every byte of every node's folder and log, all answers about the chain, all answers about records but
//! those that show a record at home, and all that goes over loopback between nodes and to their JSON-RPC and metrics.

mod bundles;
mod capture;
mod planted;
mod search;

use crate::kit::{Client, DAWN, Net, REGULATOR, RHEIN, STAR, head, until};
use bundles::{Chart, chart};
use capture::Capture;
use planted::Planter;
use search::Search;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

const CHARTS: usize = 2;
/// The country of each node, in validator order.
const COUNTRIES: [&str; 4] = ["US", "US", "DE", "CA"];

/// Who plants what.
struct Planters {
    us: Planter,
    de: Planter,
    /// In submissions but in no resource that is taken: shown nowhere, also not at home.
    besides: Planter,
    /// Sent in clear on purpose, to see that the capture sees it.
    control: Planter,
}

impl Planters {
    fn all(&self) -> impl Iterator<Item = &planted::Planted> {
        [&self.us, &self.de, &self.besides].into_iter().flat_map(|planter| &planter.planted)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_planted_identifier_is_found_outside_the_vaults_of_its_country() {
    let mut net = Net::start().await;
    let mut planters = Planters {
        us: Planter::new("us"),
        de: Planter::new("de"),
        besides: Planter::new("besides"),
        control: Planter::new("control"),
    };
    let mut charts = |planter: &mut Planter, country| -> Vec<Chart> {
        (0..CHARTS).map(|_| chart(planter, &mut planters.besides, country)).collect()
    };
    let (us, de) = (charts(&mut planters.us, "US"), charts(&mut planters.de, "DE"));
    let refused = refused_submissions(&mut planters.besides);
    let source = planters.besides.plant("id");
    let controls = [planters.control.plant("name"), planters.control.plant("name")];
    let count = planters.us.count() + planters.de.count() + planters.besides.count();
    assert!(count >= 200, "{count} identifiers");
    let search = Search::new(planters.all());

    let capture = begin_capture(&net, &planters);
    call_in_clear(&net, &controls[0]).await;
    let star = &net.nodes[STAR].client;
    for (client, charts) in [(star, &us), (&net.nodes[RHEIN].client, &de)] {
        for chart in charts {
            take(client, chart, &source, &search).await;
        }
    }
    for body in refused {
        let answer = star.post(&format!("/$ingest?source={source}"), &body).await.unwrap();
        search.assert_clean("a refusal", answer.text.replace(&source, "").as_bytes());
        assert!(answer.status == 400 || answer.body["new"] == 0, "{}", answer.text);
    }
    let records = |charts: &[Chart]| charts.iter().map(|chart| chart.records).sum::<u64>();
    settled(&net, records(&us), records(&de)).await;
    show_everywhere(&net, &planters, &search).await;
    read_by_original_id(&net, &us[0].patient, &planters, &search).await;
    for node in &net.nodes {
        search_chain(&node.client, &search).await;
        search_lists(&node.client, &search).await;
    }
    call_in_clear(&net, &controls[1]).await;
    let submitted: usize = us.iter().chain(&de).map(|chart| chart.bundle.len()).sum();
    end_capture(&net, capture, &controls, submitted as u64);

    for node in &mut net.nodes {
        node.stop().await;
    }
    let (files, bytes) = search.assert_clean_folder(&net.dir());
    assert!(bytes > 4 * submitted, "every node keeps what it holds in its folder");
    println!("{count} planted identifiers: none in {bytes} bytes of {files} files");
}

/// Submissions of which nothing is taken, each with identifiers in it.
fn refused_submissions(planter: &mut Planter) -> Vec<String> {
    let damaged = planter.fill(r#"{"resourceType":"Bundle","type":"batch","entry":[{"resource":{"resourceType":"Patient","name":[{"family":"@name"}],"birthDate":"@date"#);
    let entries = [
        r#"{"resourceType":"Spaceship","name":"@name","crew":["@ssn"]}"#,
        r#"{"resourceType":"Patient","id":"@id","name":[{"family":"@name"}],"address":[{"line":["@street"],"country":"DE"}]}"#,
        r#"{"resourceType":"Patient","id":"@id","birthDate":"the day of @text"}"#,
        r#"{"resourceType":"Observation","id":"@id","status":"final","code":{"text":"@text"},"subject":{"reference":"Patient/@id"}}"#,
        r#"{"resourceType":"Patient","id":"@id","@name":"@text"}"#,
    ];
    let entries = entries.map(|entry| format!(r#"{{"resource":{}}}"#, planter.fill(entry)));
    vec![
        damaged,
        format!(r#"{{"resourceType":"Bundle","type":"batch","entry":[{}]}}"#, entries.join(",")),
        planter.fill(r#"{"resourceType":"@name","text":"@text"}"#),
        planter.fill("@text @ssn"),
    ]
}

/// Captures what goes between nodes, and to the sockets at which no record is shown.
///
/// The sockets of the record edge are left out where a record may be shown at home: there the hospital's own programs get
/// whole records from the hospital's own node. That way is the deployment's to protect with TLS; loopback is within one
/// machine.
fn begin_capture(net: &Net, planters: &Planters) -> Option<Capture> {
    let mut ports = BTreeSet::from([net.nodes[REGULATOR].listen.fhir.port()]);
    for node in &net.nodes {
        ports.extend([node.listen.p2p, node.listen.rpc, node.listen.metrics].map(|address| address.port()));
    }
    let capture = Capture::begin(ports, Search::new(planters.all().chain(&planters.control.planted)));
    if capture.is_none() {
        println!(
            "NOT CAPTURED: this user may not open packet sockets (CAP_NET_RAW), so that what goes over loopback is not searched"
        );
    }
    capture
}

fn end_capture(net: &Net, capture: Option<Capture>, controls: &[String; 2], submitted: u64) {
    let Some(capture) = capture else { return };
    let mut captured = capture.end();
    for control in controls {
        let seen: Vec<_> = captured.found.iter().filter(|one| one.contains(control)).cloned().collect();
        assert!(!seen.is_empty(), "the capture sees what is sent in clear");
        captured.found.retain(|one| !seen.contains(one));
    }
    assert_eq!(captured.found, BTreeSet::new(), "nothing goes over the wire in clear");
    let between_nodes: u64 =
        net.nodes.iter().filter_map(|node| captured.bytes.get(&node.listen.p2p.port())).sum();
    assert!(between_nodes > submitted, "{between_nodes} bytes between nodes, {submitted} handed in");
    println!(
        "captured {} bytes, {between_nodes} of them between nodes",
        captured.bytes.values().sum::<u64>()
    );
}

/// Says something recognisable to a node's JSON-RPC.
async fn call_in_clear(net: &Net, word: &str) {
    net.nodes[RHEIN].client.rpc(&format!("control_{word}"), "[]").await.unwrap_err();
}

async fn take(client: &Client, chart: &Chart, source: &str, search: &Search) {
    let report = client.post(&format!("/$ingest?source={source}"), &chart.bundle).await.unwrap();
    assert_eq!((report.status, &report.body["refusals"]), (200, &json!([])), "{}", report.text);
    assert_eq!(report.body["new"], chart.records, "{}", report.text);
    search.assert_clean("a report", report.text.replace(source, "").as_bytes());
}

/// Waits until every node knows all records as anchored; identity blocks are in their country only.
async fn settled(net: &Net, us: u64, de: u64) {
    for (index, node) in net.nodes.iter().enumerate() {
        for (country, records) in [("US", us), ("DE", de)] {
            until(&format!("{} knows the records of {country} as anchored", node.name), async || {
                let holding = node.client.holding(country).await;
                holding["records"] == records && holding["anchored"] == records
            })
            .await;
            let holding = node.client.holding(country).await;
            let identities = if COUNTRIES[index] == country { records } else { 0 };
            assert_eq!(holding["identityBlocks"], identities, "{}: {holding}", node.name);
            assert_eq!(holding["deidentifiedBlocks"], records, "{}: {holding}", node.name);
        }
    }
}

/// Goal: at home, also at the other node of the country, every planted identifier is there; abroad none is.
async fn show_everywhere(net: &Net, planters: &Planters, search: &Search) {
    let mut whole = BTreeMap::<(usize, String), String>::new();
    let listed = net.nodes[DAWN].client.get("/records?limit=1000").await.body;
    let records = listed["records"].as_array().unwrap();
    let subjects: BTreeSet<_> = records.iter().map(|one| (text(one, "subject"), text(one, "home"))).collect();
    assert_eq!(subjects.len(), 2 * CHARTS);
    for (index, node) in net.nodes.iter().enumerate() {
        for (subject, home) in &subjects {
            let purpose = if index == REGULATOR { "oversight" } else { "treatment" };
            let shown = node.client.get(&format!("/records/{subject}?limit=1000&purpose={purpose}")).await;
            let at_home = COUNTRIES[index] == home;
            for record in shown.body["records"].as_array().unwrap() {
                assert_eq!(record["part"], if at_home { "whole" } else { "de-identified" }, "{record}");
            }
            if at_home {
                *whole.entry((index, home.clone())).or_default() += &shown.text;
            } else {
                search.assert_clean(&format!("{home} at {}", node.name), shown.text.as_bytes());
            }
        }
    }
    for (node, country, planter) in
        [(STAR, "US", &planters.us), (DAWN, "US", &planters.us), (RHEIN, "DE", &planters.de)]
    {
        let whole = &whole[&(node, country.to_owned())];
        for one in &planter.planted {
            assert!(whole.contains(&one.written), "{} is not shown at {}", one.written, net.nodes[node].name);
        }
    }
}

/// Goal: the id that the submitter gave leads to the record at its holder, and to nothing elsewhere.
async fn read_by_original_id(net: &Net, patient: &str, planters: &Planters, search: &Search) {
    let path = format!("/Patient/{patient}");
    let at_home = net.nodes[STAR].client.get(&path).await;
    assert_eq!((at_home.status, at_home.body["id"].as_str()), (200, Some(patient)));
    let shown = planters.us.planted.iter().filter(|one| at_home.text.contains(&one.written)).count();
    assert!(shown > 30, "{shown}");
    for node in [RHEIN, DAWN] {
        let elsewhere = net.nodes[node].client.get(&path).await;
        assert_eq!(elsewhere.status, 404);
        search.assert_clean("an answer", elsewhere.text.as_bytes());
    }
    // The regulator's edge is captured, so it is asked for nothing that identifies.
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap().to_owned()
}

/// Every block with its transactions, receipts and logs.
async fn search_chain(client: &Client, search: &Search) {
    let last = head(client).await;
    let heights: Vec<u64> = (0..=last).collect();
    for heights in heights.chunks(50) {
        let calls: Vec<_> = heights
            .iter()
            .flat_map(|height| {
                let height = format!("{height:#x}");
                [("eth_getBlockByNumber", json!([height, true])), ("eth_getBlockReceipts", json!([height]))]
            })
            .collect();
        let answers = client.rpc_batch(&calls).await.unwrap();
        search.assert_clean("a block", json!(answers).to_string().as_bytes());
    }
    let logs = client.rpc("eth_getLogs", r#"[{"fromBlock":"0x0","toBlock":"latest"}]"#).await.unwrap();
    assert!(!logs.as_array().unwrap().is_empty(), "anchors leave logs");
    search.assert_clean("the logs", logs.to_string().as_bytes());
}

/// What the record edge tells without showing a record, and the metrics.
async fn search_lists(client: &Client, search: &Search) {
    let patients = client.get("/patients").await;
    let mut paths: Vec<String> =
        ["/metadata", "/healthz", "/holdings", "/records?limit=1000", "/patients", "/requests"]
            .map(str::to_owned)
            .into();
    for patient in patients.body["patients"].as_array().unwrap() {
        paths.push(format!("/disclosures?limit=1000&subject={}", text(patient, "subject")));
        paths.push(format!("/records?subject={}", text(patient, "subject")));
    }
    for path in paths {
        let answer = client.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        search.assert_clean(&path, answer.text.as_bytes());
    }
    search.assert_clean("the metrics", client.metrics().await.as_bytes());
}
