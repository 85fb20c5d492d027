//! What a network is started with.

use crate::NetworkError;
use bxp_types::{Genesis, Secret, ValidatorIndex};
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// Who this node is and where it listens.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// The network's genesis: it names the peers, their addresses and their countries.
    pub genesis: Arc<Genesis>,
    /// This node's validator.
    pub me: ValidatorIndex,
    /// The validator's Ed25519 key: the node's libp2p identity.
    pub signing_key: Secret<[u8; 32]>,
    /// The local socket, which stands behind this validator's `p2p_address` in genesis.
    pub listen: SocketAddr,
}

/// Bounds in time and memory. All peers of one network use the same, except in tests.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The largest message on a channel, in bytes.
    pub frame_bytes_max: usize,
    /// Messages that wait for one peer, per channel.
    pub queue_frames_max: usize,
    /// Bytes that wait for one peer, per channel; at least one largest message.
    pub queue_bytes_max: usize,
    /// Messages on channels that one peer may send in a second; a peer above it is read more slowly.
    pub peer_messages_per_second_max: usize,
    /// Bytes on channels that one peer may send in a second; a peer above it is read more slowly.
    pub peer_bytes_per_second_max: usize,
    /// Exchanges that one peer may begin in a second; each portion of a hand-over, and its end, count as one. Of a peer
    /// above it the next ones are read later.
    ///
    /// An honest peer waits for an answer before it asks for more (catching up, repair, erasure), so over a network it is
    /// below a thousand; as many with nothing in them cost a node a small part of one core.
    pub peer_exchanges_per_second_max: usize,
    /// Bytes that one peer's exchanges may have this node read and send in a second: requests and answers, fetched blocks,
    /// portions. Of a peer above it the next ones are read later.
    ///
    /// That is sixteen full answers of `sync` (8 MiB each), and more than a line of 1 Gbit/s carries. A full answer holds
    /// tens of thousands of transactions, and who catches up executes and stores them before it asks for the next one: it
    /// asks for a few in a second at best and does not wait for this.
    pub peer_exchange_bytes_per_second_max: usize,
    /// How long a peer is left alone after it broke the protocol; twice as long the next time, and so on.
    pub ban_min: Duration,
    /// Events that wait for the owner; beyond them peers are read no further.
    pub events_queued_max: usize,
    /// The largest request, in bytes.
    pub request_bytes_max: usize,
    /// The largest answer, in bytes.
    pub answer_bytes_max: usize,
    /// Own requests and fetches at once with one peer; further ones wait within their time. A peer's own are held to
    /// twice as many.
    pub exchanges_per_peer_max: usize,
    /// Own hand-overs of blocks at once to one peer, apart from requests, which they must not hold up. A peer's own
    /// are held to twice as many, each with one portion in memory.
    pub hand_overs_per_peer_max: usize,
    /// From the start of a request to the end of its answer; also of a block fetch.
    pub request_timeout: Duration,
    /// The largest sealed block, in bytes of its envelope.
    pub block_bytes_max: usize,
    /// Blocks are handed over in portions of at most this many bytes, or of one block.
    pub portion_bytes_max: usize,
    /// Blocks in one portion.
    pub portion_blocks_max: usize,
    /// The largest manifest, in bytes.
    pub manifest_bytes_max: usize,
    /// For one portion, including the time in which the receiver stores it.
    pub portion_timeout: Duration,
    /// From the first packet to an authenticated connection, and from there to working channels.
    pub handshake_timeout: Duration,
    /// The first pause before dialling again; it doubles up to `redial_delay_max`.
    pub redial_delay_min: Duration,
    /// The longest pause before dialling again.
    pub redial_delay_max: Duration,
    /// A sign of life goes out once in this time; three times of silence close a connection.
    pub pulse_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes_max: 32 << 20,
            queue_frames_max: 16_384,
            queue_bytes_max: 96 << 20,
            peer_messages_per_second_max: 100_000,
            peer_bytes_per_second_max: 1 << 30,
            peer_exchanges_per_second_max: 1_000,
            peer_exchange_bytes_per_second_max: 128 << 20,
            ban_min: Duration::from_secs(10),
            events_queued_max: 64,
            request_bytes_max: 8 << 20,
            answer_bytes_max: 32 << 20,
            exchanges_per_peer_max: 16,
            hand_overs_per_peer_max: 4,
            request_timeout: Duration::from_secs(15),
            block_bytes_max: 16 << 20,
            portion_bytes_max: 8 << 20,
            portion_blocks_max: 4096,
            manifest_bytes_max: 1 << 20,
            portion_timeout: Duration::from_secs(60),
            handshake_timeout: Duration::from_secs(5),
            redial_delay_min: Duration::from_millis(200),
            redial_delay_max: Duration::from_secs(2),
            pulse_interval: Duration::from_secs(5),
        }
    }
}

/// More of anything that is counted is a mistake, not a bound.
const COUNT_MAX: usize = 1 << 20;

impl Limits {
    /// Checks that every bound lets something through and that every length fits the wire format.
    ///
    /// # Errors
    /// [`NetworkError::Limit`] names the first that does not.
    pub(crate) fn check(&self) -> Result<(), NetworkError> {
        let counts = [
            ("queue_frames_max", self.queue_frames_max),
            ("peer_messages_per_second_max", self.peer_messages_per_second_max),
            ("peer_exchanges_per_second_max", self.peer_exchanges_per_second_max),
            ("events_queued_max", self.events_queued_max),
            ("exchanges_per_peer_max", self.exchanges_per_peer_max),
            ("hand_overs_per_peer_max", self.hand_overs_per_peer_max),
            ("portion_blocks_max", self.portion_blocks_max),
        ];
        let lengths = [
            ("frame_bytes_max", self.frame_bytes_max),
            ("request_bytes_max", self.request_bytes_max),
            ("answer_bytes_max", self.answer_bytes_max),
            ("block_bytes_max", self.block_bytes_max),
            ("manifest_bytes_max", self.manifest_bytes_max),
        ];
        let wrong_count = counts.into_iter().find(|(_, count)| !(1..=COUNT_MAX).contains(count));
        let wrong_length = lengths.into_iter().find(|(_, length)| u32::try_from(*length).is_err());
        let rates = [
            ("peer_bytes_per_second_max", self.peer_bytes_per_second_max),
            ("peer_exchange_bytes_per_second_max", self.peer_exchange_bytes_per_second_max),
        ];
        let wrong_rate = rates.into_iter().find(|(_, rate)| *rate == 0);
        let wrong_queue = (self.queue_bytes_max < self.frame_bytes_max).then_some(("queue_bytes_max", 0));
        match wrong_count.or(wrong_length).or(wrong_rate).or(wrong_queue) {
            Some((name, _)) => Err(NetworkError::Limit(name)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_that_let_nothing_through_are_named() {
        assert!(Limits::default().check().is_ok());
        let refused = |limits: Limits| limits.check().unwrap_err().to_string();
        let none = Limits { events_queued_max: 0, ..Limits::default() };
        assert_eq!(refused(none), "the limit events_queued_max is out of range");
        let free = Limits { peer_exchange_bytes_per_second_max: 0, ..Limits::default() };
        assert_eq!(refused(free), "the limit peer_exchange_bytes_per_second_max is out of range");
        let narrow = Limits { queue_bytes_max: 1, ..Limits::default() };
        assert_eq!(refused(narrow), "the limit queue_bytes_max is out of range");
    }
}
