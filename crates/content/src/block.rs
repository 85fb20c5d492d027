//! A block: bytes that were hashed and found to be what their CID says. There is no other way to make one.

use crate::{ContentError, dag_cbor, dag_pb};
use bytes::Bytes;
use cid::{Cid, Version, multihash::Multihash};
use sha2::{Digest as _, Sha256};

/// The most bytes of a block: what bitswap's specification has every implementation take.
pub const BLOCK_BYTES_MAX: usize = 2 << 20;

const RAW: u64 = 0x55;
const DAG_PB: u64 = 0x70;
const DAG_CBOR: u64 = 0x71;
const SHA2_256: u64 = 0x12;
const SHA2_256_BYTES: u8 = 32;
/// The hash function of a CID that holds its block's bytes instead of a hash: the crate of CIDs bounds them to 64.
const IDENTITY: u64 = 0x00;

/// How a block's bytes are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// Bytes without structure.
    Raw,
    /// DAG-CBOR: what this node publishes.
    DagCbor,
    /// DAG-PB, in which files of other IPFS peers come.
    DagPb,
}

impl Codec {
    /// The codec's multicodec.
    #[must_use]
    pub const fn code(self) -> u64 {
        match self {
            Self::Raw => RAW,
            Self::DagCbor => DAG_CBOR,
            Self::DagPb => DAG_PB,
        }
    }

    /// The codec of a CID that may be kept here, or that holds its bytes itself.
    ///
    /// # Errors
    /// [`ContentError::Unsupported`].
    pub fn of(cid: &Cid) -> Result<Self, ContentError> {
        let unsupported = |what| Err(ContentError::Unsupported { cid: *cid, what });
        if !is_inline(cid) && (cid.hash().code() != SHA2_256 || cid.hash().size() != SHA2_256_BYTES) {
            return unsupported("its hash is not SHA-256 of 32 bytes");
        }
        match (cid.version(), cid.codec()) {
            (_, DAG_PB) => Ok(Self::DagPb),
            (Version::V1, RAW) => Ok(Self::Raw),
            (Version::V1, DAG_CBOR) => Ok(Self::DagCbor),
            _ => unsupported("its codec is not known here"),
        }
    }
}

/// Bytes under their own CID, and of a valid form.
#[derive(Clone, PartialEq, Eq)]
pub struct Block {
    cid: Cid,
    bytes: Bytes,
    links: Vec<Cid>,
}

impl Block {
    /// Checks bytes from anywhere against their CID.
    ///
    /// # Errors
    /// [`ContentError::Unsupported`], [`ContentError::BlockTooLarge`], [`ContentError::WrongHash`],
    /// [`ContentError::NotTheCodec`].
    pub fn verify(cid: Cid, bytes: Bytes) -> Result<Self, ContentError> {
        let codec = Codec::of(&cid)?;
        bounded(&cid, &bytes)?;
        let is_right = if is_inline(&cid) {
            cid.hash().digest() == bytes.as_ref()
        } else {
            cid.hash().digest() == Sha256::digest(&bytes).as_slice()
        };
        if !is_right {
            return Err(ContentError::WrongHash(cid));
        }
        let links = links(&cid, codec, &bytes)?;
        Ok(Self { cid, bytes, links })
    }

    /// The block that `cid` holds itself; nothing where it is the hash of one, or of a codec that is not known here.
    ///
    /// # Errors
    /// [`ContentError::NotTheCodec`].
    pub fn inline(cid: &Cid) -> Result<Option<Self>, ContentError> {
        let is_known = is_inline(cid) && Codec::of(cid).is_ok();
        is_known.then(|| Self::verify(*cid, Bytes::copy_from_slice(cid.hash().digest()))).transpose()
    }

    /// Whether the CID holds the bytes, so that the block is neither kept nor sent.
    #[must_use]
    pub fn is_inline(&self) -> bool {
        is_inline(&self.cid)
    }

    /// Gives bytes their CID.
    ///
    /// # Errors
    /// [`ContentError::BlockTooLarge`], [`ContentError::NotTheCodec`].
    pub fn new(codec: Codec, bytes: Bytes) -> Result<Self, ContentError> {
        let cid = cid_of(codec, &bytes)?;
        bounded(&cid, &bytes)?;
        let links = links(&cid, codec, &bytes)?;
        Ok(Self { cid, bytes, links })
    }

    /// Its name.
    #[must_use]
    pub const fn cid(&self) -> &Cid {
        &self.cid
    }

    /// Its content.
    #[must_use]
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The blocks that it names, in the order of their places.
    #[must_use]
    pub fn links(&self) -> &[Cid] {
        &self.links
    }
}

/// A block's content is not shown in logs.
impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Block({}, {} bytes)", self.cid, self.bytes.len())
    }
}

fn is_inline(cid: &Cid) -> bool {
    cid.hash().code() == IDENTITY
}

