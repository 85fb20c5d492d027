//! Plaintext as it is sealed: compressed, then padded.
//!
//! Layout: `content length (u32 BE) || compressed length (u32 BE) || zstd frame || zeros`, a multiple of
//! [`BUCKET_BYTES`]; the frame is one of `bxp-compression`, which may hold its content as it is (ADR 85). Compression comes before sealing, since ciphertext does not
//! compress. The length of a sealed block therefore tells how well its content compresses, rounded up to a bucket; the
//! padding leaves an observer with few distinct lengths, but a long note still makes a longer block than a short one.

use crate::VaultError;
use bxp_compression::{StoredHead, compressed, decompress};

/// Sealed plaintexts have a multiple of this many bytes.
pub const BUCKET_BYTES: usize = 256;

/// The most content of one side of a record, in bytes: 64 MiB. It bounds what opening a block may allocate.
pub const PLAINTEXT_BYTES_MAX: usize = 64 << 20;

const HEADER_LEN: usize = 8;
/// Of content that fills no bucket.
const STORED_HEAD_LEN: usize = 9;
const WHAT: &str = "padded content";

/// What is done to content to make it short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// It is compressed.
    Compress,
    /// It is compressed if it is long, and else taken as it is.
    CompressLong,
}

impl Effort {
    /// Content of more bytes is compressed.
    const fn stored_bytes_max(self) -> usize {
        match self {
            // It fills a bucket in any case, so compression saves nothing.
            Self::Compress => BUCKET_BYTES - HEADER_LEN - STORED_HEAD_LEN,
            Self::CompressLong => 4096,
        }
    }
}

/// Content that is ready to be padded.
pub(crate) struct Packed<'a> {
    header: [u8; HEADER_LEN],
    /// The frame, in two parts.
    frame: [&'a [u8]; 2],
}

impl<'a> Packed<'a> {
    fn new(length: u32, frame: [&'a [u8]; 2]) -> Option<Self> {
        let mut header = [0; HEADER_LEN];
        header[..4].copy_from_slice(&length.to_be_bytes());
        let frame_len = u32::try_from(frame[0].len() + frame[1].len()).ok()?;
        header[4..].copy_from_slice(&frame_len.to_be_bytes());
        Some(Self { header, frame })
    }

    /// The bytes that [`Packed::write`] writes.
    pub(crate) const fn len(&self) -> usize {
        (HEADER_LEN + self.frame[0].len() + self.frame[1].len()).next_multiple_of(BUCKET_BYTES)
    }

    /// Appends the padded content.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let end = out.len() + self.len();
        out.extend_from_slice(&self.header);
        self.frame.iter().for_each(|part| out.extend_from_slice(part));
        out.resize(end, 0);
    }
}

/// Makes `content` short and hands it to `take`, which compresses nothing itself.
pub(crate) fn pack<T>(
    content: &[u8],
    effort: Effort,
    take: impl FnOnce(&Packed<'_>) -> Result<T, VaultError>,
) -> Result<T, VaultError> {
    let too_large =
        || VaultError::TooLarge { what: "a record's content", size: content.len(), max: PLAINTEXT_BYTES_MAX };
    let length = u32::try_from(content.len()).ok().filter(|_| content.len() <= PLAINTEXT_BYTES_MAX);
    let length = length.ok_or_else(too_large)?;
    let take = |frame: [&[u8]; 2]| take(&Packed::new(length, frame).ok_or_else(too_large)?);
    let head = StoredHead::new(content.len()).filter(|_| content.len() <= effort.stored_bytes_max());
    match head {
        Some(head) => take([head.as_bytes(), content]),
        None => compressed(content, |frame| take([frame, &[]])).map_err(VaultError::Compression)?,
    }
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

    fn pack_by(effort: Effort, content: &[u8]) -> Vec<u8> {
        super::pack(content, effort, |packed| {
            let mut out = Vec::new();
            packed.write(&mut out);
            assert_eq!(out.len(), packed.len());
            Ok(out)
        })
        .unwrap()
    }

    fn pack(content: &[u8]) -> Vec<u8> {
        pack_by(Effort::Compress, content)
    }

    #[test]
    fn what_is_not_long_is_stored_and_what_is_short_anyway() {
        let text = vec![b'a'; 4097];
        let lengths = |length: usize| {
            [Effort::Compress, Effort::CompressLong].map(|effort| pack_by(effort, &text[..length]).len())
        };
        assert_eq!(lengths(239), [256, 256]);
        assert_eq!(lengths(240), [256, 512], "compressed, stored");
        assert_eq!(lengths(4096), [256, 4352]);
        assert_eq!(lengths(4097), [256, 256], "both compressed");
    }

    /// Written by hand; the frame of content that is not compressed after RFC 8878.
    #[test]
    fn the_form_is_pinned() {
        let short = [
            b"\x00\x00\x00\x05".as_slice(), // content of 5 bytes
            b"\x00\x00\x00\x0e",            // a frame of 14 bytes
            b"\x28\xb5\x2f\xfd",            // zstd's number, 0xfd2fb528
            b"\x20\x05",                    // one segment of 5 bytes, as one byte says
            b"\x29\x00\x00",                // the last block, as it is, of 5 bytes: 5 * 8 + 1
            b"hello",                       // the content
            &[0; 234],                      // up to 256 bytes
        ];
        assert_eq!(pack(b"hello"), short.concat());
        assert_eq!(unpack(&short.concat()).unwrap(), b"hello");
        let text = [7_u8; 300];
        let long = [
            b"\x00\x00\x01\x2c".as_slice(), // content of 300 bytes
            b"\x00\x00\x01\x36",            // a frame of 310 bytes
            b"\x28\xb5\x2f\xfd",            // zstd's number
            b"\x60\x2c\x00",                // one segment of 256 + 44 bytes, as two bytes say
            b"\x61\x09\x00",                // the last block, as it is, of 300 bytes: 300 * 8 + 1
            &text,                          // the content
            &[0; 194],                      // up to 512 bytes
        ];
        assert_eq!(pack_by(Effort::CompressLong, &text), long.concat());
        assert_eq!(unpack(&long.concat()).unwrap(), text);
    }

    #[test]
    fn content_that_is_too_large_is_refused() {
        let refused =
            super::pack(&vec![0; PLAINTEXT_BYTES_MAX + 1], Effort::Compress, |packed| Ok(packed.len()));
        assert!(matches!(refused, Err(VaultError::TooLarge { .. })));
    }

    #[test]
    fn lengths_fall_into_buckets() {
        let lengths: std::collections::BTreeSet<_> =
            (0..200_usize).map(|length| pack(&vec![b'a'; length]).len()).collect();
        assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [256]);
    }

    #[test]
    fn a_frame_that_unpacks_to_more_than_it_says_is_refused() {
        let mut bomb = pack(&vec![0; 1 << 20]);
        bomb[..4].copy_from_slice(&16_u32.to_be_bytes());
        assert!(unpack(&bomb).is_err());
        bomb[..4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(unpack(&bomb).is_err(), "nor is its word taken for an allocation");
    }

    proptest! {
        #[test]
        fn content_comes_back(
            content in proptest::collection::vec(any::<u8>(), 0..5000),
            effort in prop::sample::select(vec![Effort::Compress, Effort::CompressLong]),
        ) {
            let packed = pack_by(effort, &content);
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
