//! The log's bytes.
//!
//! ```text
//! file   = magic "BXPWAL" | version u16 LE (1) | salt u64 LE | record*
//! record = length u32 LE | head u32 LE | body u32 LE | payload (length bytes)
//! head   = crc32c(salt u64 LE | offset of the record in the file u64 LE | length u32 LE)
//! body   = crc32c(salt u64 LE | offset u64 LE | payload)
//! ```
//!
//! The length has a checksum of its own, so that a damaged length is not taken for a record that was cut short. Salt
//! and offset are in the checksums, so that bytes inside a payload, which a peer may have chosen, never look like a
//! record.

/// Bytes of the file's header.
pub(crate) const FILE_HEADER_BYTES: usize = 16;
/// Bytes before a record's payload.
pub(crate) const RECORD_HEADER_BYTES: usize = 12;
/// The longest payload in bytes (256 MiB).
pub const RECORD_BYTES_MAX: usize = 256 << 20;

const MAGIC_AND_VERSION: [u8; 8] = *b"BXPWAL\x01\x00";

/// The header of a file with this salt.
pub(crate) fn file_header(salt: u64) -> Vec<u8> {
    [MAGIC_AND_VERSION, salt.to_le_bytes()].concat()
}

/// The salt of a file that begins with `bytes`; nothing when it is no log of this version.
pub(crate) fn read_file_header(bytes: &[u8]) -> Option<u64> {
    let (magic, rest) = bytes.split_first_chunk::<8>()?;
    let salt = rest.first_chunk::<8>()?;
    (*magic == MAGIC_AND_VERSION).then(|| u64::from_le_bytes(*salt))
}

/// Appends the record of `payload` to `out`, which stands at `offset`.
#[cfg(test)]
pub(crate) fn write(salt: u64, offset: u64, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&header(salt, offset, payload));
    out.extend_from_slice(payload);
}

/// What goes before `payload` at `offset`.
pub(crate) fn header(salt: u64, offset: u64, payload: &[u8]) -> [u8; RECORD_HEADER_BYTES] {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let [l0, l1, l2, l3] = length;
    let [h0, h1, h2, h3] = checksum(salt, offset, &length).to_le_bytes();
    let [b0, b1, b2, b3] = checksum(salt, offset, payload).to_le_bytes();
    [l0, l1, l2, l3, h0, h1, h2, h3, b0, b1, b2, b3]
}

fn checksum(salt: u64, offset: u64, bytes: &[u8]) -> u32 {
    let place = [salt.to_le_bytes(), offset.to_le_bytes()].concat();
    crc32c::crc32c_append(crc32c::crc32c(&place), bytes)
}

/// What stands at an offset of a log.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// A whole record.
    Record(&'a [u8]),
    /// The file ends here.
    End,
    /// A record begins but the file ends before it does.
    CutShort,
    /// No record.
    Damage,
}

/// Reads what stands at `offset` of `file`.
pub(crate) fn read(salt: u64, file: &[u8], offset: usize) -> Found<'_> {
    let rest = file.get(offset..).unwrap_or_default();
    if rest.is_empty() {
        return Found::End;
    }
    let Some((header, rest)) = rest.split_first_chunk::<RECORD_HEADER_BYTES>() else {
        return Found::CutShort;
    };
    let [l0, l1, l2, l3, h0, h1, h2, h3, b0, b1, b2, b3] = *header;
    let length = [l0, l1, l2, l3];
    let place = offset as u64;
    if checksum(salt, place, &length) != u32::from_le_bytes([h0, h1, h2, h3]) {
        return Found::Damage;
    }
    let Some(payload) = rest.get(..u32::from_le_bytes(length) as usize) else {
        return Found::CutShort;
    };
    if checksum(salt, place, payload) == u32::from_le_bytes([b0, b1, b2, b3]) {
        Found::Record(payload)
    } else {
        Found::Damage
    }
}

/// The offset of the first whole record after `offset`, at any byte: a sign that what stands at `offset` was damaged
/// and not cut short.
pub(crate) fn find_after(salt: u64, file: &[u8], offset: usize) -> Option<usize> {
    (offset.saturating_add(1)..file.len()).find(|&at| matches!(read(salt, file, at), Found::Record(_)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_is_pinned() {
        let mut file = file_header(0x0102_0304_0506_0708);
        for payload in [b"".as_slice(), b"record"] {
            let offset = file.len() as u64;
            write(0x0102_0304_0506_0708, offset, payload, &mut file);
        }
        let hex: String = file.iter().map(|byte| format!("{byte:02x}")).collect();
        let header = "42585057414c01000807060504030201";
        let empty = "00000000bbd62dcb9a00056c";
        let record = "060000007843cd44828dc2c67265636f7264";
        assert_eq!(hex, [header, empty, record].concat());
    }

    #[test]
    fn what_is_written_is_read_at_its_place_only() {
        let mut file = file_header(7);
        write(7, 16, b"payload", &mut file);
        assert_eq!(read(7, &file, 16), Found::Record(b"payload"));
        assert_eq!(read(8, &file, 16), Found::Damage, "another file's salt");
        assert_eq!(read(7, &file, file.len()), Found::End);
        let moved = [b"1".as_slice(), &file].concat();
        assert_eq!(read(7, &moved, 17), Found::Damage, "another place");
    }
}
