//! What the network tells its owner, and the names of what travels.

use bxp_types::{SealedBlock, ValidatorIndex};
use bytes::Bytes;
use cid::Cid;
use tokio::sync::oneshot;

/// A long-lived ordered stream to each connected peer.
///
/// Messages arrive in the order in which they were sent, each at most once, and are lost when the connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Consensus votes: small and urgent. They are sent again on [`Event::Connected`].
    Consensus,
    /// Consensus messages that carry a proposal, which votes need not wait for. They too are sent again.
    Bodies,
    /// Attestations of executed blocks.
    Attestation,
}

impl Channel {
    /// Every channel, in wire order.
    pub const ALL: [Self; 3] = [Self::Consensus, Self::Bodies, Self::Attestation];

    /// The channel's name in protocol names, metrics and spans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Consensus => "consensus",
            Self::Bodies => "bodies",
            Self::Attestation => "attestation",
        }
    }

    pub(crate) const fn position(self) -> usize {
        match self {
            Self::Consensus => 0,
            Self::Bodies => 1,
            Self::Attestation => 2,
        }
    }
}

/// What a request asks for. The network carries the bytes and does not read them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Blocks of the chain for a node that is behind.
    Sync,
    /// Keys of records, sealed to who may read them.
    KeyRelease,
    /// Deliveries of the data market.
    Market,
    /// Tombstones of erased records, answered with receipts.
    Erasure,
    /// Copies of identity blocks on their way to where placement wants them, and statements of who left a country.
    Keeping,
}

impl Service {
    /// The service's name in metrics and spans.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sync => "sync",
            Self::KeyRelease => "key-release",
            Self::Market => "market",
            Self::Erasure => "erasure",
            Self::Keeping => "keeping",
        }
    }

    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Sync => 1,
            Self::KeyRelease => 2,
            Self::Market => 3,
            Self::Erasure => 4,
            Self::Keeping => 5,
        }
    }

    pub(crate) const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Sync),
            2 => Some(Self::KeyRelease),
            3 => Some(Self::Market),
            4 => Some(Self::Erasure),
            5 => Some(Self::Keeping),
            _ => None,
        }
    }
}

/// Something that happened on the network. Whatever a peer sent is adversarial until its receiver has verified it;
/// only its origin is authenticated.
///
/// Events of all peers wait in one bounded queue, and while it is full no peer is read. So whoever takes them passes
/// on what takes long (storing blocks, answering requests, above all asking a peer in turn) and comes back for the
/// next.
#[derive(Debug)]
pub enum Event {
    /// Both channels to the peer work both ways. Paired with exactly one later [`Event::Disconnected`] of the peer,
    /// except when this node's network is shut down in between.
    Connected(ValidatorIndex),
    /// The peer is gone. Nothing of its connection follows.
    Disconnected(ValidatorIndex),
    /// A message on a channel.
    Message {
        /// Who sent it.
        from: ValidatorIndex,
        /// On which channel.
        channel: Channel,
        /// The message.
        bytes: Bytes,
    },
    /// A request. Dropping `reply` tells the peer that it stays unanswered.
    Request {
        /// Who asks.
        from: ValidatorIndex,
        /// For what.
        service: Service,
        /// The request.
        bytes: Bytes,
        /// Takes the answer, within the service's time.
        reply: oneshot::Sender<Bytes>,
    },
    /// Sealed blocks that a peer hands over. The residency fence let each pass, and each is what its CID names.
    /// A large hand-over comes as several of these with the same manifest.
    Blocks {
        /// Who sends them.
        from: ValidatorIndex,
        /// What the sender says of them.
        manifest: Bytes,
        /// The blocks.
        blocks: Vec<SealedBlock>,
        /// Answers the peer: `Ok` when all blocks are stored, or why not, in words without identifying data.
        done: oneshot::Sender<Result<(), String>>,
    },
    /// A peer asks for a block. The residency fence looks at the answer before it leaves.
    BlockWanted {
        /// Who asks.
        from: ValidatorIndex,
        /// The block's content identifier.
        cid: Cid,
        /// Takes the block, or nothing where it is not held or not to be given.
        reply: oneshot::Sender<Option<SealedBlock>>,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_positions_are_the_wire_format() {
        let services =
            [Service::Sync, Service::KeyRelease, Service::Market, Service::Erasure, Service::Keeping];
        for service in services {
            assert_eq!(Service::from_code(service.code()), Some(service));
        }
        assert_eq!(
            [1, 2, 3, 4, 5].map(|code| Service::from_code(code).map(Service::name)),
            [Some("sync"), Some("key-release"), Some("market"), Some("erasure"), Some("keeping")]
        );
        assert_eq!((Service::from_code(0), Service::from_code(6)), (None, None));
        for (position, channel) in Channel::ALL.into_iter().enumerate() {
            assert_eq!(channel.position(), position);
        }
    }
}
