//! The bounds on peers, named in one place.

use std::time::Duration;

/// What one peer, and all of them, may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections of all peers; each costs a task and some buffers.
    pub connections_max: u32,
    /// Connections of one peer: one that was cut off may be back before its old connection is seen to be dead.
    pub connections_per_peer_max: u32,
    /// Streams on which one connection's peer sends at once. Helia opens one for each message.
    pub streams_per_connection_max: usize,
    /// Bytes of one message, both ways: what other implementations send and take.
    pub message_bytes_max: usize,
    /// Wants of one peer that are remembered, over all its connections; as in Kubo, further ones are dropped.
    pub wants_per_peer_max: usize,
    /// Messages of one peer a second, on the average.
    pub messages_per_second: u32,
    /// Messages of one peer at once, after a silence.
    pub messages_burst: u32,
    /// Bytes that one peer may send a second, on the average.
    pub received_bytes_per_second: u32,
    /// Blocks that nobody asked for, from one peer. Those that cross a cancel on the way are among them.
    pub unwanted_blocks_max: u32,
    /// An answer is closed when it has this many bytes of blocks.
    pub answer_bytes_enough: usize,
    /// The longest a handshake may take.
    pub handshake_timeout: Duration,
    /// The longest that writing or reading one message may take.
    pub message_timeout: Duration,
    /// A connection on which nothing was said for this long, and no want is open, is closed.
    pub idle_timeout: Duration,
    /// How long a peer that broke the protocol is refused.
    pub cut_off_time: Duration,
    /// How long a peer may take to answer a want of ours before another is asked.
    pub answer_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 128,
            connections_per_peer_max: 4,
            streams_per_connection_max: 32,
            message_bytes_max: 4 << 20,
            wants_per_peer_max: 1024,
            messages_per_second: 100,
            messages_burst: 1000,
            received_bytes_per_second: 64 << 20,
            unwanted_blocks_max: 64,
            answer_bytes_enough: 1 << 20,
            handshake_timeout: Duration::from_secs(10),
            message_timeout: Duration::from_secs(60),
            idle_timeout: Duration::from_secs(600),
            cut_off_time: Duration::from_secs(60),
            answer_timeout: Duration::from_secs(15),
        }
    }
}
