//! The envelope: what a sealed block looks like to the world.
//!
//! DAG-CBOR map `{v: 1, alg: "zstd+aes-256-gcm", class: "identity/US" | "deidentified", ct: bytes}` with
//! `ct = nonce (12) || ciphertext || tag (16)` of the packed content (see `padding`). The class is authenticated as
//! associated data. The block's CID is v1, dag-cbor, SHA-256 of the envelope: it hashes ciphertext under a random key,
//! so equal content gives different CIDs and a CID tells nothing of the content.

use crate::{
    VaultError, encoding,
    error::enclave,
    padding::{self, Effort},
};
use alloy_primitives::B256;
use bxp_enclave::{DataKey, Enclave, SEALED_OVERHEAD};
use bxp_types::{BlockClass, Bytes, Digest, SealedBlock};
use cid::{Cid, multihash::Multihash};
use serde::{Deserialize, Serialize};

const VERSION: u8 = 1;
const ALGORITHM: &str = "zstd+aes-256-gcm";
const WHAT: &str = "sealed block";
/// What the class is associated data of.
const SEALED: &[u8] = b"BXP sealed block v1\0";
/// What the class is the domain of.
const DIGESTED: &[u8] = b"BXP content digest v1\0";
/// The most bytes that stand around a ciphertext.
const AROUND_LEN_MAX: usize = 64;
const NONCE_LEN: usize = 12;
const DEIDENTIFIED: &str = "deidentified";
const IDENTITY: &str = "identity/";
const DAG_CBOR: u64 = 0x71;
const SHA2_256: u64 = 0x12;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope {
    v: u8,
    alg: String,
    class: String,
    #[serde(with = "serde_bytes")]
    ct: Vec<u8>,
}

/// The CID that `bytes` have as a sealed block.
///
/// # Errors
/// Never for SHA-256, whose 32 bytes fit every multihash.
pub fn cid_of(bytes: &[u8]) -> Result<Cid, VaultError> {
    let hash = Multihash::wrap(SHA2_256, &Digest::of(bytes).0).map_err(|_| VaultError::Malformed("CID"))?;
    Ok(Cid::new_v1(DAG_CBOR, hash))
}

/// The class that an envelope names, after checking its form. The ciphertext is not looked at.
///
/// # Errors
/// [`VaultError::Malformed`].
pub fn decode_class(bytes: &[u8]) -> Result<BlockClass, VaultError> {
    Ok(decode(bytes)?.0)
}

/// Seals `content` as a block of `class`.
pub(crate) fn seal(
    enclave_: &Enclave,
    class: BlockClass,
    content: &[u8],
) -> Result<(SealedBlock, DataKey), VaultError> {
    let effort = match class {
        // Names, ids and dates: compressing them costs more than all the rest of sealing, and saves half (ADR 85).
        BlockClass::Identity(_) => Effort::CompressLong,
        BlockClass::Deidentified => Effort::Compress,
    };
    let (bytes, key) = padding::pack(content, effort, |packed| {
        let length = packed.len() + SEALED_OVERHEAD;
        let mut out = Vec::with_capacity(length + AROUND_LEN_MAX);
        begin(&mut out, length);
        let at = out.len();
        out.extend_from_slice(&[0; NONCE_LEN]);
        packed.write(&mut out);
        let key = enclave_
            .seal_in_place(&mut out, at, &labelled(SEALED, class))
            .map_err(enclave("seal content"))?;
        end(&mut out, class);
        Ok((out, key))
    })?;
    Ok((SealedBlock { cid: cid_of(&bytes)?, class, bytes: bytes.into() }, key))
}

