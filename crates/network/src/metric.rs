//! The network's metrics, by name.

use crate::{Service, protocol::Kind};
use metrics::{Counter, Unit, describe_counter, describe_gauge};

/// Bytes written to peers, by `stream` (a channel or a kind of exchange), before encryption. Requests and their answers
/// have a `service` too.
pub(crate) const SENT_BYTES: &str = "bxp_network_sent_bytes_total";
/// Bytes read from peers, by `stream` and `service` as well.
pub(crate) const RECEIVED_BYTES: &str = "bxp_network_received_bytes_total";
/// Peers to which all channels work.
pub(crate) const CONNECTED_PEERS: &str = "bxp_network_connected_peers";
/// Connections that ended, by `reason`.
pub(crate) const ENDED_CONNECTIONS: &str = "bxp_network_ended_connections_total";
/// Connections refused at the gate.
pub(crate) const REFUSED_CONNECTIONS: &str = "bxp_network_refused_connections_total";
/// Blocks that the residency fence held back, by `end`.
pub(crate) const FENCE_REFUSALS: &str = "bxp_network_fence_refusals_total";

/// Gives every metric its unit and its line of help.
pub(crate) fn describe() {
    describe_counter!(SENT_BYTES, Unit::Bytes, "Bytes written to peers, before encryption");
    describe_counter!(RECEIVED_BYTES, Unit::Bytes, "Bytes read from peers, after decryption");
    describe_gauge!(CONNECTED_PEERS, Unit::Count, "Peers to which all channels work");
    describe_counter!(ENDED_CONNECTIONS, Unit::Count, "Connections to validators that ended, by reason");
    describe_counter!(
        REFUSED_CONNECTIONS,
        Unit::Count,
        "Incoming connections refused before they carried anything"
    );
    describe_counter!(FENCE_REFUSALS, Unit::Count, "Blocks that the residency fence held back, by end");
}

/// Counts bytes written to streams of one kind.
pub(crate) fn sent(stream: &'static str) -> Counter {
    metrics::counter!(SENT_BYTES, "stream" => stream)
}

/// Counts bytes of one service's requests and answers that are written.
pub(crate) fn request_sent(service: Service) -> Counter {
    metrics::counter!(SENT_BYTES, "stream" => Kind::Request.name(), "service" => service.name())
}

/// Counts bytes of one service's requests and answers that are read.
pub(crate) fn request_received(service: Service) -> Counter {
    metrics::counter!(RECEIVED_BYTES, "stream" => Kind::Request.name(), "service" => service.name())
}

/// Counts bytes read from streams of one kind.
pub(crate) fn received(stream: &'static str) -> Counter {
    metrics::counter!(RECEIVED_BYTES, "stream" => stream)
}
