//! Records through `kill -9` of their holder: what was answered is there, is anchored, and is replicated where it may be.

use crate::kit::{Answer, DAWN, Disk, Net, NodeProcess, REGULATOR, RHEIN, STAR, end_of_log, until};
use alloy_primitives::keccak256;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;
use std::{fmt::Write as _, time::Duration};

const PATIENTS: u64 = 20;
/// Records of each patient in [`bundle`].
const RECORDS: u64 = 4;
pub(crate) const ALL: u64 = PATIENTS * RECORDS;

/// Patients of the US, each with an encounter, a condition and a measured weight. `ward` makes them others.
pub(crate) fn bundle(ward: &str) -> String {
    let mut entries = String::new();
    for number in 0..PATIENTS {
        let patient = format!("patient-{ward}-{number}");
        let subject = format!(r#""subject":{{"reference":"Patient/{patient}"}}"#);
        let resources = [
            format!(
                r#"{{"resourceType":"Patient","id":"{patient}","name":[{{"family":"Wexford{number}"}}],"gender":"female","birthDate":"1961-07-04","address":[{{"city":"Hollowfen","country":"US"}}]}}"#
            ),
            format!(
                r#"{{"resourceType":"Encounter","id":"encounter-{ward}-{number}","status":"finished","class":{{"system":"http://terminology.hl7.org/CodeSystem/v3-ActCode","code":"AMB"}},{subject}}}"#
            ),
            format!(
                r#"{{"resourceType":"Condition","id":"condition-{ward}-{number}","code":{{"coding":[{{"system":"http://snomed.info/sct","code":"49436004"}}]}},{subject}}}"#
            ),
            format!(
                r#"{{"resourceType":"Observation","id":"weight-{ward}-{number}","status":"final","code":{{"coding":[{{"system":"http://loinc.org","code":"29463-7"}}]}},{subject},"valueQuantity":{{"value":71.50,"unit":"kg","system":"http://unitsofmeasure.org","code":"kg"}}}}"#
            ),
        ];
        for resource in resources {
            let separator = if entries.is_empty() { "" } else { "," };
            write!(entries, r#"{separator}{{"resource":{resource}}}"#).unwrap();
        }
    }
    format!(r#"{{"resourceType":"Bundle","type":"collection","entry":[{entries}]}}"#)
}

pub(crate) async fn ingest(node: &NodeProcess, bundle: &str) -> Answer {
    let answer = node.client.post("/$ingest?source=ward.json", bundle).await.expect("the node answers");
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer
}

/// The numbers of an answer by name; zero where a node has no holding of the country at all.
pub(crate) fn counts<const N: usize>(of: &Value, names: [&str; N]) -> [u64; N] {
    names.map(|name| match of {
        Value::Null => 0,
        of => of[name].as_u64().unwrap_or_else(|| panic!("no {name} in {of}")),
    })
}

/// How many resources of [`bundle`]s the node's working copy has.
async fn kept_whole(node: &NodeProcess) -> u64 {
    let mut kept = 0;
    for kind in ["Patient", "Encounter", "Condition", "Observation"] {
        let counted = node.client.get(&format!("/{kind}?_summary=count")).await;
        kept += counts(&counted.body, ["total"])[0];
    }
    kept
}

/// Waits until all nodes know all records as anchored, and asserts where the identity blocks are.
async fn assert_settled(net: &Net, records: u64) {
    for node in &net.nodes {
        until(&format!("{} knows every record as anchored", node.name), async || {
            counts(&node.client.holding("US").await, ["records", "anchored"]) == [records; 2]
        })
        .await;
    }
    for (node, identities) in [(STAR, records), (DAWN, records), (RHEIN, 0), (REGULATOR, 0)] {
        let holding = net.nodes[node].client.holding("US").await;
        let blocks = counts(&holding, ["identityBlocks", "deidentifiedBlocks"]);
        assert_eq!(blocks, [identities, records], "{}: {holding}", net.nodes[node].name);
        let keys = counts(&holding, ["identityKeys", "own"]);
        let own = if node == STAR { records } else { 0 };
        assert!(keys[0] <= identities && keys[1] == own, "{}: {holding}", net.nodes[node].name);
    }
}

/// Goal: the answer is a promise. The holder is killed as soon as it has answered, before anything is anchored or handed
/// over.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_the_holder() {
    let mut net = Net::start().await;
    let bundle = bundle("7");
    let report = ingest(&net.nodes[STAR], &bundle).await;
    net.nodes[STAR].kill().await;
    assert_eq!(
        counts(&report.body, ["new", "refused", "patients_new"]),
        [ALL, 0, PATIENTS],
        "{}",
        report.text
    );
    net.nodes[STAR].start().await;
    let holding = net.nodes[STAR].client.holding("US").await;
    let held = counts(&holding, ["records", "own", "identityBlocks", "identityKeys"]);
    assert_eq!(held, [ALL; 4], "{holding}");
    assert_eq!(kept_whole(&net.nodes[STAR]).await, ALL, "vault and working copy agree");
    assert_settled(&net, ALL).await;
    let again = ingest(&net.nodes[STAR], &bundle).await;
    assert_eq!(counts(&again.body, ["new", "changed", "duplicates"]), [0, 0, ALL], "{}", again.text);
    assert_settled(&net, ALL).await;
    show_everywhere(&net).await;
}

/// A record whole at home, also at the other node of the country, and its rest abroad.
async fn show_everywhere(net: &Net) {
    let listed = net.nodes[STAR].client.get("/records?limit=4").await;
    for record in listed.body["records"].as_array().unwrap() {
        let path = format!("/records/{}", record["record_id"].as_str().unwrap());
        for (node, part) in [(STAR, "whole"), (DAWN, "whole"), (RHEIN, "de-identified")] {
            let shown = net.nodes[node].client.get(&path).await;
            assert_eq!(
                (shown.status, &shown.body["part"], &shown.body["anchor"]["verified"]),
                (200, &part.into(), &true.into()),
                "{}",
                shown.text
            );
        }
        let overseen = net.nodes[REGULATOR].client.get(&format!("{path}?purpose=oversight")).await;
        assert_eq!((overseen.status, &overseen.body["part"]), (200, &"de-identified".into()));
    }
}

/// Goal: nothing is half-written. The holder is killed while it takes a bundle in, at several moments; afterwards all of
/// the bundle is there or nothing, and handing it in again completes it without duplicates.
#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_taken_whole_or_not_at_all() {
    let mut net = Net::start().await;
    let mut records = 0;
    for (round, milliseconds) in [2, 10, 20, 40].into_iter().enumerate() {
        let bundle = bundle(&format!("round{round}"));
        let (client, body) = (net.nodes[STAR].client.clone(), bundle.clone());
        let posted = tokio::spawn(async move { client.post("/$ingest", &body).await });
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        net.nodes[STAR].kill().await;
        let answered = posted.await.unwrap().is_some_and(|answer| answer.status == 200);
        net.nodes[STAR].start().await;
        let [held] = counts(&net.nodes[STAR].client.holding("US").await, ["records"]);
        let taken = held - records;
        assert_eq!(kept_whole(&net.nodes[STAR]).await, held, "vault and working copy agree");
        println!("killed after {milliseconds} ms: {taken} of {ALL} records, answered: {answered}");
        assert!(taken == ALL || (taken == 0 && !answered), "{taken} records, answered: {answered}");
        let again = ingest(&net.nodes[STAR], &bundle).await;
        let expected = if taken == ALL { [0, ALL] } else { [ALL, 0] };
        assert_eq!(counts(&again.body, ["new", "duplicates"]), expected, "{}", again.text);
        records += ALL;
    }
    assert_settled(&net, records).await;
}

const SCAN_BYTES: usize = 2 << 20;

/// A patient and one large scan that does not compress.
fn scan(number: u64) -> String {
    let parts = 0..SCAN_BYTES as u64 / 32;
    let noise: Vec<u8> =
        parts.flat_map(|part| keccak256([number.to_be_bytes(), part.to_be_bytes()].concat())).collect();
    let scan = STANDARD.encode(noise);
    format!(
        r#"{{"resourceType":"Bundle","type":"collection","entry":[{{"resource":{{"resourceType":"Patient","id":"scanned-{number}","name":[{{"family":"Wexford"}}],"address":[{{"country":"US"}}]}}}},{{"resource":{{"resourceType":"DocumentReference","id":"scan-{number}","status":"current","subject":{{"reference":"Patient/scanned-{number}"}},"content":[{{"attachment":{{"contentType":"image/png","data":"{scan}"}}}}]}}}}]}}"#
    )
}

/// Goal: on a full disk the submitter and the operator are told, the node ends instead of going on half-alive, and when
/// there is space again all that was acknowledged is there and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn on_a_full_disk_nothing_is_half_taken() {
    let mut net = Net::make().await;
    let Some(disk) = Disk::mount(&net.nodes[STAR].dir().join("chain"), 160) else {
        println!("NOT TESTED: this user may not mount a small disk (CAP_SYS_ADMIN)");
        return;
    };
    net.start_all().await;
    let (mut taken, mut refusal) = (0, None);
    for number in 0..100 {
        match net.nodes[STAR].client.post("/$ingest?source=scan.json", &scan(number)).await {
            Some(answer) if answer.status == 200 => taken = number + 1,
            other => {
                refusal = Some(other);
                break;
            }
        }
    }
    // Where a block meets the end of the disk first, the node ends and gives no answer at all.
    let refusal = refusal.expect("the disk is full at last").map(|answer| (answer.status, answer.text));
    println!("{taken} scans taken, then {refusal:?}");
    assert!(refusal.is_none_or(|(status, _)| [500, 507].contains(&status)));
    assert!(taken > 5, "the disk was not full from the start");
    let status = net.nodes[STAR].ended_by_itself().await;
    assert_eq!(status.code(), Some(1), "the node ends by itself");
    let said = end_of_log(&net.nodes[STAR].log());
    assert!(said.contains("error: the chain stopped"), "{said}");
    disk.resize(1_000);
    net.nodes[STAR].start().await;
    let [held] = counts(&net.nodes[STAR].client.holding("US").await, ["records"]);
    assert_eq!(held, 2 * taken, "what was acknowledged, whole");
    let again = ingest(&net.nodes[STAR], &scan(taken)).await;
    assert_eq!(counts(&again.body, ["new", "duplicates"]), [2, 0], "{}", again.text);
    net.nodes[STAR].stop().await;
}