/// Writes the envelope up to a ciphertext of `length` bytes, as `encoding` would.
pub(crate) fn begin(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(b"\xa4\x61v");
    out.push(VERSION);
    out.extend_from_slice(b"\x62ct");
    // A byte string's length in the fewest bytes (RFC 8949, section 4.2.1).
    match (u8::try_from(length), u16::try_from(length), u32::try_from(length)) {
        (Ok(length @ ..24), ..) => out.push(0x40 + length),
        (Ok(length), ..) => out.extend_from_slice(&[0x58, length]),
        (_, Ok(length), _) => {
            out.push(0x59);
            out.extend_from_slice(&length.to_be_bytes());
        }
        (.., Ok(length)) => {
            out.push(0x5a);
            out.extend_from_slice(&length.to_be_bytes());
        }
        _ => {
            out.push(0x5b);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Writes the envelope from the ciphertext on.
pub(crate) fn end(out: &mut Vec<u8>, class: BlockClass) {
    let text = |out: &mut Vec<u8>, text: &[u8]| {
        // Texts of fewer than 24 bytes have their length in the byte before.
        out.push(0x60 + text.len() as u8);
        out.extend_from_slice(text);
    };
    text(out, b"alg");
    text(out, ALGORITHM.as_bytes());
    text(out, b"class");
    text(out, &labelled(b"", class));
}

/// Opens a block with its key.
pub(crate) fn open(key: &DataKey, bytes: &[u8]) -> Result<Bytes, VaultError> {
    let (class, ct) = decode(bytes)?;
    let packed = key.unseal(&ct, &labelled(SEALED, class)).map_err(enclave("open sealed block"))?;
    Ok(padding::unpack(&packed)?.into())
}

/// Digest of content under its block's key, by which a record commits to content and not just to ciphertext.
pub(crate) fn digest(key: &DataKey, class: BlockClass, content: &[u8]) -> B256 {
    key.digest(&labelled(DIGESTED, class), content)
}

/// Checks a block that a peer sent: its bytes hash to its CID, have the form of an envelope, and the class is theirs.
pub(crate) fn check(block: &SealedBlock) -> Result<(), VaultError> {
    if cid_of(&block.bytes)? != block.cid {
        return Err(VaultError::WrongCid(block.cid));
    }
    if decode_class(&block.bytes)? == block.class { Ok(()) } else { Err(VaultError::Malformed(WHAT)) }
}

pub(crate) fn class_name(class: BlockClass) -> String {
    match class {
        BlockClass::Identity(home) => format!("{IDENTITY}{home}"),
        BlockClass::Deidentified => DEIDENTIFIED.to_owned(),
    }
}

pub(crate) fn parse_class(name: &str) -> Result<BlockClass, VaultError> {
    if name == DEIDENTIFIED {
        return Ok(BlockClass::Deidentified);
    }
    let country = name.strip_prefix(IDENTITY).and_then(|country| country.parse().ok());
    let class = country.map(BlockClass::Identity).filter(|class| class_name(*class) == name);
    class.ok_or(VaultError::Malformed("block class"))
}

/// Reads an envelope: its class, and the ciphertext.
pub(crate) fn decode(bytes: &[u8]) -> Result<(BlockClass, Vec<u8>), VaultError> {
    let envelope: Envelope = encoding::decode(WHAT, bytes)?;
    if envelope.v != VERSION || envelope.alg != ALGORITHM {
        return Err(VaultError::Malformed(WHAT));
    }
    Ok((parse_class(&envelope.class)?, envelope.ct))
}

/// A class's name behind a label that says what it is used for.
struct Labelled {
    bytes: [u8; 40],
    length: usize,
}

impl std::ops::Deref for Labelled {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

fn labelled(label: &[u8], class: BlockClass) -> Labelled {
    let mut labelled = Labelled { bytes: [0; 40], length: 0 };
    let mut push = |part: &[u8]| {
        let end = labelled.length + part.len();
        labelled.bytes[labelled.length..end].copy_from_slice(part);
        labelled.length = end;
    };
    push(label);
    match class {
        BlockClass::Identity(home) => {
            push(IDENTITY.as_bytes());
            push(home.as_str().as_bytes());
        }
        BlockClass::Deidentified => push(DEIDENTIFIED.as_bytes()),
    }
    labelled
}

#[cfg(test)]
mod tests {
    use super::*;
    use bxp_types::Jurisdiction;
    use proptest::prelude::*;

    fn envelope(class: &str) -> Vec<u8> {
        let envelope =
            Envelope { v: 1, alg: ALGORITHM.to_owned(), class: class.to_owned(), ct: vec![1, 2, 3] };
        encoding::encode(WHAT, &envelope).unwrap()
    }

    /// Bytes written by hand after the DAG-CBOR specification: keys by length, then by bytes.
    #[test]
    fn the_form_is_pinned() {
        let bytes = envelope("identity/US");
        let expected = [
            b"\xa4\x61v\x01\x62ct\x43\x01\x02\x03\x63alg\x70zstd+aes-256-gcm".as_slice(),
            b"\x65class\x6bidentity/US",
        ];
        assert_eq!(bytes, expected.concat());
        assert_eq!(
            cid_of(&bytes).unwrap().to_string(),
            "bafyreicxyjrbrc4fl6pu4uzntxniw2d7wpsyazslnodjqmssm3awu3rrki",
            "base32 CIDv1, as every IPFS tool prints it"
        );
        assert_eq!(decode_class(&bytes).unwrap(), BlockClass::Identity(Jurisdiction::US));
    }

    /// Sealing writes the envelope itself; `encoding` is the one who checks it.
    #[test]
    fn what_sealing_writes_is_the_canonical_form() {
        for class in [BlockClass::Deidentified, BlockClass::Identity(Jurisdiction::US)] {
            for length in [0, 1, 23, 24, 255, 256, 65_535, 65_536] {
                let ct = vec![7; length];
                let mut written = Vec::new();
                begin(&mut written, length);
                written.extend_from_slice(&ct);
                end(&mut written, class);
                assert!(written.len() <= length + AROUND_LEN_MAX);
                let envelope =
                    Envelope { v: VERSION, alg: ALGORITHM.to_owned(), class: class_name(class), ct };
                assert_eq!(written, encoding::encode(WHAT, &envelope).unwrap(), "{class:?} {length}");
            }
            assert_eq!(*labelled(SEALED, class), *[SEALED, class_name(class).as_bytes()].concat());
        }
    }

    #[test]
    fn only_the_canonical_form_is_read() {
        let good = envelope("deidentified");
        assert_eq!(decode_class(&good).unwrap(), BlockClass::Deidentified);
        for wrong in ["identity/us", "identity/USA", "identity/", "identity", "Deidentified", ""] {
            assert!(decode_class(&envelope(wrong)).is_err(), "{wrong}");
        }
        assert!(decode_class(&[good.as_slice(), &[0]].concat()).is_err(), "trailing byte");
        let reordered =
            b"\xa4\x62ct\x43\x01\x02\x03\x61v\x01\x63alg\x70zstd+aes-256-gcm\x65class\x6cdeidentified";
        assert!(decode_class(reordered).is_err(), "another order of the keys");
        let long_integer =
            b"\xa4\x61v\x18\x01\x62ct\x43\x01\x02\x03\x63alg\x70zstd+aes-256-gcm\x65class\x6cdeidentified";
        assert!(decode_class(long_integer).is_err(), "a longer integer than needed");
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(decode_class(&bytes).is_err());
        }

        #[test]
        fn damaged_envelopes_never_panic(position in 0_usize..60, byte in any::<u8>()) {
            let mut bytes = envelope("deidentified");
            let length = bytes.len();
            bytes[position % length] = byte;
            let _ = decode_class(&bytes);
        }
    }
}
