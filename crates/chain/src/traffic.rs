//! Messages between validators, counted by what they are.

use bxp_consensus::wire::{NAMES, name_of};
use bxp_network::Channel;
use metrics::{Counter, Unit, describe_counter};

const MESSAGES: &str = "bxp_chain_messages_total";
const MESSAGE_BYTES: &str = "bxp_chain_message_bytes_total";

/// The counters of one direction.
pub(crate) struct Traffic {
    consensus: [(Counter, Counter); NAMES.len()],
    attestations: (Counter, Counter),
}

impl Traffic {
    /// The counters of `direction`: `sent`, each message once for each peer, or `received`.
    pub(crate) fn new(direction: &'static str) -> Self {
        describe_counter!(MESSAGES, Unit::Count, "Messages between validators, by direction and kind");
        describe_counter!(MESSAGE_BYTES, Unit::Bytes, "Their bytes, before encryption");
        let pair = |kind: &'static str| {
            let count = metrics::counter!(MESSAGES, "direction" => direction, "kind" => kind);
            (count, metrics::counter!(MESSAGE_BYTES, "direction" => direction, "kind" => kind))
        };
        Self { consensus: NAMES.map(pair), attestations: pair("attestation") }
    }

    /// Counts a message that goes to, or came from, so many peers.
    pub(crate) fn count(&self, channel: Channel, message: &[u8], peers: usize) {
        let (count, bytes) = match channel {
            Channel::Attestation => &self.attestations,
            Channel::Consensus | Channel::Bodies => &self.consensus[name_of(message)],
        };
        count.increment(peers as u64);
        bytes.increment((message.len() * peers) as u64);
    }
}
