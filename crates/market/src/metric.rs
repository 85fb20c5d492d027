//! The market's metrics.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const REQUESTS: &str = "market_open_requests";
const MATCHED: &str = "market_charts_matched_total";
const DELIVERIES: &str = "market_deliveries_total";
const CHARTS: &str = "market_charts_delivered_total";
const SETTLED: &str = "market_charts_settled_total";
const FAILED: &str = "market_failures_total";

/// Tells the recorder what the names mean.
pub(crate) fn describe() {
    describe_gauge!(REQUESTS, Unit::Count, "Open data requests that this node follows");
    describe_counter!(MATCHED, Unit::Count, "Charts that met the criterion of a request");
    describe_counter!(DELIVERIES, Unit::Count, "Deliveries that a contract counted");
    describe_counter!(CHARTS, Unit::Count, "Charts in deliveries that a contract counted");
    describe_counter!(SETTLED, Unit::Count, "Charts whose payment this node settled");
    describe_counter!(FAILED, Unit::Count, "Rounds over a request that failed and are tried again");
}

pub(crate) fn open_requests(count: usize) {
    gauge!(REQUESTS).set(count as f64);
}

pub(crate) fn matched(charts: usize) {
    counter!(MATCHED).increment(charts as u64);
}

pub(crate) fn delivered(charts: usize) {
    counter!(DELIVERIES).increment(1);
    counter!(CHARTS).increment(charts as u64);
}

pub(crate) fn settled(charts: u32) {
    counter!(SETTLED).increment(u64::from(charts));
}

pub(crate) fn failed() {
    counter!(FAILED).increment(1);
}
