//! Reading CAR files from anyone: every length is bounded, every block verified, every error has its place in the file.

use super::{ROOTS_MAX, write::header_map};
use crate::{BLOCK_BYTES_MAX, Block, ContentError, dag_cbor, varint};
use bytes::Bytes;
use cid::Cid;
use std::io::{self, Read};

/// The most bytes of a CID: version, codec and hash function as varints, and 64 bytes of hash with their length.
const CID_BYTES_MAX: usize = 4 * varint::BYTES_MAX + 64;
const SECTION_BYTES_MAX: u64 = (BLOCK_BYTES_MAX + CID_BYTES_MAX) as u64;
/// A header of [`ROOTS_MAX`] roots fits.
const HEADER_BYTES_MAX: u64 = (ROOTS_MAX * (CID_BYTES_MAX + 8) + 64) as u64;
/// How version 2 begins: the header `{"version": 2}`.
const VERSION_2: &[u8] = b"\xa1\x67version\x02";

/// Reads the blocks of a CAR file one after the other. It ends after the first error.
pub struct CarReader<R> {
    source: R,
    offset: u64,
    roots: Vec<Cid>,
    failed: bool,
}

impl<R: Read> CarReader<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// [`ContentError::Car`], [`ContentError::CarIo`].
    pub fn new(source: R) -> Result<Self, ContentError> {
        let mut reader = Self { source, offset: 0, roots: Vec::new(), failed: false };
        let Some(length) = reader.length(HEADER_BYTES_MAX, "header")? else {
            return Err(reader.wrong("the file is empty"));
        };
        let map = reader.exactly(length, "header")?;
        if map == VERSION_2 {
            return Err(reader.wrong("this is version 2; convert it to version 1"));
        }
        let roots = dag_cbor::links(&map).map_err(|what| reader.wrong(format!("the header: {what}")))?;
        if map != header_map(&roots) {
            return Err(reader.wrong("the header is not {roots: [links], version: 1}"));
        }
        if roots.is_empty() || roots.len() > ROOTS_MAX {
            return Err(
                reader.wrong(format!("the header names {} roots; there are 1 to {ROOTS_MAX}", roots.len()))
            );
        }
        reader.roots = roots;
        reader.offset += length;
        Ok(reader)
    }

    /// The roots that the header names.
    #[must_use]
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    fn wrong(&self, what: impl Into<String>) -> ContentError {
        ContentError::Car { offset: self.offset, what: what.into() }
    }

    /// A length as a varint; nothing at the end of the file.
    fn length(&mut self, max: u64, what: &str) -> Result<Option<u64>, ContentError> {
        let mut bytes = Vec::with_capacity(varint::BYTES_MAX);
        loop {
            let mut byte = [0];
            match self.source.read_exact(&mut byte) {
                Ok(()) => bytes.push(byte[0]),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return if bytes.is_empty() {
                        Ok(None)
                    } else {
                        Err(self.wrong("the file ends within a length"))
                    };
                }
                Err(error) => return Err(ContentError::CarIo(error)),
            }
            match varint::take(&bytes) {
                Err(varint::Wrong::Cut) => {}
                Err(varint::Wrong::Overlong) => {
                    return Err(self
                        .wrong(format!("the length of a {what} is no shortest varint of at most 9 bytes")));
                }
                Ok((length, _)) if length == 0 || length > max => {
                    return Err(self.wrong(format!("a {what} of {length} bytes; there are 1 to {max}")));
                }
                Ok((length, _)) => {
                    self.offset += bytes.len() as u64;
                    return Ok(Some(length));
                }
            }
        }
    }

    fn exactly(&mut self, length: u64, what: &str) -> Result<Vec<u8>, ContentError> {
        let mut bytes = Vec::new();
        let read = self.source.by_ref().take(length).read_to_end(&mut bytes).map_err(ContentError::CarIo)?;
        if (read as u64) < length {
            return Err(self.wrong(format!("the file ends after {read} of the {length} bytes of a {what}")));
        }
        Ok(bytes)
    }

    fn section(&mut self) -> Result<Option<Block>, ContentError> {
        let Some(length) = self.length(SECTION_BYTES_MAX, "section")? else { return Ok(None) };
        let bytes = Bytes::from(self.exactly(length, "section")?);
        let mut rest = bytes.as_ref();
        let cid = Cid::read_bytes(&mut rest).map_err(|_| self.wrong("a section begins with no CID"))?;
        let binary = cid.to_bytes();
        if !bytes.starts_with(&binary) || binary.len() + rest.len() != bytes.len() {
            return Err(self.wrong("a section's CID is not in its shortest form"));
        }
        let block =
            Block::verify(cid, bytes.slice(binary.len()..)).map_err(|error| self.wrong(error.to_string()))?;
        self.offset += length;
        Ok(Some(block))
    }
}

