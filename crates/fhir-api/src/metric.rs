//! The server's metrics, by name.

use metrics::{Unit, describe_counter, describe_histogram};
use std::time::Duration;

/// Requests that were answered, by `route` and `status`.
const REQUESTS: &str = "bxp_fhir_requests_total";
/// Seconds from a request's head to its answer's, by `route`.
const SECONDS: &str = "bxp_fhir_request_seconds";

/// Gives every metric its unit and its line of help.
pub(crate) fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "Answered requests of the FHIR server, by route and status");
    describe_histogram!(SECONDS, Unit::Seconds, "Time to answer a request of the FHIR server, by route");
}

/// Notes an answered request.
pub(crate) fn answered(route: &str, status: u16, took: Duration) {
    let route = route.to_owned();
    metrics::counter!(REQUESTS, "route" => route.clone(), "status" => status.to_string()).increment(1);
    metrics::histogram!(SECONDS, "route" => route).record(took.as_secs_f64());
}
