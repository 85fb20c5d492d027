//! What is delivered, to whom, and what is not.

use crate::{
    holder::Holder,
    stack::{Stack, WITHIN},
};
use bxp_clinical::replicate::holder_permit;
use bxp_market::CHARTS_PER_DELIVERY_MAX;
use bxp_privacy::Purpose;
use bxp_types::{Address, BlockClass, Phi};
use bxp_vault::Clock;
use sonic_rs::{JsonValueTrait, Value};
use std::{collections::BTreeSet, time::Duration};

const HOUR: u64 = 3_600;

/// The ids by which the records of an opened or stored chart are named.
fn ids<'a>(records: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    let id = |record: &str| {
        let value: Value = sonic_rs::from_str(record).unwrap();
        assert!(value["resourceType"].as_str().is_some());
        value["id"].as_str().unwrap().to_owned()
    };
    records.into_iter().map(id).collect()
}

/// The patient's names, streets, numbers and contacts are not in what was delivered.
fn assert_no_identifier(star: &Holder, account: Address, delivered: &str) {
    let class = BlockClass::Identity(star.vault.home());
    let permit = holder_permit(&star.vault, &Clock::system(), class).unwrap();
    let chart = star.ingest.open_chart(star.subject_of(account), &permit).unwrap();
    let is_patient = |resource: &&Phi<Value>| resource.expose()["resourceType"].as_str() == Some("Patient");
    let patient = chart.iter().map(|(_, resource)| resource).find(is_patient).unwrap().expose();
    let texts = [
        &patient["name"][0]["family"],
        &patient["address"][0]["line"][0],
        &patient["identifier"][0]["value"],
        &patient["telecom"][0]["value"],
        &patient["birthDate"],
        &patient["id"],
    ];
    for text in texts {
        let text = text.as_str().unwrap();
        assert!(!text.is_empty() && !delivered.contains(text), "an identifier was delivered");
    }
}

/// Goal: only who contributes is delivered (row B2), whole, to the buyer alone, and accounted for (45 CFR 164.528). Way:
/// two patients fit, one has the switch off; a third does not fit.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_fit_the_one_who_contributes_is_delivered() {
    let (stack, star, patients) = Stack::with_patients(2).await;
    star.contribute(&patients[..1], true).await;
    let agent = star.agent();
    let request = stack.request(2, HOUR, 600).await;
    stack.until("one chart is counted", || stack.progress(request).counted == 1).await;
    assert!(stack.reader().is_counted(request, patients[0]).unwrap());

    let opened = stack.open_delivery(&star, request, 0);
    assert_eq!((opened.holder, opened.charts.len()), (star.account(), 1));
    let records = star.ingest.chart(star.subject_of(patients[0])).unwrap();
    assert_eq!(opened.charts[0].records.len(), records.len(), "the whole chart");
    assert_no_identifier(&star, patients[0], &opened.charts[0].records.concat());
    let research = Purpose::Research { request };
    assert_eq!(star.disclosed(patients[0]), vec![research; records.len()]);
    assert_eq!(star.disclosed(patients[1]), []);
    star.vault.verify_disclosures().unwrap();

    // Switched on later, the other one is delivered too, and the request is full.
    star.contribute(&patients[1..], true).await;
    stack.until("both are counted", || stack.progress(request).counted == 2).await;
    assert_eq!(stack.reader().delivery_count(request).unwrap(), 2);
    let first_ids = ids(opened.charts[0].records.iter().map(String::as_str));
    let second = stack.open_delivery(&star, request, 1);
    assert!(ids(second.charts[0].records.iter().map(String::as_str)).is_disjoint(&first_ids));
    agent.stop().await;
}

/// Goal: revoked between request and delivery is honoured. Way: both contribute when the request is opened, one revokes
/// before the holder answers.
#[tokio::test(flavor = "multi_thread")]
async fn who_revokes_before_the_delivery_is_not_delivered() {
    let (stack, star, patients) = Stack::with_patients(2).await;
    star.contribute(&patients, true).await;
    let request = stack.request(2, HOUR, 600).await;
    star.contribute(&patients[1..], false).await;
    let agent = star.agent();
    stack.until("one chart is counted", || stack.progress(request).counted == 1).await;
    // More blocks, in each of which the agent looks again.
    star.contribute(&patients[..1], true).await;
    let heads = stack.ledger.head().height();
    star.contribute(&patients[..1], true).await;
    stack.until("a block later", || stack.ledger.head().height() > heads).await;
    tokio::time::timeout(WITHIN, agent.stop()).await.unwrap();
    assert_eq!(stack.progress(request).counted, 1);
    assert!(!stack.reader().is_counted(request, patients[1]).unwrap());
    assert_eq!(star.disclosed(patients[1]), []);
}

