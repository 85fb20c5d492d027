//! Plaintext as it is sealed: compressed, then padded.
//!
//! Layout: `content length (u32 BE) || compressed length (u32 BE) || zstd frame || zeros`, a multiple of
//! [`BUCKET_BYTES`]; the frame is one of `bxp-compression`. Compression comes before sealing, since ciphertext does not
//! compress. The length of a sealed block therefore tells how well its content compresses, rounded up to a bucket; the
//! padding leaves an observer with few distinct lengths, but a long note still makes a longer block than a short one.

use crate::VaultError;
use bxp_compression::{bound, compress_into, decompress};

/// Sealed plaintexts have a multiple of this many bytes.
pub const BUCKET_BYTES: usize = 256;

/// The most content of one side of a record, in bytes: 64 MiB. It bounds what opening a block may allocate.
pub const PLAINTEXT_BYTES_MAX: usize = 64 << 20;

const HEADER_LEN: usize = 8;
const WHAT: &str = "padded content";

/// Compresses and pads `content`.
pub(crate) fn pack(content: &[u8]) -> Result<Vec<u8>, VaultError> {
    let too_large =
        || VaultError::TooLarge { what: "a record's content", size: content.len(), max: PLAINTEXT_BYTES_MAX };
    if content.len() > PLAINTEXT_BYTES_MAX {
        return Err(too_large());
    }
    let length = u32::try_from(content.len()).map_err(|_| too_large())?;
    let bound = bound(content.len());
    let mut out = Vec::with_capacity((HEADER_LEN + bound).next_multiple_of(BUCKET_BYTES));
    out.resize(HEADER_LEN + bound, 0);
    let written = compress_into(content, &mut out[HEADER_LEN..]).map_err(VaultError::Compression)?;
    let compressed = u32::try_from(written).map_err(|_| too_large())?;
    out[..4].copy_from_slice(&length.to_be_bytes());
    out[4..HEADER_LEN].copy_from_slice(&compressed.to_be_bytes());
    out.truncate(HEADER_LEN + written);
    out.resize(out.len().next_multiple_of(BUCKET_BYTES), 0);
    Ok(out)
}

/// Undoes [`pack`], refusing anything else.
pub(crate) fn unpack(packed: &[u8]) -> Result<Vec<u8>, VaultError> {
    let malformed = || VaultError::Malformed(WHAT);
    let (length, rest) = packed.split_first_chunk::<4>().ok_or_else(malformed)?;
    let (compressed, rest) = rest.split_first_chunk::<4>().ok_or_else(malformed)?;
    let as_size = |bytes: &[u8; 4]| usize::try_from(u32::from_be_bytes(*bytes)).map_err(|_| malformed());
    let (length, compressed) = (as_size(length)?, as_size(compressed)?);
    let (frame, padding) = rest.split_at_checked(compressed).ok_or_else(malformed)?;
    let shortest = (HEADER_LEN + compressed).next_multiple_of(BUCKET_BYTES);
    if length > PLAINTEXT_BYTES_MAX || packed.len() != shortest || padding.iter().any(|byte| *byte != 0) {
        return Err(malformed());
    }
    let content = decompress(frame, length).map_err(|_| malformed())?;
    if content.len() == length { Ok(content) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_fall_into_buckets() {
        let lengths: std::collections::BTreeSet<_> =
            (0..200_usize).map(|length| pack(&vec![b'a'; length]).unwrap().len()).collect();
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [256]);
    }

    #[test]
    fn a_frame_that_unpacks_to_more_than_it_says_is_refused() {
        let mut bomb = pack(&vec![0; 1 << 20]).unwrap();
        bomb[..4].copy_from_slice(&16_u32.to_be_bytes());
        assert!(unpack(&bomb).is_err());
        bomb[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(unpack(&bomb).is_err(), "nor is its word taken for an allocation");
    }

    proptest! {
        #[test]
        fn content_comes_back(content in proptest::collection::vec(any::<u8>(), 0..3000)) {
            let packed = pack(&content).unwrap();
            prop_assert_eq!(packed.len() % BUCKET_BYTES, 0);
            prop_assert_eq!(unpack(&packed).unwrap(), content);
            let longer = [packed.as_slice(), &[0; BUCKET_BYTES]].concat();
            prop_assert!(unpack(&longer).is_err(), "one content, one padding");
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = unpack(&bytes);
        }
    }
}
