//! What can go wrong, in words that say what, where, and what to do.

use bxp_enclave::EnclaveError;
use bxp_storage::StorageError;
use cid::Cid;
use std::io;

/// Why content could not be read, written or exchanged. No block's content appears in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContentError {
    /// Bytes that do not hash to their CID.
    #[error(
        "the bytes given for {0} are not its own: their hash is another; get the block from another source"
    )]
    WrongHash(Cid),
    /// A CID of a kind that is not kept.
    #[error("{cid}: {what}; blocks are raw, dag-cbor or dag-pb under SHA-256")]
    Unsupported {
        /// The CID.
        cid: Cid,
        /// What of it.
        what: &'static str,
    },
    /// A block above the bound.
    #[error("{cid} has {bytes} bytes; the most is {max}")]
    BlockTooLarge {
        /// The CID.
        cid: Cid,
        /// Its size.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// A block that is not what its codec says.
    #[error("{cid} is no valid {codec}: {what}")]
    NotTheCodec {
        /// The CID.
        cid: Box<Cid>,
        /// `dag-cbor` or `dag-pb`.
        codec: &'static str,
        /// Where it breaks the codec's rules.
        what: &'static str,
    },
    /// A block that may not be held here.
    #[error("{0} holds identifying data, which never goes through the content store")]
    Identifying(Cid),
    /// A damaged or hostile CAR file.
    #[error("CAR, byte {offset}: {what}")]
    Car {
        /// Where in the file.
        offset: u64,
        /// What is wrong there.
        what: String,
    },
    /// A CAR file whose source could not be read.
    #[error("read or write CAR")]
    CarIo(#[source] io::Error),
    /// A DAG some block of which is not here.
    #[error("the DAG is not whole: block {0} is not here")]
    Incomplete(Cid),
    /// A DAG above a bound.
    #[error("the DAG under {root} has more {what} than {max}")]
    DagTooLarge {
        /// The root.
        root: Box<Cid>,
        /// What there is too much of.
        what: &'static str,
        /// The bound.
        max: u64,
    },
    /// The quota would be exceeded. Nothing was written.
    #[error(
        "{wanted} more bytes would exceed the content store's quota: {used} of {max} are used; unpin or withdraw \
         something and run `bxp content gc`, or raise content.quota_bytes"
    )]
    Quota {
        /// Bytes that were to be written.
        wanted: u64,
        /// Bytes in use.
        used: u64,
        /// The quota.
        max: u64,
    },
    /// The disk is nearly full. Nothing was written.
    #[error(
        "{free} bytes are free on the content store's disk, and {kept} stay free for the node itself; free some, or \
         lower content.disk_free_bytes_min"
    )]
    DiskNearlyFull {
        /// Bytes that are free.
        free: u64,
        /// Bytes that have to stay free.
        kept: u64,
    },
    /// Nothing is published or pinned under this root.
    #[error("nothing is pinned or published here under {0}")]
    UnknownRoot(Cid),
    /// A publication that breaks its own rules.
    #[error("publish: {0}")]
    Draft(&'static str),
    /// No peer gave a block in time.
    #[error("no peer gave block {cid}: {why}")]
    NotFetched {
        /// The block.
        cid: Cid,
        /// What the peers said.
        why: &'static str,
    },
    /// No peer could be reached.
    #[error("reach {address}: {why}")]
    Unreachable {
        /// Where.
        address: String,
        /// What happened.
        why: String,
    },
    /// An address without the peer's id.
    #[error("{0:?} is no address of a peer; give one such as /ip4/192.0.2.1/tcp/4001/p2p/PEER-ID")]
    Address(String),
    /// A swarm key that cannot be read.
    #[error(
        "{0}; a swarm key file has the three lines /key/swarm/psk/1.0.0/, /base16/ and 64 hexadecimal digits"
    )]
    SwarmKey(String),
    /// The swarm's socket.
    #[error("listen for IPFS peers on {address}; is the port in use?")]
    Listen {
        /// Where.
        address: std::net::SocketAddr,
        /// The operating system's word for it.
        source: io::Error,
    },
    /// libp2p refused its configuration.
    #[error("start the content swarm: {0}")]
    Transport(String),
    /// The swarm has stopped.
    #[error("the content swarm has stopped")]
    Stopped,
    /// A row that is not what was written.
    #[error("the content store's {0} is damaged; restore the node's folder from a backup")]
    Damaged(&'static str),
    /// The gatekeeper could not decide.
    #[error("decide on a reader's right")]
    Gatekeeper(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The node's tables.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The node's keys.
    #[error("seal or open a block at rest")]
    Enclave(#[from] EnclaveError),
}

impl ContentError {
    /// Whether the input was at fault, and not the node.
    #[must_use]
    pub const fn is_input(&self) -> bool {
        matches!(
            self,
            Self::WrongHash(_)
                | Self::Unsupported { .. }
                | Self::BlockTooLarge { .. }
                | Self::NotTheCodec { .. }
                | Self::Identifying(_)
                | Self::Car { .. }
                | Self::CarIo(_)
                | Self::Incomplete(_)
                | Self::DagTooLarge { .. }
                | Self::Draft(_)
                | Self::Address(_)
        )
    }

    /// Whether there was no room.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(
            self,
            Self::Quota { .. } | Self::DiskNearlyFull { .. } | Self::Storage(StorageError::DiskFull { .. })
        )
    }
}
