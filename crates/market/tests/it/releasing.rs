//! Under which profile charts leave, and that a release which hides its patients too badly does not.

use crate::stack::Stack;
use bxp_market::{Chart, OpenedDelivery, ReleasePolicy, ReleaseProfile};
use bxp_privacy::{DAY_OFFSET_URL, rules_digest};
use bxp_types::B256;
use std::{collections::BTreeSet, time::Duration};

const HOUR: u64 = 3_600;

/// Hexadecimal digits that stand where a name does: ids and the ends of references.
fn names(chart: &Chart) -> BTreeSet<String> {
    let words = |record: &String| {
        let words = record.split(|one: char| !one.is_ascii_hexdigit() && one != '-');
        words.filter(|word| word.len() >= 32).map(str::to_owned).collect::<Vec<_>>()
    };
    chart.records.iter().flat_map(words).collect()
}

fn chart(opened: &OpenedDelivery) -> &Chart {
    assert_eq!(opened.charts.len(), 1);
    &opened.charts[0]
}

/// Goal: two buyers cannot join their copies by name or place, and each copy says by which rules it left. Way: the same
/// chart goes to two requests.
#[tokio::test(flavor = "multi_thread")]
async fn two_copies_of_a_chart_share_no_name_and_name_their_rules() {
    let (stack, star, patients) = Stack::with_patients(1).await;
    star.contribute(&patients, true).await;
    let agent = star.agent();
    let mut copies = Vec::new();
    for _ in 0..2 {
        let request = stack.request(1, HOUR, 600).await;
        stack.until("it is counted", || stack.progress(request).counted == 1).await;
        copies.push(stack.open_delivery(&star, request, 0));
    }
    let (one, other) = (chart(&copies[0]), chart(&copies[1]));
    assert_eq!(one.records.len(), other.records.len());
    let (names, others) = (names(one), names(other));
    assert!(names.len() >= one.records.len(), "every record has a name");
    assert!(names.is_disjoint(&others));
    assert_ne!(one.subject, other.subject);
    for copy in &copies {
        assert_eq!(copy.profile, "safe-harbor");
        assert_eq!(copy.rules, [B256::from(rules_digest())]);
    }
    agent.stop().await;
}

/// Goal: a release under the threshold is refused, and let go when enough others are alike. Way: nobody is like a single
/// patient, so k = 2 keeps the chart; the same agent with k = 1 delivers it, under an expert determination.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_under_the_threshold_is_refused() {
    let (stack, mut star, patients) = Stack::with_patients(1).await;
    star.contribute(&patients, true).await;
    star.release = ReleasePolicy { profile: ReleaseProfile::ExpertDetermination, k_min: 2 };
    let agent = star.agent();
    let request = stack.request(1, 3, 1).await;
    let requests = bxp_market::Requests::open(&star.store, std::sync::Arc::clone(&stack.ledger)).unwrap();
    let open = || requests.open_requests().unwrap();
    stack.until("it is followed", || open() == [request]).await;
    tokio::time::timeout(Duration::from_secs(30), stack.until("its term ends", || open().is_empty()))
        .await
        .unwrap();
    assert_eq!(stack.progress(request).counted, 0);
    agent.stop().await;

    star.release.k_min = 1;
    let agent = star.agent();
    let request = stack.request(1, HOUR, 600).await;
    stack.until("it is counted", || stack.progress(request).counted == 1).await;
    let opened = stack.open_delivery(&star, request, 0);
    assert_eq!(opened.profile, "expert-determination");
    assert!(
        chart(&opened).records.iter().any(|record| record.contains(DAY_OFFSET_URL)),
        "distances are told"
    );
    agent.stop().await;
}
