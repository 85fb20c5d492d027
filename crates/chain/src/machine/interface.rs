//! What goes into the machine and what comes out.

use crate::{ChainError, Done, Job, sync::SyncResponse};
use bxp_network::Channel;
use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;
use std::time::Duration;

/// The two clocks of a node at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// Time since the node started; never goes back.
    pub elapsed: Duration,
    /// The wall clock in milliseconds since the epoch; may jump.
    pub wall_ms: u64,
}

/// Something that happened outside.
#[derive(Debug)]
pub enum Input {
    /// A peer is there, perhaps again: what was under way to it may be lost.
    Connected(ValidatorIndex),
    /// A peer is gone.
    Disconnected(ValidatorIndex),
    /// A peer says something. The bytes may be anything.
    Message {
        /// Who, by the connection.
        from: ValidatorIndex,
        /// On which channel.
        channel: Channel,
        /// What.
        bytes: Bytes,
    },
    /// [`Job::Check`] has ended.
    Checked {
        /// Height of the proposal.
        height: Height,
        /// Who proposed it.
        proposer: ValidatorIndex,
        /// SHA-256 of its body.
        digest: Digest,
        /// Whether it may be decided.
        valid: bool,
    },
    /// [`Job::Run`], [`Job::Seal`], [`Job::Write`] or [`Job::Import`] has ended.
    Done(Result<Done, ChainError>),
    /// [`Effect::Fetch`] was answered, or failed.
    Fetched {
        /// Who was asked.
        from: ValidatorIndex,
        /// Its answer, decoded; nothing of it has been verified.
        answer: Option<SyncResponse>,
    },
}

/// Something to be done outside, in the order of the list.
#[derive(Debug)]
pub enum Effect {
    /// Append to the journal.
    Append {
        /// The newest height that had begun: the record belongs to it or to an earlier one.
        begun: Height,
        /// The record, opaque.
        record: Bytes,
    },
    /// Everything appended must be on disk before any later effect of the list is carried out.
    Sync,
    /// Heights up to this one are final: the journal may drop their records.
    Settled(Height),
    /// Send to one peer.
    Send {
        /// The peer.
        to: ValidatorIndex,
        /// On which channel.
        channel: Channel,
        /// The bytes.
        bytes: Bytes,
    },
    /// Send to every connected peer.
    Broadcast {
        /// On which channel.
        channel: Channel,
        /// The bytes.
        bytes: Bytes,
    },
    /// The peer said what no correct one can say: close its connection and keep it away for a while.
    Ban(ValidatorIndex),
    /// Run this on another thread and hand in what it gives.
    Run(Job),
    /// Ask a peer for certified blocks and hand in [`Input::Fetched`], whatever comes of it. One at a time.
    Fetch {
        /// The peer.
        from: ValidatorIndex,
        /// An encoded [`crate::sync::SyncRequest`].
        request: Bytes,
    },
}
