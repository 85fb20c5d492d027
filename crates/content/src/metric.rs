//! The crate's metrics.

use metrics::{counter, describe_counter, describe_gauge, gauge};

const SENT: &str = "bxp_content_blocks_sent_total";
const REFUSED: &str = "bxp_content_wants_refused_total";
const RECEIVED: &str = "bxp_content_blocks_received_total";
const CUT_OFF: &str = "bxp_content_peers_cut_off_total";
const PEERS: &str = "bxp_content_peers";
const USED: &str = "bxp_content_used_bytes";

pub(crate) fn describe() {
    describe_counter!(SENT, "Blocks that were sent to peers over bitswap");
    describe_counter!(REFUSED, "Wants of peers for blocks that are not here or not theirs to read");
    describe_counter!(RECEIVED, "Blocks that were asked for and came from peers over bitswap");
    describe_counter!(CUT_OFF, "Peers that were disconnected for breaking bitswap or its bounds");
    describe_gauge!(PEERS, "Peers of the content swarm that are connected");
    describe_gauge!(USED, "Bytes of blocks in the content store");
}

pub(crate) fn sent() {
    counter!(SENT).increment(1);
}

pub(crate) fn refused() {
    counter!(REFUSED).increment(1);
}

pub(crate) fn received() {
    counter!(RECEIVED).increment(1);
}

pub(crate) fn cut_off() {
    counter!(CUT_OFF).increment(1);
}

/// A gauge's value is a float, and these counts are far below where that matters.
#[allow(clippy::cast_precision_loss)]
pub(crate) fn peers(count: usize) {
    gauge!(PEERS).set(count as f64);
}

#[allow(clippy::cast_precision_loss)]
pub(crate) fn used(bytes: u64) {
    gauge!(USED).set(bytes as f64);
}