/// The other name of the same block: DAG-PB has CIDs of version 0, which say nothing of a codec, and of version 1.
pub(crate) fn twin(cid: &Cid) -> Option<Cid> {
    match (cid.version(), cid.codec()) {
        (Version::V0, _) => Some(Cid::new_v1(DAG_PB, *cid.hash())),
        (Version::V1, DAG_PB) => Cid::new_v0(*cid.hash()).ok(),
        _ => None,
    }
}

/// The CID of `bytes`: version 1 under SHA-256.
pub(crate) fn cid_of(codec: Codec, bytes: &[u8]) -> Result<Cid, ContentError> {
    let hash =
        Multihash::wrap(SHA2_256, &Sha256::digest(bytes)).map_err(|_| ContentError::Damaged("hash"))?;
    Ok(Cid::new_v1(codec.code(), hash))
}

fn bounded(cid: &Cid, bytes: &[u8]) -> Result<(), ContentError> {
    if bytes.len() > BLOCK_BYTES_MAX {
        return Err(ContentError::BlockTooLarge { cid: *cid, bytes: bytes.len(), max: BLOCK_BYTES_MAX });
    }
    Ok(())
}

fn links(cid: &Cid, codec: Codec, bytes: &[u8]) -> Result<Vec<Cid>, ContentError> {
    let wrong = |codec| move |what| ContentError::NotTheCodec { cid: Box::new(*cid), codec, what };
    match codec {
        Codec::Raw => Ok(Vec::new()),
        Codec::DagCbor => dag_cbor::links(bytes).map_err(wrong("dag-cbor")),
        Codec::DagPb => dag_pb::links(bytes).map_err(wrong("dag-pb")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_every_ipfs_tool() {
        let raw = Block::new(Codec::Raw, Bytes::from_static(b"hello world")).unwrap();
        assert_eq!(raw.cid().to_string(), "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e");
        let empty_map = Block::new(Codec::DagCbor, Bytes::from_static(b"\xa0")).unwrap();
        assert_eq!(
            empty_map.cid().to_string(),
            "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
        );
        assert!(format!("{raw:?}").ends_with("11 bytes)"));
    }

    #[test]
    fn bytes_of_another_cid_are_refused() {
        let one = Block::new(Codec::Raw, Bytes::from_static(b"one")).unwrap();
        let verified = Block::verify(*one.cid(), Bytes::from_static(b"one")).unwrap();
        assert_eq!(verified, one);
        let swapped = Block::verify(*one.cid(), Bytes::from_static(b"two"));
        assert!(matches!(swapped, Err(ContentError::WrongHash(_))));
        let large = vec![0; BLOCK_BYTES_MAX + 1].into();
        assert!(matches!(Block::new(Codec::Raw, large), Err(ContentError::BlockTooLarge { .. })));
        let sha2_512 = Cid::new_v1(RAW, Multihash::wrap(0x13, &[7; 64]).unwrap());
        assert!(matches!(Codec::of(&sha2_512), Err(ContentError::Unsupported { .. })));
        assert!(Block::new(Codec::DagCbor, Bytes::from_static(b"\xff")).is_err());
    }

    #[test]
    fn a_cid_may_hold_its_bytes() {
        let cid = Cid::new_v1(RAW, Multihash::wrap(IDENTITY, b"inline").unwrap());
        let block = Block::inline(&cid).unwrap().unwrap();
        assert!(block.is_inline() && block.bytes().as_ref() == b"inline");
        let other = Block::verify(cid, Bytes::from_static(b"others"));
        assert!(matches!(other, Err(ContentError::WrongHash(_))));
        let hashed = Block::new(Codec::Raw, Bytes::from_static(b"inline")).unwrap();
        assert!(!hashed.is_inline() && Block::inline(hashed.cid()).unwrap().is_none());
        let empty: Cid = "bafkqaaa".parse().unwrap();
        assert!(Block::inline(&empty).unwrap().unwrap().bytes().is_empty());
        let no_map = Cid::new_v1(DAG_CBOR, Multihash::wrap(IDENTITY, b"\xff").unwrap());
        assert!(Block::inline(&no_map).is_err());
        let peer = Cid::new_v1(0x72, Multihash::wrap(IDENTITY, b"key").unwrap());
        assert!(Block::inline(&peer).unwrap().is_none(), "a codec that is not known here");
    }

    #[test]
    fn a_node_of_dag_pb_has_two_names() {
        let node = Block::new(Codec::DagPb, Bytes::from_static(b"\x0a\x02\x08\x01")).unwrap();
        let other = twin(node.cid()).unwrap();
        assert_eq!(other.to_string(), "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn", "an empty folder");
        assert_eq!(twin(&other), Some(*node.cid()));
        assert_eq!(Block::verify(other, node.bytes().clone()).unwrap().bytes(), node.bytes());
        let raw = Block::new(Codec::Raw, Bytes::from_static(b"x")).unwrap();
        assert_eq!(twin(raw.cid()), None);
    }
}
