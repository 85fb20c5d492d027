//! What goes into the engine and what comes out.

use std::time::Duration;

use bxp_types::{Digest, Height, ValidatorIndex};
use bytes::Bytes;

use crate::superblock::Superblock;

/// Something that happened outside.
#[derive(Clone, Debug)]
pub enum Input {
    /// Take part in `height` with this opaque body, which may be empty and must be valid. A height that is running
    /// (also one brought back by [`crate::Engine::recover`]) keeps the body it has; a settled one stays settled.
    Start {
        /// The height.
        height: Height,
        /// The own proposal.
        proposal: Bytes,
    },
    /// A message from an authenticated peer. The bytes may be anything.
    Received {
        /// Who sent it.
        from: ValidatorIndex,
        /// The bytes as they came.
        message: Bytes,
    },
    /// The answer to [`Effect::Validate`].
    Validated {
        /// Height of the proposal.
        height: Height,
        /// Who proposed it.
        proposer: ValidatorIndex,
        /// SHA-256 of its body.
        digest: Digest,
        /// Whether it may be decided.
        valid: bool,
    },
    /// A timer asked for by [`Effect::SetTimer`] ran out. Late, repeated and forgotten ones do no harm.
    TimerFired(Timer),
    /// A connection to this peer was made, or made again: all that was under way to it may be lost.
    PeerConnected(ValidatorIndex),
    /// All heights up to this one are final elsewhere: forget them. A running one is abandoned.
    Settled(Height),
}

/// Something to be done outside, in the order of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Append this record to the log. It must be on disk before any later effect of the list is carried out.
    Persist(Bytes),
    /// Send to one peer.
    Send {
        /// The peer.
        to: ValidatorIndex,
        /// The bytes.
        message: Bytes,
    },
    /// Send to all other validators, not to oneself.
    Broadcast {
        /// The bytes.
        message: Bytes,
    },
    /// Hand [`Input::TimerFired`] in after this time.
    SetTimer {
        /// The timer.
        timer: Timer,
        /// How long from now.
        after: Duration,
    },
    /// Check this body and answer with [`Input::Validated`]. All correct nodes must come to the same answer for the
    /// same (height, proposer, body), so the check may not look at any state that changes. With
    /// [`crate::Verification::Sharded`] most bodies that are decided are never asked about: reports vouch for them.
    Validate {
        /// Height of the proposal.
        height: Height,
        /// Who proposed it.
        proposer: ValidatorIndex,
        /// SHA-256 of the body.
        digest: Digest,
        /// The body.
        body: Bytes,
    },
    /// Others work on this height and it has not been started here: start it when its parent is executed.
    Wanted {
        /// The height.
        height: Height,
    },
    /// The height is decided. Once a height; again after recovery if it was not settled.
    Decided(Superblock),
    /// t+1 peers (so at least one correct one) work on this height, too far above for taking part: fetch blocks.
    Behind {
        /// A height that at least one correct peer has reached.
        height: Height,
    },
    /// The peer said what no correct one can say: bytes that are no message.
    Misbehaved {
        /// The peer.
        peer: ValidatorIndex,
    },
    /// The body handed to [`Input::Start`] is above `body_bytes_max`, so the height was not started: start it again
    /// with a smaller one.
    ProposalTooLarge {
        /// The height.
        height: Height,
    },
}

/// A timer's name. Two timers with the same name never run at once with different meanings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Timer {
    /// Late proposals have had their chance (S4).
    Grace {
        /// The height.
        height: Height,
    },
    /// A round of one binary instance has waited long enough (B18).
    Round {
        /// The height.
        height: Height,
        /// The binary instance, named by its proposer.
        instance: ValidatorIndex,
        /// The round, from 1.
        round: u32,
        /// For what it waited.
        step: RoundStep,
    },
    /// A body should have come by now (R7).
    Fetch {
        /// The height.
        height: Height,
        /// Whose proposal.
        proposer: ValidatorIndex,
    },
    /// The first verifiers of a proposal should have reported by now (V4).
    Verify {
        /// The height.
        height: Height,
        /// Whose proposal.
        proposer: ValidatorIndex,
    },
    /// A height has been open for a while (H5).
    Tick {
        /// The height.
        height: Height,
    },
    /// Votes have waited long enough for others to share their frame (G3).
    Gather,
}

/// What a round of binary consensus can wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RoundStep {
    /// The coordinator's value (B9).
    Coordinator,
    /// More AUX, so that one value may suffice (B13).
    Union,
    /// A node that lags behind t+1 peers stops waiting below their round (B19).
    CatchUp,
}
