//! Why the network could not start, send, ask or hand over.

use bxp_types::{BlockClass, ValidatorIndex};
use cid::Cid;
use std::{io, net::SocketAddr};

/// Why the network could not start.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The configured validator is not in the genesis document.
    #[error("the genesis document has no validator {0}")]
    UnknownValidator(ValidatorIndex),
    /// The signing key is not the one that genesis names for this validator.
    #[error("the signing key is not the key of validator {0} in the genesis document")]
    ForeignKey(ValidatorIndex),
    /// A limit lets nothing through or does not fit the wire format.
    #[error("the limit {0} is out of range")]
    Limit(&'static str),
    /// A validator's public key is no Ed25519 key.
    #[error("public_key of validator {0} in the genesis document is not an Ed25519 key")]
    PublicKey(ValidatorIndex),
    /// A validator's address is not `host:port`.
    #[error(
        "p2p_address of validator {validator} in the genesis document must be host:port, got {address:?}"
    )]
    Address {
        /// Whose.
        validator: ValidatorIndex,
        /// What genesis says.
        address: String,
    },
    /// The local socket cannot be bound.
    #[error("listen for peers on {address}: is the port in use by another process?")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The noise handshake cannot be set up.
    #[error("set up encrypted transport: {0}")]
    Transport(String),
}

/// Why a message was not queued.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SendError {
    /// There is no connection to the peer; its next [`Event::Connected`](crate::Event::Connected) tells.
    #[error("validator {0} is not connected")]
    NotConnected(ValidatorIndex),
    /// The peer reads too slowly: its queue was full and the connection is dropped.
    #[error("validator {0} reads too slowly, the connection is dropped")]
    Overflow(ValidatorIndex),
    /// The message is larger than a channel carries.
    #[error("a message of {size} bytes is larger than the channel's {limit}")]
    TooLarge {
        /// Bytes of the message.
        size: usize,
        /// The most.
        limit: usize,
    },
}

/// Why an exchange on a stream of its own failed, whatever it was about.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum ExchangeError {
    /// There is no connection to the peer.
    #[error("validator {0} is not connected")]
    NotConnected(ValidatorIndex),
    /// No answer in time.
    #[error("validator {0} did not answer in time")]
    Timeout(ValidatorIndex),
    /// The peer has as many exchanges with this node in hand as it takes at once.
    #[error("validator {0} is busy")]
    Busy(ValidatorIndex),
    /// The connection or the stream broke off.
    #[error("exchange with validator {peer} broke off: {reason}")]
    Broken {
        /// The peer.
        peer: ValidatorIndex,
        /// The system's word for it.
        reason: String,
    },
    /// The peer's answer is not in the protocol, or above its bounds.
    #[error("validator {0} answered against the protocol")]
    Protocol(ValidatorIndex),
    /// More bytes than the protocol carries.
    #[error("{size} bytes are more than the {limit} that fit in one message")]
    TooLarge {
        /// Bytes.
        size: usize,
        /// The most.
        limit: usize,
    },
}

/// Why a request has no answer.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum RequestError {
    /// The exchange failed.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The peer took the request and gives no answer.
    #[error("validator {0} gives no answer to this request")]
    Unanswered(ValidatorIndex),
}

/// Why blocks were not handed over.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum SendBlocksError {
    /// The residency fence of this node: nothing was sent (row A12).
    #[error("block {cid} is {class:?} and may not be held by validator {peer}")]
    Fence {
        /// The first block that must not travel there.
        cid: Cid,
        /// Its class.
        class: BlockClass,
        /// The receiver.
        peer: ValidatorIndex,
    },
    /// The block's CID is not a CIDv1 of dag-cbor with SHA-256, as those of sealed blocks are: nothing was sent.
    #[error("{0} is not the CID of a sealed block")]
    ForeignCid(Cid),
    /// The residency fence of the receiver.
    #[error("validator {0} refuses a block that may not be held in its jurisdiction")]
    FenceOfPeer(ValidatorIndex),
    /// The receiver found a block that is not what its CID names.
    #[error("validator {0} refuses a block that does not match its CID")]
    Corrupt(ValidatorIndex),
    /// The receiver could not keep the blocks.
    #[error("validator {peer} did not store the blocks: {reason}")]
    NotStored {
        /// The receiver.
        peer: ValidatorIndex,
        /// The receiver's word for it.
        reason: String,
    },
    /// The exchange failed. Earlier portions of a large hand-over may be stored.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}

/// Why a block was not fetched.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum FetchBlockError {
    /// The residency fence of this node: the peer offered a block that may not be held here (row A12).
    #[error("validator {peer} offered block {cid}, which may not be held here")]
    Fence {
        /// The block.
        cid: Cid,
        /// Who offered it.
        peer: ValidatorIndex,
    },
    /// The bytes are not what the CID names.
    #[error("validator {peer} answered with bytes that are not block {cid}")]
    Corrupt {
        /// The wanted block.
        cid: Cid,
        /// Who answered.
        peer: ValidatorIndex,
    },
    /// The exchange failed.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
}