impl<R: Read> Iterator for CarReader<R> {
    type Item = Result<Block, ContentError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let section = self.section();
        self.failed = section.is_err();
        section.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{header, section};
    use super::*;
    use crate::Codec;
    use proptest::prelude::*;

    fn block(bytes: &'static [u8]) -> Block {
        Block::new(Codec::Raw, Bytes::from_static(bytes)).unwrap()
    }

    fn car(roots: &[Cid], blocks: &[Block]) -> Vec<u8> {
        blocks.iter().fold(header(roots), |mut file, block| {
            file.extend(section(block));
            file
        })
    }

    fn read(file: &[u8]) -> Result<Vec<Block>, ContentError> {
        CarReader::new(file)?.collect()
    }

    #[test]
    fn the_form_is_pinned() {
        let block = block(b"hello world");
        let file = car(&[*block.cid()], std::slice::from_ref(&block));
        let cid = [&b"\x01\x55\x12\x20"[..], block.cid().hash().digest()].concat();
        let expected = [
            &b"\x3a\xa2\x65roots\x81\xd8\x2a\x58\x25\x00"[..],
            &cid,
            b"\x67version\x01",
            b"\x2f",
            &cid,
            b"hello world",
        ];
        assert_eq!(file, expected.concat());
        assert_eq!(CarReader::new(file.as_slice()).unwrap().roots(), [*block.cid()]);
        assert_eq!(read(&file).unwrap(), [block]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let (one, two) = (block(b"one"), block(b"two"));
        let good = car(&[*one.cid()], &[one.clone(), two.clone()]);
        let told = |file: &[u8]| read(file).unwrap_err().to_string();
        assert_eq!(told(b""), "CAR, byte 0: the file is empty");
        assert!(
            told(&good[..good.len() - 1]).ends_with("the file ends after 38 of the 39 bytes of a section")
        );
        assert!(told(&good[..20]).contains("bytes of a header"));
        assert!(told(&[&good[..], &[0x80]].concat()).ends_with("the file ends within a length"));
        assert!(told(&[&good[..], &[0x80, 0x00]].concat()).contains("no shortest varint"));
        assert!(told(&[&good[..], &[0xff; 9]].concat()).contains("no shortest varint"));
        assert!(told(&[&good[..], &[0x00]].concat()).contains("a section of 0 bytes"));
        assert!(
            told(&[&good[..], &[0xff, 0xff, 0xff, 0x7f]].concat()).contains("a section of 268435455 bytes")
        );
        let mut swapped = good.clone();
        *swapped.last_mut().unwrap() ^= 1;
        assert!(told(&swapped).contains("are not its own"));
        let first = header(&[*one.cid()]).len() as u64;
        let place = first + section(&one).len() as u64 + 1;
        assert!(told(&swapped).starts_with(&format!("CAR, byte {place}:")), "{}", told(&swapped));
        assert!(told(&[&[10][..], VERSION_2].concat()).contains("version 2"));
        assert!(told(&header(&[])).contains("0 roots"));
        assert!(told(b"\x01\xa0").contains("the header is not"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = read(&bytes);
        }

        #[test]
        fn damage_is_noticed(at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let (one, two) = (block(b"one"), block(b"two"));
            let good = car(&[*one.cid()], &[one.clone(), two.clone()]);
            let mut damaged = good.clone();
            let at = at.index(good.len());
            damaged[at] = byte;
            if let Ok(blocks) = read(&damaged) {
                // The root in the header may name another block; the blocks are what they were.
                prop_assert_eq!(blocks, [one, two]);
            }
        }
    }
}
