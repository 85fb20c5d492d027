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
    // A context holds its tables for reuse; making one for each resource would cost more than compressing it.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// The most bytes that `length` bytes of text are compressed to.
#[must_use]
pub fn bound(length: usize) -> usize {
    zstd::zstd_safe::compress_bound(length)
}

/// Compresses `text` into `out`, which has [`bound`] bytes, and gives the length of the frame.
///
/// # Errors
/// `out` is too short, or there is no memory for a context.
pub fn compress_into(text: &[u8], out: &mut [u8]) -> io::Result<usize> {
    COMPRESSOR.with_borrow_mut(|slot| match slot {
        Some(compressor) => compressor.compress_to_buffer(text, out),
        None => slot.insert(Compressor::with_prepared_dictionary(&ENCODER)?).compress_to_buffer(text, out),
    })
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
        let mut frame = vec![0; bound(text.len())];
        let length = compress_into(text, &mut frame).unwrap();
        frame.truncate(length);
        frame
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
