//! Compression of single resources: zstd (RFC 8878) with a dictionary that knows how FHIR is written.
//!
//! A resource has a kilobyte or two, too little for a compressor to learn from: most of such a frame is what every FHIR text
//! says. The dictionary says it once for all (ADR 90). Every frame names the dictionary it was made with, and one that names
//! none is read as well.

use std::{cell::RefCell, io, sync::LazyLock};
use zstd::{
    bulk::{Compressor, Decompressor},
    dict::{DecoderDictionary, EncoderDictionary},
};

/// Trained as `data/README.md` says. Frames are kept for as long as records, and so is this file.
const DICTIONARY: &[u8] = include_bytes!("../data/fhir-r4.zdict");

/// zstd's level. Higher ones cost more than the bytes that they save.
const LEVEL: i32 = 1;

static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(DICTIONARY, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> = LazyLock::new(|| DecoderDictionary::copy(DICTIONARY));

thread_local! {
    // A context holds its tables for reuse; making one for each resource would cost more than compressing it. So would
    // filling the memory for its frame with zeros.
    static COMPRESSOR: RefCell<Option<(Compressor<'static>, Vec<u8>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// A frame of more bytes than this gives its memory back.
const FRAME_BYTES_KEPT: usize = 1 << 20;

/// Compresses `text` and hands the frame to `take`.
///
/// # Errors
/// There is no memory for a context.
pub fn compressed<T>(text: &[u8], take: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let (compressor, frame) = match slot {
            Some(ready) => ready,
            None => slot.insert((Compressor::with_prepared_dictionary(&ENCODER)?, Vec::new())),
        };
        frame.clear();
        frame.reserve(zstd::zstd_safe::compress_bound(text.len()));
        compressor.compress_to_buffer(text, frame)?;
        let taken = take(frame);
        frame.shrink_to(FRAME_BYTES_KEPT);
        Ok(taken)
    })
}

/// The longest text that a frame of one block holds as it is (RFC 8878, section 3.1.1.2.4).
pub const STORED_BYTES_MAX: usize = 64 << 10;

/// How a frame begins that holds a text as it is.
#[derive(Clone, Copy, Debug)]
pub struct StoredHead {
    bytes: [u8; 10],
    length: usize,
}

impl StoredHead {
    /// For a text of `length` bytes, which follows and ends the frame; none if it is longer than [`STORED_BYTES_MAX`].
    #[must_use]
    pub fn new(length: usize) -> Option<Self> {
        const SINGLE_SEGMENT: u8 = 1 << 5;
        const LENGTH_OF_TWO_BYTES: u8 = 1 << 6;
        const LAST_BLOCK: u32 = 1;
        let block = u32::try_from(length).ok().filter(|_| length <= STORED_BYTES_MAX)?;
        let mut head = Self { bytes: [0; 10], length: 0 };
        let mut push = |part: &[u8]| {
            head.bytes[head.length..head.length + part.len()].copy_from_slice(part);
            head.length += part.len();
        };
        push(&[0x28, 0xb5, 0x2f, 0xfd]);
        match (u8::try_from(length), u16::try_from(length.wrapping_sub(256))) {
            (Ok(length), _) => push(&[SINGLE_SEGMENT, length]),
            (_, Ok(more)) => {
                push(&[SINGLE_SEGMENT | LENGTH_OF_TWO_BYTES]);
                push(&more.to_le_bytes());
            }
            _ => return None,
        }
        push(&(block << 3 | LAST_BLOCK).to_le_bytes()[..3]);
        Some(head)
    }

    /// The bytes before the text.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Reads a frame back, of whose text at most `length_max` bytes are made.
///
/// # Errors
/// The frame is damaged, names another dictionary, or holds more than `length_max` bytes.
pub fn decompress(frame: &[u8], length_max: usize) -> io::Result<Vec<u8>> {
    DECOMPRESSOR.with_borrow_mut(|slot| match slot {
        Some(decompressor) => decompressor.decompress(frame, length_max),
        None => slot.insert(Decompressor::with_prepared_dictionary(&DECODER)?).decompress(frame, length_max),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use sha2::{Digest as _, Sha256};

    const TEXT: &[u8] = br#"{"resourceType":"Observation","status":"final","category":[{"coding":[{"system":"http://terminology.hl7.org/CodeSystem/observation-category","code":"vital-signs","display":"Vital signs"}]}],"code":{"coding":[{"system":"http://loinc.org","code":"8302-2","display":"Body Height"}],"text":"Body Height"},"valueQuantity":{"value":158.4,"unit":"cm","system":"http://unitsofmeasure.org","code":"cm"}}"#;

    fn compress(text: &[u8]) -> Vec<u8> {
        compressed(text, <[u8]>::to_vec).unwrap()
    }

    #[test]
    fn the_dictionary_is_the_one_that_frames_were_made_with() {
        let digest = hex::encode(Sha256::digest(DICTIONARY));
        assert_eq!(
            digest, "345928a82cb80104ab20afa990e6c6575bed9bc055bcc7ebea968d9766acb5ef",
            "frames that are kept need it; another one is a second file beside it"
        );
    }

    /// A frame as another program writes it: `zstd -1 --no-check -D fhir-r4.zdict`.
    #[test]
    fn a_frame_of_another_program_is_read() {
        let frame = hex::decode("28b52ffd63d10101008a000d0200030103970b6587daa1709cd653dc1312fc5cd62de97f9bf7ff64533e9b0533738661141266b5fd5bf17877a8c16d281d092e0155955d8eb2d89ae6edc7403ea301").unwrap();
        assert_eq!(decompress(&frame, 1 << 10).unwrap(), TEXT);
    }

    #[test]
    fn a_resource_is_far_shorter_than_without() {
        let plain = zstd::bulk::compress(TEXT, LEVEL).unwrap();
        assert!(2 * compress(TEXT).len() < plain.len(), "{} {}", compress(TEXT).len(), plain.len());
    }

    #[test]
    fn a_frame_without_a_dictionary_is_read_too() {
        let plain = zstd::bulk::compress(TEXT, 3).unwrap();
        assert_eq!(decompress(&plain, TEXT.len()).unwrap(), TEXT);
    }

    #[test]
    fn a_text_that_is_stored_is_a_frame_like_any_other() {
        for length in [0, 1, 255, 256, 257, 511, 512, 4096, STORED_BYTES_MAX] {
            let text = vec![b'x'; length];
            let head = StoredHead::new(length).unwrap();
            let frame = [head.as_bytes(), &text].concat();
            assert_eq!(decompress(&frame, length).unwrap(), text, "with the dictionary");
            assert_eq!(zstd::bulk::decompress(&frame, length).unwrap(), text, "by any reader of zstd");
            assert!(length == 0 || decompress(&frame, length - 1).is_err());
        }
        assert!(StoredHead::new(STORED_BYTES_MAX + 1).is_none());
    }

    #[test]
    fn no_more_is_made_than_was_allowed() {
        let frame = compress(&vec![b' '; 1 << 20]);
        assert!(frame.len() < 1 << 10);
        assert!(decompress(&frame, 1 << 10).is_err());
    }

    proptest! {
        #[test]
        fn every_text_comes_back(text in proptest::collection::vec(any::<u8>(), 0..3000)) {
            prop_assert_eq!(decompress(&compress(&text), text.len()).unwrap(), text);
        }

        #[test]
        fn arbitrary_frames_never_panic(frame in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = decompress(&frame, 1 << 16);
        }

        #[test]
        fn damaged_frames_never_panic(at in 0_usize..60, byte in any::<u8>()) {
            let mut frame = compress(TEXT);
            let at = at % frame.len();
            frame[at] = byte;
            let _ = decompress(&frame, 1 << 16);
        }
    }
}
