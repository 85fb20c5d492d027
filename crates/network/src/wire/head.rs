//! What goes before sealed blocks: enough for the receiver's fence to refuse them before it reads a byte of them.
//!
//! ```text
//! portion head = manifest length (u32) | manifest | blocks (u32) | block head ...
//! block head   = class (0 de-identified, 1 identity | country, two letters) | length (u32) | SHA-256 of the block
//! ```
//! All numbers are big-endian. A block's CID is always CIDv1, dag-cbor, SHA-256, so its digest is all that travels.

use bxp_types::{BlockClass, Jurisdiction, SealedBlock, fields::take};
use bytes::Bytes;
use cid::Cid;
use multihash_codetable::{Code, MultihashDigest};

/// The multicodec of DAG-CBOR.
const DAG_CBOR: u64 = 0x71;
const SHA2_256: u64 = 0x12;
const DIGEST_BYTES: usize = 32;

/// The largest block head, in bytes.
pub(crate) const BLOCK_HEAD_BYTES_MAX: usize = 3 + 4 + DIGEST_BYTES;

/// What a sender says of a block before its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BlockHead {
    pub(crate) cid: Cid,
    pub(crate) class: BlockClass,
    /// Bytes of the block.
    pub(crate) length: u32,
}

/// What goes before a portion of blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortionHead {
    pub(crate) manifest: Bytes,
    pub(crate) blocks: Vec<BlockHead>,
}

/// The CID that `bytes` have.
pub(crate) fn cid_of(bytes: &[u8]) -> Cid {
    Cid::new_v1(DAG_CBOR, Code::Sha2_256.digest(bytes))
}

/// The CID of dag-cbor with this SHA-256 digest.
fn cid_with(digest: &[u8; DIGEST_BYTES]) -> Option<Cid> {
    cid::multihash::Multihash::wrap(SHA2_256, digest).ok().map(|hash| Cid::new_v1(DAG_CBOR, hash))
}

/// The digest inside a CID, if it is one of sealed blocks.
pub(crate) fn digest_in(cid: &Cid) -> Option<[u8; DIGEST_BYTES]> {
    let digest = cid.hash().digest().try_into().ok()?;
    (cid_with(&digest)? == *cid).then_some(digest)
}

/// The CID that a fetch asks for.
pub(crate) fn wanted(digest: &[u8]) -> Option<Cid> {
    cid_with(digest.try_into().ok()?)
}

impl BlockHead {
    /// The head of `block`, unless its CID is of another kind or it is too long for the format.
    pub(crate) fn of(block: &SealedBlock) -> Option<Self> {
        digest_in(&block.cid)?;
        let length = u32::try_from(block.bytes.len()).ok()?;
        Some(Self { cid: block.cid, class: block.class, length })
    }

    /// Appends the head to `wire`.
    pub(crate) fn encode(&self, wire: &mut Vec<u8>) {
        match self.class {
            BlockClass::Deidentified => wire.push(0),
            BlockClass::Identity(home) => {
                wire.push(1);
                wire.extend_from_slice(home.as_str().as_bytes());
            }
        }
        wire.extend_from_slice(&self.length.to_be_bytes());
        wire.extend_from_slice(self.cid.hash().digest());
    }

    /// Takes a head off the front of `wire`.
    pub(crate) fn decode(wire: &mut &[u8]) -> Option<Self> {
        let class = match take::<1>(wire)? {
            [0] => BlockClass::Deidentified,
            [1] => BlockClass::Identity(Jurisdiction::from_letters(take(wire)?)?),
            _ => return None,
        };
        let length = u32::from_be_bytes(take(wire)?);
        let cid = cid_with(&take(wire)?)?;
        Some(Self { cid, class, length })
    }
}