/// Goal: what two requests get cannot be linked by the names in it. Way: the same patient is delivered to both.
#[tokio::test(flavor = "multi_thread")]
async fn two_requests_get_the_same_patient_under_different_names() {
    let (stack, star, patients) = Stack::with_patients(1).await;
    star.contribute(&patients, true).await;
    let agent = star.agent();
    let (one, two) = (stack.request(1, HOUR, 600).await, stack.request(1, HOUR, 600).await);
    for request in [one, two] {
        stack.until("it is counted", || stack.progress(request).counted == 1).await;
    }
    agent.stop().await;
    let (one, two) = (stack.open_delivery(&star, one, 0), stack.open_delivery(&star, two, 0));
    let (one, two) = (&one.charts[0], &two.charts[0]);
    assert_ne!(one.subject, two.subject);
    let names = [one, two].map(|chart| ids(chart.records.iter().map(String::as_str)));
    assert!(!names[0].is_empty() && names[0].is_disjoint(&names[1]));
    let stored: String = star.stored_records(patients[0]).concat();
    for name in names.iter().flatten() {
        assert!(!stored.contains(name.as_str()), "not the holder's own pseudonyms either");
    }
    let holders_names = ids(star.stored_records(patients[0]).iter().map(String::as_str));
    let delivered: String = one.records.concat();
    for name in &holders_names {
        assert!(!delivered.contains(name.as_str()), "no pseudonym that lasts leaves");
    }
}

/// Goal: many charts go in deliveries that fit a transaction with room to spare. Way: one chart more than a delivery has.
#[tokio::test(flavor = "multi_thread")]
async fn many_charts_go_in_several_deliveries() {
    let count = CHARTS_PER_DELIVERY_MAX as u32 + 1;
    let (stack, star, patients) = Stack::with_patients(count).await;
    star.contribute(&patients, true).await;
    let request = stack.request(count + 5, HOUR, 600).await;
    let before = stack.gas_paid(star.account());
    let agent = star.agent();
    stack.until("all are counted", || stack.progress(request).counted == count).await;
    agent.stop().await;
    assert!(stack.gas_paid(star.account()) > before);
    let first = stack.reader().delivery(request, 0).unwrap();
    assert_eq!(first.count as usize, CHARTS_PER_DELIVERY_MAX);
    assert_eq!(stack.open_delivery(&star, request, 0).charts.len(), CHARTS_PER_DELIVERY_MAX);
    assert_eq!(stack.open_delivery(&star, request, 1).charts.len(), 1);
    let largest = largest_gas_used(&stack);
    assert!(largest < bxp_execution::TRANSACTION_GAS_MAX / 5, "{largest}");
}

fn largest_gas_used(stack: &Stack) -> u64 {
    let heights = (1..=stack.ledger.head().height().0).map(bxp_types::Height);
    let receipts = heights.flat_map(|height| stack.ledger.receipts(height).unwrap().unwrap().to_vec());
    // The buyer's transaction that creates the contract is not the holder's.
    let deliveries = receipts.filter(|receipt| receipt.receipt.logs().len() > CHARTS_PER_DELIVERY_MAX);
    deliveries.map(|receipt| receipt.gas_used).max().unwrap()
}

/// Goal: data is accessed on its provider's conditions and for the term only (row D4). Way: the holder takes no less than
/// 1 BXM; a delivery is asked for after its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_holder_s_price_and_the_term_are_kept() {
    let (stack, star, patients) = Stack::with_patients(1).await;
    star.contribute(&patients, true).await;
    let cheap = stack.request_at(bxp_types::Amount::from_mbxm(999), 1, HOUR, 600).await;
    let fair = stack.request_at(bxp_types::Amount::from_bxm(1), 1, HOUR, 600).await;
    let agent = star.agent();
    stack.until("the fair one is counted", || stack.progress(fair).counted == 1).await;
    agent.stop().await;
    assert_eq!(stack.progress(cheap).counted, 0);
    let recorded = stack.reader().delivery(fair, 0).unwrap();
    let cid = cid::Cid::try_from(recorded.cid.as_ref()).unwrap();
    let term_end_ms = stack.reader().terms(fair).unwrap().deadline * 1_000;
    for (after_ms, served) in [(0, true), (23 * 3_600_000, true), (25 * 3_600_000, false)] {
        let service = star.service_at(Clock::from_fn(move || term_end_ms + after_ms));
        assert_eq!(service.delivery(&cid).unwrap().is_some(), served, "{after_ms} ms after the term");
        assert_eq!(service.answer(&cid.to_bytes()).is_some(), served);
    }
}

/// Goal: a criterion that nobody fits costs nothing and ends. Way: a request that runs out.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_match_is_forgotten_after_its_term() {
    let (stack, star) = Stack::start().await;
    let agent = star.agent();
    let request = stack.request(1, 3, 0).await;
    let open = || {
        let requests = bxp_market::Requests::open(&star.store, std::sync::Arc::clone(&stack.ledger)).unwrap();
        requests.open_requests().unwrap()
    };
    stack.until("it is followed", || open() == [request]).await;
    tokio::time::timeout(Duration::from_secs(30), stack.until("it is forgotten", || open().is_empty()))
        .await
        .unwrap();
    agent.stop().await;
    assert_eq!(stack.gas_paid(star.account()), bxp_types::U256::ZERO);
}
