//! The server's metrics, by name.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};
use std::time::Duration;

/// Seconds that a call of the ledger took, by `method`.
const CALL_SECONDS: &str = "bxp_rpc_call_seconds";
/// Calls that ended in an error, by `method`.
const FAULTS: &str = "bxp_rpc_faults_total";
/// Calls and connections refused because their client asks too much.
const REFUSED: &str = "bxp_rpc_refused_total";
/// Subscriptions over WebSocket that are open.
const SUBSCRIPTIONS: &str = "bxp_rpc_subscriptions";

/// Gives every metric its unit and its line of help.
pub(crate) fn describe() {
    describe_histogram!(CALL_SECONDS, Unit::Seconds, "Time a JSON-RPC method spent in the ledger, by method");
    describe_counter!(FAULTS, Unit::Count, "JSON-RPC methods that ended in an error, by method");
    describe_counter!(REFUSED, Unit::Count, "Calls and connections refused for a client's limits");
    describe_gauge!(SUBSCRIPTIONS, Unit::Count, "Open subscriptions over WebSocket");
}

/// Notes a call of the ledger.
pub(crate) fn called(method: &'static str, took: Duration, failed: bool) {
    metrics::histogram!(CALL_SECONDS, "method" => method).record(took.as_secs_f64());
    if failed {
        metrics::counter!(FAULTS, "method" => method).increment(1);
    }
}

/// Notes calls or a connection that were refused because their client asks too much.
pub(crate) fn refused(calls: usize) {
    metrics::counter!(REFUSED).increment(u64::try_from(calls).unwrap_or(u64::MAX));
}

/// Counts a subscription for as long as it lives.
pub(crate) struct SubscriptionCount;

impl SubscriptionCount {
    /// Counts one more.
    pub(crate) fn new() -> Self {
        metrics::gauge!(SUBSCRIPTIONS).increment(1.0);
        Self
    }
}

impl Drop for SubscriptionCount {
    fn drop(&mut self) {
        metrics::gauge!(SUBSCRIPTIONS).decrement(1.0);
    }
}