impl PortionHead {
    /// The head's bytes; nothing where the manifest is too long for the format.
    pub(crate) fn encode(&self) -> Option<Vec<u8>> {
        let mut wire = Vec::with_capacity(8 + self.manifest.len() + self.blocks.len() * BLOCK_HEAD_BYTES_MAX);
        wire.extend_from_slice(&u32::try_from(self.manifest.len()).ok()?.to_be_bytes());
        wire.extend_from_slice(&self.manifest);
        wire.extend_from_slice(&u32::try_from(self.blocks.len()).ok()?.to_be_bytes());
        self.blocks.iter().for_each(|block| block.encode(&mut wire));
        Some(wire)
    }

    /// Reads a head that is exactly `wire`.
    pub(crate) fn decode(wire: &Bytes) -> Option<Self> {
        let mut rest: &[u8] = wire;
        let manifest_length = usize::try_from(u32::from_be_bytes(take(&mut rest)?)).ok()?;
        let (manifest, mut rest) = rest.split_at_checked(manifest_length)?;
        let manifest = wire.slice_ref(manifest);
        let count = usize::try_from(u32::from_be_bytes(take(&mut rest)?)).ok()?;
        // The count bounds the loop; its claim reserves nothing, and every head consumes bytes that are there.
        let mut blocks = Vec::new();
        for _ in 0..count {
            blocks.push(BlockHead::decode(&mut rest)?);
        }
        rest.is_empty().then_some(Self { manifest, blocks })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn block(class: BlockClass, bytes: &'static [u8]) -> BlockHead {
        BlockHead { cid: cid_of(bytes), class, length: u32::try_from(bytes.len()).unwrap() }
    }

    #[test]
    fn a_portion_head_has_a_fixed_form() {
        let head = PortionHead {
            manifest: Bytes::from_static(b"m"),
            blocks: vec![
                block(BlockClass::Deidentified, b"abc"),
                block(BlockClass::Identity(Jurisdiction::DE), b"abc"),
            ],
        };
        let digest = b"\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23\
            \xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad";
        let golden =
            [b"\0\0\0\x01m\0\0\0\x02".as_slice(), b"\0\0\0\0\x03", digest, b"\x01DE\0\0\0\x03", digest]
                .concat();
        assert_eq!(head.encode().unwrap(), golden);
        assert_eq!(PortionHead::decode(&golden.clone().into()), Some(head));
        assert_eq!(PortionHead::decode(&[golden.as_slice(), b"\0"].concat().into()), None, "bytes left over");
        for length in 0..golden.len() {
            assert_eq!(PortionHead::decode(&golden[..length].to_vec().into()), None, "cut at {length}");
        }
    }

    #[test]
    fn only_cids_of_sealed_blocks_travel() {
        let raw = Cid::new_v1(0x55, Code::Sha2_256.digest(b"abc"));
        let long = Cid::new_v1(DAG_CBOR, Code::Sha2_512.digest(b"abc"));
        assert_eq!((digest_in(&raw), digest_in(&long)), (None, None));
        assert_eq!(wanted(&digest_in(&cid_of(b"abc")).unwrap()), Some(cid_of(b"abc")));
        assert_eq!(wanted(b"short"), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_decode_to_themselves_or_not_at_all(wire in prop::collection::vec(any::<u8>(), 0..160)) {
            let wire = Bytes::from(wire);
            if let Some(head) = PortionHead::decode(&wire) {
                prop_assert_eq!(head.encode().unwrap(), wire);
            }
        }

        #[test]
        fn mutated_heads_decode_to_themselves_or_not_at_all(at in 0_usize..88, value: u8) {
            let head = PortionHead {
                manifest: Bytes::from_static(b"m"),
                blocks: vec![block(BlockClass::Deidentified, b"a"), block(BlockClass::Identity(Jurisdiction::US), b"b")],
            };
            let mut wire = head.encode().unwrap();
            let at = at % wire.len();
            wire[at] = value;
            let wire = Bytes::from(wire);
            if let Some(head) = PortionHead::decode(&wire) {
                prop_assert_eq!(head.encode().unwrap(), wire);
            }
        }
    }
}
